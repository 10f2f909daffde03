"""The pass counts what pyroaring counts, whatever the containers, however many bits a state has."""

from collections.abc import Sequence

import numpy as np
import pytest
from pyroaring import BitMap

from liveness.analysis.counting import walk
from liveness.analysis.counting.partition import Partition
from liveness.analysis.counting.scope import Scope, Within
from liveness.analysis.counting.states import RunStates
from liveness.analysis.measures.slices import SLICES
from liveness.analysis.results import analyze_sets, count_runs
from liveness.ipsets.portable_index import PortableSet
from liveness.ipsets.roaring import SetDigest, mask24
from liveness.replies import Kind, ReplyKey, Role, SetKey
from liveness.runs.manifest import Manifest, ProbeCounts
from liveness.runs.set_entry import SetEntry
from liveness.space.intervals import Intervals

Sets = dict[SetKey, BitMap]
EIGHT = ("icmp", "tcp/22", "tcp/23", "tcp/80", "tcp/443", "tcp/7547", "dns", "ntp")
MANY = ("icmp", *(f"tcp/{port}" for port in range(1, 41)), "dns")


def dense_sets(seed: int, probes: Sequence[str] = EIGHT) -> Sets:
    """Return sets of a few /16s with containers of every form, sources that share addresses."""
    random = np.random.default_rng(seed)
    sets: Sets = {}
    for probe in probes:
        kinds = {"icmp": [Kind.ECHO_REPLY], "dns": [Kind.ANSWER, Kind.PAYLOAD], "ntp": [Kind.ANSWER]}
        for kind in kinds.get(probe, [Kind.SYN_ACK, Kind.RST]):
            sets[SetKey(ReplyKey(probe, kind), Role.SOURCE)] = dense_set(random)
        for error in ((3, 1), (3, 3), (3, 13), (11, 0)):
            members = dense_set(random)
            sets[SetKey(ReplyKey(probe, Kind.ERROR, *error), Role.SOURCE)] = members
            sets[SetKey(ReplyKey(probe, Kind.ERROR, *error), Role.DIRECT)] = members & dense_set(random)
            sets[SetKey(ReplyKey(probe, Kind.ERROR, *error), Role.TARGET)] = dense_set(random)
    return sets


def dense_set(random: np.random.Generator) -> BitMap:
    members = BitMap()
    for key in (0, 10 << 8, 10 << 8 | 1, 0xFFFF):
        share = random.choice([0, 0.001, 0.05, 0.2, 0.9])
        members |= BitMap(((key << 16) + np.flatnonzero(random.random(1 << 16) < share)).tolist())
        first = (key << 16) + int(random.integers(0, 60000))
        members |= BitMap(range(first, first + int(random.integers(1, 3000))))
    if random.random() < 0.5:
        members.run_optimize()
    return members or BitMap([1])


def counted(runs: Sequence[Sets], probes: Sequence[str] = EIGHT, scope: Scope | None = None) -> list[RunStates]:
    return count_runs([run_of(sets, probes) for sets in runs], scope or Scope())[0]


def run_of(sets: Sets, probes: Sequence[str], name: str = "a"):  # type: ignore[no-untyped-def]  # noqa: ANN201
    manifest = Manifest(
        name=name,
        run_id="1",
        status="complete",
        seed=1,
        config={},
        started="2026-11-21T00:00:00Z",
        targets=9,
        probes={probe: ProbeCounts(sent=[9]) for probe in probes},
        sets=[SetEntry.of(key, SetDigest(len(members), "")) for key, members in sets.items()],
    )
    return manifest, lambda entry: PortableSet.of_bytes(sets[entry.key].serialize())


def union(sets: Sets, probes: Sequence[str], kinds: Sequence[Kind], role: Role = Role.SOURCE) -> BitMap:
    chosen = (
        s for key, s in sets.items() if key.reply.probe in probes and key.reply.kind in kinds and key.role == role
    )
    return BitMap.union(BitMap(), *chosen)


@pytest.mark.parametrize("probes", [EIGHT, MANY], ids=["one-word", "four-words"])
def test_states_are_pyroarings_counts(probes: Sequence[str]) -> None:
    sets = dense_sets(1, probes)
    [run] = counted([sets], probes)
    assert (run.states.shape[1] > 1) == (probes is MANY)
    assert run.counts.sum() == len(union(sets, probes, list(Kind)))
    assert len({tuple(state) for state in run.states.tolist()}) == len(run.states)
    chosen = [(probe, kind) for probe in probes for kind in Kind]
    for probe, kind in chosen[::3]:
        members = union(sets, [probe], [kind])
        assert run.count(run.sent([probe], [kind])) == len(members)
        for other in probes[::7]:
            errors = union(sets, [other], [Kind.ERROR])
            both = run.count(run.sent([probe], [kind]) & run.sent([other], [Kind.ERROR]))
            assert both == members.intersection_cardinality(errors)
    primary = union(sets, probes, [Kind.ERROR], Role.DIRECT)
    assert run.count(run.sent_primary()) == len(primary)
    assert run.count(run.sent_primary() & run.everything()) == len(primary)


def test_prefixes24_are_those_of_masked_sets() -> None:
    sets = dense_sets(2)
    [run] = counted([sets], scope=Scope(alive24=True))
    no_payload = [kind for kind in Kind if kind != Kind.PAYLOAD]
    for family, probes in {"icmp": EIGHT[:1], "tcp": EIGHT[1:6], "udp": EIGHT[6:]}.items():
        found = mask24(union(sets, probes, no_payload))
        assert run.prefixes24[run.families24()[family]].sum() == len(found)
    everyone = union(sets, EIGHT, no_payload)
    assert run.alive24 is not None
    expected = np.bincount(np.array(everyone.to_array(), np.int64) >> 8, minlength=1 << 24)
    assert np.array_equal(run.alive24, expected)


def test_a_full_table_is_emptied_and_the_pass_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = dense_sets(3)
    [whole] = counted([sets])
    monkeypatch.setattr(walk, "SLOTS", 1 << 10)  # room for two /24s at a time
    [pieces] = counted([sets])
    assert sorted(zip(whole.states.tolist(), whole.counts.tolist(), strict=True)) == sorted(
        zip(pieces.states.tolist(), pieces.counts.tolist(), strict=True)
    )


def test_within_restricts_every_set() -> None:
    sets, random = dense_sets(4), np.random.default_rng(5)
    edges = np.sort(random.choice(np.arange(10 << 24, (10 << 24) + (1 << 17)), 400, replace=False)).reshape(-1, 2)
    inside = Intervals.from_bounds([0, *edges[:, 0], 2**32 - 3], [255, *edges[:, 1], 2**32 - 1])
    mask = BitMap.union(
        *(
            BitMap(range(first, last + 1))
            for first, last in zip(inside.first.tolist(), inside.last.tolist(), strict=True)
        )
    )
    [run] = counted([sets], scope=Scope(within=Within(("some",), inside)))
    [expected] = counted([{key: cut for key, members in sets.items() if (cut := members & mask)}])
    assert run.counts.sum() == expected.counts.sum() > 0
    for probe in EIGHT:
        for kind in Kind:
            chosen, alike = run.sent([probe], [kind]), expected.sent([probe], [kind])
            assert run.count(chosen) == expected.count(alike)
    assert np.array_equal(run.prefixes24, expected.prefixes24)


def test_slices_of_dense_sets_add_up() -> None:
    sets = dense_sets(6)
    random = np.random.default_rng(7)
    first = np.unique(np.append(random.integers(10 << 24, (10 << 24) + (1 << 17), 900), 0)).astype(np.uint32)
    label = random.integers(0, 5, len(first)).astype(np.int32)
    partition = Partition("asn", first, label, ["a", "b", "c", "d", None])
    results = analyze_sets([run_of(sets, EIGHT)], Scope(partition=partition)).runs[0]
    sliced = results[SLICES]
    assert sliced is not None
    assert sum(part.addresses.all for part in sliced.slices) == results.ipall
    found = union(sets, EIGHT, [kind for kind in Kind if kind != Kind.PAYLOAD])
    where = label[np.searchsorted(first, np.array(found.to_array(), np.uint32), side="right") - 1]
    for part in sliced.slices:
        mine = np.array(found.to_array(), np.uint32)[where == partition.names.index(part.name)]
        assert part.addresses.all == len(mine)
        assert part.prefixes24.all == len(np.unique(mine >> 8))


def test_turnover_and_retention_are_pyroarings() -> None:
    runs = [dense_sets(seed) for seed in (8, 9, 10)]
    results = analyze_sets([run_of(sets, EIGHT, name) for sets, name in zip(runs, "xyz", strict=True)])
    no_payload = [kind for kind in Kind if kind != Kind.PAYLOAD]
    alive = [union(sets, EIGHT, no_payload) for sets in runs]
    for place, change in enumerate(results.changes):
        old, new = alive[place], alive[place + 1]
        assert (change.all.born, change.all.died, change.all.stayed) == (len(new - old), len(old - new), len(old & new))
        for port, turnover in change.ports.items():
            old, new = (union(sets, [f"tcp/{port}"], [Kind.SYN_ACK]) for sets in runs[place : place + 2])
            assert (turnover.born, turnover.died, turnover.stayed) == (len(new - old), len(old - new), len(old & new))
    assert [curve.addresses for curve in results.retention] == [len(alive[0]), len(alive[1])]
    assert results.retention[0].alive == [len(alive[0] & alive[1]), len(alive[0] & alive[2])]
    assert results.retention[0].throughout == [len(alive[0] & alive[1]), len(alive[0] & alive[1] & alive[2])]


def test_large_runs_are_read_in_smaller_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = dense_sets(11)
    whole = analyze_sets([run_of(sets, EIGHT)] * 2)
    monkeypatch.setattr(walk, "UNIT_BYTES", 1)
    assert repr(analyze_sets([run_of(sets, EIGHT)] * 2)) == repr(whole)
