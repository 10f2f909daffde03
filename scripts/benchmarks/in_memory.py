"""What the parts of the receiver cost a packet: harvesting and collecting, in memory, without a ring or a kernel."""

import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from liveness.packets.block import pack_block
from liveness.packets.parse import FIELDS
from liveness.probes.run_constants import RunConstants
from liveness.replies import REPLY_DTYPE, Rejection
from liveness.scan.plan import Plan
from liveness.scan.receive.collection import Collection
from liveness.scan.receive.match_block import match_block
from liveness.scan.receive.top_sources import TopSources
from scripts.benchmarks.replies import Pool

MOST: Final = 1 << 18
"""Replies that are looked at: more than any cache holds."""
PACKETS_A_BLOCK: Final = 4096


@dataclass(frozen=True, slots=True)
class ReceiveCosts:
    """Nanoseconds a packet: parsing and matching it; adding the reply to the collection."""

    harvest_ns: float
    add_ns: float


def measure_receiving(plan: Plan, constants: RunConstants, pool: Pool, batch: int) -> ReceiveCosts:
    """Return what a pool's replies cost, each seen once; `batch` is how many the receiver collects at once."""
    pairs = zip(pool.frames[:MOST], pool.lengths[:MOST], strict=True)
    raw = [(time.time_ns(), frame[:length].tobytes()) for frame, length in pairs]
    blocks = [pack_block(raw[at : at + PACKETS_A_BLOCK]) for at in range(0, len(raw), PACKETS_A_BLOCK)]
    replies = np.zeros(len(raw), REPLY_DTYPE)
    replies.view(np.uint8)[:] = 0  # a receiver's room is there already: new pages would cost more than the packets
    rejected, answered = np.zeros(len(Rejection), np.int64), np.zeros(0, np.uint32)
    run = (constants, plan.intervals.first, plan.intervals.last)
    rest = (rejected, answered, np.zeros(FIELDS, np.int64))
    match_block(blocks[0], True, *run, replies, *rest)
    started, accepted = time.perf_counter_ns(), 0
    for block in blocks:
        accepted += match_block(block, True, *run, replies[accepted:], *rest)
    harvested = time.perf_counter_ns()
    collection = Collection([probe.name for probe in plan.probes], plan.attempts)
    top_sources = TopSources()
    collecting = time.perf_counter_ns()
    for at in range(0, accepted, batch):
        part = replies[at : min(at + batch, accepted)]
        collection.add(part)
        top_sources.add(np.ascontiguousarray(part["source"]))
    collected = time.perf_counter_ns()
    return ReceiveCosts((harvested - started) / len(raw), (collected - collecting) / max(accepted, 1))
