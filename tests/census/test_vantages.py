"""Several places scan one lab at an agreed time, and each run is what its place had to find."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from msgspec import UNSET
from pyroaring import BitMap

from liveness.config.load import resolve_targets
from liveness.config.recorded import recorded_config
from liveness.lab.hosts.check import probes_of
from liveness.lab.model.check import ModelComparison, check_model_run, delivered_sets, truth_of
from liveness.lab.model.origin.view import View
from liveness.lab.model.population.load import load_population
from liveness.lab.model.responder.probe_log import read_log
from liveness.lab.model.responder.record import SUMMARY, read_passed, read_summary
from liveness.lab.services.behaviours import LABELS
from liveness.lab.source import RECORD_FOLDER
from liveness.replies import CONTROL, Kind, Role
from liveness.runs.manifest import BlockStart, Shard, Vantage
from tests.analysis.origins import brute_force
from tests.analysis.origins.support import Scan
from tests.census.support import EXEC, LIVENESS, Census, run, write_yaml
from tests.lab.model.origin.support import PLACES, VANTAGES
from tests.lab.model.population.support import SMALL

pytestmark = pytest.mark.lab

TIMEOUT_S: Final = 280
LEAD_S: Final = 15.0
SLOT_S: Final = 6
OFFSETS_MS: Final = {"ams1": 0, "fra1": 300, "nyc1": 600}
EARLY_NS: Final = 1_000_000
"""The agreed time is exact to a millisecond."""
CONFIG: Final[dict[str, object]] = {
    "name": "places",
    "seed": 3,
    "probes": ["icmp", "tcp/22", "tcp/80"],
    "rate": "1kpps",
    "retransmit": {"attempts": 2, "queue": 100},
    "probe_spacing": "5ms",
    "cooldown": "2s",  # of a busy machine: the far end may have to wait for a core
    "contact": "tests of liveness, no real network",
    "network": {"source_ports": "61000-65000"},
}


@dataclass(frozen=True)
class Taken:
    """The runs of a census by place and number, and when they were to begin."""

    folder: Path
    start: datetime
    stderr: str

    def run(self, place: str, number: int = 0) -> Census:
        return Census(self.folder / "places" / f"{place}-{number}")

    def check(self, census: Census) -> ModelComparison:
        return check_model_run(census.path, load_population(self.folder / "population.yaml"))


@pytest.fixture(scope="module")
def taken(compiled: None, tmp_path_factory: pytest.TempPathFactory) -> Taken:  # noqa: ARG001 - for its effect
    """Take two censuses from three places of the model Internet; the first begins at an agreed time, block by block."""
    folder = tmp_path_factory.mktemp("places")
    population = folder / "population.yaml"
    population.write_text(SMALL + "time: {}\n" + VANTAGES)
    targets = {"targets": {"allow": ["0.0.0.0/0"]}, "limits": {"max_targets": 1600}, "block_prefix": 1}
    config = write_yaml(folder / "config.yaml", CONFIG | targets | {"output": str(folder)})
    start = (datetime.now(UTC) + timedelta(seconds=LEAD_S)).replace(microsecond=0)
    scan = " ".join([*LIVENESS, f"scan -q -C {config} --run-id $LIVENESS_VANTAGE"])
    offsets = " ".join(f"{place}) offset={offset_ms}ms;;" for place, offset_ms in OFFSETS_MS.items())
    script = folder / "scans.sh"
    script.write_text(
        f"set -e\ncase $1 in {offsets} esac\n"
        f"{scan}-0 --start-at {start.isoformat()} --slot {SLOT_S}s --start-offset $offset\n{scan}-1\n"
    )
    command = [*EXEC, "--internet", str(population), "--", "sh", str(script), "{vantage}"]
    done = run(*command, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    return Taken(folder, start, done.stderr)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("place", PLACES)
def test_each_run_is_what_its_place_had_to_find(taken: Taken, place: str, number: int) -> None:
    census = taken.run(place, number)
    vantage = census.manifest.vantage
    assert (census.manifest.status, isinstance(vantage, Vantage) and vantage.name) == ("complete", place)
    summary = read_summary(census.path)
    assert (summary.vantage, summary.vantage_run, summary.lossless) == (place, number, place != "nyc1")
    comparison = taken.check(census)
    assert comparison.equal, comparison.imperfect[:3]
    lost = sum(judged.lost for judged in comparison.judged)
    assert (lost > 0) == (place == "nyc1"), "only one of the ways loses packets"


def test_hosts_come_and_go_at_the_same_time_for_all_places(taken: Taken) -> None:
    assert len({read_summary(taken.run(place).path).clock for place in PLACES}) == 1


def seen_from(taken: Taken, place: str, number: int) -> Scan:
    """Return who has to be seen from a place in one of its runs: by the population, less what its way lost."""
    population, census = load_population(taken.folder / "population.yaml"), taken.run(place, number)
    config = recorded_config(census.manifest.config, census.path, census.manifest.version)
    targets = resolve_targets(config, lab=False)
    probes = [probe for probe in probes_of(config) if probe != CONTROL]
    members = truth_of(population, config, targets, probes, View(PLACES.index(place), number))
    passed = delivered_sets(population, members, read_passed(census.path), probes, [])
    seen: dict[tuple[str, Kind], set[int]] = {}
    for key, addresses in members.items():
        if key.role is Role.SOURCE:
            left = addresses & passed.get(key, BitMap()) if place == "nyc1" else addresses  # the others lose nothing
            seen.setdefault((key.reply.probe, key.reply.kind), set()).update(set(left))
    return Scan(place, seen, number + 1, probes=probes)


@pytest.mark.parametrize("number", [0, 1])
def test_a_comparison_of_the_places_equals_the_truth_of_each(taken: Taken, number: int) -> None:
    """Exclusive, seen by exactly j, missed, coverage of all subsets: by functions of the population.

    One run of each place is one trial, however far apart a busy machine starts them.
    """
    paths = [taken.folder / "places" / f"{place}-{number}" for place in PLACES]
    done = run(*LIVENESS, "analyze", *paths, "--across", "--json", timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)["origins"]
    groups = brute_force.groups_of([{place: seen_from(taken, place, number) for place in PLACES}])
    coverage = {(entry["probe"], entry["kind"]): entry for entry in document["coverage"]}
    assert coverage == {name: brute_force.coverage(*name, 1, trials[0]) for name, trials in groups.items()}
    everything = coverage["all", "alive"]
    assert all(count > 0 for count in everything["exactly"])
    assert all(of_place["exclusive"] and of_place["missed"] for of_place in everything["vantages"].values())
    for entry in document["gain"]:
        expected = brute_force.gain(groups[entry["probe"], entry["kind"]][0])
        assert [(size["size"], size["mean"], size["low"], size["high"]) for size in entry["sizes"]] == [
            (size, pytest.approx(mean), low, high) for size, mean, low, high in expected
        ]


def test_places_do_not_see_the_same(taken: Taken) -> None:
    """The judge is no rubber stamp: what is right for one place, or one run, is wrong for another."""
    census = taken.run("ams1")
    record = census.path / RECORD_FOLDER / SUMMARY
    before = record.read_bytes()
    for change in ({"vantage": "fra1"}, {"vantage_run": 1}):
        record.write_text(json.dumps(json.loads(before) | change))
        try:
            assert not taken.check(census).equal
        finally:
            record.write_bytes(before)
    done = run(*LIVENESS, "lab", "check", census.path, timeout=TIMEOUT_S)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.parametrize("place", PLACES)
def test_no_block_begins_before_its_agreed_start(taken: Taken, place: str) -> None:
    """By the far end's own clock; the manifest says how late the first packet was, and its clock is recorded."""
    census = taken.run(place)
    manifest, rows = census.manifest, read_log(census.path)
    assert isinstance(manifest.shard, Shard)
    assert (manifest.shard.slot_s, manifest.shard.offset_s or 0.0) == (SLOT_S, OFFSETS_MS[place] / 1e3)
    assert isinstance(manifest.vantage, Vantage)
    assert manifest.vantage.clock
    assert len(manifest.blocks) == 2
    first_ns = round(taken.start.timestamp() * 1e9) + OFFSETS_MS[place] * 1_000_000
    for number, block in enumerate(manifest.blocks):
        arrived_ns = np.sort(rows["time_ns"][rows["target"] >> np.uint32(31) == number])
        agreed_ns = first_ns + number * SLOT_S * 10**9
        assert arrived_ns[0] >= agreed_ns - EARLY_NS
        assert isinstance(block.start, BlockStart)
        assert block.start.late_ms >= 0
        assert arrived_ns[0] >= agreed_ns + block.start.late_ms * 1e6 - EARLY_NS
    assert isinstance(manifest.lag.began, str)


def test_an_own_way_is_read_and_refused_by_its_path(tmp_path: Path) -> None:
    population = tmp_path / "population.yaml"
    population.write_text(SMALL + "\nvantages: {places: [{name: a}, {name: b, network: {loss: 2}}]}\n")
    done = run(*EXEC, "--internet", str(population), "--", "true", timeout=TIMEOUT_S)
    assert done.returncode == 2
    assert f"{population}: $.vantages.places[1].network.loss: 2" in done.stderr


def test_places_can_share_a_census(compiled: None, tmp_path: Path) -> None:  # noqa: ARG001 - for its effect
    """Each shard is what its targets had to bring, talks included, and united they are the truth of all."""
    population = tmp_path / "population.yaml"
    population.write_text(f"{SMALL}services: {{ports: {{tcp: {json.dumps(dict.fromkeys(LABELS, 1))}}}}}\n")
    targets = {"targets": {"allow": ["46.0.0.0/21"]}, "limits": {"max_targets": 1200}, "block_prefix": 22}
    document = CONFIG | targets | {"applications": ["ssh", "http"], "output": str(tmp_path)}
    config = write_yaml(tmp_path / "config.yaml", document)
    scan = [*LIVENESS, "scan", "-q", "-C", str(config), "--run-id", "{index}"]
    split = ["--vantages", "2", "--", *scan, "--shards", "{vantages}", "--shard", "{index}"]
    done = run(*EXEC, "--internet", str(population), *split, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    shards = [tmp_path / "places" / str(index) for index in range(2)]
    for path in shards:
        comparison = check_model_run(path, load_population(population))
        assert comparison.equal, comparison.imperfect[:3]
    merged = run(*LIVENESS, "merge", *shards, "-o", tmp_path / "united")
    assert merged.returncode == 0, merged.stderr
    united = check_model_run(tmp_path / "united", load_population(population))
    assert (united.targets, united.equal) == (1200, True), united.imperfect[:3]
    assert sum(Census(path).manifest.targets for path in shards) == 1200
    kinds = {(judged.key.reply.probe, judged.key.reply.kind) for judged in united.judged if judged.found}
    for probe in ("tcp/22", "tcp/80"):
        assert {kind for name, kind in kinds if name == probe} >= {Kind.ANSWER, Kind.PAYLOAD, Kind.CLOSED, Kind.MUTE}
    talks = [census.manifest.talk for census in map(Census, (*shards, tmp_path / "united"))]
    first, second, both = ({} if counts is UNSET else counts for counts in talks)
    assert both == {name: first[name] + second[name] for name in first}
    assert min(first["talks"], second["talks"]) > 0


def places_of(options: Mapping[str, str], folder: Path, lab: str) -> dict[str, str]:
    """Return what a command in each place says of its address, by the place's name."""
    file = folder / "lab.yaml"
    file.write_text(lab)
    words = [part for option in options.items() for part in option]
    script = "ip -4 -o addr show scan0 | awk '{print $4}' > $0/$1.$2.$3"
    command = [*EXEC, "--plain", "--internet", str(file), *words, "--", "sh", "-c", script, str(folder)]
    done = run(*command, "{vantage}", "{index}", "{vantages}", timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_text().strip() for path in folder.glob("*.*.*")}


HOSTS: Final = """
name: hosts
networks:
  - {name: open, kind: host, prefixes: [10.1.0.0/28], listen: [80]}
  - {name: wary, kind: host, prefixes: [10.2.0.0/28], listen: [80]}
  - {name: closed, kind: prohibit, prefixes: [10.3.0.1/32]}
"""
BLOCKING: Final = "vantages:\n  - {name: ams1}\n  - {name: fra1, blocked: [wary, closed]}\n"


def test_a_lab_without_places_can_have_some(tmp_path: Path) -> None:
    assert places_of({"--vantages": "3"}, tmp_path, HOSTS) == {
        "v0.0.3": "10.255.0.2/30",
        "v1.1.3": "10.255.0.6/30",
        "v2.2.3": "10.255.0.10/30",
    }


def test_real_hosts_can_block_a_place(tmp_path: Path) -> None:
    """Two places scan real kernels at once; one of them is blocked by two networks, and its truth knows that."""
    lab = tmp_path / "lab.yaml"
    lab.write_text(HOSTS + BLOCKING)
    targets = {"targets": {"allow": ["10.1.0.0/28", "10.2.0.0/28", "10.3.0.1"]}, "rate": "100pps"}
    config = write_yaml(tmp_path / "config.yaml", CONFIG | targets | {"output": str(tmp_path)})
    scan = [*LIVENESS, "scan", "-q", "-C", str(config), "--run-id", "{vantage}-0"]
    done = run(*EXEC, "--plain", "--internet", str(lab), "--", *scan, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    runs = {name: Census(tmp_path / "places" / f"{name}-0") for name in ("ams1", "fra1")}
    for census in runs.values():
        checked = run(*LIVENESS, "lab", "check", "--plain", "--internet", str(lab), census.path, timeout=TIMEOUT_S)
        assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    found = {
        name: sorted((entry.file, entry.cardinality) for entry in census.manifest.sets if entry.probe == "tcp/80")
        for name, census in runs.items()
    }
    assert dict(found["ams1"])["sets/tcp-80.syn-ack.target.roaring"] == 32
    assert dict(found["fra1"])["sets/tcp-80.syn-ack.target.roaring"] == 16
    assert not any("error" in file for file, _ in found["fra1"])


@pytest.mark.parametrize(
    ("lab", "options", "words"),
    [
        (HOSTS + "vantages: [{name: a, blocked: [nobody]}]", (), "$.vantages[0].blocked: 'nobody'"),
        (HOSTS + "vantages: [{name: a}, {name: a}]", (), "$.vantages[1].name: 'a': another vantage point"),
        (HOSTS + BLOCKING, ("--vantages", "3"), "$.vantages: 2 vantage points, not 3"),
        (SMALL + VANTAGES, ("--vantages", "4"), "$.vantages.places: 3 vantage points, not 4"),
    ],
)
def test_wrong_places_are_refused_before_anything_is_built(
    tmp_path: Path, lab: str, options: tuple[str, ...], words: str
) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(lab)
    done = run(*EXEC, "--internet", str(file), *options, "--", "true", timeout=TIMEOUT_S)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert words in done.stderr


def test_the_first_failure_of_the_places_is_the_exit_code(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(HOSTS)
    script = "exit $((5 - {index}))"
    done = run(*EXEC, "--plain", "--internet", str(file), "--vantages", "3", "--", "sh", "-c", script)
    assert done.returncode == 5
