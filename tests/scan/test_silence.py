"""The silence alarm, by simulation: hosts that answer several probes together, floods, changes of the rate, falls."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.scan.losses.silence import SLICE_S, ReplyDrop, SilenceDetector, surprisal


class Model:
    """A network in which one target in `alive` answers each probe with its probability, some time after it was sent."""

    def __init__(self, seed: int, rates: list[float], alive: float, attempts: int = 2, rtt_slices: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.answering = np.array(rates)
        self.alive = alive
        self.detector = SilenceDetector(len(rates), attempts)
        self.sent = np.zeros(len(rates), np.int64)
        self.replies = np.zeros(len(rates), np.int64)
        self.late: list[np.ndarray] = [np.zeros(len(rates), np.int64)] * rtt_slices
        self.time_s = 0.0
        self.detector.take(0.0, 0, self.sent, self.replies)

    def go(self, seconds: float, pps: float, *, share: float = 1.0, flood: int = 0, block: int = 0) -> ReplyDrop | None:
        """Let time pass; return the first fall. `share` of the replies come, and `flood` copies a slice."""
        for _ in range(round(seconds / SLICE_S)):
            targets = int(self.random.poisson(pps * SLICE_S))
            alive = self.random.binomial(targets, self.alive)
            came = self.random.binomial(alive, self.answering)
            self.late.append(self.random.binomial(came, share))
            self.sent += targets
            self.replies += self.late.pop(0)
            self.replies[0] += flood
            self.time_s += SLICE_S
            self.detector.take(self.time_s, block, self.sent, self.replies)
            found = self.detector.drop()
            if found is not None:
                return found
        return None


@given(st.floats(0.1, 500), st.floats(0, 1))
def test_surprise_is_a_bound_on_the_probability(expected: float, share: float) -> None:
    seen = math.floor(share * expected)
    terms = [-expected + k * math.log(expected) - math.lgamma(k + 1) for k in range(seen + 1)]
    exact = math.log(sum(math.exp(term - max(terms)) for term in terms)) + max(terms)
    assert -surprisal(expected, seen) >= exact - 1e-9


@pytest.mark.parametrize(("pps", "alive", "within_s"), [(1_000, 1.0, 1.0), (1_000, 0.02, 20.0), (100, 0.2, 20.0)])
def test_a_drop_to_nothing_is_found_and_dated(pps: float, alive: float, within_s: float) -> None:
    model = Model(1, [1.0, 0.6, 0.5, 0.1], alive)
    assert model.go(60, pps) is None
    found = model.go(60, pps, share=0.0)
    assert found is not None
    assert model.time_s <= 60 + within_s
    assert abs(found.since_s - 60) <= 1.0
    assert found.replies <= 0.25 * found.expected


def test_a_drop_to_a_few_is_found_and_one_to_half_is_not() -> None:
    assert Model(2, [1.0], 0.5).go(60, 500) is None
    few = Model(2, [1.0], 0.5)
    few.go(60, 500)
    assert few.go(20, 500, share=0.1) is not None
    half = Model(2, [1.0], 0.5)
    half.go(60, 500)
    assert half.go(120, 500, share=0.5) is None


def test_a_lower_rate_a_pause_and_late_replies_are_no_silence() -> None:
    model = Model(3, [1.0, 0.5], 0.3, rtt_slices=3)
    assert model.go(60, 2_000) is None
    assert model.go(60, 20) is None
    assert model.go(60, 0) is None
    assert model.go(60, 2_000) is None


def test_a_pause_of_replies_that_are_late_is_no_silence() -> None:
    model = Model(7, [1.0, 0.5], 0.3, rtt_slices=3)
    for _ in range(3):
        assert model.go(60, 2_000) is None
        assert model.go(5, 0) is None
    model.detector.skip()
    assert model.go(0.25, 0) is None
    assert model.go(60, 2_000) is None


def test_the_end_of_a_flood_of_copies_is_no_silence() -> None:
    model = Model(4, [1.0, 0.5], 0.3)
    assert model.go(120, 500) is None
    assert model.go(30, 500, flood=5_000) is None
    assert model.go(120, 500) is None


def test_another_block_is_judged_by_itself() -> None:
    model = Model(5, [1.0], 0.5)
    assert model.go(60, 1_000) is None
    assert model.go(10, 1_000, share=0.0, block=1) is None, "who knows whether anybody is there"
    assert model.go(90, 1_000, block=1) is None
    assert model.go(20, 1_000, share=0.0, block=1) is not None


def test_late_replies_of_a_block_say_nothing_of_the_next() -> None:
    """They come while the cooldown lasts, in which nothing is sent, and hosts of the next block may be far fewer."""
    model = Model(8, [1.0], 0.5, rtt_slices=20)
    assert model.go(60, 1_000) is None
    assert model.go(10, 0, block=1) is None
    model.alive = 0.01
    assert model.go(60, 1_000, block=1) is None


@pytest.mark.slow
def test_hundreds_of_runs_without_a_drop_have_no_alarm() -> None:
    """An hour and a half of a run's time each in all orders of rates; by the bound one in a million would alarm."""
    random = np.random.default_rng(6)
    for seed in range(150):
        probes = int(random.integers(1, 9))
        model = Model(seed, list(random.uniform(0.05, 1, probes)), 10 ** random.uniform(-3, 0))
        for _ in range(3):
            assert model.go(60, 10 ** random.uniform(0, 4.5)) is None, seed
