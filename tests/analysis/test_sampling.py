"""Intervals of samples: against published tables, the score test itself, a bootstrap over /24s, and draws."""

from collections import Counter
from dataclasses import replace
from math import sqrt
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from liveness.analysis.document import document
from liveness.analysis.measure import RunResults
from liveness.analysis.results import analyze_sets, count_runs
from liveness.analysis.sampling import Clusters, Sampling, wilson
from liveness.analysis.tables import Share
from liveness.replies import Kind
from liveness.report.text import tables_text
from tests.analysis.test_document import populations
from tests.populations import Population, Reply, town

Z = 1.959963984540054


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_examples(part: int, whole: int, low: float, high: float) -> None:
    """Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I, method 3."""
    assert list(wilson(part / whole, whole)) == pytest.approx([low, high], abs=5e-5)


@given(st.integers(1, 10_000), st.data())
def test_its_ends_are_where_the_score_test_begins_to_reject(whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, whole))
    share = part / whole
    for end, outwards in zip(wilson(share, whole), (-1e-6, 1e-6), strict=True):
        assert 0 <= end <= 1

        def score(p: float) -> float:
            return abs(share - p) / sqrt(max(p * (1 - p), 1e-300) / whole)

        if 1e-5 < end < 1 - 1e-5:
            assert score(end - outwards) <= Z <= score(end + outwards)


def clusters_of(probes: tuple[str, ...], active: list[NDArray[np.uint32]]) -> Clusters:
    """Return the sums over /24s, added in two parts."""
    found = Clusters.empty(probes)
    for part in (0, 1):
        found.add([members[members >> 12 & 1 == part] for members in active])
    return found


def activity(random: np.random.Generator, blocks: int, size: int) -> list[NDArray[np.uint32]]:
    """Return addresses active for two probes in blocks of very different habits."""
    habits = random.beta(0.5, 0.5, blocks)
    given, also = [], []
    for block, habit in enumerate(habits):
        members = np.arange(random.integers(1, size + 1), dtype=np.uint32) + np.uint32(block << 8)
        given.append(members)
        also.append(members[random.random(len(members)) < habit])
    return [np.concatenate(given), np.concatenate(also)]


def test_clusters_are_counted_as_by_hand() -> None:
    random = np.random.default_rng(1)
    active = activity(random, 50, 40)
    found = clusters_of(("a", "b"), active)
    in_blocks = [np.bincount(members >> 8, minlength=50) for members in active]
    both = np.bincount(np.intersect1d(active[0], active[1]) >> 8, minlength=50)
    counts = {(0, 0): in_blocks[0], (1, 1): in_blocks[1], (0, 1): both, (1, 0): both}
    for (x, y), numbers in counts.items():
        assert found.both[x, y] == numbers.sum()
        assert found.both_both[x, y] == (numbers**2).sum()
        assert found.given_both[x, y] == (in_blocks[x] * numbers).sum()
        assert found.occupied[x] == np.count_nonzero(in_blocks[x])


def test_the_variance_is_that_of_a_bootstrap_over_prefixes24() -> None:
    random = np.random.default_rng(2)
    active = activity(random, 400, 60)
    whole = np.bincount(active[0] >> 8, minlength=400)
    part = np.bincount(active[1] >> 8, minlength=400)
    drawn = random.multinomial(400, np.full(400, 1 / 400), size=4000)
    bootstrap = ((drawn @ part) / (drawn @ whole)).std()
    effective = clusters_of(("a", "b"), active).effective(0, 1)
    assert effective is not None
    p = part.sum() / whole.sum()
    assert sqrt(p * (1 - p) / effective) == pytest.approx(bootstrap, rel=0.06)
    assert effective < whole.sum() / 5, "addresses of one block are alike: a count of addresses would claim too much"


def test_intervals_of_clusters_hold_the_truth_and_those_of_addresses_do_not() -> None:
    random = np.random.default_rng(3)
    sampling = Sampling("sample", 1, None)
    held, held_naive, rounds = 0, 0, 400
    for _ in range(rounds):
        active = activity(random, 60, 30)
        found = clusters_of(("a", "b"), active)
        share = Share(len(active[1]) / len(active[0]))
        clustered = sampling.interval(share, found.effective(0, 1), finite=False)
        naive = sampling.interval(share, len(active[0]), finite=False)
        assert clustered.low is not None
        assert clustered.high is not None
        assert naive.low is not None
        assert naive.high is not None
        held += clustered.low <= 0.5 <= clustered.high  # the mean of the habits
        held_naive += naive.low <= 0.5 <= naive.high
    assert 0.91 <= held / rounds <= 0.99
    assert held_naive / rounds < 0.6


def test_a_sample_of_a_finite_population_holds_its_share() -> None:
    random = np.random.default_rng(4)
    population = np.zeros(2000, np.bool_)
    population[:300] = True
    sampling = Sampling("sample", 1000, 2000)
    held, widths = 0, []
    for _ in range(1000):
        drawn = random.choice(population, 1000, replace=False)
        share = sampling.share(int(drawn.sum()), 1000)
        assert share.low is not None
        assert share.high is not None
        held += share.low <= 0.15 <= share.high
        widths.append(share.high - share.low)
    assert 0.935 <= held / 1000 <= 0.985
    assert np.mean(widths) < 0.75 * np.diff(wilson(0.15, 1000))[0], "half the population is known"


def test_shares_without_variance_rest_on_as_many_observations_as_clusters() -> None:
    members = np.arange(1000, dtype=np.uint32)
    found = clusters_of(("a", "b", "c"), [members, members, members[:0]])
    assert found.effective(0, 1) == 4  # /24s
    assert found.effective(2, 0) is None
    assert found.effective(0, 2) == 4


def run_of(limits: dict[str, Any], **changes: object) -> RunResults:
    population = town()
    config = {"name": "census", "targets": {"allow": ["10.0.0.0/19"]}, "limits": limits}
    manifest = msgspec.structs.replace(population.manifest(), config=config, **changes)
    return analyze_sets([(manifest, population.open_set)]).runs[0]


def printed(population: Population, limits: dict[str, Any], **changes: object) -> str:
    config = {"name": "census", "targets": {"allow": ["10.0.0.0/19"]}, "limits": limits}
    manifest = msgspec.structs.replace(population.manifest(), config=config, **changes)
    return tables_text(analyze_sets([(manifest, population.open_set)]))


def test_a_sample_has_intervals_and_says_of_what() -> None:
    run = run_of({"max_targets": 4096})
    assert (run.sampling.kind, run.sampling.targets, run.sampling.listed) == ("sample", 4096, 8192)
    population = town()
    config = {"name": "census", "targets": {"allow": ["10.0.0.0/19"]}, "limits": {"max_targets": 4096}}
    manifest = msgspec.structs.replace(population.manifest(), config=config)
    part = document(analyze_sets([(manifest, population.open_set)]))["runs"][0]
    assert part["sample"] == {"targets": 4096, "of": 8192}
    rate = part["response_rates"]["icmp"]
    low, high = wilson(rate["answered"] / 4096, 4096 / (1 - 0.5))
    assert (rate["low"], rate["high"]) == (low, high)
    intervals = part["conditional"]["intervals"]
    assert intervals.keys() == part["conditional"]["replies"].keys()
    for x, row in part["conditional"]["replies"].items():
        assert intervals[x].pop(x) is None
        for y, (low_xy, high_xy) in intervals[x].items():
            assert low_xy < row[y] < high_xy
    text = printed(population, {"max_targets": 4096})
    assert "of a random sample of 4,096 of 8,192 targets." in text
    assert f"3.3% ({100 * low:.1f}-{100 * high:.1f})" in text
    assert "with /24s as the independent units" in text


@pytest.mark.parametrize(
    ("limits", "changes", "why"),
    [
        ({}, {"targets": 8192}, "No intervals: every target was probed"),
        ({"max_targets": 4096}, {"status": "partial"}, "No intervals: the run stopped early"),
    ],
)
def test_what_is_no_sample_has_none_and_says_why(limits: dict[str, Any], changes: dict[str, object], why: str) -> None:
    text = printed(town(), limits, **changes)
    assert why in text
    assert "In parentheses" not in text
    run = run_of(limits, **changes)
    assert run.sampling.kind != "sample"
    assert run.sampling.share(1, 2) == Share.of_counts(1, 2)


@settings(max_examples=50, deadline=None)
@given(populations())
def test_activity_by_prefix24_is_that_of_the_replies(population: Population) -> None:
    """Sets of arrays, bitmaps and runs are read as what a dictionary says of every reply."""
    dense = [Reply("icmp", Kind.ECHO_REPLY, 5 << 24 | host, 5 << 24 | host) for host in range(0, 20_000, 3)]
    probes = population.probes
    replies = [*population.replies, *(dense if "icmp" in probes else [])]
    population = replace(population, replies=replies)
    config = {"name": "census", "limits": {"max_targets": 4096}}
    manifest = msgspec.structs.replace(population.manifest(), config=config)
    [states], _ = count_runs([(manifest, population.open_set)])
    active = {probe: set[int]() for probe in probes}
    for reply in replies:
        if reply.probe in active and reply.kind != Kind.ERROR:
            active[reply.probe].add(reply.source)
    found = states.clusters
    assert found is not None
    assert found.probes == states.probes
    for x, given_probe in enumerate(found.probes):
        blocks = {address >> 8 for address in active[given_probe]}
        assert found.occupied[x] == len(blocks)
        for y, probe in enumerate(found.probes):
            both = active[given_probe] & active[probe]
            counts = Counter(address >> 8 for address in both)
            whole = Counter(address >> 8 for address in active[given_probe])
            assert found.both[x, y] == len(both)
            assert found.both_both[x, y] == sum(number**2 for number in counts.values())
            assert found.given_both[x, y] == sum(number * whole[block] for block, number in counts.items())
