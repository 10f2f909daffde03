"""A table on a terminal or page: a title, aligned columns and notes, without a frame."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.text import Text

from liveness.analysis.tables import Cell, Column, Style, Table, printed, style_of
from liveness.report.fitted import FittedTable

INDENT = (0, 0, 0, 2)  # two columns, left

STYLES: Final[dict[Style, str]] = {"alarm": "bold red", "good": "green", "dim": "dim", "": ""}
"""Styles of marked cells in a terminal."""


@dataclass(frozen=True, slots=True)
class Section:
    """One table or a range of its columns that fits a terminal, with title and notes."""

    table: Table
    first: int = 1
    """The first column shown after the one that names the rows."""
    stop: int | None = None
    shown: int | None = None
    """The number of rows that are shown, all if None."""

    @property
    def title(self) -> str:
        """The title of the table."""
        return self.table.title

    @property
    def places(self) -> list[int]:
        """The columns that are shown."""
        return [0, *range(len(self.table.columns))[self.first : self.stop]]

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return [self.table.columns[place].name for place in self.places]

    @property
    def text_columns(self) -> frozenset[int]:
        """The columns that contain text, by index."""
        return frozenset(at for at, place in enumerate(self.places) if self.table.columns[place].is_text)

    @property
    def cells(self) -> list[list[Cell]]:
        """The rows that are shown."""
        return [[row[place] for place in self.places] for row in self.table.rows[: self.shown]]

    @property
    def rows(self) -> list[list[str]]:
        """The rows that are shown, as text."""
        return [[printed(cell) for cell in row] for row in self.cells]

    @property
    def notes(self) -> Sequence[str]:
        """The notes; if the table may be long, the first says how much of it is shown."""
        if not self.table.shown_note:
            return self.table.notes
        return [self.table.shown_note.format(shown=len(self.cells)), *self.table.notes]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render title, table and notes in the width of the console; a list without a title has no rules either."""
        del console, options
        if self.title:
            yield Text(self.title, style="bold")
        table = FittedTable(
            box=(box.SIMPLE if self.table.ruled else box.SIMPLE_HEAD) if self.title else None,
            show_lines=self.table.ruled,
            show_edge=False,
            show_header=any(self.columns),
            pad_edge=False,
            padding=(0, 1, 0, 0) if self.title else (0, 2, 0, 0),
            header_style="",
        )
        for place, name in enumerate(self.columns):
            is_text = place in self.text_columns
            # On a narrow console text wraps, but numbers stay whole.
            table.add_column(Text(name), justify="left" if is_text else "right", overflow="fold", no_wrap=not is_text)
        for row in self.cells:
            table.add_row(*(Text(printed(cell), style=STYLES[style_of(cell)]) for cell in row))
        indent = INDENT if self.title else (0, 0, 0, 0)
        yield Padding(table, indent, expand=False)
        for note in self.notes:
            yield Padding(Text(note, style="dim"), indent, expand=False)
        if self.title:
            yield Text()


def text_table(
    name: str,
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    notes: Sequence[str] = (),
    text_columns: frozenset[int] = frozenset({0}),
) -> Table:
    """Return a table whose numbers are formatted already, under the id `name`."""
    described = [Column(column, "" if place in text_columns else "text") for place, column in enumerate(columns)]
    return Table(name, title, described, rows, notes)


def sections_of(table: Table, top: int | None = None) -> Iterator[Section]:
    """Yield a table, in parts if it has too many columns for a terminal; a table of slices has `top` rows."""
    shown = top if table.id == "slices" and top is not None else table.shown
    if table.columns_at_once is None:
        yield Section(table, shown=shown)
        return
    for first in range(1, len(table.columns), table.columns_at_once):
        yield Section(table, first, first + table.columns_at_once, shown)


def laid_out(tables: Iterable[Table | RenderableType]) -> Iterator[RenderableType]:
    """Yield tables as they are shown; what is laid out already stays as it is."""
    for table in tables:
        if isinstance(table, Table):
            yield from sections_of(table)
        else:
            yield table
