"""Receiver process: takes blocks from its ring, matches their packets, and passes accepted replies to its sinks."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.kernel import fence, leave_cache
from liveness.net.ring import RxRing, RxStatistics, descriptors_of, unread_of
from liveness.packets.block import add_ethernet, capture_time_ns, first_packet, pack_block, packet_count
from liveness.packets.parse import FIELDS
from liveness.probes.run_constants import RunConstants
from liveness.replies import REPLY_DTYPE, Rejection
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import Tally, write_segment
from liveness.scan.clock_steps import ClockSteps
from liveness.scan.plan import Plan
from liveness.scan.receive.match_block import match_block
from liveness.scan.receive.sink import Parts, Sink, SinkContext
from liveness.scan.shared import Shared
from liveness.system.privileges import confine_to

BATCH_REPLIES: Final = 1 << 17
"""Accepted replies that are buffered before the sinks take them as a batch."""
SEGMENT_ADDRESSES: Final = 1 << 24
"""Addresses that all sinks of a receiver may hold before a segment is written: about 100 MB."""
POLL_S: Final = 0.05
LAST_BLOCK_S: Final = 0.1
"""Time without a block after which the ring is empty: the kernel retires a block that is not full within 20 ms."""


@dataclass(slots=True)
class Receiver:
    """Receiver number `index` of a run. `run` receives until the end of the run."""

    plan: Plan
    constants: RunConstants
    ring: RxRing
    shared: Shared
    directory: RunDirectory
    index: int = 0
    first_segment: int = 0
    """Number of its first segment: the next one after the segments of earlier sessions."""
    confined: bool = False
    """Whether to give up every right except writing to the run's directory before the first packet is read."""
    segment_addresses: int = SEGMENT_ADDRESSES
    replies: NDArray[np.void] = field(default_factory=lambda: np.zeros(BATCH_REPLIES, REPLY_DTYPE))
    gathered: int = 0
    segments: int = 0
    _checkpoint_at: float = field(default_factory=time.monotonic)
    rejected: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(Rejection), np.int64))
    sinks: list[Sink] = field(default_factory=list, init=False)
    """Sinks of the accepted replies; `open_sinks` makes them."""
    clock: ClockSteps = field(default_factory=ClockSteps)
    _row: NDArray[np.int64] = field(default_factory=lambda: np.zeros(FIELDS, np.int64))
    """Scratch space of the matcher."""
    _block_ns: int = 0
    """Time of the first packet in the newest block; ns since 1970."""
    _recorded: Tally = field(default_factory=Tally)
    """Sum of the counts in all segments so far."""
    _disk: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    """One thread that writes segments, so that a slow disk does not stop the ring from being emptied."""
    _writing: Future[None] | None = None

    @property
    def held(self) -> int:
        """Upper bound of the number of addresses that all sinks hold."""
        return sum(sink.held for sink in self.sinks)

    def open_sinks(self) -> None:
        """Open the sinks that the plan names. Called in the receiver's own process."""
        context = SinkContext(self.plan, self.constants, self.directory, self.shared, self.index, self.ring.ethernet)
        opened = (kind.open(context) for kind in self.plan.sinks)
        self.sinks = [sink for sink in opened if sink is not None]

    def run(self) -> str | None:
        """Receive until the finish flag is set and the ring is empty; return why it ended early, or None.

        If the interface fails, what was received before is kept. Raises LivenessError if a segment cannot be written.
        """
        if not self.sinks:
            self.open_sinks()
        if self.confined:  # processes that sinks need (the log's converter) run already and keep their rights
            self.shared.confined[self.index] = confine_to(
                self.directory.path, descriptors_of(self.ring) or (self.ring.fileno(),)
            )
            leave_cache()
        self.shared.ready[self.index] = 1
        problem = None
        try:
            while not self.shared.finish[0]:
                self.step(POLL_S)
            # Other traffic of the host may never pause: what came after the end is no reply that was waited for.
            # A replay ends with its capture, whose packets are of another time.
            # A ring of several CPUs is not in order of time: each may have packets from before the end.
            finished_ns = time.time_ns()
            unread = unread_of(self.ring)
            while not self.step(LAST_BLOCK_S):
                if self.confined and self._block_ns > finished_ns and not unread():
                    break
        except LivenessError as error:
            problem = str(error)
        self._collect()
        for sink in self.sinks:
            sink.end()
        self._write_segment(self.ring.statistics())
        self._disk.shutdown()
        self._written()
        for sink in self.sinks:
            sink.wait()
        self.ring.close()
        return problem

    def step(self, timeout_s: float) -> bool:
        """Take the next block from the ring and match it; return True if none came within `timeout_s`."""
        block = self.ring.blocks(timeout_s)
        if block is None:
            self._collect()
            self._report()
            self._checkpoint()
            return True
        if self.confined:  # a replay is not confined: its packets are of another time
            self.clock.look()
        count = int(packet_count(block))
        if count:
            self._block_ns = int(capture_time_ns(block, first_packet(block)))
        if self.gathered + count > len(self.replies):
            self._collect()
        accepted = match_block(
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
        replies = self.replies[self.gathered : self.gathered + accepted]
        self.clock.correct(replies)
        for sink in self.sinks:
            sink.block(block, count, replies)
        self.ring.release()
        self.shared.packets[self.index] += count
        self.shared.accepted[self.index] += np.bincount(replies["probe"], minlength=len(self.plan.probes))
        self.shared.arrivals.note(self.index, replies, self.clock.offset_ns, time.monotonic_ns())
        self.gathered += accepted
        self._report()
        self._checkpoint()
        return False

    def _checkpoint(self) -> None:
        """Write everything to disk if a checkpoint is due and no segment is being written."""
        if time.monotonic() < self._checkpoint_at or (self._writing is not None and not self._writing.done()):
            return
        self._checkpoint_at = time.monotonic() + self.plan.config.checkpoint.seconds
        self._collect()
        if int(self.shared.packets[self.index]) > self._recorded.packets:
            self._write_segment(self.ring.statistics())
        else:
            self._written()
            self.shared.on_disk_ns[self.index] = time.monotonic_ns()

    def _collect(self) -> None:
        """Pass the buffered replies to the sinks, and write a segment if these hold many addresses."""
        for sink in self.sinks:
            sink.batch(self.replies[: self.gathered])
        self.gathered = 0
        if self.held >= self.segment_addresses:
            self._write_segment(self.ring.statistics())

    def _report(self) -> None:
        self.shared.rejected[self.index] = self.rejected.sum()
        self.shared.kernel_drops[self.index] = self.ring.statistics().drops

    def _write_segment(self, statistics: RxStatistics) -> None:
        """Wait for the previous segment, then start to write a new one. Raises LivenessError if the previous failed."""
        self._written()
        tally = Tally(
            rejected=self._new_rejections(),
            packets=int(self.shared.packets[self.index]) - self._recorded.packets,
            kernel_packets=statistics.packets - self._recorded.kernel_packets,
            kernel_drops=statistics.drops - self._recorded.kernel_drops,
        )
        parts = [sink.take(tally) for sink in self.sinks]
        self._recorded.add(tally)
        path = self.directory.segment_path(self.index, self.first_segment + self.segments)
        self.segments += 1
        self._writing = self._disk.submit(self._store, path, tally, parts, time.monotonic_ns())

    def _store(self, path: Path, tally: Tally, parts: Sequence[Parts], until_ns: int) -> None:
        """Finish the sets and write them, then record until when everything is on disk. Runs in the writing thread."""
        write_segment(path, tally, chain.from_iterable(finish() for finish in parts))
        self.shared.on_disk_ns[self.index] = until_ns

    def _new_rejections(self) -> dict[str, int]:
        counts = ((r.label, int(n)) for r, n in zip(Rejection, self.rejected, strict=True))
        new = {label: count - self._recorded.rejected.get(label, 0) for label, count in counts}
        return {label: count for label, count in new.items() if count}

    def _written(self) -> None:
        """Wait until the last segment is on disk. Raises LivenessError if it could not be written."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None


def warm_up(plan: Plan, constants: RunConstants) -> None:
    """Compile the kernels of receiving or load them from the cache, so that the ring does not fill meanwhile."""
    warm_up_matching(plan, constants)
    for kind in plan.sinks:
        kind.warm_up(plan)


def warm_up_matching(plan: Plan, constants: RunConstants) -> None:
    """Compile the kernels that match packets, or load them from the cache; those of the sinks are theirs."""
    frame = bytes(constants.templates[0].tobytes()[: constants.lengths[0]])
    block = pack_block([(time.time_ns(), frame)])
    packet_count(block)
    capture_time_ns(block, first_packet(block))
    match_block(
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
    fence()
