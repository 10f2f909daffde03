"""The receiver process: takes blocks off its ring, harvests replies, and at the end writes the sets."""

import time
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.net.memory import pack_block
from liveness.net.ring import RxRing, RxStatistics
from liveness.probes.kit import Kit
from liveness.scan.collection import Collection
from liveness.scan.harvest import harvest, packets_in
from liveness.scan.plan import Plan
from liveness.scan.shared import Shared
from liveness.store.manifest import SetEntry
from liveness.store.rundir import RunDirectory
from liveness.types import REPLY_DTYPE, Rejection

BATCH_REPLIES: Final = 1 << 17
"""Accepted replies that are gathered before they are sorted into sets."""
POLL_S: Final = 0.05
LAST_BLOCK_S: Final = 0.1
"""The kernel retires a block that is not full within 20 ms; after this long without one nothing is left."""


@dataclass(frozen=True, slots=True)
class Received:
    """What a receiver hands back when its sets are written; counts by probe and label as in the manifest."""

    sets: list[SetEntry]
    messages: dict[str, dict[str, int]]
    weak: dict[str, dict[str, int]]
    attempts: dict[str, dict[str, int]]
    rejected: dict[str, int]
    packets: int
    kernel_drops: int
    problem: str | None
    """Why receiving ended early, if it did."""


@dataclass(slots=True)
class Receiver:
    """The receiver of a run; `run` is its whole life."""

    plan: Plan
    kit: Kit
    ring: RxRing
    shared: Shared
    directory: RunDirectory
    replies: NDArray[np.void] = field(default_factory=lambda: np.zeros(BATCH_REPLIES, REPLY_DTYPE))
    gathered: int = 0
    packets: int = 0
    rejected: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(Rejection), np.int64))
    collection: Collection = field(init=False)

    def __post_init__(self) -> None:
        """Begin with an empty collection."""
        self.collection = Collection([probe.name for probe in self.plan.probes], self.plan.attempts)

    def run(self) -> Received:
        """Receive until the finish flag is set and nothing waits, then write the sets and return what was received.

        If the interface fails, what came before is written all the same; the result then names the problem.
        """
        self.shared.ready[0] = 1
        problem = None
        try:
            while not (self.step(POLL_S) and self.shared.finish[0]):
                pass
            while not self.step(LAST_BLOCK_S):
                pass
        except LivenessError as error:
            problem = str(error)
        statistics = self.ring.statistics()
        self.ring.close()
        return self.finish(statistics, problem)

    def step(self, timeout_s: float) -> bool:
        """Take the next block off the ring and harvest it; return True if none came in time."""
        block = self.ring.blocks(timeout_s)
        if block is None:
            self._sort()
            self._report()
            return True
        count = int(packets_in(block))
        if self.gathered + count > len(self.replies):
            self._sort()
        self.packets += count
        accepted = harvest(
            block,
            self.plan.config.checksum == "strict",
            self.kit,
            self.plan.intervals.first,
            self.plan.intervals.last,
            self.replies[self.gathered :],
            self.rejected,
            self.shared.answered,
        )
        self.ring.release()
        batch = self.replies[self.gathered : self.gathered + accepted]
        self.shared.accepted += np.bincount(batch["probe"], minlength=len(self.plan.probes))
        self.gathered += accepted
        self._report()
        return False

    def _sort(self) -> None:
        self.collection.add(self.replies[: self.gathered])
        self.gathered = 0

    def _report(self) -> None:
        rejected = int(self.rejected.sum())
        self.shared.received[:] = (self.packets, self.packets - rejected, rejected, self.ring.statistics().drops)

    def finish(self, statistics: RxStatistics, problem: str | None) -> Received:
        """Write the sets and return everything the manifest says about replies."""
        self._sort()
        names = [rejection.label for rejection in Rejection]
        return Received(
            sets=[self.directory.write_set(key, addresses) for key, addresses in self.collection.finish().items()],
            messages=self.collection.message_counts(self.collection.messages),
            weak=self.collection.message_counts(self.collection.weak),
            attempts=self.collection.attempt_patterns(),
            rejected={name: int(n) for name, n in zip(names, self.rejected, strict=True) if n},
            packets=self.packets,
            kernel_drops=statistics.drops,
            problem=problem,
        )


def warm_up(plan: Plan, kit: Kit) -> None:
    """Compile the kernels of receiving, or load them from their cache: the ring must not fill while that happens."""
    frame = bytes(kit.templates[0].tobytes()[: kit.lengths[0]])
    block = pack_block([(time.time_ns(), frame)])
    packets_in(block)
    harvest(
        block,
        True,
        kit,
        plan.intervals.first,
        plan.intervals.last,
        np.zeros(1, REPLY_DTYPE),
        np.zeros(len(Rejection), np.int64),
        np.zeros(0, np.uint32),
    )
