"""Sink that keeps the sets of a run: addresses by class of reply, counts, and the top sources."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.ipsets.collector import Collector
from liveness.replies import REPLY_DTYPE
from liveness.runs.manifest import MOST_SOURCES, Counts, Missed, TopSource
from liveness.runs.merge import Gathered, merge
from liveness.runs.recapture import missed_targets
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import PartKey, Tally
from liveness.scan.receive.collection import Collection
from liveness.scan.receive.sink import Conclusion, Parts, Received, Sink, SinkContext, SinkKind
from liveness.scan.receive.top_sources import TopSources
from liveness.space.addresses import format_address

if TYPE_CHECKING:
    from liveness.scan.plan import Plan


class SetSink(Sink):
    """Sets and counts of one receiver."""

    def __init__(self, plan: "Plan") -> None:
        self.collection = Collection([probe.name for probe in plan.probes], plan.attempts)
        self.top_sources = TopSources()

    def batch(self, replies: NDArray[np.void]) -> None:
        """Add replies to the sets and count their sources."""
        self.collection.add(replies)
        self.top_sources.add(np.ascontiguousarray(replies["source"]))

    @property
    def held(self) -> int:
        """Upper bound of the number of addresses in the sets."""
        return self.collection.held

    def take(self, tally: Tally) -> Parts:
        """Add the messages to a tally, and return a function that finishes the sets."""
        by_attempt, weak = self.collection.take_counts()
        tally.add(
            Tally(
                messages={p: {label: sum(n) for label, n in counts.items()} for p, counts in by_attempt.items()},
                weak=weak,
                by_attempt=by_attempt,
                top_sources=self.top_sources.take(),
            )
        )
        return parts_of(self.collection)


def parts_of(collection: Collection) -> Parts:
    """Empty a collection, and return the function that finishes its sets."""
    taken = collection.take()
    return lambda: _finished(taken)


def _finished(taken: dict[PartKey, Collector]) -> Iterator[tuple[PartKey, BitMap]]:
    return ((key, collector.finish()) for key, collector in taken.items())


class SetSinks(SinkKind):
    """Sets of replies, which every census keeps."""

    def open(self, context: SinkContext) -> SetSink:
        """Return the sets of one receiver."""
        return SetSink(context.plan)

    def warm_up(self, plan: "Plan") -> None:
        """Compile the kernels that sort replies."""
        SetSink(plan).batch(np.zeros(0, REPLY_DTYPE))

    def conclude(self, plan: "Plan", directory: RunDirectory, received: Received) -> Conclusion:
        """Write the run's sets, and return the manifest fields that describe them."""
        gathered = merge(directory, received.segments, [probe.name for probe in plan.probes], plan.attempts)
        fields = reception(gathered, only_unanswered=plan.only_unanswered)
        return Conclusion(fields | ({"protocols": gathered.protocols} if plan.talks else {}))


def reception(gathered: Gathered, *, only_unanswered: bool) -> dict[str, Any]:
    """Return the manifest fields that follow from the received packets alone: a replay gives the same values.

    With `only_unanswered`, only unanswered probes are repeated, and there is no estimate of targets that every attempt
    missed.
    """
    return {
        "sets": gathered.sets,
        "messages": gathered.tally.messages,
        "weak": gathered.tally.weak,
        "attempts": gathered.attempts,
        "attempts_by_kind": gathered.attempts_by_kind,
        "recovered_by_retransmit": {
            probe: sum(count for digits, count in patterns.items() if digits.startswith("0"))
            for probe, patterns in gathered.attempts.items()
        },
        "missed": {} if only_unanswered else _missed(gathered.attempts_by_kind),
        "duplicates": gathered.duplicates,
        "busiest_sources": _top_sources(gathered.tally),
        "rejected": gathered.tally.rejected,
    }


def _missed(attempts: dict[str, dict[str, Counts]]) -> dict[str, Missed]:
    """Return an estimate of the missed targets for each probe that allows one, from positive replies."""
    estimates = {probe: missed_targets(by_kind.get("positive", {})) for probe, by_kind in attempts.items()}
    return {probe: estimate for probe, estimate in estimates.items() if estimate is not None}


def _top_sources(tally: Tally) -> list[TopSource]:
    order = sorted(tally.top_sources.items(), key=lambda item: (-item[1], item[0]))[:MOST_SOURCES]
    return [TopSource(source=format_address(source), messages=messages) for source, messages in order]
