"""Drops of a hit rate: the interval against a simulation, and simple cases."""

from itertools import pairwise

import numpy as np
import pytest

from liveness.census.hit_rate_drop import (
    FALSE_ALARMS,
    HitRate,
    drops_below_median,
    highest_ratio,
    hit_rate_drops,
    hit_rates,
)
from liveness.census.record import Record
from liveness.runs.manifest import Manifest, ProbeCounts
from tests.census.recurring import TOWN


def manifest(**answered: tuple[int, int]) -> Manifest:
    """Return a manifest in which so many of so many targets answered each probe, by either attempt."""
    return Manifest(
        name="weekly",
        run_id="1",
        status="complete",
        seed=1,
        config={},
        started="2026-03-01T00:00:00Z",
        targets=max(targets for _, targets in answered.values()),
        probes={probe: ProbeCounts(sent=[targets, targets]) for probe, (_, targets) in answered.items()},
        sets=[],
        attempts={probe: {"11": hits - hits // 3, "01": hits // 3} for probe, (hits, _) in answered.items()},
    )


@pytest.mark.parametrize(
    ("now", "then", "dropped"),
    [
        ((500, 1000), (500, 1000), False),
        ((900, 1000), (500, 1000), False),
        ((410, 1000), (500, 1000), False),  # to 82 %
        ((300, 1000), (500, 1000), True),
        ((0, 1000), (500, 1000), True),
        ((0, 1000), (15, 1000), False),  # too few to miss
        ((0, 0), (500, 1000), False),  # not probed
        ((780_000, 1_000_000), (1_000_000, 1_000_000), True),
        ((39, 100), (50, 100), False),  # by 22 %, but that may be chance
        ((39_000, 100_000), (50_000, 100_000), True),
    ],
)
def test_a_drop_is_far_and_beyond_chance(now: tuple[int, int], then: tuple[int, int], *, dropped: bool) -> None:
    assert bool(hit_rate_drops(manifest(icmp=now), manifest(icmp=then), 0.2)) is dropped


def test_hit_rates_are_those_of_targets() -> None:
    rates = hit_rates(TOWN.manifest())
    for probe in TOWN.probes:
        targets = {reply.target for reply in TOWN.replies if reply.probe == probe}
        assert rates[probe] == HitRate(len(targets), 4096)
        assert rates[probe].share == len(targets) / 4096


def test_only_probes_of_both_runs_are_compared() -> None:
    found = hit_rate_drops(manifest(icmp=(10, 1000), dns=(0, 1000)), manifest(icmp=(900, 1000), ntp=(900, 1000)), 0.2)
    assert [drop.probe for drop in found] == ["icmp"]
    assert str(found[0]).startswith("hit rate of icmp fell from 90.00% to 1.00% (to 3% of it at most, with 99.9 %")


@pytest.mark.parametrize(("rate", "targets"), [(0.3, 400), (0.02, 5000), (0.9, 300)])
def test_the_limit_holds_as_often_as_it_says(rate: float, targets: int) -> None:
    """At a one-sided chance of 1 %, the true ratio (1) is above the limit in about 1 % of samples."""
    random = np.random.default_rng(7)
    samples = 4000
    now, then = random.binomial(targets, rate, samples), random.binomial(targets, rate, samples)
    above = sum(
        highest_ratio(HitRate(int(a), targets), HitRate(int(b), targets), 0.01) < 1
        for a, b in zip(now, then, strict=True)
    )
    assert 0.005 < above / samples < 0.016


def test_chance_alone_raises_no_alarm() -> None:
    random = np.random.default_rng(11)
    alarms = 0
    for _ in range(3000):
        now = {f"p{number}": (int(random.binomial(300, 0.4)), 300) for number in range(8)}
        then = {f"p{number}": (120, 300) for number in range(8)}
        alarms += bool(hit_rate_drops(manifest(**now), manifest(**then), 1e-9))
    assert alarms <= 3000 * FALSE_ALARMS * 3


def record(number: int, rate: float, targets: int = 1_000_000, status: str = "complete") -> Record:
    return Record(
        number=number,
        run_id=str(number),
        state="removed",
        begun="2026-03-01T00:00:00Z",
        status=status,
        targets=targets,
        hit_rates={"icmp": rate},
    )


def test_a_network_that_fades_run_by_run_raises_an_alarm() -> None:
    rates = [0.5 * 0.83**week for week in range(13)]
    manifests = [manifest(icmp=(round(1_000_000 * rate), 1_000_000)) for rate in rates]
    assert not any(hit_rate_drops(after, before, 0.2) for before, after in pairwise(manifests))
    records = [record(week, rate) for week, rate in enumerate(rates)]
    alarms = [bool(drops_below_median(manifests[week], records[:week], 0.2)) for week in range(13)]
    assert alarms == [False] * 3 + [True] * 10


@pytest.mark.parametrize("rates", [[0.3], [0.3, 0.31], [0.3, 0.9, 0.3], [0.3, 0.3, 0.01, 0.3], [0.3] * 20], ids=str)
def test_the_baseline_is_no_single_run(rates: list[float]) -> None:
    now = manifest(icmp=(290_000, 1_000_000))
    assert drops_below_median(now, [record(week, rate) for week, rate in enumerate(rates)], 0.2) == []


def test_the_baseline_is_of_the_last_complete_runs() -> None:
    now = manifest(icmp=(300_000, 1_000_000))
    old = [record(week, 0.9) for week in range(20)]
    assert drops_below_median(now, [*old, *(record(20 + week, 0.3) for week in range(8))], 0.2) == []
    partial = [record(20 + week, 0.3, status="partial") for week in range(8)]
    [drop] = drops_below_median(now, [*old, *partial], 0.2)
    assert str(drop).endswith("with 99.9 % confidence), the median of the last 8 runs")
    assert drop.then.share == 0.9
