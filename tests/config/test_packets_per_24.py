"""How crowded a /24 gets: the forecast against runs that are played through, and against sums that are exact."""

import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveness.config.model import Config, from_document
from liveness.config.packets_per_24 import CATCH_UP_S, SPREAD_S, peak_bound_pps
from liveness.errors import RefusedError
from liveness.order.due import DRAWN, empty_due
from liveness.order.lanes import marks_for, plan_lanes
from liveness.order.permutation import Permutation
from liveness.order.ticks import ACTIVE, FINISHED, LANE, TICK, before_first_tick, begin_tick, lane_due
from liveness.scan.rate.load import ceiling_pps, check_pps_per_24, load_of
from liveness.space.intervals import Intervals
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


def played(config: Config, targets: Targets, rate_pps: float, seed: int, senders: int) -> int:
    """Return the most packets in any second to any /24 in a run that is played through by the schedule itself."""
    sent = packets_of(config, targets, rate_pps, seed, senders)
    return max(most_in(sorted(time_s for time_s, _, _ in packets), 1 + CATCH_UP_S) for packets in sent.values())


def packets_of(
    config: Config, targets: Targets, rate_pps: float, seed: int, senders: int
) -> dict[int, list[tuple[float, int, bool]]]:
    """Return the time of every packet by /24, with its target and whether the probe's services are talked to.

    Every sender walks its share as it does in a scan; a packet leaves when its place in the tick is due. A second is
    as long as one in which a sender catches up what it may.
    """
    probes, attempts = len(config.probes) + config.control, config.retransmit.attempts
    spacing = math.ceil(config.probe_spacing_s * rate_pps / senders)
    sent: dict[int, list[tuple[float, int, bool]]] = defaultdict(list)
    talked = {"tcp/80": "http", "tcp/22": "ssh"}
    for block, quota in zip(targets.blocks(config.block_prefix), config.quotas(targets).tolist(), strict=True):
        for index in range(senders):
            shard = Permutation.of_block(block.intervals.count, seed, block.name).shard(index, senders, quota)
            lanes = plan_lanes(probes, attempts, -(-config.retransmit.queue // senders), spacing, -(-quota // senders))
            marks = np.zeros((len(lanes), marks_for(quota, 10**6)), np.int64)
            walk, due = before_first_tick(shard, lanes, marks, 10**6), empty_due(1, 0)
            drawn: list[int] = []
            units_per_s = rate_pps * len(lanes) / senders
            while not walk.state[FINISHED]:
                for place in range(walk.state[ACTIVE]):
                    walk.state[LANE] = place
                    lane = walk.active[place]
                    target = drawn[walk.state[TICK] - walk.lane_lags[lane]]
                    name = [*config.probes, "tcp/control"][lanes[lane].probe]
                    time_s = lane_due(walk.state, len(lanes)) / units_per_s
                    sent[target >> 8].append((time_s, target, talked.get(name) in config.applications))
                begin_tick(walk, due, 0)
                drawn += block.intervals.address_at(due.drawn[: due.counts[DRAWN]]).tolist()
                due.counts[DRAWN] = 0
    return sent


def most_in(times: list[float], window_s: float) -> int:
    first, most = 0, 0
    for last, time_s in enumerate(times):
        while time_s - times[first] > window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.sampled_from([1, 7, 64, 200, 256]), min_size=1, max_size=12),
    rate_pps=st.sampled_from([0.5, 3, 20, 100, 700, 5_000]),
    probes=st.integers(1, 4),
    attempts=st.integers(1, 3),
    spacing=st.sampled_from(["0ms", "10ms", "300ms", "500ms", "1s", "2s"]),
    queue=st.sampled_from([0, 1, 10, 100, 1_000, 1_000_000]),
    most=st.sampled_from([None, 1, 50, 300]),
    senders=st.integers(1, 3),
    seed=st.integers(0, 2**32),
)
def test_no_second_of_a_run_that_is_played_through_has_more_than_the_bound(
    sizes: list[int],
    rate_pps: float,
    probes: int,
    attempts: int,
    spacing: str,
    queue: int,
    most: int | None,
    senders: int,
    seed: int,
) -> None:
    names = ["icmp", "dns", "ntp", "tcp/80"][:probes]
    limits = {"max_targets": most}
    retransmit = {"attempts": attempts, "queue": queue}
    config = config_of(probes=names, probe_spacing=spacing, retransmit=retransmit, limits=limits, senders=senders)
    targets = targets_of(*sizes)
    assert played(config, targets, rate_pps, seed, senders) <= peak_bound_pps(config, targets, rate_pps)


def with_talks(sent: list[tuple[float, int, bool]], wait_s: float, random: np.random.Generator) -> list[float]:
    """Return the times of all frames to a /24 of which these probes (time, target, whether it is talked to) are known.

    Each target answers at once, after the repeat, or never; every talk is begun by any of its probes.
    """
    times = []
    for time_s, target, talked in sent:
        times.append(time_s)
        if not talked:
            continue
        asked_s = time_s + random.uniform(0, SPREAD_S)
        answered_s = random.uniform(0, SPREAD_S)
        behaviour = target % 3
        times.append(asked_s)
        times += [asked_s + answered_s] if behaviour == 0 else [asked_s + 1]
        times += {0: [], 1: [asked_s + 1 + answered_s], 2: [asked_s + wait_s]}[behaviour]
    return sorted(times)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.sampled_from([1, 7, 64, 200, 256]), min_size=1, max_size=6),
    rate_pps=st.sampled_from([0.02, 0.2, 0.5, 1, 3, 20, 100, 700]),
    attempts=st.integers(1, 2),
    spacing=st.sampled_from(["0ms", "10ms", "500ms"]),
    queue=st.sampled_from([0, 10, 1_000]),
    wait=st.sampled_from(["1500ms", "3s", "5s"]),
    senders=st.integers(1, 2),
    seed=st.integers(0, 2**32),
)
def test_no_second_of_a_run_that_talks_has_more_than_the_bound(
    sizes: list[int], rate_pps: float, attempts: int, spacing: str, queue: int, wait: str, senders: int, seed: int
) -> None:
    config = config_of(
        probes=["icmp", "tcp/80", "tcp/22"],
        applications=["http", "ssh"],
        talk={"wait": wait},
        probe_spacing=spacing,
        retransmit={"attempts": attempts, "queue": queue},
        senders=senders,
    )
    targets, random = targets_of(*sizes), np.random.default_rng(seed)
    most = max(
        most_in(with_talks(sent, config.talk.wait.seconds, random), 1 + CATCH_UP_S)
        for sent in packets_of(config, targets, rate_pps, seed, senders).values()
    )
    assert most <= peak_bound_pps(config, targets, rate_pps)


def test_talks_count_in_the_limit() -> None:
    targets = targets_of(256)
    common = {"probes": ["icmp", "tcp/80"], "rate": "100pps", "limits": {"max_pps_per_24": 300}}
    silent, talking = config_of(**common), config_of(**common, applications=["http"])
    check_pps_per_24(silent, targets, load_of(silent))
    with pytest.raises(RefusedError, match="300: at 100pps one"):
        check_pps_per_24(talking, targets, load_of(talking))


def test_at_low_rates_talks_add_no_more_than_the_probes_that_begin_them() -> None:
    """Every limit below 100 was refused at any rate: the talks of all probes of a visit were taken to fall together."""
    probes = ["icmp", "dns", "ntp", "tcp/22", "tcp/23", "tcp/80", "tcp/443", "tcp/7547"]
    config = config_of(
        probes=probes, applications=["ssh", "telnet", "http", "tls", "cwmp"], rate="1pps", limits={"max_pps_per_24": 20}
    )
    whole = Targets.build(Intervals.from_bounds([FIRST], [FIRST + (1 << 24) - 1]), Intervals.empty())
    assert peak_bound_pps(config, whole, 0.001) == 1 + 5
    few, some = (peak_bound_pps(config, whole, rate_pps) for rate_pps in (0.1, 1.0))
    assert few < some < 80
    with pytest.raises(RefusedError, match=r"set rate to 0\.\d+pps or less"):
        check_pps_per_24(config, whole, load_of(config))
    hopeless = config_of(
        probes=["icmp", "tcp/80"], applications=["http"], rate="1pps", limits={"max_pps_per_24": 2}, senders=1
    )
    with pytest.raises(RefusedError, match="may have up to 6, with what talks add, or raise the limit"):
        check_pps_per_24(hopeless, targets_of(256), load_of(hopeless))


@pytest.mark.parametrize("queue", [0, 100, 1_000_000])
def test_spacing_that_spreads_a_visit_over_a_second_is_no_way_round_the_limit(queue: int) -> None:
    """One /24 at 100 pps of each of eight probes: 333 were forecast, 784 sent."""
    probes = ["icmp", "dns", "ntp", "tcp/22", "tcp/23", "tcp/80", "tcp/443", "tcp/7547"]
    config = config_of(probes=probes, probe_spacing="500ms", retransmit={"attempts": 2, "queue": queue})
    targets = targets_of(256)
    most = played(config, targets, 100, 1, 1)
    assert most > 400
    assert most <= peak_bound_pps(config, targets, 100) <= 1.3 * most


def test_the_bound_is_near_what_random_orders_bring() -> None:
    """Of a large sparse census too: not more than twice the peak of one run, of which there are infinitely many."""
    targets, config = targets_of(*[256] * 100), config_of()
    most = max(played(config, targets, 2_000.0, seed, 1) for seed in range(2))
    assert most <= peak_bound_pps(config, targets, 2_000.0) <= 2 * most


def test_small_networks_and_short_runs_have_bounds_of_their_own() -> None:
    alone = targets_of(4)
    assert peak_bound_pps(config_of(), alone, 1_000.0) == 4 * 2 * 2  # all there is, at once
    sampled = config_of(limits={"max_targets": 2})
    assert peak_bound_pps(sampled, targets_of(256), 1_000.0) == 2 * 2 * 2
    assert 20 <= peak_bound_pps(config_of(), targets_of(256), 10.0) < 26  # all that is sent
    few, many = (peak_bound_pps(config_of(), targets_of(*[size] * 64), 5e3) for size in (64, 256))
    assert few <= many


def test_blocks_of_very_many_kinds_are_bounded_by_groups() -> None:
    """A hundred /24 blocks, each of another size: together no more than a little above the fullest of them."""
    config, sizes = config_of(block_prefix=24), range(100, 200)
    together = peak_bound_pps(config, targets_of(*sizes), 1_000.0)
    apart = max(peak_bound_pps(config, targets_of(size), 1_000.0) for size in sizes)
    assert apart <= together <= 1.1 * apart


def test_a_limit_refuses_and_names_a_rate_that_respects_it() -> None:
    targets = targets_of(*[256] * 100)
    config = config_of(rate="10kpps", limits={"max_pps_per_24": 60})
    with pytest.raises(RefusedError, match=r"\$\.limits\.max_pps_per_24: 60: at 10kpps one /24 may get") as refused:
        check_pps_per_24(config, targets, load_of(config))
    rate = str(refused.value).partition("set rate to ")[2].partition("pps")[0]
    slower = config_of(rate=f"{rate}pps", limits={"max_pps_per_24": 60})
    check_pps_per_24(slower, targets, load_of(slower))
    assert int(rate) > 300
    slowest = config_of(rate="10kpps", limits={"max_pps_per_24": 1})
    with pytest.raises(RefusedError, match=r"set rate to 0\.\d+pps or less"):
        check_pps_per_24(slowest, targets, load_of(slowest))
    hopeless = config_of(rate="10kpps", limits={"max_pps_per_24": 0.5})
    with pytest.raises(RefusedError, match="no rate keeps to it"):
        check_pps_per_24(hopeless, targets, load_of(hopeless))


def test_the_ceiling_of_a_running_scan_respects_both_limits() -> None:
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
    assert peak_bound_pps(crowded, targets, ceiling) <= 60 < peak_bound_pps(crowded, targets, ceiling * 1.01)
    assert ceiling_pps(both, targets, load_of(both)) == pytest.approx(150, rel=0.01)


def test_check_and_dry_run_show_and_refuse(tmp_path: Path) -> None:
    config = tmp_path / "census.yaml"
    text = "name: c\ncontact: https://example.org\nrate: 10kpps\ntargets: {allow: [8.8.0.0/16]}\nlimits: "
    config.write_text(text + "{max_pps_per_24: 9000}\n")
    for command in (("config", "check", config), ("scan", "-C", config, "--dry-run")):
        shown = liveness(*command)
        assert shown.code == 0, shown.err
        assert "packets at most in the busiest second of any /24 (9000 allowed)" in shown.out
    config.write_text(text + "{max_pps_per_24: 50}\n")
    for command in (("config", "check", config), ("scan", "-C", config, "--dry-run"), ("scan", "-C", config)):
        assert_one_line(liveness(*command, cwd=tmp_path), 4, "$.limits.max_pps_per_24: 50", "set rate to ")
    config.write_text(text + "{max_pps_per_24: 0}\n")
    assert_one_line(liveness("config", "check", config), 2, "max_pps_per_24")


def test_the_packets_of_all_shards_count() -> None:
    """N machines with one sender each are a machine with N senders at N times the rate, and a queue N times as long."""
    targets = targets_of(*[256] * 64)
    whole = config_of(senders=4, retransmit={"attempts": 2, "queue": 4_000})
    shard = config_of(senders=1, shard={"index": 2, "of": 4})
    for rate_pps in (5.0, 50.0, 900.0):
        assert peak_bound_pps(shard, targets, rate_pps) == peak_bound_pps(whole, targets, 4 * rate_pps)
    limited = config_of(rate="100pps", shard={"index": 0, "of": 8}, limits={"max_pps_per_24": 50.0})
    check_pps_per_24(config_of(rate="100pps", limits={"max_pps_per_24": 50.0}), targets, load_of(limited))
    with pytest.raises(RefusedError, match="set rate to"):
        check_pps_per_24(limited, targets, load_of(limited))
