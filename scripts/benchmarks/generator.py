"""The generator: sends a pool of ready frames through a ring at a steady rate, over and over."""

import resource
import time
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel
from liveness.net.ring import TxRing
from scripts.benchmarks.replies import Pool

BATCH: Final = 128
"""Frames a kick: short of what a core's backlog takes even when it is half full."""
USUAL_BACKLOG: Final = 1000
"""That of a machine where nobody has set net.core.netdev_max_backlog."""
LARGEST_BATCH: Final = 512
GIVE_UP_S: Final = 0.001
"""A stall of ours that is longer than this is not caught up: the burst would measure us."""
FLUSH_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Sent:
    """What a generator sent, frames, and what it took."""

    left: int
    dropped: int
    """By the interface."""
    wrong: int
    """Of both: those that prove no cookie."""
    seconds: float
    cpu_s: float
    """CPU time, less waiting; with what the kernel does to send, and to receive where the core that sends does it."""


@kernel
def copy_frames(
    source: NDArray[np.uint64],
    source_lengths: NDArray[np.uint16],
    at: int,
    slots: NDArray[np.uint64],
    lengths: NDArray[np.uint16],
    first: int,
    count: int,
) -> None:
    """Copy `count` frames and their lengths from source[at:] on, which begins anew at its end, to slots[first:]."""
    for i in range(count):
        row = (at + i) % len(source)
        lengths[first + i] = source_lengths[row]
        for word in range(source.shape[1]):
            slots[first + i, word] = source[row, word]


def batch_for(backlog: int) -> int:
    """Return how many frames to kick at once where so many may wait for the receiving core, 0 for as many as usual."""
    return min(LARGEST_BATCH, BATCH * max(backlog, USUAL_BACKLOG) // USUAL_BACKLOG)


def send_pool(pool: Pool, ring: TxRing, rate_pps: float, seconds: float, batch: int = BATCH) -> Sent:
    """Send a pool's frames for some time at a rate, 0 for as fast as the ring takes them, `batch` at once at most."""
    source = pool.frames.view(np.uint64)
    slots = ring.frames[:, : pool.frames.shape[1]].view(np.uint64)
    lengths = np.zeros(len(ring.frames), np.uint16)
    copy_frames(source, pool.lengths, 0, slots, lengths, 0, 1)  # compiled before the clock runs
    sent, busy_s = 0, 0.0
    quantum = min(batch, max(1, int(rate_pps * GIVE_UP_S)))
    began = started = time.monotonic()
    while (now := time.monotonic()) - began < seconds:
        due = int((now - started) * rate_pps) - sent if rate_pps else batch
        if rate_pps and due > GIVE_UP_S * rate_pps + batch:
            started = now - sent / rate_pps
            continue
        if rate_pps and due < quantum:
            continue
        before_s = time.process_time()
        first, free = ring.reserve(min(due, batch))
        if free == 0:
            ring.kick()
            busy_s += time.process_time() - before_s
            continue
        copy_frames(source, pool.lengths, sent, slots, lengths, first, free)
        ring.commit(free, lengths)
        ring.kick()
        sent += free
        busy_s += time.process_time() - before_s
    ring.flush(FLUSH_TIMEOUT_S)
    elapsed = time.monotonic() - began
    turns, rest = divmod(sent, len(pool.lengths))
    wrong = turns * int(pool.wrong.sum()) + int(pool.wrong[:rest].sum())
    return Sent(ring.completed, ring.errors, wrong, elapsed, busy_s)


def send_ring(pool: Pool, ring: TxRing, rate_pps: float, seconds: float, batch: int = BATCH) -> Sent:
    """Send the first frames of a pool, one for each slot of a ring of live frames, over and over.

    A slot keeps its frame, so that nothing is copied here: the process that sends needs the core. `rate_pps` is kept to
    by the ring; 0 is as fast as it can. `batch` frames are committed at once at least.
    """
    slots = len(ring.frames)
    lengths = np.zeros(slots, np.uint16)
    rows = np.arange(slots) % len(pool.lengths)
    ring.frames[:, : pool.frames.shape[1]] = pool.frames[rows]
    lengths[:] = pool.lengths[rows]
    committed = 0
    children_s = _children_s()
    began = time.monotonic()
    while (now := time.monotonic()) - began < seconds:
        due = int((now - began) * rate_pps) - committed if rate_pps else slots
        first, free = ring.reserve(min(due, slots // 2))
        if free < min(batch, slots - first):
            ring.kick()
            time.sleep(GIVE_UP_S / 2)
            continue
        ring.commit(free, lengths)
        committed += free
        ring.kick()
    ring.flush(FLUSH_TIMEOUT_S)
    elapsed = time.monotonic() - began
    turns, rest = divmod(committed, slots)
    wrong = turns * int(pool.wrong[rows].sum()) + int(pool.wrong[rows[:rest]].sum())
    return Sent(ring.completed, ring.errors, wrong, elapsed, _children_s() - children_s)


def _children_s() -> float:
    """Return the CPU time of the children that this process has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
