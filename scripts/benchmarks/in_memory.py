"""What the kernels cost in memory, without a ring or an interface: filling a frame, matching and collecting a reply.

Times are CPU times of this process, one a round: other processes make single rounds slower, and the least shows the
cost of the work itself.
"""

import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from liveness.kernel import compiled_for
from liveness.net.tx_xdp import SLOT_BYTES
from liveness.order.due import empty_due
from liveness.order.order import Share
from liveness.order.ticks import MAX_TICKS
from liveness.packets.block import pack_block
from liveness.packets.parse import FIELDS
from liveness.probes.run_constants import RunConstants
from liveness.probes.template import LinkAddresses
from liveness.replies import REPLY_DTYPE, Rejection
from liveness.scan.plan import Plan
from liveness.scan.receive.collection import Collection
from liveness.scan.receive.match_block import match_block
from liveness.scan.receive.receiver import BATCH_REPLIES
from liveness.scan.receive.top_sources import TopSources
from liveness.scan.send.fill import fill_due, slots_of
from liveness.scan.send.queue import queue_of
from liveness.scan.shared_memory import shared_zeros
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from scripts.benchmarks.plans import BEYOND_REACH, BLOCK, BLOCK_ADDRESSES, kit_for, plan_over
from scripts.benchmarks.replies import Pool

ROUNDS: Final = 20
MOST: Final = 1 << 18
"""Replies that are looked at: more than any cache holds."""
PACKETS_A_BLOCK: Final = 4096

INTERVALS: Final = 20_000
FILL_SLOTS: Final = 3060
FILL_BATCH: Final = FILL_SLOTS // 2
"""Half a ring: whole ticks of nine probes twice."""
FILL_RINGS: Final = 100
"""How often a round fills the whole ring."""


@dataclass(frozen=True, slots=True)
class ReceiveCosts:
    """Nanoseconds of each round: to parse and match a packet; to add a reply to the sets and count its source."""

    match_ns: list[float]
    collect_ns: list[float]


def measure_filling(rounds: int = ROUNDS) -> list[float]:
    """Return the ns that it takes to walk the schedule and fill a frame, of each round.

    The targets lie in INTERVALS intervals all over one /3. Slots lie as in the AF_XDP ring, and the kernel is called as
    a sender calls it.
    """
    spread = BLOCK_ADDRESSES // INTERVALS
    first = np.uint64(BLOCK) + np.arange(INTERVALS, dtype=np.uint64) * np.uint64(spread)
    targets = Targets.build(Intervals.from_bounds(first, first + np.uint64(spread // 2)), Intervals.empty())
    plan = plan_over(targets, **BEYOND_REACH)
    constants = kit_for(plan, LinkAddresses(bytes(6), bytes(6)))
    order, share = plan.order, Share()
    lanes = len(plan.probes) * plan.attempts
    marks = shared_zeros((lanes, order.marks(0, share)), np.int64)
    walk = order.walk(0, share, plan.rate_pps, marks)
    due = empty_due(FILL_BATCH + 2 * MAX_TICKS, FILL_BATCH + lanes)
    queue = queue_of(order.parts[0].listed, walk.reach + len(due.drawn), Intervals.empty())
    slots = slots_of(np.zeros((FILL_SLOTS, SLOT_BYTES), np.uint8))
    answered, sent = np.zeros(0, np.uint32), np.zeros((len(plan.probes), plan.attempts), np.int64)
    fill = compiled_for(fill_due, due, queue, constants, slots, 0, 0, answered, sent)

    def fill_ring() -> None:
        for slot in range(0, FILL_SLOTS, FILL_BATCH):
            walk.draw(due, FILL_BATCH, 2**62, 1)
            fill(due, queue, constants, slots, slot, 1, answered, sent)

    while sent.sum() < lanes * (plan.config.retransmit.queue + 1):  # until repeats are sent too
        fill_ring()
    costs = []
    for _ in range(rounds):
        before, started = int(sent.sum()), time.process_time_ns()
        for _ in range(FILL_RINGS):
            fill_ring()
        costs.append((time.process_time_ns() - started) / (int(sent.sum()) - before))
    return costs


def measure_receiving(plan: Plan, constants: RunConstants, pool: Pool, rounds: int = ROUNDS) -> ReceiveCosts:
    """Return what a pool's replies cost: all are matched, then all are collected as a receiver does it, each round."""
    pairs = zip(pool.frames[:MOST], pool.lengths[:MOST], strict=True)
    raw = [(time.time_ns(), frame[:length].tobytes()) for frame, length in pairs]
    blocks = [pack_block(raw[at : at + PACKETS_A_BLOCK]) for at in range(0, len(raw), PACKETS_A_BLOCK)]
    replies = np.zeros(len(raw), REPLY_DTYPE)
    replies.view(np.uint8)[:] = 0  # a receiver's room is there already: new pages would cost more than the packets
    rejected, answered = np.zeros(len(Rejection), np.int64), np.zeros(0, np.uint32)
    run = (constants, plan.intervals.first, plan.intervals.last)
    rest = (rejected, answered, np.zeros(FIELDS, np.int64))
    match_block(blocks[0], True, *run, replies, *rest)
    costs = ReceiveCosts([], [])
    for _ in range(rounds):
        started, accepted = time.process_time_ns(), 0
        for block in blocks:
            accepted += match_block(block, True, *run, replies[accepted:], *rest)
        costs.match_ns.append((time.process_time_ns() - started) / len(raw))
        collection = Collection([probe.name for probe in plan.probes], plan.attempts)
        top_sources = TopSources()
        started = time.process_time_ns()
        for at in range(0, accepted, BATCH_REPLIES):
            part = replies[at : min(at + BATCH_REPLIES, accepted)]
            collection.add(part)
            top_sources.add(np.ascontiguousarray(part["source"]))
        costs.collect_ns.append((time.process_time_ns() - started) / max(accepted, 1))
    return costs
