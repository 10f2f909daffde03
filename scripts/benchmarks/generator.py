"""The generator: sends a pool of ready frames through a ring at a steady rate, over and over."""

import time
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel
from liveness.net.ring import TxRing
from scripts.benchmarks.replies import Pool

BATCH: Final = 128
"""Frames a kick: short of what a core's backlog takes (net.core.netdev_max_backlog, 1000) even when it is half full."""
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
    """CPU time, the kernel's part in sending included, and in receiving where it is done by the core that sends."""


@kernel
def copy_frames(source: NDArray[np.uint64], at: int, slots: NDArray[np.uint64], first: int, count: int) -> None:
    """Copy `count` rows from source[at:] on, which begins anew at its end, to the rows from slots[first] on."""
    for i in range(count):
        row = (at + i) % len(source)
        for word in range(source.shape[1]):
            slots[first + i, word] = source[row, word]


def send_pool(pool: Pool, ring: TxRing, rate_pps: float, seconds: float) -> Sent:
    """Send a pool's frames for some time at a rate, 0 for as fast as the ring takes them."""
    source = pool.frames.view(np.uint64)
    slots = ring.frames[:, : pool.frames.shape[1]].view(np.uint64)
    ring_lengths = np.zeros(len(ring.frames), np.uint16)
    copy_frames(source, 0, slots, 0, 1)  # compiled before the clock runs
    sent, cpu_s = 0, time.process_time()
    began = started = time.monotonic()
    while (now := time.monotonic()) - began < seconds:
        due = int((now - started) * rate_pps) - sent if rate_pps else BATCH
        if rate_pps and due > GIVE_UP_S * rate_pps + BATCH:
            started = now - sent / rate_pps
            continue
        if due <= 0:
            continue
        first, free = ring.reserve(min(due, BATCH))
        if free == 0:
            ring.kick()
            continue
        copy_frames(source, sent, slots, first, free)
        ring_lengths[first : first + free] = np.take(pool.lengths, range(sent, sent + free), mode="wrap")
        ring.commit(free, ring_lengths)
        ring.kick()
        sent += free
    ring.flush(FLUSH_TIMEOUT_S)
    elapsed = time.monotonic() - began
    turns, rest = divmod(sent, len(pool.lengths))
    wrong = turns * int(pool.wrong.sum()) + int(pool.wrong[:rest].sum())
    return Sent(ring.completed, ring.errors, wrong, elapsed, time.process_time() - cpu_s)
