"""The receiver process: takes blocks off its ring, harvests replies, and writes them to segments as they gather."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.ipsets.collector import Collector
from liveness.kernel import fence, leave_cache
from liveness.net.framing import add_ethernet
from liveness.net.memory import pack_block
from liveness.net.ring import RxRing, RxStatistics
from liveness.packets.parse import FIELDS
from liveness.probes.run_constants import RunConstants
from liveness.replylog import runlog
from liveness.replylog.runlog import RunLog
from liveness.runs.logstream import LogEnd
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import PartKey, Tally, write_segment
from liveness.scan.clock_steps import ClockSteps
from liveness.scan.plan import Plan
from liveness.scan.receive.collection import Collection
from liveness.scan.receive.first_replies import PLACES, count_first, first_replies_table
from liveness.scan.receive.match_block import harvest, packets_in
from liveness.scan.receive.top_sources import BusiestSources
from liveness.scan.shared import Shared
from liveness.system.privileges import confine_to
from liveness.types import REPLY_DTYPE, Rejection

BATCH_REPLIES: Final = 1 << 17
"""Accepted replies that are gathered before they are sorted into sets."""
SEGMENT_ADDRESSES: Final = 1 << 24
"""Addresses held, all sets together, before they are written out: about a hundred megabytes in a receiver."""
POLL_S: Final = 0.05
LAST_BLOCK_S: Final = 0.1
"""The kernel retires a block that is not full within 20 ms; after this long without one nothing is left."""


@dataclass(slots=True)
class Receiver:
    """Receiver `index` of a run; `run` is its whole life."""

    plan: Plan
    constants: RunConstants
    ring: RxRing
    shared: Shared
    directory: RunDirectory
    index: int = 0
    first_segment: int = 0
    """Where the numbers of its segments begin: behind those of earlier sessions of the run."""
    confined: bool = False
    """Whether to give up everything but writing to the run's directory before the first packet is looked at."""
    segment_addresses: int = SEGMENT_ADDRESSES
    replies: NDArray[np.void] = field(default_factory=lambda: np.zeros(BATCH_REPLIES, REPLY_DTYPE))
    gathered: int = 0
    segments: int = 0
    _checkpoint_at: float = field(default_factory=time.monotonic)
    rejected: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(Rejection), np.int64))
    collection: Collection = field(init=False)
    busiest: BusiestSources = field(default_factory=BusiestSources)
    heard: NDArray[np.uint64] = field(init=False)
    """The table of first replies, empty unless the rate depends on them."""
    clock: ClockSteps = field(default_factory=ClockSteps)
    log: RunLog = field(default_factory=RunLog.none)
    _key: NDArray[np.uint64] = field(init=False)
    """The run's key, as kernels take it."""
    _row: NDArray[np.int64] = field(default_factory=lambda: np.zeros(FIELDS, np.int64))
    """Scratch space of the matcher."""
    _told: Tally = field(default_factory=Tally)
    """What earlier segments have told already of packets and rejections."""
    _disk: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    """One thread, begun with the first segment: the disk may take its time while the ring is emptied."""
    _writing: Future[None] | None = None

    def __post_init__(self) -> None:
        """Begin with an empty collection."""
        self.collection = Collection([probe.name for probe in self.plan.probes], self.plan.attempts)
        self.heard = first_replies_table(PLACES if self.plan.config.rate.auto else 0)
        self._key = np.frombuffer(self.plan.key, "<u8")

    def run(self) -> str | None:
        """Receive until the finish flag is set and nothing waits; return why it ended early, or None.

        If the interface fails, what came before is kept all the same. Raises LivenessError if the disk refuses.
        """
        self.log = RunLog(
            self.directory.path,
            self.plan.config.replies,
            self.collection.probes,
            self.index,
            ethernet=self.ring.ethernet,
        )
        if self.confined:  # the log's converter, a process of its own, is there already: it reads what it wrote
            self.shared.confined[self.index] = confine_to(self.directory.path, (self.ring.fileno(),))
            leave_cache()
        self.shared.ready[self.index] = 1
        problem = None
        try:
            while not (self.step(POLL_S) and self.shared.finish[0]):
                pass
            while not self.step(LAST_BLOCK_S):
                pass
        except LivenessError as error:
            problem = str(error)
        self._collect()
        self._write_segment(self.ring.statistics(), self.log.close())
        self._disk.shutdown()
        self._written()
        self.log.wait()
        self.ring.close()
        return problem

    def step(self, timeout_s: float) -> bool:
        """Take the next block off the ring and harvest it; return True if none came in time."""
        block = self.ring.blocks(timeout_s)
        if block is None:
            self._collect()
            self._report()
            self._checkpoint()
            return True
        if self.confined:  # packets of a replay are of other times
            self.clock.look()
        count = int(packets_in(block))
        if self.gathered + count > len(self.replies):
            self._collect()
        accepted = harvest(
            block,
            self.plan.config.checksum == "strict",
            self.constants,
            self.plan.intervals.first,
            self.plan.intervals.last,
            self.replies[self.gathered :],
            self.rejected,
            self.shared.answered,
            self._row,
        )
        self.log.block(block, count)
        self.ring.release()
        batch = self.replies[self.gathered : self.gathered + accepted]
        self.clock.correct(batch)
        self.shared.packets[self.index] += count
        self.shared.accepted[self.index] += np.bincount(batch["probe"], minlength=len(self.plan.probes))
        count_first(batch, self.heard, self._key, self.shared.first_replies[self.index])
        self.gathered += accepted
        self.log.replies(batch)
        self._report()
        self._checkpoint()
        return False

    def _checkpoint(self) -> None:
        """Now and then have everything on disk, and say so; not while the last segment is still being written."""
        if time.monotonic() < self._checkpoint_at or (self._writing is not None and not self._writing.done()):
            return
        self._checkpoint_at = time.monotonic() + self.plan.config.checkpoint.seconds
        self._collect()
        if int(self.shared.packets[self.index]) > self._told.packets:
            self._write_segment(self.ring.statistics())
        else:
            self._written()
            self.shared.on_disk_ns[self.index] = time.monotonic_ns()

    def _collect(self) -> None:
        """Sort the replies gathered into sets, and write these out when they have grown large."""
        self.collection.add(self.replies[: self.gathered])
        self.busiest.add(np.ascontiguousarray(self.replies["source"][: self.gathered]))
        self.gathered = 0
        if self.collection.held >= self.segment_addresses:
            self._write_segment(self.ring.statistics())

    def _report(self) -> None:
        self.shared.rejected[self.index] = self.rejected.sum()
        self.shared.kernel_drops[self.index] = self.ring.statistics().drops

    def _write_segment(self, statistics: RxStatistics, log: LogEnd | None = None) -> None:
        """Hand what is new to the disk; the segment before is there by then, or LivenessError says why not."""
        self._written()
        by_attempt, weak = self.collection.take_counts()
        tally = Tally(
            messages={p: {label: sum(n) for label, n in counts.items()} for p, counts in by_attempt.items()},
            weak=weak,
            by_attempt=by_attempt,
            busiest=self.busiest.take(),
            rejected=self._new_rejections(),
            packets=int(self.shared.packets[self.index]) - self._told.packets,
            kernel_packets=statistics.packets - self._told.kernel_packets,
            kernel_drops=statistics.drops - self._told.kernel_drops,
            log=log or LogEnd(),
        )
        self._told.add(tally)
        path = self.directory.segment_path(self.index, self.first_segment + self.segments)
        self.segments += 1
        self._writing = self._disk.submit(self._store, path, tally, self.collection.take(), time.monotonic_ns())

    def _store(self, path: Path, tally: Tally, taken: dict[PartKey, Collector], until_ns: int) -> None:
        """In the writing thread: finish the sets, write them, say until when everything is on disk."""
        write_segment(path, tally, ((key, collector.finish()) for key, collector in taken.items()))
        self.shared.on_disk_ns[self.index] = until_ns

    def _new_rejections(self) -> dict[str, int]:
        counts = ((r.label, int(n)) for r, n in zip(Rejection, self.rejected, strict=True))
        new = {label: count - self._told.rejected.get(label, 0) for label, count in counts}
        return {label: count for label, count in new.items() if count}

    def _written(self) -> None:
        """Wait until the last segment is on disk."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None


def warm_up(plan: Plan, constants: RunConstants) -> None:
    """Compile the kernels of receiving, or load them from their cache: the ring must not fill while that happens."""
    frame = bytes(constants.templates[0].tobytes()[: constants.lengths[0]])
    block = pack_block([(time.time_ns(), frame)])
    packets_in(block)
    harvest(
        block,
        True,
        constants,
        plan.intervals.first,
        plan.intervals.last,
        np.zeros(1, REPLY_DTYPE),
        np.zeros(len(Rejection), np.int64),
        np.zeros(0, np.uint32),
        np.zeros(FIELDS, np.int64),
    )
    add_ethernet(block)
    Collection([probe.name for probe in plan.probes], plan.attempts).add(np.zeros(0, REPLY_DTYPE))
    BusiestSources().add(np.zeros(0, np.uint32))
    count_first(np.zeros(0, REPLY_DTYPE), first_replies_table(0), np.frombuffer(plan.key, "<u8"), np.zeros(0, np.int64))
    fence()
    runlog.warm_up()
