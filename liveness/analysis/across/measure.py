"""A measure of several runs: numbers of runs compared with each other, with their tables, figures and document."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from liveness.analysis.counting.states import RunStates
from liveness.analysis.counting.walk import Compared
from liveness.analysis.figures import Figure
from liveness.analysis.measure import RunResults
from liveness.analysis.tables import Table

T = TypeVar("T")


def _no_figures(values: object, runs: Sequence[RunResults]) -> tuple[()]:
    del values, runs
    return ()


def _fields(value: object) -> dict[str, object]:
    """Return a value as JSON types under the names of its fields."""
    fields: dict[str, object] = msgspec.to_builtins(value, str_keys=True)
    return fields


@dataclass(frozen=True, slots=True, eq=False)
class AcrossMeasure(Generic[T]):
    """The computation of a list of values over several runs under an id, and its presentation.

    There is a value for each comparison: for a pair of runs, or for a run that others follow. A measure without values
    has no tables and figures, and an empty list in the JSON document.
    """

    id: str
    """The id is also the key in the JSON document."""
    compute: Callable[[Sequence[RunStates], Compared], list[T]]
    tables: Callable[[Sequence[T]], Iterable[Table]]
    figures: Callable[[Sequence[T], Sequence[RunResults]], Iterable[Figure]] = _no_figures
    document: Callable[[T], dict[str, object]] = _fields
    """One value in the JSON document."""


AnyAcrossMeasure = AcrossMeasure[Any]
