"""A table that shows everything on a narrow terminal: words wrap, and if that is not enough, rows are stacked."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

UNLIMITED: Final = 1_000_000
WORD: Final = 20
"""Least width for the longest word of a wrapping column; longer words (file names, prefixes) are folded."""


class FittedTable(Table):
    """A table of rich that shows every column at every width.

    Rich drops or cuts columns that do not fit. This table gives each column the width of its longest word and
    distributes the rest; if even the longest words do not fit, each row becomes a block of ``name: value`` lines.
    """

    dense: bool = False
    """Whether a stacked row is one paragraph instead of a line for each value."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render as a table if all columns fit, as blocks otherwise."""
        least, most = self._widths(console, options)
        whole = Measurement.get(console, options.update_width(UNLIMITED), self)
        room = options.max_width - (whole.maximum - sum(most))
        if sum(least) > room:
            yield from self._stacked(console)
            return
        for column, width in zip(self.columns, _shared(least, most, room), strict=True):
            column.width, column.overflow = width, "fold"
        yield from super().__rich_console__(console, options)
        for column in self.columns:
            column.width = None

    def _widths(self, console: Console, options: ConsoleOptions) -> tuple[list[int], list[int]]:
        """Return the least and the best width of each column's content."""
        least, most = [], []
        unlimited = options.update_width(UNLIMITED)
        for column in self.columns:
            cells = [*([column.header] if self.show_header else []), *column.cells]
            measured = [Measurement.get(console, unlimited, cell) for cell in cells]
            widest = max((cell.maximum for cell in measured), default=0)
            if column.width is not None:
                least.append(column.width)
                most.append(column.width)
                continue
            word = min(max((cell.minimum for cell in measured), default=0), WORD)
            least.append(widest if column.no_wrap else word)
            most.append(widest)
        return least, most

    def _stacked(self, console: Console) -> Iterator[RenderableType]:
        """Yield each row as a block whose heading is the first value."""
        if self.title is not None:
            title = _text(console, self.title)
            yield Text(title.plain, style=self.title_style or "table.title", overflow="fold")
        names = [_text(console, column.header).plain if self.show_header else "" for column in self.columns]
        rows = list(zip_longest(*(column.cells for column in self.columns), fillvalue=""))
        for row in rows:
            values = [_text(console, cell) for cell in row]
            if not any(names):
                yield _pair(values[0], Text("  ").join(values[1:]))
            elif self.dense:
                yield _paragraph(names, values)
            else:
                yield _pair(Text(names[0], style="bold"), values[0])
                for name, value in zip(names[1:], values[1:], strict=True):
                    yield Padding(_pair(Text(name), value), (0, 0, 0, 2), expand=False)
        if not rows:
            yield Text(", ".join(filter(None, names)), overflow="fold")


def _shared(least: Sequence[int], most: Sequence[int], room: int) -> list[int]:
    """Return a width for each column: its least width, and a share of the rest, the neediest columns last."""
    widths = list(least)
    left = room - sum(least)
    for number, place in enumerate(sorted(range(len(widths)), key=lambda place: most[place] - least[place])):
        more = min(most[place] - least[place], left // (len(widths) - number))
        widths[place] += more
        left -= more
    return widths


def _text(console: Console, cell: RenderableType) -> Text:
    """Return a cell as text, with markup interpreted as in a table."""
    if isinstance(cell, Text):
        return cell
    return console.render_str(cell) if isinstance(cell, str) else Text(str(cell))


def _pair(name: Text, value: Text) -> Text:
    """Return a name and its value as one line that can fold."""
    apart = ": " if name.plain and value.plain else ""
    return Text.assemble(name, apart, value, overflow="fold")


def _paragraph(names: Sequence[str], values: Sequence[Text]) -> Text:
    """Return a row as one paragraph: its first value, then names and values."""
    rest = [Text.assemble(name, " ", value) for name, value in zip(names[1:], values[1:], strict=True)]
    return Text.assemble(values[0], ": ", Text(", ").join(rest), overflow="fold")
