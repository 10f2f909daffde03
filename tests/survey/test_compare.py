"""`liveness survey compare`: censuses, surveys and passive runs over their common addresses, by brute force."""

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liveness.planes.blocks import Blocks
from liveness.planes.manifest import ProbeRounds, SurveyManifest, Times, write_manifest
from liveness.planes.matrix import Planes, write_phases, write_planes
from liveness.planes.rundir import SurveyRun, create_run
from liveness.replies import Kind
from liveness.space.addresses import format_address
from tests.cli.support import liveness
from tests.passive.drawn import EPOCH_S, SECOND
from tests.passive.judge import ACK, SYN, TCP, Record
from tests.passive.test_judge import run_of
from tests.populations import Population, Reply

BASE = 0x0A000000
ROUNDS = 5


@dataclass
class World:
    """Who is seen by what: addresses, as offsets from BASE."""

    seen: dict[str, set[int]] = field(default_factory=dict)
    scope: set[int] = field(default_factory=set)


def draw(chance: random.Random, space: range, share: float) -> set[int]:
    return {offset for offset in space if chance.random() < share}


def write_census(folder: Path, chance: random.Random) -> tuple[Path, World]:
    """Write a census of 10.0.0.0/23 with replies that count, and some that do not."""
    space = range(512)
    icmp, tcp, dns = (draw(chance, space, share) for share in (0.3, 0.2, 0.05))
    other = draw(chance, space, 0.1) - icmp  # their echo replies come from elsewhere
    reset = draw(chance, space, 0.3) - tcp
    replies = [Reply("icmp", Kind.ECHO_REPLY, BASE + x, BASE + x) for x in icmp]
    replies += [Reply("icmp", Kind.ECHO_REPLY, BASE + (x + 1) % 512, BASE + x) for x in other]
    replies += [Reply("tcp/80" if x % 2 else "tcp/443", Kind.SYN_ACK, BASE + x, BASE + x) for x in tcp]
    replies += [Reply("tcp/22", Kind.RST, BASE + x, BASE + x) for x in reset]
    replies += [Reply("tcp/control", Kind.SYN_ACK, BASE + x, BASE + x) for x in draw(chance, space, 0.1)]
    replies += [Reply("dns", Kind.ANSWER, BASE + x, BASE + x) for x in dns]
    run = Population(replies).write(folder)
    run.write_targets(["10.0.0.0/23"])
    return run.path, World({"icmp": icmp, "tcp": tcp, "udp": dns}, set(space))


def write_survey(path: Path, chance: random.Random) -> tuple[Path, World]:
    """Write a survey of 10.0.1.0/24 and 10.0.2.0/24, of whose addresses some were never sent a probe."""
    blocks = Blocks.of(np.array([BASE >> 8 | 1, BASE >> 8 | 2], np.uint32))
    create_run(path, blocks)
    sent = draw(chance, range(512), 0.9)
    counts, seen = {}, {}
    for probe, method in (("icmp", "icmp"), ("tcp/80", "tcp")):
        found = {x for x in sent if chance.random() < 0.3}
        planes = Planes.empty(512, ROUNDS)
        pairs = np.array([(x, r) for x in sent for r in range(ROUNDS)], np.int64)
        planes.put("sent", pairs[:, 0], pairs[:, 1])
        once = np.array([(x, chance.randrange(ROUNDS)) for x in found], np.int64)
        planes.put("positive", once[:, 0], once[:, 1])
        late = np.array([(x, 1) for x in sent - found], np.int64)[:40]
        planes.put("late", late[:, 0], late[:, 1])
        write_planes(path, probe, iter([planes]))
        counts[probe], seen[method] = ProbeRounds(), {256 + x for x in found}
    write_phases(path, np.zeros(512, np.uint32))
    manifest = SurveyManifest(
        name="s", run_id="one", status="complete", interval_s=660.0, survey=Times(start="2017-07-14T02:40:00Z"),
        start_ns=15 * 10**17, rounds=ROUNDS, blocks=2, probes=counts,
    )  # fmt: skip
    write_manifest(manifest, path)
    SurveyRun.open(path)
    return path, World(seen, {256 + x for x in sent})


def write_passive(folder: Path, chance: random.Random) -> tuple[Path, World]:
    """Write a passive run of 10.0.0.0/23: some addresses converse, others are only knocked at."""
    two_way = draw(chance, range(512), 0.4)
    knocked = draw(chance, range(512), 0.3)
    at = EPOCH_S * SECOND
    records = []
    for x in sorted(two_way | knocked):
        local = format_address(BASE + x)
        records.append(Record(at, at, "80.0.0.9", local, 2000 + x, 80, TCP, 5, 400, SYN | ACK))
        if x in two_way:
            records.append(Record(at + 1, at + 1, local, "80.0.0.9", 80, 2000 + x, TCP, 5, 400, SYN | ACK))
    run_of(folder, records, local=["10.0.0.0/24", "10.0.1.0/24"])
    return folder / "out/campus/run", World({"passive": two_way}, set(range(512)))


def expected(worlds: list[World]) -> dict[str, Any]:
    """Return the counts, address by address."""
    scope = set.intersection(*(world.scope for world in worlds))
    methods = [name for name in ("icmp", "tcp", "udp", "passive") if any(name in world.seen for world in worlds)]
    by: dict[int, tuple[str, ...]] = {
        x: tuple(name for name in methods if any(x in world.seen.get(name, ()) for world in worlds)) for x in scope
    }
    seen = list(by.values())
    probing = [name for name in methods if name != "passive"]
    return {
        "scope": len(scope),
        "any": sum(1 for found in seen if found),
        "silent": sum(1 for found in seen if not found),
        "probed": sum(1 for found in seen if set(found) & set(probing)) if probing else None,
        "observed": {name: sum(1 for found in seen if name in found) for name in methods},
        "only": {name: seen.count((name,)) for name in methods},
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, World]]:
    chance, folder = random.Random(7), tmp_path_factory.mktemp("compare")
    return {
        "--census": write_census(folder / "sets", chance),
        "--survey": write_survey(folder / "survey", chance),
        "--passive": write_passive(folder, chance),
    }


@pytest.mark.parametrize(
    "kinds",
    [
        ("--census",), ("--survey",), ("--passive",), ("--census", "--passive"), ("--survey", "--passive"),
        ("--census", "--survey", "--passive"),
    ],
)  # fmt: skip
def test_overlaps_equal_those_counted_one_by_one(runs: dict[str, tuple[Path, World]], kinds: tuple[str, ...]) -> None:
    options = [word for kind in kinds for word in (kind, str(runs[kind][0]))]
    done = liveness("survey", "compare", *options, "--json")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    assert (found["schema"], found["kind"]) == (1, "comparison")
    assert [run["kind"] for run in found["runs"]] == [kind.removeprefix("--") for kind in kinds]
    wanted = expected([runs[kind][1] for kind in kinds])
    assert {key: found[key] for key in wanted} == wanted
    assert wanted["any"] > 0
    assert sum(row["addresses"] for row in found["exactly"]) == wanted["any"]
    for row in found["exactly"]:
        if len(row["methods"]) == 1:
            assert row["addresses"] == wanted["only"][row["methods"][0]]


def test_the_table_has_the_published_values_beside_ours(runs: dict[str, tuple[Path, World]]) -> None:
    options = [word for kind in ("--survey", "--passive") for word in (kind, str(runs[kind][0]))]
    done = liveness("survey", "compare", *options)
    wanted = expected([runs[kind][1] for kind in ("--survey", "--passive")])
    rows = {line.split("  ")[1].strip(): line for line in done.out.splitlines() if line.startswith("  ")}
    assert f" {wanted['silent']:,} " in rows["silent"]
    assert "54,078 (66.2%)" in rows["silent"]
    assert "19,866 (72.0% of any)" in rows["ICMP or TCP"]
    assert "7,720 (28.0% of any)" in rows["passive only"]
    assert "ICMP + TCP + passive" in done.out


def test_only_some_addresses_are_compared_and_none_is_an_error(runs: dict[str, tuple[Path, World]]) -> None:
    options = ["--census", str(runs["--census"][0]), "--passive", str(runs["--passive"][0])]
    found = json.loads(liveness("survey", "compare", *options, "--within", "10.0.0.0/28", "--json").out)
    worlds = [runs[kind][1] for kind in ("--census", "--passive")]
    inside = [World(world.seen, world.scope & set(range(16))) for world in worlds]
    assert {key: found[key] for key in ("scope", "any", "observed")} == {
        key: value for key, value in expected(inside).items() if key in ("scope", "any", "observed")
    }
    done = liveness("survey", "compare", *options, "--within", "192.0.2.0/24")
    assert (done.code, done.out) == (2, "")
    assert "no address within --within was observed by all of census " in done.err
    done = liveness("survey", "compare")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "give runs by --census, --survey and --passive" in done.err


def test_a_set_of_passive_observation_needs_its_scope(runs: dict[str, tuple[Path, World]], tmp_path: Path) -> None:
    census, world = runs["--census"]
    seen = runs["--passive"][1].seen["passive"]
    path = tmp_path / "seen.txt"
    path.write_text("".join(f"{format_address(BASE + x)}\n" for x in sorted(seen)))
    options = ["--census", str(census), "--passive", str(path)]
    found = json.loads(liveness("survey", "compare", *options, "--within", "10.0.0.0/24", "--json").out)
    wanted = expected([world, World({"passive": seen}, set(range(256)))])
    assert {key: found[key] for key in wanted} == wanted
    done = liveness("survey", "compare", *options)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "seen.txt: a set does not say which addresses were observed: give them by --within" in done.err


def test_a_run_that_is_not_complete_is_named(tmp_path: Path) -> None:
    run = Population([Reply("icmp", Kind.ECHO_REPLY, BASE, BASE)], status="partial").write(tmp_path)
    run.write_targets(["10.0.0.0/30"])
    done = liveness("survey", "compare", "--census", run.path, "--json")
    assert json.loads(done.out)["any"] == 1
    assert f"{run.path}: partial: it has not observed all of its addresses" in done.err


def test_runs_of_other_kinds_are_refused_by_name(runs: dict[str, tuple[Path, World]]) -> None:
    done = liveness("survey", "compare", "--census", runs["--survey"][0])
    assert done.code == 2
    assert "a survey, not a census" in done.err
    done = liveness("survey", "compare", "--passive", runs["--census"][0])
    assert done.code == 2
    assert "not a passive run" in done.err
