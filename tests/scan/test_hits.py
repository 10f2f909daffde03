"""Hit rates and their comparison: intervals that hold what they promise, judged by simulation and by exact sums."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.scan.rate.hits import Arm, Comparison, design_effect

PROBES = 4


def arm_of(windows: list[tuple[int, int]], slices: int = 1) -> Arm:
    """Return an arm of one probe with windows of (sent, hits), each in so many equal slices."""
    arm = Arm.at(1_000, 1)
    for sent, hits in windows:
        window = Arm.at(1_000, 1)
        for _ in range(slices):
            window.add_slice(np.array([sent // slices]), np.array([hits // slices]), 0.25, 0.0)
        arm.add_window(window)
    return arm


@given(st.lists(st.integers(1, 200), min_size=1, max_size=6))
def test_the_design_effect_is_that_of_targets_that_answer_as_many_probes_as_they_can(hits: list[int]) -> None:
    """Of 1,000 targets those that answer a probe answer every more frequent one: the variance of a target's hits."""
    of_target = [sum(rank < number for number in hits) for rank in range(1_000)]
    mean = sum(of_target) / 1_000
    second_moment = sum(number**2 for number in of_target) / 1_000  # rare hits: the variance but for the mean's square
    assert design_effect(np.array(hits)) == pytest.approx(second_moment / mean)


def test_the_design_effect_of_one_probe_and_of_none_that_answers() -> None:
    assert design_effect(np.array([17])) == 1
    assert design_effect(np.array([5, 5, 5])) == 3
    assert design_effect(np.array([0, 0])) == 2


@pytest.mark.parametrize(("hit_rate", "together"), list(product((0.003, 0.05, 0.4), (False, True))))
def test_a_drop_is_not_seen_where_there_is_none(hit_rate: float, together: bool) -> None:
    """Nor do intervals of 95 % leave the truth out more than one time in twenty, however probes go together."""
    random = np.random.default_rng(7)
    runs, outside, fell = 400, 0, 0
    for _ in range(runs):
        arms = []
        for sent in (4_000, 8_000):
            arm = Arm.at(sent, PROBES)
            window = Arm.at(sent, PROBES)
            for _ in range(8):
                answering = random.binomial(sent // 8, hit_rate)
                hits = np.full(PROBES, answering) if together else random.binomial(sent // 8, hit_rate, PROBES)
                window.add_slice(np.full(PROBES, sent // 8), hits, 0.25, 0.0)
            arm.add_window(window)
            arms.append(arm)
        reference, candidate = arms
        found = Comparison.of(candidate, reference)
        low, high = found.bounds(1.96)
        outside += not low <= 1 <= high
        fell += found.fell
    assert outside <= 0.08 * runs
    assert fell == 0


def test_a_drop_is_seen() -> None:
    reference, candidate = arm_of([(10_000, 1_000)] * 2), arm_of([(20_000, 1_600)] * 2)
    found = Comparison.of(candidate, reference)
    assert found.ratio == pytest.approx(0.8, rel=0.01)
    assert found.error == pytest.approx(math.sqrt(1 / 3_200 + 1 / 2_000), rel=0.01)
    assert found.fell
    assert not found.holds(0.9)


def test_a_drop_that_is_sure_and_tiny_does_not_count() -> None:
    found = Comparison.of(arm_of([(10**9, 99 * 10**6)]), arm_of([(10**9, 10**8)]))
    assert found.bounds(10)[1] < 1
    assert not found.fell
    assert found.holds(0.05)


def test_too_few_replies_decide_nothing() -> None:
    found = Comparison.of(arm_of([(1_000, 3)]), arm_of([(500, 2)]))
    assert not found.fell
    assert not found.holds(0.4)


def test_replies_in_bursts_widen_the_interval() -> None:
    even = Comparison.of(arm_of([(10_000, 500)] * 4), arm_of([(10_000, 500)] * 4))
    uneven = Comparison.of(arm_of([(10_000, 500)] * 4), arm_of([(10_000, 100), (10_000, 900)] * 2))
    assert even.spread == 1
    assert uneven.spread > 100
    assert uneven.error > 10 * even.error


def test_an_arm_without_a_hit() -> None:
    found = Comparison.of(arm_of([(10_000, 0)]), arm_of([(10_000, 0)]))
    assert found.ratio == 1
    assert arm_of([(10_000, 0)]).hit_rate == 0
    low, high = arm_of([(10_000, 0)]).hit_rate_interval(1.0)
    assert 0 < low < high < 0.01
    assert not found.holds(0.4)


def test_a_shortfall_is_a_share_of_the_time() -> None:
    arm = Arm.at(1_000, 1)
    assert arm.shortfall == 0
    arm.add_slice(np.array([10]), np.array([1]), 0.5, 0.1)
    arm.add_slice(np.array([10]), np.array([1]), 0.5, 0.0)
    assert arm.shortfall == pytest.approx(0.1)
