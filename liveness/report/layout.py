"""The form every table has: a title, right-aligned numbers, formulas below, no frame that a pipe would break."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.text import Text

from liveness.report.fitted import FittedTable
from liveness.report.published import LABEL

INDENT = (0, 0, 0, 2)  # two columns, left

WHOLE = 100.0
"""All of it, in percent."""

ABSENT = "-"
"""What stands for a number that does not exist: a share whose denominator is 0, something that was not probed."""

Cell = str | Text


@dataclass(frozen=True, slots=True)
class Section:
    """One table under its title; `notes` below it give each number's formula and denominator."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    text_columns: frozenset[int] = frozenset({0})

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render title, table and notes, each as wide as the console."""
        del console, options
        yield Text(self.title, style="bold")
        table = FittedTable(
            box=box.SIMPLE_HEAD,
            show_edge=False,
            show_header=any(self.columns),
            pad_edge=False,
            padding=(0, 1, 0, 0),
            header_style="",
        )
        for place, name in enumerate(self.columns):
            is_text = place in self.text_columns or name == LABEL
            # where the console is narrow, words wrap and numbers stay whole
            table.add_column(Text(name), justify="left" if is_text else "right", overflow="fold", no_wrap=not is_text)
        for row in self.rows:
            table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
        yield Padding(table, INDENT, expand=False)
        for note in self.notes:
            yield Padding(Text(note, style="dim"), INDENT, expand=False)
        yield Text()


def count(number: int | None) -> str:
    """Return an integer with thousands separators."""
    return ABSENT if number is None else f"{number:,}"


def percent(share: float | None, decimals: int = 1) -> str:
    """Return a fraction as percent: one that is not 0 never reads as 0, one that is not 1 never as 100."""
    if share is None:
        return ABSENT
    text = f"{share:.{decimals}%}"
    printed, last_digit = float(text.removesuffix("%")), 10.0**-decimals
    if share > 0 and printed == 0:
        return f"<{last_digit:.{decimals}f}%"
    if share < 1 and printed == WHOLE:
        return f">{WHOLE - last_digit:.{decimals}f}%"
    return text.removeprefix("-") if printed == 0 else text


def signed(number: float, decimals: int = 1) -> str:
    """Return a number with its sign; what rounds to nothing has none."""
    text = f"{number:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text


def seconds(duration_s: float | None) -> str:
    """Return a duration in the unit that reads best."""
    if duration_s is None:
        return ABSENT
    if duration_s < 1:
        return f"{1000 * duration_s:.1f} ms"
    return f"{duration_s:.1f} s" if duration_s < 120 else f"{duration_s / 60:.1f} min"  # noqa: PLR2004 - two minutes


def named_formulas(formulas: dict[str, str]) -> list[str]:
    """Return formulas as notes, each under its number's name in the tables."""
    return [f"{spoken(name)}: {text}" for name, text in formulas.items()]


def spoken(field: str) -> str:
    """Return the name of a result's field as the tables print it."""
    words = "RST_only" if field == "rst_only" else field.replace("syn_ack", "SYN-ACK")
    return words.replace("_", " ")
