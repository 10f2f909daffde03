"""Pacing on a clock of our own: exact over a second, no burst above a millisecond, stalls caught up or given up."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, pairwise, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.order.lanes import spacing_margin_s
from liveness.scan.send.pacing import (
    BURST_S,
    FEWEST_FRAMES,
    GIVE_UP_S,
    LONGEST_SLEEP_S,
    LOOK_EVERY_S,
    Batch,
    Pacer,
    SpacingGuard,
)

LANES = 18


@dataclass
class Clock:
    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


def send(
    pacer: Pacer, clock: Clock, until_s: float, late_s: float, due: int = 0
) -> tuple[list[tuple[float, int]], int]:
    """Run a sender whose sleeps end `late_s` late; return bursts (when, units) and when the next unit is due."""
    bursts = []
    while clock.now_s < until_s:
        allowed = pacer.until(due)
        if allowed >= due:
            bursts.append((clock.now_s, allowed - due + 1))
            due = allowed + 1
        clock.now_s += pacer.wait_s(due) + late_s
    return bursts, due


@given(st.integers(10, 2_000_000), st.floats(0, 0.0004))
def test_exact_over_a_second_and_smooth(rate_pps: int, late_s: float) -> None:
    """Errors under 1 %, and bursts of a millisecond's worth at the most."""
    clock = Clock()
    pacer = Pacer(rate_pps * LANES, clock)
    bursts, _ = send(pacer, clock, 101.0, late_s)
    sent = sum(units for _, units in bursts)
    slack = LONGEST_SLEEP_S * rate_pps * LANES if rate_pps < 100 else 2  # 0 to 50 ms of sleep at the very end
    assert sent == pytest.approx(rate_pps * LANES, rel=0.01, abs=slack)
    longest = max(units for _, units in bursts)
    assert longest <= BURST_S * rate_pps * LANES + 2


@given(st.integers(10_000, 1_000_000), st.floats(0.002, GIVE_UP_S * 0.9))
def test_a_short_stall_is_caught_up_in_bursts(rate_pps: int, stall_s: float) -> None:
    clock = Clock()
    pacer = Pacer(rate_pps * LANES, clock)
    first, due = send(pacer, clock, 100.3, 0)
    clock.now_s += stall_s
    second, _ = send(pacer, clock, 101.3, 0, due)
    sent = sum(units for _, units in first + second)
    assert sent == pytest.approx(1.3 * rate_pps * LANES, rel=0.01)
    assert max(units for _, units in second) <= BURST_S * rate_pps * LANES + 2
    gaps = [after - before for (before, _), (after, _) in pairwise(second)]
    assert min(gaps) >= min(BURST_S / 2, LOOK_EVERY_S) * 0.99  # never more than twice the rate


def test_a_long_stall_is_given_up() -> None:
    clock = Clock()
    pacer = Pacer(10_000.0, clock)
    _, due = send(pacer, clock, 100.5, 0)
    clock.now_s += 60
    bursts, _ = send(pacer, clock, 161.5, 0, due)
    assert sum(units for _, units in bursts) == pytest.approx(10_000, rel=0.01)


def test_the_rate_changes_from_here_on() -> None:
    clock = Clock()
    pacer = Pacer(10_000.0, clock)
    first, due = send(pacer, clock, 101.0, 0)
    pacer.change(30_000.0, due)
    second, _ = send(pacer, clock, 102.0, 0, due)
    assert sum(units for _, units in first) == pytest.approx(10_000, rel=0.01)
    assert sum(units for _, units in second) == pytest.approx(30_000, rel=0.01)


def test_a_slow_sender_looks_often_enough() -> None:
    clock = Clock()
    pacer = Pacer(0.5, clock)
    assert pacer.wait_s(10) == LONGEST_SLEEP_S
    assert pacer.wait_s(0) == LOOK_EVERY_S
    clock.now_s += 1
    assert pacer.wait_s(0) == 0.0


def test_a_sender_that_cannot_keep_up_does_not_sleep() -> None:
    """At its limit a sender takes as long for a burst as the burst stands for: any sleep would cost rate."""
    clock = Clock()
    pacer = Pacer(1_000_000.0, clock)
    due, slept_s = 0, 0.0
    while clock.now_s < 101.0:
        burst = pacer.until(due) + 1 - due
        clock.now_s += burst * 1.05e-6  # 5 % slower than the rate
        due += burst
        slept_s += pacer.wait_s(due)
        clock.now_s += pacer.wait_s(due)
    assert due > 0.94 * 1_000_000
    assert slept_s < 0.05


@pytest.mark.parametrize(("rate_pps", "lanes"), [(0.2, 1), (0.2, LANES), (1 / 3600, 2)])
def test_below_a_packet_a_second_every_packet_leaves_at_its_time(rate_pps: float, lanes: int) -> None:
    """A target every five seconds, or every hour: none early, none given up, late by a sleep at most."""
    clock = Clock()
    pacer = Pacer(rate_pps * lanes, clock)
    due = 0
    sent: list[float] = []
    while len(sent) < 4:
        if pacer.until(due) >= due:
            sent.append(clock.now_s - 100.0)
            due += lanes  # the first lane of the next tick
            continue
        wait_s = pacer.wait_s(due)
        assert 0 < wait_s <= LONGEST_SLEEP_S
        clock.now_s += wait_s
    for number, at_s in enumerate(sent):
        assert number / rate_pps - 1e-6 <= at_s <= number / rate_pps + LONGEST_SLEEP_S
    assert pacer.given_up_s == 0


def put_ahead(
    pacer: Pacer, clock: Clock, until_s: float, waits_s: Iterator[float], due: int = 0
) -> tuple[list[tuple[float, float]], int]:
    """Run a sender whose ring takes frames early, whose sleeps end late by the given times.

    Return pairs of when a burst was put into the ring and when it leaves, and when the next unit is due.
    """
    bursts = []
    while clock.now_s < until_s:
        allowed = pacer.until(due)
        if allowed >= due:
            bursts.append((clock.now_s, pacer.leaves_s(due)))
            due = allowed + 1
        wait_s = pacer.wait_s(due)
        clock.now_s += wait_s + (next(waits_s) if wait_s else 0.0)
    return bursts, due


@given(st.integers(1000, 5_000_000), st.floats(0.004, 0.02), st.lists(st.floats(0, 0.6), min_size=1, max_size=20))
def test_frames_leave_at_their_time_although_the_sender_waits_for_its_core(
    rate_pps: int, lead_s: float, late: list[float]
) -> None:
    """It waits for up to 60 % of the lead, of which a sleep may take a quarter."""
    clock = Clock()
    pacer = Pacer(rate_pps * LANES, clock, lead_s=lead_s)
    started_s = clock.now_s + lead_s
    bursts, due = put_ahead(pacer, clock, 100.5, cycle(share * lead_s for share in late))
    assert pacer.given_up_s == 0
    assert all(0 <= leaves_s - put_s <= lead_s + 1e-9 for put_s, leaves_s in bursts)
    leaving = [leaves_s for _, leaves_s in bursts]
    assert leaving[0] == started_s
    longest_s = BURST_S + 1 / (rate_pps * LANES) + 1e-9
    assert all(after - before <= longest_s for before, after in pairwise(leaving)), "bursts of a millisecond"
    assert pacer.leaves_s(due) - started_s == pytest.approx(due / (rate_pps * LANES), abs=1e-9), "nothing was late"
    assert due >= (0.499 - lead_s) * rate_pps * LANES


def test_a_sender_that_works_ahead_catches_up_and_gives_up_like_others() -> None:
    clock = Clock()
    pacer = Pacer(10_000.0 * LANES, clock, lead_s=0.008)
    _, due = put_ahead(pacer, clock, 100.5, repeat(0.0))
    clock.now_s += 0.1  # caught up
    second, due = put_ahead(pacer, clock, 101.0, repeat(0.0), due)
    assert due == pytest.approx((clock.now_s - 100.0) * 10_000 * LANES, rel=0.01)
    assert pacer.given_up_s == 0
    late = [put_s for put_s, leaves_s in second if leaves_s == put_s]
    assert min(after - before for before, after in pairwise(late)) >= 0.99 * BURST_S / 2
    clock.now_s += 60
    put_ahead(pacer, clock, 161.5, repeat(0.0), due)
    assert pacer.given_up_s == pytest.approx(60, abs=0.01)


def test_another_rate_begins_after_the_frames_that_the_ring_has() -> None:
    clock = Clock()
    pacer = Pacer(10_000.0, clock, lead_s=0.008)
    _, due = put_ahead(pacer, clock, 100.5, repeat(0.0))
    next_s = pacer.leaves_s(due)
    assert next_s > clock.now_s + 0.001
    pacer.change(20_000.0, due, 0.004)
    assert pacer.leaves_s(due) == pytest.approx(min(next_s, clock.now_s + 0.004))
    clock.now_s += 5  # a pause of the ring
    pacer.change(20_000.0, due)
    assert pacer.leaves_s(due) == clock.now_s


@given(st.lists(st.tuples(st.integers(1, 1536), st.floats(1e-6, 0.05)), max_size=60), st.integers(1, 2000))
def test_a_batch_stays_within_its_bounds_and_never_collapses(took: list[tuple[int, float]], most: int) -> None:
    batch = Batch(most)
    for filled, seconds in took:
        before = batch.frames
        batch.took(min(filled, batch.frames), seconds)
        assert min(FEWEST_FRAMES, most) <= batch.frames <= most
        assert before // 2 <= batch.frames <= 2 * before


def test_a_batch_takes_a_millisecond_whatever_a_frame_costs() -> None:
    for frame_s, frames in ((0.25e-6, 1536), (2e-6, 500), (100e-6, FEWEST_FRAMES)):
        batch = Batch(1536)
        for _ in range(20):
            batch.took(batch.frames, batch.frames * frame_s)
        assert batch.frames == pytest.approx(frames, rel=0.5)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.floats(1e-5, 0.08)), min_size=1, max_size=200),
    st.sampled_from([0.001, 0.01, 0.1]),
    st.integers(1, 500),
)
def test_nothing_is_probed_again_before_the_spacing_is_over(
    steps: list[tuple[int, float]], spacing_s: float, lag: int
) -> None:
    """However irregular a sender's clock and appetite are."""
    clock = Clock()
    guard = SpacingGuard(spacing_s, 0, clock)
    left_s: list[float] = []  # when each tick had left at the latest
    for wanted, pause_s in steps:
        first = len(left_s)
        end = min(first + wanted, guard.limit(lag))
        assert all(clock.now_s - left_s[tick - lag] >= spacing_s for tick in range(max(first, lag), end))
        clock.now_s += pause_s / 4  # it takes a while to leave
        left_s += [clock.now_s] * max(0, end - first)
        guard.passed(len(left_s))
        clock.now_s += pause_s


def test_the_guard_does_not_hold_a_sender_that_respects_its_rate() -> None:
    """Nor one that sends in bursts of a millisecond, because of the margin."""
    spacing_s, rate = 0.1, 50_000
    clock = Clock()
    guard = SpacingGuard(spacing_s, 0, clock)
    lag = round((spacing_s + spacing_margin_s(spacing_s)) * rate)
    for burst in range(1, 2000):
        assert guard.limit(lag) >= 50 * burst
        clock.now_s += 0.0005
        guard.passed(50 * burst)
        clock.now_s += 0.0005
