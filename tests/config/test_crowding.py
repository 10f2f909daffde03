"""How crowded a /24 gets: the forecast against runs that are played through, and against sums that are exact."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.config.crowding import expected_peak_pps, poisson_peak
from liveness.config.model import Config, from_document
from liveness.errors import RefusedError
from liveness.scan.load import ceiling_pps, check_crowding, load_of
from liveness.space.intervals import Intervals
from liveness.space.permutation import Permutation
from liveness.space.targets import Targets
from tests.cli.support import assert_one_line, liveness

FIRST = 0x08000000


def config_of(**changes: object) -> Config:
    document = {"name": "crowd", "targets": {"allow": ["8.0.0.0/8"]}, "probes": ["icmp", "dns"], "control": False}
    return from_document(document | {"block_prefix": 3, "retransmit": {"attempts": 2, "queue": 1_000}} | changes)


def targets_of(*sizes: int) -> Targets:
    """Return targets with so many addresses in one /24 after the other."""
    first = FIRST + 256 * np.arange(len(sizes))
    return Targets.build(Intervals.from_bounds(first, first + np.array(sizes) - 1), Intervals.empty())


@given(st.floats(0.001, 60), st.floats(1, 1e9))
def test_the_peak_of_poisson_variables(mean: float, trials: float) -> None:
    count = poisson_peak(mean, trials)

    def exceeding(bound: int) -> float:
        terms = (math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(bound + 1, bound + 400))
        return trials * math.fsum(terms)

    assert exceeding(count) < 1
    if count > math.ceil(mean):  # the bound is close: one less would be exceeded, but for little
        assert exceeding(count - 1) > 0.3


@pytest.mark.parametrize("seed", range(4))
def test_runs_that_are_played_through_peak_as_forecast(seed: int) -> None:
    """Two probes 100 ms apart, two attempts: what each second brings to each /24, by a plain count."""
    targets, rate = targets_of(*[256] * 200), 2_000.0
    forecast = expected_peak_pps(config_of(), targets, rate)
    order = Permutation.of_block(targets.count, seed, "0.0.0.0/3").shard(0, 1, targets.count).indices() // 256
    drawn_pps, queue_s = rate / 2, 1.0
    seconds: Counter[tuple[int, int]] = Counter()
    for attempt in range(2):
        for probe in range(2):
            times = np.arange(len(order)) / drawn_pps + attempt * queue_s + probe * 0.1
            seconds.update(zip(times.astype(int).tolist(), order.tolist(), strict=True))
    peak = max(seconds.values())
    assert 0.5 * forecast <= peak <= 1.2 * forecast  # it is one of a random order's peaks


def test_small_networks_and_short_runs_have_bounds_of_their_own() -> None:
    alone = targets_of(4)
    assert expected_peak_pps(config_of(), alone, 1_000.0) == 4 * 2 * 2  # all there is, at once
    assert expected_peak_pps(config_of(), targets_of(256), 10.0) == 20  # all that is sent
    wide = config_of(probe_spacing="2s")
    assert expected_peak_pps(wide, targets_of(*[256] * 64), 500.0) * 2 == expected_peak_pps(
        config_of(), targets_of(*[256] * 64), 500.0
    )
    few, many = (expected_peak_pps(config_of(), targets_of(*[size] * 64), 5e3) for size in (64, 256))
    assert few <= many


def test_a_limit_refuses_and_names_a_rate_that_keeps_to_it() -> None:
    targets = targets_of(*[256] * 100)
    config = config_of(rate="10kpps", limits={"max_pps_per_24": 60})
    with pytest.raises(
        RefusedError, match=r"\$\.limits\.max_pps_per_24: 60: at 10kpps one /24 is to expect"
    ) as refused:
        check_crowding(config, targets, load_of(config))
    rate = str(refused.value).partition("set rate to ")[2].partition("pps")[0]
    slower = config_of(rate=f"{rate}pps", limits={"max_pps_per_24": 60})
    check_crowding(slower, targets, load_of(slower))
    assert int(rate) > 300
    slowest = config_of(rate="10kpps", limits={"max_pps_per_24": 1})
    with pytest.raises(RefusedError, match=r"set rate to 0\.\d+pps or less"):
        check_crowding(slowest, targets, load_of(slowest))
    hopeless = config_of(rate="10kpps", limits={"max_pps_per_24": 0.5})
    with pytest.raises(RefusedError, match="no rate keeps to it"):
        check_crowding(hopeless, targets, load_of(hopeless))


def test_the_ceiling_of_a_running_scan_keeps_to_both_limits() -> None:
    targets = targets_of(*[256] * 100)
    free, limited, crowded, both = (
        config_of(rate="100pps", **options)
        for options in (
            {},
            {"rate_limit": "150pps"},
            {"limits": {"max_pps_per_24": 60}},
            {"rate_limit": "150pps", "limits": {"max_pps_per_24": 60}},
        )
    )
    assert ceiling_pps(free, targets, load_of(free)) == math.inf
    assert ceiling_pps(limited, targets, load_of(limited)) == 150
    ceiling = ceiling_pps(crowded, targets, load_of(crowded))
    assert expected_peak_pps(crowded, targets, ceiling) <= 60 < expected_peak_pps(crowded, targets, ceiling * 1.01)
    assert ceiling_pps(both, targets, load_of(both)) == pytest.approx(150, rel=0.01)


def test_check_and_dry_run_show_and_refuse(tmp_path: Path) -> None:
    config = tmp_path / "census.yaml"
    text = "name: c\ncontact: https://example.org\nrate: 10kpps\ntargets: {allow: [8.8.0.0/16]}\nlimits: "
    config.write_text(text + "{max_pps_per_24: 9000}\n")
    for command in (("config", "check", config), ("scan", "-C", config, "--dry-run")):
        shown = liveness(*command)
        assert shown.code == 0, shown.err
        assert "packets in the busiest second of any /24, as is to be expected (9000 allowed)" in shown.out
    config.write_text(text + "{max_pps_per_24: 50}\n")
    for command in (("config", "check", config), ("scan", "-C", config, "--dry-run"), ("scan", "-C", config)):
        assert_one_line(liveness(*command, cwd=tmp_path), 4, "$.limits.max_pps_per_24: 50", "set rate to ")
    config.write_text(text + "{max_pps_per_24: 0}\n")
    assert_one_line(liveness("config", "check", config), 2, "max_pps_per_24")
