"""Targets that are withdrawn in mid-run: nothing more goes to them, and everybody else's order stays as it was."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveness.config.model import from_document
from liveness.errors import LivenessError
from liveness.order.due import empty_due
from liveness.order.lanes import marks_for, plan_lanes
from liveness.order.ticks import FINISHED, before_first_tick, draw_due
from liveness.probes.template import LinkAddresses
from liveness.runs.optout_record import KeptOptOuts, load_opt_outs, write_opt_outs
from liveness.scan.optouts import OptOutWatch
from liveness.scan.plan import Plan, census_order
from liveness.scan.send.answered import entries_for
from liveness.scan.send.fill import fill_due, slots_of
from liveness.scan.send.queue import queue_of, withdraw
from liveness.scan.send.withdrawn import WithdrawnList
from liveness.scan.session import constants_of
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from liveness.space.lookup import is_within
from liveness.space.targets import Targets

FIRST = parse_address("10.1.0.0")
COUNT = 300
QUEUE = 70
SPACING = 3

Frame = tuple[str, int, int]
"""Probe, attempt, address."""


def plan_of(block: list[str] | None = None) -> Plan:
    document = {
        "name": "withdrawn",
        "targets": {"allow": ["10.1.0.0/16"], "block": block or []},
        "probes": ["icmp", "tcp/80", "dns"],
        "retransmit": {"attempts": 2, "queue": QUEUE},
    }
    everybody = Intervals.from_bounds([FIRST], [FIRST + COUNT - 1])
    return Plan(from_document(document), Targets.build(everybody, Intervals.empty(), lab=True), 50_000, bytes(16))


PLAN = plan_of()
CONSTANTS = constants_of(PLAN, LinkAddresses(bytes(6), bytes(6)), (parse_address("198.51.100.7"),))


def frames_sent(batch: int, withdrawals: dict[int, Intervals], *, table: bool) -> list[Frame]:
    """Return every frame of a block in order; `withdrawals` tells what is withdrawn before which batch."""
    (block,) = census_order(PLAN).parts
    shard = block.permutation.shard(0, 1, COUNT)
    lanes = plan_lanes(len(PLAN.probes), 2, QUEUE, SPACING, COUNT)
    marks = np.zeros((len(lanes), marks_for(COUNT, 1_000)), np.int64)
    ticks, due = before_first_tick(shard, lanes, marks, 1_000), empty_due(64 + 64, 64 + len(lanes))
    queue = queue_of(block.listed, lanes[-1].lag + len(due.drawn), Intervals.empty())
    ring = np.zeros((64, 256), np.uint8)
    slots = slots_of(ring)
    sent = np.zeros((len(PLAN.probes), 2), np.int64)
    answered = np.zeros(entries_for(QUEUE) if table else 0, np.uint32)
    frames: list[Frame] = []
    number = 0
    while not ticks.state[FINISHED]:
        if number in withdrawals:
            queue = withdraw(queue, withdrawals[number])
        draw_due(ticks, due, batch, 2**62, 1)
        filled = fill_due(due, queue, CONSTANTS, slots, 0, 1, answered, sent)
        for slot in range(filled):
            address = int.from_bytes(ring[slot, 30:34].tobytes(), "big")
            probe = slots.held[slot]
            frames.append((PLAN.probes[probe].name, int(slots.attempts[slot]), address))
            assert slots.lengths[slot] == CONSTANTS.lengths[probe]
        number += 1
    for index, probe in enumerate(PLAN.probes):
        for attempt in range(2):
            assert sent[index, attempt] == sum(frame[:2] == (probe.name, attempt) for frame in frames)
    return frames


INTERVALS = st.lists(st.tuples(st.integers(0, COUNT + 5), st.integers(0, 40)), max_size=4).map(
    lambda pairs: Intervals.from_bounds([FIRST + low for low, _ in pairs], [FIRST + low + size for low, size in pairs])
)


@settings(max_examples=30, deadline=None)
@given(INTERVALS, INTERVALS, st.sampled_from([7, 64]), st.integers(0, 20), st.booleans())
def test_the_withdrawn_get_nothing_more_and_the_others_the_same(
    first: Intervals, second: Intervals, batch: int, number: int, table: bool
) -> None:
    usual = frames_sent(batch, {}, table=table)
    assert len(usual) == 4 * 2 * COUNT
    before = frames_sent(batch, {number: first}, table=table)
    both = first.union(second)
    after = frames_sent(batch, {number: first, number + 9: both}, table=table)
    for frames, since in ((before, first), (after, both)):
        cut = next(
            (i for i, (frame, other) in enumerate(zip(usual, frames, strict=False)) if frame != other), len(frames)
        )
        assert cut >= min(number * batch - MARGIN, len(frames))
        gone = set(usual) - set(frames)
        assert gone <= {frame for frame in usual if since.contains([frame[2]])[0]}
        assert frames == [frame for frame in usual if frame not in gone]
    late = [frame for frame in before[number * batch :] if first.contains([frame[2]])[0]]
    assert late == []


MARGIN = 64
"""A batch ends early where no further whole tick fits."""


@given(INTERVALS, st.integers(0, 2**32 - 1) | st.integers(FIRST - 2, FIRST + COUNT + 50))
def test_is_within(intervals: Intervals, address: int) -> None:
    assert bool(is_within(address, intervals.first, intervals.last)) == bool(intervals.contains([address])[0])


def test_the_list_holds_the_newest_and_has_an_end() -> None:
    shared = WithdrawnList(capacity=2)
    assert shared.generation == 0
    for number in range(1, 5):
        wanted = Intervals.from_bounds([number, 100], [number, 100 + number])
        shared.publish(wanted)
        assert shared.read() == (number, wanted)
    shared.publish(Intervals.empty())
    assert shared.read() == (5, Intervals.empty())
    with pytest.raises(LivenessError, match="3 intervals of targets were blocked"):
        shared.publish(Intervals.from_bounds([1, 3, 5], [1, 3, 5]))
    assert shared.generation == 5


def look(watch: OptOutWatch, times: int = 2) -> None:
    """Have the watch look as a supervisor does, without its pauses: a list must be seen the same twice."""
    for _ in range(times):
        watch._next_look_s = 0.0
        watch.look()


def test_a_watched_list_withdraws_what_is_new_and_keeps_it(tmp_path: Path) -> None:
    blocklist = tmp_path / "block.txt"
    blocklist.write_text("192.0.2.0/24\n")
    plan = plan_of([str(blocklist), "10.9.0.0/16", "-"])
    notices: list[str] = []
    shared = WithdrawnList()
    watch = OptOutWatch(plan, tmp_path, shared, notices.append)
    assert (notices, shared.generation, watch.resumed) == ([], 0, False)
    assert load_opt_outs(tmp_path).prefixes == []
    look(watch)

    blocklist.write_text("10.1.0.16/28 # 2026-11-22, noc@example.net, by mail\n10.77.0.0/16\n")
    look(watch, 1)
    assert shared.generation == 0, "it may still be written"
    look(watch, 1)
    assert shared.read() == (1, Intervals.from_bounds([FIRST + 16], [FIRST + 31]))
    assert notices == [notices[0]]
    assert "16 targets withdrawn" in notices[0]

    blocklist.write_text("10.1.0.32/28\n")  # what was dropped from it stays blocked
    look(watch)
    assert shared.read() == (2, Intervals.from_bounds([FIRST + 16], [FIRST + 47]))

    blocklist.write_text("10.1.0.0/24\n10.1.0.400\n")
    look(watch, 4)
    assert len(notices) == 3, "once for each change"
    assert notices[2].startswith(f"WARNING: {blocklist}:2: ")
    assert "as it was before stays in force" in notices[2]
    assert shared.generation == 2
    blocklist.unlink()
    look(watch, 4)
    assert len(notices) == 4
    assert notices[3].startswith(f"WARNING: {blocklist}: cannot read this address list: No such file")

    record = watch.record
    assert [withdrawal.addresses for withdrawal in record.withdrawals] == [16, 16]
    assert {tuple(withdrawal.lists) for withdrawal in record.withdrawals} == {(str(blocklist),)}
    assert len(record.list_problems) == 2
    kept = load_opt_outs(tmp_path)
    assert (kept.opt_outs, kept.prefixes) == (record, ["10.1.0.16-10.1.0.47"])

    blocklist.write_text("10.1.0.64/26\n")  # blocked while the run stood still: a session that goes on begins with it
    again = OptOutWatch(plan, tmp_path, WithdrawnList(), notices.append)
    assert again.resumed
    assert again.withdrawn.read()[1] == Intervals.from_bounds([FIRST + 16, FIRST + 64], [FIRST + 47, FIRST + 127])
    assert [withdrawal.addresses for withdrawal in again.record.withdrawals] == [16, 16, 64]


def test_a_damaged_record_of_withdrawals_is_reported_and_the_lists_decide(tmp_path: Path) -> None:
    blocklist = tmp_path / "block.txt"
    blocklist.write_text("10.1.0.0/28\n")
    (tmp_path / "opt-outs.json").write_bytes(b'{"prefixes": ["10.1')
    notices: list[str] = []
    watch = OptOutWatch(plan_of([str(blocklist)]), tmp_path, WithdrawnList(), notices.append)
    assert notices[0].startswith(f"WARNING: {tmp_path}/opt-outs.json: damaged")
    assert watch.withdrawn.read()[1].count == 16


def test_a_later_withdrawal_keeps_the_record_of_what_was_removed(tmp_path: Path) -> None:
    """Data was removed between two sessions of the run, that of a router outside of the targets too."""
    blocklist = tmp_path / "block.txt"
    blocklist.write_text("")
    removed = ["10.1.0.5", "203.0.113.0/24"]
    write_opt_outs(tmp_path, KeptOptOuts(prefixes=["10.1.0.5"], removed=removed))
    watch = OptOutWatch(plan_of([str(blocklist)]), tmp_path, WithdrawnList(), print)
    blocklist.write_text("10.1.0.9\n")
    watch.look_again()
    kept = load_opt_outs(tmp_path)
    assert (kept.prefixes, kept.removed) == (["10.1.0.5", "10.1.0.9"], removed)
