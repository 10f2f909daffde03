"""Steps of the clock: what spans one has no round-trip time, and the lag record does not notice."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.replies import REPLY_DTYPE
from liveness.scan.clock_steps import ClockSteps
from liveness.scan.lag import lag_record
from liveness.scan.plan import Plan
from liveness.scan.send import sender as sender_module
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from tests.scan import test_census_in_memory as memory

MS = 1_000_000
SECOND = 1_000 * MS


class Clocks:
    """A steady clock, and a time of day that can be set."""

    def __init__(self) -> None:
        self.steady = 5 * SECOND
        self.offset = 1_700_000_000 * SECOND

    def wall(self) -> int:
        return self.steady + self.offset


@given(
    step_ms=st.integers(-5_000, 5_000).filter(lambda ms: abs(ms) > 1),
    probes=st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 3_000)), min_size=1, max_size=40),
    at_ms=st.integers(100, 3_900),
)
def test_no_reported_round_trip_time_spans_a_step(step_ms: int, probes: list[tuple[int, int]], at_ms: int) -> None:
    """Probes are sent at some times and answered after others, a step lies between: each RTT is true or unknown."""
    clocks = Clocks()
    events = sorted((sent + rtt, sent, rtt) for sent, rtt in probes)
    begin = clocks.steady
    steps = ClockSteps(clocks.wall, lambda: clocks.steady)

    def wall_at(ms: int) -> int:
        return begin + ms * MS + clocks.offset + (step_ms * MS if ms >= at_ms else 0)

    start_offset, with_rtt = clocks.offset, 0
    for received, sent, rtt in events:
        clocks.steady = begin + received * MS
        clocks.offset = start_offset + (step_ms * MS if received >= at_ms else 0)
        steps.look()
        clocks_now, clocks.offset = clocks.offset, start_offset
        row = np.zeros(1, REPLY_DTYPE)
        row["time_ns"], row["rtt_ns"] = wall_at(received), wall_at(received) - wall_at(sent)
        clocks.offset = clocks_now
        if row["rtt_ns"][0] < 0:
            row["rtt_ns"] = -1
        steps.correct(row)
        assert row["rtt_ns"][0] in (-1, rtt * MS), (received, sent, rtt)
        with_rtt += row["rtt_ns"][0] != -1
        if received < at_ms:
            assert row["rtt_ns"][0] == rtt * MS
    assert steps.steps <= 1


def test_a_clock_that_is_slewed_or_read_slowly_has_no_step() -> None:
    clocks = Clocks()
    steps = ClockSteps(clocks.wall, lambda: clocks.steady)
    for _ in range(100):
        clocks.steady += 50 * MS
        clocks.offset += MS // 2  # 1 % a look: far more than NTP slews
        steps.look()

    def interrupted() -> int:
        clocks.steady += 40 * MS  # the process was not on a core between two readings
        return clocks.wall()

    steps.wall_ns = interrupted
    steps.look()
    assert steps.steps == 0
    row = np.zeros(1, REPLY_DTYPE)
    row["time_ns"], row["rtt_ns"] = clocks.wall(), 3 * MS
    steps.correct(row)
    assert row["rtt_ns"][0] == 3 * MS


def test_known_times_come_back_once_a_step_is_past() -> None:
    clocks = Clocks()
    steps = ClockSteps(clocks.wall, lambda: clocks.steady)
    clocks.offset -= 2 * SECOND
    steps.look()
    found = []
    for _ in range(4):
        clocks.steady += SECOND
        steps.look()
        row = np.zeros(1, REPLY_DTYPE)
        row["time_ns"], row["rtt_ns"] = clocks.wall(), 10 * MS
        steps.correct(row)
        found.append(int(row["rtt_ns"][0]))
    assert found == [-1, -1, 10 * MS, 10 * MS]


def test_the_lag_record_does_not_notice_a_clock_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of day jumps by an hour with every look at it."""
    jumps = iter(range(10**9))
    clock = SimpleNamespace(**vars(time))
    clock.time_ns = lambda: 1_700_000_000 * SECOND + next(jumps) * 3_600 * SECOND
    monkeypatch.setattr(sender_module, "time", clock)
    config = memory.small_config()
    started_ns = time.monotonic_ns()
    _, _, shared = memory.scan(config, memory.Network({}, set()))
    intervals = Intervals.from_bounds([memory.FIRST], [memory.FIRST + memory.COUNT - 1])
    plan = Plan(config, Targets.build(intervals, Intervals.empty(), lab=True), memory.CONTROL_PORT, bytes(16))
    lag = lag_record(plan, shared, started_ns)
    assert lag.max_s is not None
    assert lag.max_s < 600
    assert all(at is None or 0 <= at < 600 for lane in lag.lanes for at in lane.passed_s)
