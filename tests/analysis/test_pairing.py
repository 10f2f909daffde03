"""Which runs are compared, on what, and what that leaves out: against dictionaries, whatever lies in the directory."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveness.analysis.counting.scope import Scope, Within
from liveness.analysis.document import document
from liveness.analysis.results import analyze_runs
from liveness.census.report import compare
from liveness.replies import Kind
from liveness.runs.finding import find_runs
from liveness.runs.manifest import Manifest, ProbeCounts
from liveness.runs.optout_record import KeptOptOuts, OptOuts, write_opt_outs
from liveness.runs.rundir import RunDirectory
from liveness.space.intervals import Intervals
from tests.analysis import brute_force
from tests.populations import Population, Reply

BASE = 10 << 24
BLOCKS = tuple(range(4))
"""The /30s that runs may have as targets, by their places behind BASE."""
PROBES = ("icmp", "tcp/80", "tcp/443")
Telling = Literal["list", "config"]


def prefix(block: int) -> str:
    return f"10.0.0.{4 * block}/30"


@dataclass(frozen=True)
class Ran:
    """One run: what it was, what it probed, what opted out of it since, and who was alive."""

    name: str
    status: Literal["complete", "partial", "running"]
    blocks: frozenset[int]
    gone: frozenset[int]
    told_by: Telling
    population: Population

    @property
    def targets(self) -> set[int]:
        return {BASE + 4 * block + host for block in self.blocks - self.gone for host in range(4)}

    def write(self, output: Path, number: int) -> RunDirectory:
        run_id, started = f"run-{number}", f"2026-11-{1 + number:02}T00:00:00Z"
        named = replace(self.population, name=self.name, run_id=run_id, started=started, status=self.status)
        directory = named.write(output)
        planned, left = 4 * len(self.blocks), len(self.targets)
        prefixes = [prefix(block) for block in sorted(self.blocks)]
        changed = msgspec.structs.replace(
            directory.read_manifest(),
            targets=left,
            probes={probe: ProbeCounts(sent=[planned, planned]) for probe in self.population.probes},
            config={"name": self.name, "targets": {"allow": prefixes, "block": []}},
            opt_outs=OptOuts(targets=planned - left),
        )
        directory.write_manifest(changed)
        if self.told_by == "list":
            directory.write_targets(prefixes)
        if self.gone:
            write_opt_outs(directory.path, KeptOptOuts(prefixes=[prefix(block) for block in sorted(self.gone)]))
        return directory

    def shared(self, other: "Ran") -> set[int]:
        return self.targets & other.targets

    def comparable(self, other: "Ran") -> bool:
        return bool(self.shared(other)) and bool(set(self.population.probes) & set(other.population.probes))


@st.composite
def ran(draw: st.DrawFn) -> Ran:
    probes = tuple(draw(st.lists(st.sampled_from(PROBES), min_size=1, max_size=3, unique=True)))
    replies = draw(
        st.lists(
            st.tuples(st.sampled_from(probes), st.sampled_from(BLOCKS), st.integers(0, 3)).map(
                lambda entry: Reply(
                    entry[0],
                    Kind.ECHO_REPLY if entry[0] == "icmp" else Kind.SYN_ACK,
                    BASE + 4 * entry[1] + entry[2],
                    BASE + 4 * entry[1] + entry[2],
                )
            ),
            max_size=12,
        )
    )
    blocks = draw(st.frozensets(st.sampled_from(BLOCKS), min_size=1))
    return Ran(
        name=draw(st.sampled_from(["weekly", "weekly", "daily"])),
        status=draw(st.sampled_from(["complete", "complete", "complete", "partial", "running"])),
        blocks=blocks,
        gone=draw(st.frozensets(st.sampled_from(sorted(blocks)), max_size=1)),
        told_by=draw(st.sampled_from(["list", "config"])),
        population=Population(replies, probes, control=False),
    )


def without_opt_outs(run: Ran) -> Population:
    kept = [reply for reply in run.population.replies if (reply.source - BASE) // 4 not in run.gone]
    return replace(run.population, replies=kept)


def expected_pairs(runs: Sequence[Ran]) -> list[tuple[int, int]]:
    pairs = []
    for after, run in enumerate(runs):
        for before in range(after - 1, -1, -1):
            other = runs[before]
            if run.status == other.status == "complete" and run.name == other.name and run.comparable(other):
                pairs.append((before, after))
                break
    return pairs


def analysed(runs: Sequence[Ran]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        for number, run in enumerate(runs):
            run.write(Path(folder), number)
        return document(analyze_runs(find_runs(Path(folder))))


@settings(max_examples=100, deadline=None)
@given(st.lists(ran(), min_size=1, max_size=5))
def test_only_complete_runs_of_one_census_are_compared_on_what_both_probed(runs: list[Ran]) -> None:
    result = analysed(runs)
    pairs = expected_pairs(runs)
    ids = [f"{run.name}/run-{number}" for number, run in enumerate(runs)]
    assert [(change["from"], change["to"]) for change in result["changes"]] == [(ids[a], ids[b]) for a, b in pairs]
    for (a, b), change in zip(pairs, result["changes"], strict=True):
        before, after = runs[a], runs[b]
        common = before.shared(after)
        counted = {name: part for name, part in change.items() if name not in ("from", "to", "left_out")}
        counting = None if before.targets == after.targets == common else common  # routers count too then
        expected = brute_force.turnover(without_opt_outs(before), without_opt_outs(after), counting)
        assert counted == {**expected, "targets": len(common)}
        assert change["left_out"]["targets"] == {
            "from": len(before.targets) - len(common),
            "to": len(after.targets) - len(common),
        }
        assert set(change["left_out"]["probes"]["from"]) == {*before.population.probes} - {*change["probes"]}
    unfinished = {ids[place] for place, run in enumerate(runs) if run.status != "complete" and len(runs) > 1}
    reported = {entry["run"] for entry in result["not_compared"]}
    assert unfinished <= reported
    assert not reported & {ids[after] for _, after in pairs}


@settings(max_examples=60, deadline=None)
@given(st.lists(ran(), min_size=1, max_size=4))
def test_opted_out_addresses_count_nowhere(runs: list[Ran]) -> None:
    for run, found in zip(runs, analysed(runs)["runs"], strict=True):
        alive = {reply.source for reply in run.population.replies if (reply.source - BASE) // 4 not in run.gone}
        assert found["taxonomy"]["network_alive"] == len(alive)
        assert found["targets"] == len(run.targets)
        assert found.get("opted_out", 0) == 4 * len(run.blocks & run.gone)


@settings(max_examples=60, deadline=None)
@given(st.lists(ran(), min_size=2, max_size=5))
def test_retention_follows_addresses_on_the_targets_of_all_runs_compared(runs: list[Ran]) -> None:
    result = analysed(runs)
    ids = [f"{run.name}/run-{number}" for number, run in enumerate(runs)]
    for curve in result["retention"]:
        followed = [runs[ids.index(name)] for name in (curve["run"], *curve["later"])]
        chain = [entry for entry in result["retention"] if entry["run"].partition("/")[0] == followed[0].name]
        members = [runs[ids.index(name)] for name in (chain[0]["run"], *chain[0]["later"])]
        assert all(run.status == "complete" and run.name == followed[0].name for run in members)
        common = set.intersection(*(run.targets for run in members))
        probes = [probe for probe in PROBES if all(probe in run.population.probes for run in members)]
        counting = None if all(run.targets == common for run in members) else common  # routers count too then
        parts = [brute_force.shared_part(without_opt_outs(run), probes, counting) for run in followed]
        assert curve["targets"] == len(common)
        numbers = {name: part for name, part in curve.items() if name not in ("run", "later", "targets")}
        assert numbers == brute_force.retention(parts)[0]


def runs_of(*changes: dict[str, Any]) -> list[Ran]:
    """Return runs of one census that differ by the given fields."""
    alive = [Reply("icmp", Kind.ECHO_REPLY, BASE + host, BASE + host) for host in range(16)]
    usual = Ran(
        name="weekly",
        status="complete",
        blocks=frozenset(BLOCKS),
        gone=frozenset(),
        told_by="list",
        population=Population(alive, ("icmp",), control=False),
    )
    return [replace(usual, **change) for change in changes]


def test_opt_outs_did_not_die() -> None:
    [change] = analysed(runs_of({}, {"blocks": frozenset({0, 1, 2}), "population": Population([], ("icmp",))}))[
        "changes"
    ]
    assert (change["targets"], change["died"]) == (12, 12)
    [change] = analysed(runs_of({}, {"gone": frozenset({3})}))["changes"]
    assert (change["targets"], change["died"], change["stayed"]) == (12, 0, 12)


def test_a_run_that_is_still_running_is_left_out_with_the_reason() -> None:
    result = analysed(runs_of({}, {"status": "running"}, {}))
    assert [(change["from"], change["to"]) for change in result["changes"]] == [("weekly/run-0", "weekly/run-2")]
    assert result["not_compared"] == [{"run": "weekly/run-1", "reason": "status running"}]


def test_runs_that_do_not_show_their_targets_compare_only_with_their_like(tmp_path: Path) -> None:
    def changed(number: int, **changes: Any) -> None:  # noqa: ANN401 - fields of a manifest
        directory = runs_of({"told_by": "config"})[0].write(tmp_path, number)
        directory.write_manifest(msgspec.structs.replace(directory.read_manifest(), **changes))

    by_file = {"targets": {"allow": ["list.txt"], "block": []}}
    changed(0, config=by_file)
    changed(1, config=by_file)
    changed(2, config=by_file, targets=15)
    changed(3, config={"targets": {"allow": ["other.txt"], "block": []}})
    result = document(analyze_runs(find_runs(tmp_path)))
    assert [(change["from"], change["to"], change["targets"]) for change in result["changes"]] == [
        ("weekly/run-0", "weekly/run-1", 16)
    ]
    reasons = {entry["run"]: entry["reason"] for entry in result["not_compared"]}
    assert reasons.keys() == {"weekly/run-2", "weekly/run-3"}
    assert all("does not tell what it probed" in reason for reason in reasons.values())


def sampled(tmp_path: Path, number: int, seed: int) -> Manifest:
    directory = runs_of({})[0].write(tmp_path, number)
    manifest = msgspec.structs.replace(
        directory.read_manifest(), targets=8, seed=seed, config={"limits": {"max_targets": 8}, "block_prefix": 3}
    )
    directory.write_manifest(manifest)
    return manifest


def test_samples_compare_only_with_the_same_sample(tmp_path: Path) -> None:
    for number, seed in enumerate((1, 1, 2)):
        sampled(tmp_path, number, seed)
    result = document(analyze_runs(find_runs(tmp_path)))
    assert [(change["from"], change["to"], change["targets"]) for change in result["changes"]] == [
        ("weekly/run-0", "weekly/run-1", 8)
    ]
    assert result["not_compared"] == [
        {"run": "weekly/run-2", "reason": "it probed another sample of targets than weekly/run-1 or any run before it"}
    ]


def test_a_part_of_the_address_space_has_its_own_denominator(tmp_path: Path) -> None:
    for number, run in enumerate(runs_of({}, {"blocks": frozenset({0, 1})})):
        run.write(tmp_path, number)
    within = Within(("10.0.0.0/30",), Intervals.from_bounds([BASE], [BASE + 3]))
    [change] = document(analyze_runs(find_runs(tmp_path), Scope(within=within)))["changes"]
    assert (change["targets"], change["stayed"]) == (4, 4)


def test_routers_count_where_the_targets_are_the_same(tmp_path: Path) -> None:
    router = Reply("icmp", Kind.ERROR, BASE + 500, BASE, (3, 1))
    seen = [*runs_of({})[0].population.replies, router]
    several = runs_of({"population": Population(seen, ("icmp",), control=False)}, {}, {"blocks": frozenset({0})})
    for number, run in enumerate(several):
        run.write(tmp_path, number)
    same, fewer = document(analyze_runs(find_runs(tmp_path)))["changes"]
    assert (same["targets"], same["died"], same["stayed"]) == (16, 1, 16)
    assert (fewer["targets"], fewer["died"], fewer["stayed"]) == (4, 0, 4)


def test_runs_that_somebody_names_are_compared_whatever_they_are(tmp_path: Path) -> None:
    named = [run.write(tmp_path, number) for number, run in enumerate(runs_of({}, {"name": "other"}))]
    assert compare(named).changes[0].all.stayed == 16
    assert analyze_runs(named).changes == []


def test_retention_needs_probes_in_common(tmp_path: Path) -> None:
    alive = [Reply("tcp/80", Kind.SYN_ACK, BASE, BASE)]
    changes = [{}, {"population": Population(alive, ("tcp/80",), control=False)}]
    named = [run.write(tmp_path, number) for number, run in enumerate(runs_of(*changes))]
    assert document(analyze_runs(named))["retention"] == []
    assert document(compare(named))["retention"] == []


@pytest.mark.parametrize(
    "other",
    [
        {"population": Population([Reply("tcp/80", Kind.SYN_ACK, BASE, BASE)], ("tcp/80",), control=False)},
        {"blocks": frozenset[int]()},
    ],
    ids=["probe", "target"],
)
def test_runs_that_somebody_names_need_a_probe_and_a_target_in_common(tmp_path: Path, other: dict[str, Any]) -> None:
    named = [run.write(tmp_path, number) for number, run in enumerate(runs_of({}, other))]
    result = document(compare(named))
    reason = "no target or no probe in common with weekly/run-0"
    assert (result["changes"], result["not_compared"]) == ([], [{"run": "weekly/run-1", "reason": reason}])


@pytest.mark.parametrize(("reached", "targets"), [([4, 2], 4), ([16, 0], 16), ([0, 0], 0)], ids=str)
def test_a_partial_run_has_the_targets_that_it_came_to(tmp_path: Path, reached: list[int], targets: int) -> None:
    directory = runs_of({"status": "partial"})[0].write(tmp_path, 0)
    probes = {"icmp": ProbeCounts(sent=reached)}
    directory.write_manifest(msgspec.structs.replace(directory.read_manifest(), probes=probes))
    [run] = document(analyze_runs([directory]))["runs"]
    assert (run["targets"], run["planned"]) == (targets, 16)
