"""Tables as data: cells are numbers with units and denominators, so that all output formats print the same table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from liveness.analysis.numbers import ABSENT, count, percent
from liveness.reference.bano_2018 import LABEL

Style = Literal["alarm", "good", "dim", ""]


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, with its 95% interval if it comes from a sample.

    `part` and `whole` are None if they are not known.
    """

    value: float | None
    part: int | None = None
    whole: int | None = None
    low: float | None = None
    high: float | None = None
    of: str = ""
    """The denominator, if it is not that of the column."""

    @classmethod
    def of_counts(cls, part: int, whole: int | None, of: str = "") -> "Share":
        """Return part / whole, without a value if the denominator is 0."""
        return cls(part / whole if whole else None, part, whole, of=of)

    def __str__(self) -> str:
        text = percent(self.value) + (f" of {self.of}" if self.of else "")
        if self.low is None or self.high is None:
            return text
        return f"{text} ({100 * self.low:.1f}-{100 * self.high:.1f})"


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated number, with the ends of its 95% interval."""

    value: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        return ABSENT if self.value is None else f"{self.value:,.1f}"


@dataclass(frozen=True, slots=True)
class Between:
    """The interval of an estimate in another cell of the row, with which exports have it."""

    estimate: Estimate
    text: str = ""
    """What readers see, if it is not the ends with one decimal place."""

    def __str__(self) -> str:
        if self.text:
            return self.text
        low, high = self.estimate.low, self.estimate.high
        return ABSENT if low is None or high is None else f"{low:,.1f} to {high:,.1f}"


@dataclass(frozen=True, slots=True)
class Counts:
    """One number for each attempt."""

    numbers: Sequence[int]

    def __str__(self) -> str:
        return " ".join(count(number) for number in self.numbers)


@dataclass(frozen=True, slots=True)
class Worded:
    """A number that readers see as `text`; exports have the number, with its interval if it is an estimate."""

    value: float | None
    text: str
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        return self.text


Plain = str | int | float | Share | Estimate | Between | Counts | Worded | None


@dataclass(frozen=True, slots=True)
class Marked:
    """A cell that is emphasised as an alarm or as good, or dimmed."""

    cell: Plain
    style: Style


Cell = Plain | Marked


def bare(cell: Cell) -> Plain:
    """Return a cell without its mark."""
    return cell.cell if isinstance(cell, Marked) else cell


def style_of(cell: Cell) -> Style:
    """Return the style of a cell, empty if it is not marked."""
    return cell.style if isinstance(cell, Marked) else ""


def printed(cell: Cell) -> str:
    """Return a cell as text for readers."""
    plain = bare(cell)
    if plain is None:
        return ABSENT
    if isinstance(plain, bool):
        return "yes" if plain else "no"
    if isinstance(plain, int):
        return count(plain)
    return f"{plain:,.1f}" if isinstance(plain, float) else str(plain)


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `unit` is the unit of its numbers, empty for text, which names rows or comments on them."""

    name: str
    unit: str = ""
    of: str = ""
    """The denominator of shares."""
    key: str = ""
    """The name in exports, if the printed one is too short or is used twice."""

    @property
    def is_text(self) -> bool:
        """Whether its cells are text."""
        return not self.unit

    @property
    def quantity(self) -> str:
        """The name of its numbers in exports."""
        return self.key or self.name


PUBLISHED = Column(LABEL, key="published")
"""The column of published values, in words."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table: `id` names it in every output format, `notes` have formulas and denominators.

    A list that other programs may read too has no title, and is printed without indentation.
    """

    id: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    """Further keys of its rows, which distinguish tables with the same id: the two runs of a comparison."""
    columns_at_once: int | None = None
    """The number of columns after the first that fit a terminal."""
    shown: int | None = None
    """The number of rows shown to readers; exports have all."""
    shown_note: str = ""
    """A note with ``{shown}``, the number of rows shown."""
    ruled: bool = False
    """Whether lines separate the rows, because cells have several lines."""
    data: Sequence["Datum"] | None = None
    """The numbers for exports, if they cannot be derived from the rows."""

    def tidy(self) -> Iterator["Datum"]:
        """Yield every number of the table with its keys, unit and denominator."""
        if self.data is not None:
            yield from self.data
            return
        name: Cell = ""
        for row in self.rows:
            name = row[0] if printed(row[0]) else name  # a row without a name belongs to the one above
            yield from _data_of_row(self, (name, *row[1:]))


@dataclass(frozen=True, slots=True)
class Datum:
    """One number with its keys, quantity and unit."""

    keys: Mapping[str, str]
    quantity: str
    value: float | str | None
    unit: str
    of: str = ""
    whole: int | None = None
    low: float | None = None
    high: float | None = None


def _data_of_row(table: Table, row: Sequence[Cell]) -> Iterator[Datum]:
    """Yield the numbers of one row; its texts are the keys, except for published values."""
    cells = list(zip(table.columns, row, strict=True))
    words = [place for place, (column, _) in enumerate(cells) if column.is_text and column is not PUBLISHED]
    value = words.pop() if len(words) == len(cells) else None  # a row of texts only: the last of them is the value
    keys = dict(table.keys)
    for place in words:
        column, cell = cells[place]
        keys[column.quantity or f"key{place + 1}"] = printed(cell)
    if value is not None:
        column, cell = cells[value]
        plain = bare(cell)
        yield Datum(keys, column.quantity, plain if isinstance(plain, int | float) else printed(cell), "text")
        return
    for column, cell in cells:
        plain = bare(cell)
        if column is PUBLISHED:
            if plain:
                yield Datum(keys, "published", printed(cell), "text")
        elif not column.is_text:
            yield from _data_of_cell(keys, column, plain)


def _data_of_cell(keys: Mapping[str, str], column: Column, cell: Plain) -> Iterator[Datum]:
    """Yield the numbers of one cell; an empty cell has none."""
    if isinstance(cell, Counts):
        for attempt, number in enumerate(cell.numbers):
            yield Datum(keys, f"{column.quantity} {attempt}", number, column.unit)
    elif isinstance(cell, Share):
        yield Datum(
            keys, column.quantity, cell.value, "share", cell.of or column.of, cell.whole, cell.low, cell.high
        )  # fmt: skip
    elif isinstance(cell, Estimate | Worded):
        yield Datum(keys, column.quantity, cell.value, column.unit, column.of, None, cell.low, cell.high)
    elif not isinstance(cell, Between) and cell != "":
        yield Datum(keys, column.quantity, cell, column.unit, column.of)
