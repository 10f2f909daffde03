"""Daily cycles: generated blocks whose hours are known."""

import numpy as np
import pytest

from liveness.analysis.survey.diurnal import classify

INTERVAL_S = 660.0
MIDNIGHT_S = 1_500_076_800.0  # 2017-07-15T00:00Z


def office(days: int, peak_hour: float, hosts: int, rng: np.random.Generator, start_s: float) -> np.ndarray:
    """Hosts that are on for eight hours around the peak, with jitter, and some that are always on."""
    rounds = int(days * 86400 / INTERVAL_S)
    hour = (start_s + np.arange(rounds) * INTERVAL_S) % 86400 / 3600
    active = np.full(rounds, 5.0)
    for _ in range(hosts):
        distance = np.abs((hour - peak_hour - rng.normal(0, 0.7) + 12) % 24 - 12)
        active += (distance < 4) & (rng.random(rounds) < 0.95)
    return active


@pytest.mark.parametrize("peak_hour", [0.5, 6.0, 13.25, 20.0, 23.5])
@pytest.mark.parametrize("offset_s", [0.0, 5 * 3600.0])
def test_office_hours_are_strict_and_their_peak_is_right(peak_hour: float, offset_s: float) -> None:
    rng = np.random.default_rng(int(peak_hour * 4))
    found = classify(office(14, peak_hour, 60, rng, MIDNIGHT_S + offset_s), INTERVAL_S, MIDNIGHT_S + offset_s)
    assert found.kind == "strict"
    assert found.peak_hour_utc is not None
    assert abs((found.peak_hour_utc - peak_hour + 12) % 24 - 12) < 0.5


def test_flat_blocks_are_none_in_over_99_percent() -> None:
    rng = np.random.default_rng(5)
    rounds = int(7 * 86400 / INTERVAL_S)
    kinds = [
        classify(rng.binomial(int(n), 0.8, rounds).astype(float), INTERVAL_S, MIDNIGHT_S).kind
        for n in rng.integers(1, 250, 600)
    ]
    assert kinds.count("none") > 0.99 * len(kinds)


def test_diurnal_blocks_are_found_in_over_99_percent() -> None:
    rng = np.random.default_rng(6)
    hours, hosts = rng.uniform(0, 24, 300).tolist(), rng.integers(12, 120, 300).tolist()
    kinds = [
        classify(office(7, hour, many, rng, MIDNIGHT_S), INTERVAL_S, MIDNIGHT_S).kind
        for hour, many in zip(hours, hosts, strict=True)
    ]
    assert kinds.count("strict") > 0.99 * len(kinds)


def test_two_cycles_a_day_are_relaxed() -> None:
    rounds = int(7 * 86400 / INTERVAL_S)
    hour = np.arange(rounds) * INTERVAL_S % 86400 / 3600
    assert classify(30 + 10 * np.cos(4 * np.pi * hour / 24), INTERVAL_S, MIDNIGHT_S).kind == "relaxed"


def test_less_than_three_days_or_a_small_wave_is_none() -> None:
    rng = np.random.default_rng(1)
    assert classify(office(2, 12, 60, rng, MIDNIGHT_S), INTERVAL_S, MIDNIGHT_S).kind == "none"
    assert classify(office(7, 12, 2, rng, MIDNIGHT_S), INTERVAL_S, MIDNIGHT_S).kind == "none"


def test_gaps_do_not_hide_a_cycle() -> None:
    rng = np.random.default_rng(2)
    series = office(14, 9, 60, rng, MIDNIGHT_S)
    series[rng.random(len(series)) < 0.3] = np.nan
    assert classify(series, INTERVAL_S, MIDNIGHT_S).kind == "strict"
    series[:] = np.nan
    assert classify(series, INTERVAL_S, MIDNIGHT_S).kind == "none"
