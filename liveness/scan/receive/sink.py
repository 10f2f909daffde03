"""Sinks: what a receiver does with accepted replies, and what they add to the manifest when the run has ended.

A receiver matches a block of packets and passes the accepted replies to its sinks; it knows nothing of sets or logs.
Each receiver process opens its own sinks. Their data is written to disk with the receiver's segments, and the
supervisor concludes the run from those.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.errors import LivenessError
from liveness.probes.run_constants import RunConstants
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import PartKey, SegmentFile, Tally, total
from liveness.scan.receive.first_data import FirstData

if TYPE_CHECKING:  # avoids an import cycle: a plan names the sinks of its run
    from liveness.scan.plan import Plan
    from liveness.scan.shared import Shared

Parts = Callable[[], Iterable[tuple[PartKey, BitMap]]]
"""Function that makes the sets of a segment. It runs in the receiver's writing thread, so it may be slow."""


def no_parts() -> Iterable[tuple[PartKey, BitMap]]:
    """Return no sets, for a sink that keeps none."""
    return ()


class Sink:
    """Processing of accepted replies in one receiver. Sinks override the methods they need; the others do nothing."""

    def block(self, block: NDArray[np.uint8], packets: int, replies: NDArray[np.void]) -> None:
        """Take a receive block, its number of packets, and the replies (REPLY_DTYPE) accepted in it.

        Called for every block before it is returned to the ring. Both arrays are reused by the receiver afterwards.
        """

    def batch(self, replies: NDArray[np.void]) -> None:
        """Take the accepted replies (REPLY_DTYPE) of many blocks at once. Each reply is in exactly one batch."""

    @property
    def held(self) -> int:
        """Upper bound of the number of addresses in memory; the receiver writes a segment when there are many."""
        return 0

    def take(self, tally: Tally) -> Parts:
        """Add the counts since the last call to the tally of a segment, and return the function that makes its sets."""
        del tally
        return no_parts

    def end(self) -> None:
        """Close files: no replies follow, only the last `take`."""

    def wait(self) -> None:
        """Wait until everything that the sink stores outside segments is on disk."""


@dataclass(frozen=True, slots=True)
class SinkContext:
    """Arguments of a sink: the run, the number of its receiver, and the format of its packets."""

    plan: "Plan"
    constants: RunConstants
    directory: RunDirectory
    shared: "Shared"
    receiver: int
    ethernet: bool
    """Whether packets begin with an Ethernet header."""
    first_data: FirstData = field(default_factory=FirstData)
    """What the follower of talks, which is the first sink, finds in the data of replies."""


@dataclass(frozen=True, slots=True)
class Received:
    """Data that the receivers of a run left on disk: their segments, and the sum of their counts."""

    segments: Sequence[SegmentFile] = ()
    tally: Tally = field(default_factory=Tally)

    @classmethod
    def of(cls, directory: RunDirectory) -> "Received":
        """Return what is in a run's directory. Raises LivenessError if a segment is damaged."""
        segments = directory.segments()
        return cls(segments, total(segments))


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Result of a kind of sink: fields of the manifest, and problems, one line each."""

    fields: dict[str, Any] = field(default_factory=dict)
    problems: Sequence[str] = ()


class SinkKind(ABC):
    """Kind of sink, as a plan names it."""

    @abstractmethod
    def open(self, context: SinkContext) -> Sink | None:
        """Return the sink of one receiver, or None if this run needs none.

        Called in the receiver's process, before it drops its last privileges.
        """

    def warm_up(self, plan: "Plan") -> None:
        """Compile the kernels of the sink, or load them from the cache."""
        del plan

    def conclude(self, plan: "Plan", directory: RunDirectory, received: Received) -> Conclusion:
        """Return the manifest fields for a run that has ended. Raises LivenessError if they cannot be determined."""
        del plan, directory, received
        return Conclusion()


def concluded(
    plan: "Plan", directory: RunDirectory, received: Received, failed: Callable[[LivenessError], None]
) -> Conclusion:
    """Return the results of all sinks of a plan, combined; `failed` is called with the error of a sink that fails."""
    fields: dict[str, Any] = {"sets": [], "rejected": received.tally.rejected}
    problems: list[str] = []
    for kind in plan.sinks:
        try:
            conclusion = kind.conclude(plan, directory, received)
        except LivenessError as error:
            failed(error)
        else:
            fields |= conclusion.fields
            problems += conclusion.problems
    return Conclusion(fields, problems)
