"""Parts of the address space: restricted runs and slices equal the count over the replies whose source lies there."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from liveness.analysis.counting.partition import Labelled, by_prefix8, by_prefixes
from liveness.analysis.counting.scope import Scope, Within
from liveness.analysis.document import document, encode
from liveness.analysis.results import analyze_runs, analyze_sets
from liveness.replies import Kind
from liveness.space.intervals import Intervals
from tests.analysis import brute_force
from tests.analysis.test_document import populations
from tests.populations import BASE, Population, Reply, town

ADDRESS = st.one_of(st.integers(0, 2**32 - 1), st.integers(0x0A000000, 0x0A000300))
COUNTED_AS_A_WHOLE = ("error_messages", "gains", "loss", "targets", "response_rates")


@st.composite
def prefixes(draw: st.DrawFn) -> Labelled:
    length = draw(st.sampled_from([0, 8, 22, 24, 25, 26, 29, 32]))
    base = draw(ADDRESS) >> (32 - length) << (32 - length) if length else 0
    return base, length, draw(st.sampled_from("abcd"))


def label_of(address: int, table: list[Labelled]) -> set[str | None]:
    """Return the labels of the longest prefixes that cover an address: more than one if the data says two things."""
    covering = [entry for entry in table if address >> (32 - entry[1]) == entry[0] >> (32 - entry[1])]
    longest = max((length for _, length, _ in covering), default=None)
    return {label for _, length, label in covering if length == longest} or {None}


@settings(max_examples=100, deadline=None)
@given(populations(), st.lists(st.tuples(ADDRESS, ADDRESS), min_size=1, max_size=4))
def test_a_restricted_run_equals_the_count_over_its_part(population: Population, bounds: list[tuple[int, int]]) -> None:
    inside = Intervals.from_bounds([min(pair) for pair in bounds], [max(pair) for pair in bounds])
    scope = Scope(within=Within(("some",), inside))
    [run] = document(analyze_sets([(population.manifest(), population.open_set)], scope))["runs"]
    part = [reply for reply in population.replies if inside.contains([reply.source])[0]]
    expected = brute_force.run_document(replace(population, replies=part))
    assert run.pop("within") == {"given": ["some"], "addresses": inside.count}
    assert run["gains"]["retransmit"] == {}
    assert run["loss"] == {}
    assert run["response_rates"] == {}
    assert run["error_messages"] == {"icmp": {}, "tcp": {}, "udp": {}}
    assert run["targets"] is None
    assert run["gains"]["negative"] == expected["gains"]["negative"]
    for name, counted in expected.items():
        if name not in COUNTED_AS_A_WHOLE:
            assert run[name] == counted, name


@settings(max_examples=100, deadline=None)
@given(populations(), st.lists(prefixes(), max_size=8, unique_by=lambda entry: entry[:2]))
def test_slices_equal_the_count_over_their_part(population: Population, table: list[Labelled]) -> None:
    scope = Scope(partition=by_prefixes("asn", table))
    [run] = document(analyze_sets([(population.manifest(), population.open_set)], scope))["runs"]
    assert run["slices"]["by"] == "asn"
    found: dict[str | None, Any] = {part.pop("slice"): part for part in run["slices"]["slices"]}
    assert len(found) == len(run["slices"]["slices"])
    sources = {reply.source for reply in population.replies}
    assert set(found) == {label for source in sources for label in label_of(source, table)}
    for label, part in found.items():
        alone = [reply for reply in population.replies if label in label_of(reply.source, table)]
        expected = brute_force.run_document(replace(population, replies=alone))
        assert part == {"taxonomy": expected["taxonomy"], "coverage": expected["coverage"]}


@given(st.lists(prefixes(), max_size=12, unique_by=lambda entry: entry[:2]), st.lists(ADDRESS, min_size=1))
def test_the_longest_prefix_counts(table: list[Labelled], addresses: list[int]) -> None:
    partition = by_prefixes("asn", table)
    assert partition.first[0] == 0
    assert np.all(np.diff(partition.first.astype(np.int64)) > 0)
    edges = [edge for base, length, _ in table for edge in (base, base + (1 << (32 - length)) - 1)]
    for address in [*addresses, *edges]:
        place = np.searchsorted(partition.first, np.uint32(address), side="right") - 1
        assert {partition.names[partition.label[place]]} == label_of(address, table)


def test_slices_by_prefix8_are_sorted_by_size() -> None:
    sent = [Reply("icmp", Kind.ECHO_REPLY, address, address) for address in (1 << 24, 9 << 24, (9 << 24) + 1)]
    scope = Scope(partition=by_prefix8())
    population = Population(sent)
    results = analyze_sets([(population.manifest(), population.open_set)], scope)
    document_ = msgspec.json.decode(encode(results))
    assert [part["slice"] for part in document_["runs"][0]["slices"]["slices"]] == ["9.0.0.0/8", "1.0.0.0/8"]


def test_targets_within_are_counted_in_the_runs_own_list(tmp_path: Path) -> None:
    run = town().write(tmp_path)
    scope = Scope(within=Within(("10.0.0.0/24",), Intervals.from_bounds([BASE], [BASE + 255])))
    assert analyze_runs([run], scope).runs[0].targets is None  # no list
    run.write_targets(["10.0.0.128/25", "11.0.0.0/25"])
    assert analyze_runs([run], scope).runs[0].targets is None  # the run took a sample of its list
    run.write_targets(["10.0.0.128/25", "10.1.0.0/25", "11.0.0.0/21", "12.0.0.0/22", "13.0.0.0/23", "14.0.0.0/24"])
    assert analyze_runs([run], scope).runs[0].targets == 128
    assert analyze_runs([run]).runs[0].targets == 4096
