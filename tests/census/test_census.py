"""Censuses of the default lab by 1, 2 and 3 senders and receivers: sets are the ground truth, and records add up."""

import hashlib
import itertools
import json
import shutil
from pathlib import Path

import msgspec
import pytest
from pyroaring import BitMap

from liveness.config.load import resolve_targets
from liveness.config.model import from_document
from liveness.lab.hosts.check import check_run
from liveness.lab.load import load_internet
from liveness.lab.tools import find_tools
from liveness.space.prefixes import read_prefixes
from tests.census.support import LIVENESS, Census, losses_of, run

pytestmark = pytest.mark.lab

PROBES = ["icmp", "tcp/22", "tcp/23", "tcp/80", "tcp/443", "tcp/7547", "dns", "ntp", "tcp/control"]
PORTS = ["22", "23", "80", "443", "7547"]
TCP = {f"tcp/{port}" for port in PORTS}
EVERY_KIND = {"echo-reply", "syn-ack", "rst", "answer", "payload", "error"}
SPREAD_S = 8 * 0.1
"""Between the first and the last of nine probes to one address at least, at the probe_spacing of configs/lab.yaml."""


@pytest.fixture(params=[1, 2, 3])
def census(request: pytest.FixtureRequest, censuses: dict[int, Census]) -> Census:
    return censuses[request.param]


def test_every_set_equals_the_ground_truth(census: Census) -> None:
    comparison = check_run(census.path, find_tools().fit(load_internet()))
    assert comparison.differences == []
    assert comparison.sets == len(census.sets)
    assert comparison.members == sum(map(len, census.sets.values())) > 10_000


def test_lab_check_says_so(census: Census) -> None:
    done = run(*LIVENESS, "lab", "check", census.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "equal to the ground truth" in done.stdout


def test_lab_check_names_one_address_missing_and_one_extra(censuses: dict[int, Census], tmp_path: Path) -> None:
    """The judge of the tests above is no rubber stamp."""
    run_path = Path(shutil.copytree(censuses[1].path, tmp_path / "altered"))
    altered = Census(run_path)
    entry = next(entry for entry in altered.manifest.sets if entry.file == "sets/tcp-80.syn-ack.target.roaring")
    members = BitMap(altered.sets[entry.key])
    gone = max(members)
    members ^= BitMap([gone, gone + 1])
    sets = [other for other in altered.manifest.sets if other is not entry]
    sets.append(altered.directory.write_set(entry.key, members))
    altered.directory.write_manifest(msgspec.structs.replace(altered.manifest, sets=sets))
    done = run(*LIVENESS, "lab", "check", run_path, "--json")
    assert done.returncode == 1
    (difference,) = json.loads(done.stdout)["differences"]
    assert (difference["probe"], difference["kind"], difference["role"]) == ("tcp/80", "syn-ack", "target")
    assert (difference["missing"], difference["extra"]) == (1, 1)


def test_sets_are_the_same_whatever_the_number_of_senders_and_receivers(censuses: dict[int, Census]) -> None:
    first, *others = (
        {entry.file: (entry.sha256, entry.cardinality) for entry in census.manifest.sets}
        for census in censuses.values()
    )
    assert all(other == first for other in others)
    assert [census.manifest.receivers for census in censuses.values()] == list(censuses)
    assert len({census.manifest.control_port for census in censuses.values()}) > 1, "drawn for each run"


def test_set_files_are_what_the_manifest_says(census: Census) -> None:
    listed = {entry.file: entry for entry in census.manifest.sets}
    found = {f"sets/{path.name}" for path in (census.path / "sets").iterdir()}
    assert found == set(listed)
    for file, entry in listed.items():
        content = (census.path / file).read_bytes()
        members = BitMap.deserialize(content)
        assert hashlib.sha256(content).hexdigest() == entry.sha256
        assert len(members) == entry.cardinality > 0
        assert members.serialize() == content


def test_every_probe_was_sent_to_every_target_at_each_attempt(census: Census) -> None:
    manifest = census.manifest
    assert list(manifest.probes) == PROBES
    for counts in manifest.probes.values():
        assert (counts.sent, counts.send_errors) == ([manifest.targets] * 2, 0)
    assert manifest.transmit.frames == len(PROBES) * 2 * manifest.targets
    assert manifest.transmit.errors == 0


def test_the_timeline_adds_up_to_the_whole(census: Census) -> None:
    manifest, timeline = census.manifest, census.manifest.timeline
    rows = len(timeline.end_s)
    assert rows >= 3
    assert timeline.end_s == sorted(timeline.end_s)
    sums = {name: sum(column) for name, column in msgspec.to_builtins(timeline).items() if len(column) == rows}
    assert sums["sent"] == sums["completed"] == manifest.transmit.frames
    assert sums["packets"] == manifest.receive.packets == sums["accepted"] + sums["rejected"]
    assert sums["kernel_drops"] == sums["nic_drops"] == sums["send_errors"] == 0
    assert sums["interface_sent"] == manifest.transmit.interface_frames >= manifest.transmit.frames
    assert sums["interface_received"] >= manifest.receive.packets


def test_every_received_packet_is_a_message_or_rejected_by_reason(census: Census) -> None:
    manifest = census.manifest
    messages = sum(sum(counts.values()) for counts in manifest.messages.values())
    assert manifest.receive.packets == messages + sum(manifest.rejected.values())
    assert (manifest.receive.kernel_drops, manifest.receive.nic_drops, losses_of(manifest)) == (0, 0, [])
    assert manifest.receive.kernel_packets == manifest.receive.packets
    labels = {probe: set(counts) for probe, counts in manifest.messages.items()}
    for key, members in census.sets.items():
        assert key.reply.label in labels[key.reply.probe]
        assert manifest.messages[key.reply.probe][key.reply.label] >= len(members)
    for probe, counts in manifest.weak.items():
        assert all(0 < count <= manifest.messages[probe][label] for label, count in counts.items())


def test_attempts_add_up_to_the_targets_that_answered(census: Census) -> None:
    manifest = census.manifest
    assert set(manifest.attempts) == set(PROBES)
    for probe, patterns in manifest.attempts.items():
        assert set(patterns) <= {"01", "10", "11"}
        assert sum(patterns.values()) == len(census.union({probe}, EVERY_KIND, "target"))
        assert manifest.recovered_by_retransmit[probe] == patterns.get("01", 0)


def test_direct_sets_are_those_who_replied_for_themselves(census: Census) -> None:
    direct = [key for key in census.sets if key.role == "direct"]
    assert {key.reply.kind.label for key in direct} == {"echo-reply", "error"}
    by_name = {(key.reply, str(key.role)): members for key, members in census.sets.items()}
    for key in direct:
        assert census.sets[key] <= by_name[key.reply, "source"] & by_name[key.reply, "target"]


def test_the_run_is_complete_and_its_blocks_done(census: Census) -> None:
    manifest = census.manifest
    assert (manifest.status, manifest.reason) == ("complete", None)
    assert [(block.block, block.status) for block in manifest.blocks] == [("0.0.0.0/3", "done")]
    assert sum(block.targets for block in manifest.blocks) == manifest.targets
    assert manifest.finished is not None
    assert manifest.started < manifest.finished
    assert (manifest.interface, manifest.source_addresses) == ("scan0", ["10.255.0.2"])


def test_the_manifest_names_its_senders(censuses: dict[int, Census]) -> None:
    assert {number: census.manifest.senders for number, census in censuses.items()} == {1: 1, 2: 2, 3: 3}


def test_the_lag_between_probes_is_recorded(census: Census) -> None:
    lag = census.manifest.lag
    assert [(lane.attempt, lane.probe) for lane in lag.lanes] == [*itertools.product((0, 1), PROBES)]
    for lane in lag.lanes:
        times = [at for at in lane.passed_s if at is not None]
        assert len(times) == len(lane.passed_s) >= 2
        assert times == sorted(times)
    for attempt in (0, 1):
        begins = [lane.passed_s[0] or 0.0 for lane in lag.lanes if lane.attempt == attempt]
        assert begins == sorted(begins)
    first = [lane.passed_s for lane in lag.lanes if lane.attempt == 0]
    spreads = [max(mark) - min(mark) for mark in zip(*first, strict=True) if None not in mark]
    assert lag.max_s == pytest.approx(max(spreads), abs=1e-5)
    assert lag.p80_s is not None
    assert min(spreads) <= lag.p80_s <= max(spreads)
    assert min(spreads) >= SPREAD_S, "no pair is closer than the spacing, though the machine may have stalled"
    assert max(spreads) <= 4 * SPREAD_S + 5, "with its margin, and twice as long once repeats leave"


def test_the_key_is_a_secret_of_this_run(censuses: dict[int, Census]) -> None:
    keys = {census.directory.read_key() for census in censuses.values()}
    assert len(keys) == 3
    for census in censuses.values():
        assert (census.path / "key").stat().st_mode & 0o777 == 0o600


def test_the_run_keeps_its_targets(census: Census) -> None:
    config = from_document(census.manifest.config)
    targets = resolve_targets(config, lab=True)
    kept = read_prefixes(str(census.path / "targets.txt"))
    assert kept.prefixes() == targets.intervals.prefixes()
    assert kept.count == census.manifest.targets == census.document["targets"]
    every = census.union(set(PROBES), EVERY_KIND, "target")
    assert bool(kept.contains(every.to_array()).all())


def test_analyze_agrees_with_the_sets(census: Census) -> None:
    done = run(*LIVENESS, "analyze", census.path, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (found,) = json.loads(done.stdout)["runs"]
    union = census.union
    assert found["run"] == f"lab/{census.path.name}"
    assert (found["status"], found["targets"]) == ("complete", census.manifest.targets)
    assert found["taxonomy"] == {
        "network_alive": len(union(set(PROBES), EVERY_KIND, "source")),
        "transport_active": len(union(TCP, {"syn-ack", "rst"}, "source")),
        "transport_alive": len(union(TCP, {"syn-ack"}, "source")),
        "application_active": len(union({"dns", "ntp"}, {"answer", "payload"}, "source")),
        "application_alive": len(union({"dns", "ntp"}, {"answer"}, "source")),
    }
    families = {
        "icmp": union({"icmp"}, {"echo-reply", "error"}, "source"),
        "tcp": union(TCP, {"syn-ack", "rst", "error"}, "source"),
        "udp": union({"dns", "ntp"}, {"answer", "error"}, "source"),
    }
    coverage = found["coverage"]["addresses"]
    assert coverage["all"] == len(BitMap.union(*families.values()))
    for family, members in families.items():
        others = BitMap.union(*(other for name, other in families.items() if name != family))
        assert coverage[family] == {"total": len(members), "unique": len(members - others)}
    assert set(found["transport"]["ports"]) == set(PORTS)
    for port, numbers in found["transport"]["ports"].items():
        assert numbers["alive"] == len(union({f"tcp/{port}"}, {"syn-ack"}, "source"))
        assert numbers["active"] == len(union({f"tcp/{port}"}, {"syn-ack", "rst"}, "source"))


def test_analyze_finds_the_tarpit_of_the_lab(census: Census) -> None:
    """Prefix 10.43.0.0/26 accepts whatever comes, the control included; it takes nft to build."""
    (found,) = json.loads(run(*LIVENESS, "analyze", census.path, "--json").stdout)["runs"]
    tarpits = 64 if find_tools().nft else 0
    assert found["tarpits"]["confirmed"] == tarpits


def test_analyze_of_all_runs_finds_no_change(censuses: dict[int, Census]) -> None:
    done = run(*LIVENESS, "analyze", censuses[1].path.parent, "--json")
    document = json.loads(done.stdout)
    assert len(document["runs"]) == 3
    assert len(document["changes"]) == 2
    for change in document["changes"]:
        assert (change["born"], change["died"]) == (0, 0)
        assert change["stayed"] > 0
