"""Capture and recapture: the estimate against populations whose every loss is known."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.runs.recapture import missed_targets

COUNTS = st.integers(0, 10_000)


def lossy(random: np.random.Generator, population: int, losses: list[float]) -> tuple[dict[str, int], int]:
    """Return the patterns of a population each of whose attempts loses so much, and how many targets all missed."""
    found = np.array([random.random(population) >= loss for loss in losses])
    numbers = np.bincount((1 << np.arange(len(losses))[::-1]) @ found, minlength=1 << len(losses))
    patterns = {f"{digits:0{len(losses)}b}": count for digits, count in enumerate(numbers.tolist())}
    missed = patterns.pop("0" * len(losses), 0)
    return patterns, missed


@pytest.mark.parametrize(
    ("population", "losses"), [(20_000, [0.022, 0.022]), (2_000, [0.3, 0.1]), (5_000, [0.2, 0.1, 0.3])], ids=str
)
def test_the_interval_holds_the_truth_nineteen_times_in_twenty(population: int, losses: list[float]) -> None:
    random = np.random.default_rng(7)
    held, estimates, truths = 0, 0.0, 0
    runs = 200
    for _ in range(runs):
        patterns, missed = lossy(random, population, losses)
        estimate = missed_targets(patterns)
        assert estimate is not None
        assert estimate.low <= estimate.estimate <= estimate.high
        held += estimate.low <= missed <= estimate.high
        estimates += estimate.estimate
        truths += missed
    assert held >= 180  # a true coverage of 95 % gives fewer once in 300 times
    assert estimates / truths == pytest.approx(1, rel=0.1)


@given(COUNTS, COUNTS, COUNTS)
def test_it_is_chapman_s_population_less_those_found(first_only: int, both: int, recovered: int) -> None:
    estimate = missed_targets({"10": first_only, "11": both, "01": recovered})
    if both == 0:
        assert estimate is None
        return
    assert estimate is not None
    first, later = first_only + both, recovered + both
    population = (first + 1) * (later + 1) / (both + 1) - 1
    assert estimate.estimate == pytest.approx(population - first_only - both - recovered, abs=1e-3)


@pytest.mark.parametrize("population", [5, 20, 100, 1_000, 20_000])
@pytest.mark.parametrize("loss", [0.002, 0.02, 0.1, 0.3])
def test_small_counts_are_covered_too(population: int, loss: float) -> None:
    random = np.random.default_rng(population)
    judged = held = 0
    for _ in range(200):
        patterns, missed = lossy(random, population, [loss, loss])
        estimate = missed_targets(patterns)
        if estimate is not None:
            judged += 1
            held += estimate.low <= missed <= estimate.high
    assert judged > 150
    assert held >= 0.9 * judged


def test_the_interval_has_what_the_hypergeometric_distribution_does_not_refute() -> None:
    for first_only, both, recovered in [(0, 1, 0), (1, 1, 1), (3, 4, 2), (10, 1, 3), (7, 30, 0), (12, 9, 15)]:
        found, first, later = first_only + both + recovered, first_only + both, recovered + both

        def chance(population: int, overlap: int, *, first: int = first, later: int = later) -> float:
            ways = comb(first, overlap) * comb(population - first, later - overlap) if later >= overlap else 0
            return ways / comb(population, later)

        fits = [
            missed
            for missed in range(2_000)
            if sum(chance(found + missed, overlap) for overlap in range(both + 1)) > 0.025
            and sum(chance(found + missed, overlap) for overlap in range(both, min(first, later) + 1)) > 0.025
        ]
        estimate = missed_targets({"10": first_only, "11": both, "01": recovered})
        assert estimate is not None
        assert estimate.low == min(fits[0], estimate.estimate)
        assert fits[-1] <= estimate.high < max(fits[-1] + 1.01, estimate.estimate + 0.01)  # a tie is one


def test_without_observed_loss_the_upper_bound_is_not_zero() -> None:
    for both in (1, 10, 500, 10**6, 10**9):
        estimate = missed_targets({"11": both})
        assert estimate is not None
        assert estimate.estimate == estimate.low == 0
        assert 0 < estimate.high < 40


@given(COUNTS, COUNTS, COUNTS)
def test_the_interval_holds_the_estimate(first_only: int, both: int, recovered: int) -> None:
    estimate = missed_targets({"10": first_only, "11": both + 1, "01": recovered})
    assert estimate is not None
    assert 0 <= estimate.low <= estimate.estimate <= estimate.high
    assert estimate.high > 0


@pytest.mark.parametrize("patterns", [{}, {"1": 7}, {"10": 5, "01": 3}], ids=str)
def test_where_nothing_was_found_twice_nothing_is_said(patterns: dict[str, int]) -> None:
    assert missed_targets(patterns) is None
