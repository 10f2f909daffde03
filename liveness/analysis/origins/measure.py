"""A measure of several vantage points: its values, tables, figures and part of the document."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from liveness.analysis.figures import Figure
from liveness.analysis.measure import plain
from liveness.analysis.origins.counts import ALL, PRESENT, OriginCounts
from liveness.analysis.tables import Cell, Column, Table

T = TypeVar("T")


def _nothing(value: object, counts: OriginCounts) -> tuple[()]:
    del value, counts
    return ()


@dataclass(frozen=True, slots=True, eq=False)
class OriginMeasure(Generic[T]):
    """The computation of a value over the counts of several vantage points under an id, and its presentation.

    A measure whose value is None, because nothing is known about it, has no table and no figure, and null in the
    document.
    """

    id: str
    """The id is also the key within `origins` of the JSON document."""
    compute: Callable[[OriginCounts], T]
    tables: Callable[[Any, OriginCounts], Iterable[Table]] = _nothing
    figures: Callable[[Any, OriginCounts], Iterable[Figure]] = _nothing
    document: Callable[[T], object] = plain
    warnings: Callable[[Any, OriginCounts], Iterable[str]] = _nothing
    """Sentences that a reader must know first."""


AnyOriginMeasure = OriginMeasure[Any]

NAMED: Final = (Column("probe"), Column("kind"), Column("trial"))
"""The columns that name a group and a trial."""


def table_of_groups(
    name: str, title: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], notes: Sequence[str]
) -> Table:
    """Return a table whose rows begin with probe and kind of a group; readers see only positive replies."""
    shown = sum(row[1] in {ALL[1], *PRESENT} for row in rows)
    if shown == len(rows):
        return Table(name, title, columns, rows, notes)
    note = "All addresses and positive replies, {shown} rows; --json and --csv have the other kinds of replies too."
    return Table(name, title, columns, rows, notes, shown=shown, shown_note=note)
