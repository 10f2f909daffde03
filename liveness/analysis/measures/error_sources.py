"""Sources of ICMP errors: the target itself, or a router or middlebox on the path."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from liveness.analysis.counting.states import RunStates
from liveness.analysis.formula import Formula, formulas
from liveness.analysis.measure import Measure, RunResults
from liveness.analysis.numbers import named_formulas
from liveness.analysis.tables import Column, Share, Table
from liveness.replies import Kind


@dataclass(frozen=True, slots=True)
class ErrorSources:
    """Error sources over all families; both kinds count as network alive."""

    primary: Annotated[int, Formula("addresses that sent an error about a probe to themselves")]
    secondary: Annotated[int, Formula("the other sources of errors: routers and middleboxes on the way")]


def error_sources(run: RunStates) -> ErrorSources:
    """Count the error sources of all families by whether they are targets that answered for themselves."""
    primary = run.sent_primary()
    sources = run.sent(run.probes, (Kind.ERROR,))
    return ErrorSources(primary=run.count(primary), secondary=run.count(sources & ~primary))


def tables(value: ErrorSources, run: RunResults) -> Iterator[Table]:
    """Yield both kinds of sources."""
    del run
    whole = value.primary + value.secondary
    yield Table(
        "error_sources",
        "Sources of ICMP errors",
        (Column("source"), Column("addresses", "addresses"), Column("share", "share", "all sources of errors")),
        [
            (name, number, Share.of_counts(number, whole))
            for name, number in (("primary", value.primary), ("secondary", value.secondary))
        ],
        ["Shares of both together; both are network alive.", *named_formulas(formulas(ErrorSources))],
    )


ERROR_SOURCES = Measure("error_sources", error_sources, tables)
