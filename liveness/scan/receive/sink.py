"""Sinks: where a receiver's accepted replies go, and what becomes of them when the run has ended.

A receiver matches a block of packets and hands the accepted replies to its sinks; it knows nothing of sets or logs.
Each receiver process opens its own sinks. What they keep goes to disk with the receiver's segments, and the supervisor
concludes the run from there.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.errors import LivenessError
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import PartKey, SegmentFile, Tally, total

if TYPE_CHECKING:  # a plan names the sinks of its run
    from liveness.scan.plan import Plan
    from liveness.scan.shared import Shared

Parts = Callable[[], Iterable[tuple[PartKey, BitMap]]]
"""Makes the sets of a segment. Runs in the receiver's writing thread, which may take its time."""


def no_parts() -> Iterable[tuple[PartKey, BitMap]]:
    """Return the sets of a sink that keeps none."""
    return ()


class Sink:
    """What one receiver does with accepted replies. A sink overrides the verbs it needs; the others do nothing."""

    def block(self, block: NDArray[np.uint8], packets: int, replies: NDArray[np.void]) -> None:
        """Take a receive block with its number of packets, and the replies (REPLY_DTYPE) accepted among them.

        Called for every block before it goes back to the ring. Both arrays are the receiver's and change afterwards.
        """

    def batch(self, replies: NDArray[np.void]) -> None:
        """Take the accepted replies (REPLY_DTYPE) of many blocks at once, each reply in exactly one batch."""

    @property
    def held(self) -> int:
        """How many addresses the sink holds in memory at most; the receiver writes a segment when they are many."""
        return 0

    def take(self, tally: Tally) -> Parts:
        """Add what was counted since the last call to a segment's tally, and return what makes its sets."""
        del tally
        return no_parts

    def end(self) -> None:
        """Take no more replies: the last `take` follows."""

    def wait(self) -> None:
        """Wait until everything that the sink keeps outside segments is on disk."""


@dataclass(frozen=True, slots=True)
class Seat:
    """What a sink learns when it is opened: the run, the number of its receiver, and what its packets look like."""

    plan: "Plan"
    directory: RunDirectory
    shared: "Shared"
    receiver: int
    ethernet: bool
    """Whether packets come with an Ethernet header of their own."""


@dataclass(frozen=True, slots=True)
class Received:
    """What the receivers of a run left on disk: their segments, and the sum of their counts."""

    segments: Sequence[SegmentFile] = ()
    tally: Tally = field(default_factory=Tally)

    @classmethod
    def of(cls, directory: RunDirectory) -> "Received":
        """Return what lies in a run's directory. Raises LivenessError if a segment is damaged."""
        segments = directory.segments()
        return cls(segments, total(segments))


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What became of a kind of sink: fields of the manifest, and what went wrong, a line each."""

    fields: dict[str, Any] = field(default_factory=dict)
    problems: Sequence[str] = ()


class SinkKind(ABC):
    """A kind of sink, as a plan names it."""

    @abstractmethod
    def open(self, seat: Seat) -> Sink | None:
        """Return the sink of one receiver, None where this run needs none.

        Called in the receiver's process, before that gives up its last privileges.
        """

    def warm_up(self, plan: "Plan") -> None:
        """Compile the kernels of the sink, or load them from their cache."""
        del plan

    def conclude(self, plan: "Plan", directory: RunDirectory, received: Received) -> Conclusion:
        """Return what the manifest says of a run that has ended. Raises LivenessError if it cannot be known."""
        del plan, directory, received
        return Conclusion()


def concluded(
    plan: "Plan", directory: RunDirectory, received: Received, failed: Callable[[LivenessError], None]
) -> Conclusion:
    """Return what became of all sinks of a plan, one after the other; `failed` takes what one cannot conclude for."""
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
