"""The sources that sent most of the replies."""

from collections.abc import Iterator

from liveness.analysis.counting.states import RunStates
from liveness.analysis.measure import Measure, RunResults
from liveness.analysis.tables import Column, Table
from liveness.runs.manifest import TopSource


def top_sources(run: RunStates) -> list[TopSource]:
    """Return the top sources that the run recorded; none for a part of the address space."""
    return list(run.manifest.busiest_sources) if run.within is None else []


def tables(value: list[TopSource], run: RunResults) -> Iterator[Table]:
    """Yield the top sources with their replies; no table without any."""
    del run
    if value:
        yield Table(
            "top_sources",
            "Top sources",
            (Column("source"), Column("replies, at least", "packets")),
            [(entry.source, entry.messages) for entry in value],
        )


TOP_SOURCES = Measure("top_sources", top_sources, tables, document=None)
