"""Shards: several scans that share a census probe every target once, and united they are the census of one machine."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.l2 import Ether

from liveness.runs.left_out import load_left_out
from liveness.runs.manifest import Manifest, Shard, Vantage
from liveness.runs.manifest_file import load_manifest
from tests.census.shared_census import CONFIG, LAB
from tests.census.support import LIVENESS, ROOT, Census, clean_environment, losses_of, run, write_yaml

pytestmark = pytest.mark.lab

SCANNER: Final = "10.255.0.2"
"""A target like others: no machine probes itself, and no shard may leave it out of the order for that."""
TARGETS: Final = 128 + 64 + 32
PROBES: Final = ("icmp", "tcp/80", "tcp/443", "dns", "tcp/control")
SENDERS: Final = {1: (2,), 2: (1, 3), 3: (3, 1, 2), 5: (1, 2, 1, 3, 1)}
"""Senders of each shard, by the number of shards."""
TIMEOUT_S: Final = 280


@dataclass(frozen=True)
class Shared:
    """The runs of one census that was split in so many shards, and the frames on the wire."""

    folder: Path
    paths: Sequence[Path]
    frames: Path

    @property
    def manifests(self) -> list[Manifest]:
        return [Census(path).manifest for path in self.paths]


def take(folder: Path, shards: int) -> Shared:
    """Take the census in so many shards, one after the other, and capture what they send."""
    folder.mkdir()
    lab, secret = folder / "lab.yaml", folder / "secret"
    lab.write_text(LAB)
    secret.write_bytes(bytes(range(32)))
    config = write_yaml(folder / "config.yaml", CONFIG | {"output": str(folder), "secret": str(secret)})
    commands = [
        " ".join(
            [*LIVENESS, f"scan -q -C {config} --run-id {shard} -T {senders}"]
            + ([f"--shards {shards} --shard {shard}"] if shards > 1 else [])
        )
        for shard, senders in enumerate(SENDERS[shards])
    ]
    script = folder / "scans.sh"
    script.write_text("set -e\n" + "\n".join(commands) + "\n")
    frames = folder / "frames"
    capture = [sys.executable, "-m", "tests.census.capture", str(lab), str(frames), "sh", str(script)]
    done = subprocess.run(
        capture, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return Shared(folder, [folder / "shared" / str(shard) for shard in range(shards)], frames)


@pytest.fixture(scope="module")
def taken(compiled: None, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Shared]:  # noqa: ARG001 - for its effect
    folder = tmp_path_factory.mktemp("shards")
    with ThreadPoolExecutor(2) as together:
        runs = together.map(lambda shards: take(folder / str(shards), shards), SENDERS)
        return dict(zip(SENDERS, runs, strict=True))


def probes_on_the_wire(shared: Shared) -> Counter[tuple[str, str]]:
    """Return how many probes of each kind went to each address."""
    control = shared.manifests[0].control_port
    names = {80: "tcp/80", 443: "tcp/443", control: "tcp/control"}
    count: Counter[tuple[str, str]] = Counter()
    for line in shared.frames.read_text().splitlines():
        packet = Ether(bytes.fromhex(line.split()[1]))
        if IP not in packet or packet[IP].src != SCANNER:
            continue
        if ICMP in packet and packet[ICMP].type == 8:
            count["icmp", packet[IP].dst] += 1
        elif TCP in packet and packet[TCP].flags == "S":
            count[names[packet[TCP].dport], packet[IP].dst] += 1
        elif packet[IP].proto == 17:
            count["dns", packet[IP].dst] += 1
    return count


@pytest.mark.parametrize("shards", list(SENDERS))
def test_every_address_gets_every_probe_once_an_attempt_over_all_shards(taken: dict[int, Shared], shards: int) -> None:
    addresses = [f"10.1.0.{last}" for last in range(128)]
    addresses += [f"10.2.0.{last}" for last in range(64)] + [f"10.3.0.{last}" for last in range(32)]
    assert probes_on_the_wire(taken[shards]) == {(probe, address): 2 for probe in PROBES for address in addresses}


@pytest.mark.parametrize("shards", list(SENDERS))
def test_a_shard_knows_its_own_targets(taken: dict[int, Shared], shards: int) -> None:
    manifests = taken[shards].manifests
    assert sum(manifest.targets for manifest in manifests) == TARGETS
    for index, manifest in enumerate(manifests):
        assert (manifest.status, losses_of(manifest)) == ("complete", [])
        assert {counts.sent[0] for counts in manifest.probes.values()} == {manifest.targets}
        assert manifest.targets == sum(block.targets for block in manifest.blocks)
        assert abs(manifest.targets - TARGETS / shards) <= 4
        if shards > 1:
            assert manifest.shard == Shard(index=index, of=shards)


def merge(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run(*LIVENESS, "merge", *arguments)


@pytest.mark.parametrize("shards", [2, 3, 5])
def test_united_shards_are_the_census_of_one_machine(taken: dict[int, Shared], tmp_path: Path, shards: int) -> None:
    """All sets byte for byte, and the counts that do not depend on time."""
    whole, output = taken[1], tmp_path / "united"
    done = merge(*reversed(taken[shards].paths), "-o", output)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{output}\n", "")
    one, united = Census(whole.paths[0]).manifest, Census(output).manifest
    assert [(entry.file, entry.sha256) for entry in united.sets] == [(entry.file, entry.sha256) for entry in one.sets]
    for entry in united.sets:
        assert (output / entry.file).read_bytes() == (whole.paths[0] / entry.file).read_bytes()
    for name in ("status", "targets", "targets_sha256", "messages", "attempts", "attempts_by_kind", "control_port"):
        assert getattr(united, name) == getattr(one, name), name
    assert {name: counts.sent for name, counts in united.probes.items()} == {
        name: counts.sent for name, counts in one.probes.items()
    }
    assert [(block.block, block.targets, block.status) for block in united.blocks] == [
        (block.block, block.targets, block.status) for block in one.blocks
    ]
    assert sum(united.timeline.sent) == united.transmit.frames == TARGETS * len(PROBES) * 2
    assert united.receive.packets == sum(manifest.receive.packets for manifest in taken[shards].manifests)
    assert isinstance(united.merged_from, list)
    assert [origin.shard for origin in united.merged_from] == list(range(shards))
    checked = run(*LIVENESS, "lab", "check", "--plain", "--internet", whole.folder / "lab.yaml", output)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    documents = []
    for path in (whole.paths[0], output):
        analyzed = run(*LIVENESS, "analyze", path, "--json")
        assert analyzed.returncode == 0, analyzed.stderr
        documents.append(json.loads(analyzed.stdout)["runs"][0]["taxonomy"])
    assert documents[0] == documents[1]


def changed(run_path: Path, folder: Path, fields: dict[str, Any]) -> Path:
    """Return a copy of a run whose manifest has other values."""
    copy = folder / f"changed-{len(list(folder.iterdir()))}"
    copy.mkdir()
    for name in ("targets.txt", "sets"):
        (copy / name).symlink_to(run_path / name)
    document = json.loads((run_path / "manifest.json").read_text())
    for name, value in fields.items():
        place = document
        *above, last = name.split("__")
        for step in above:
            place = place[step]
        place[last] = value
    (copy / "manifest.json").write_text(json.dumps(document))
    return copy


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"config__seed": 12}, "seed is 11 and 12"),
        ({"config__shard__of": 3}, "shards is 2 and 3"),
        ({"config__shard": {"index": 1, "of": 10**9}}, "shards is 2 and 1"),
        ({"started": "soon"}, "$.started: 'soon'"),
        ({"started": "2026-12-01T00:00:00"}, "without its zone"),
        ({"config__probes": ["icmp"]}, "probes is ["),
        ({"config__block_prefix": 8}, "block_prefix is 15 and 8"),
        ({"targets_sha256": "0" * 64}, "targets_sha256 is"),
        ({"control_port": 50_000}, "control_port is"),
        ({"config__shard__index": 0}, "both are shard 0"),
        ({"status": "partial", "reason": "interrupted by SIGINT"}, "did not complete (interrupted by SIGINT)"),
    ],
)
def test_what_does_not_belong_together_is_refused_by_name(
    taken: dict[int, Shared], tmp_path: Path, fields: dict[str, Any], words: str
) -> None:
    first, second = taken[2].paths
    other = changed(second, tmp_path, fields)
    done = merge(first, other, "-o", tmp_path / "united")
    assert (done.returncode, done.stdout) == (1 if "started" in fields else 2, "")
    assert done.stderr.count("\n") == 1
    assert str(other) in done.stderr
    assert words in done.stderr
    assert not (tmp_path / "united").exists()


def test_a_missing_shard_is_named_and_can_be_left_out(taken: dict[int, Shared], tmp_path: Path) -> None:
    first, _, third = taken[3].paths
    output = tmp_path / "united"
    done = merge(first, third, "-o", output)
    assert done.returncode == 2
    assert "of 3 shards these are missing: 1" in done.stderr
    done = merge(first, third, "-o", output, "--partial")
    assert (done.returncode, done.stdout) == (5, f"{output}\n")
    assert "1 of 3 shards are missing" in done.stderr
    killed = changed(third, tmp_path, {"status": "running", "sets": []})
    done = merge(first, killed, "-o", tmp_path / "other", "--partial")
    assert done.returncode == 5
    assert "shard 2: killed, with its replies not in sets yet; 1 of 3 shards are missing" in done.stderr
    assert Census(output).manifest.status == "partial"


def test_a_whole_census_and_a_shard_on_its_own_are_no_case_for_merging(
    taken: dict[int, Shared], tmp_path: Path
) -> None:
    done = merge(taken[1].paths[0], "-o", tmp_path / "united")
    assert done.returncode == 2
    assert "a whole census" in done.stderr
    checked = run(*LIVENESS, "lab", "check", "--internet", taken[2].folder / "lab.yaml", taken[2].paths[0])
    assert checked.returncode == 2
    assert "liveness merge" in checked.stderr


def test_shards_from_which_not_the_same_has_opted_out_are_refused(taken: dict[int, Shared], tmp_path: Path) -> None:
    first, second = taken[2].paths
    copy = changed(second, tmp_path, {})
    (copy / "opt-outs.json").write_text(json.dumps({"prefixes": ["10.1.0.7"]}))
    done = merge(first, copy, "-o", tmp_path / "united")
    assert done.returncode == 2
    assert f"{first} and {copy}: not the same addresses have opted out" in done.stderr
    assert not (tmp_path / "united").exists()


def test_a_shard_alone_is_a_sample_with_intervals(taken: dict[int, Shared]) -> None:
    """Of the whole census the same shares have none."""
    for shards, sampled in ((1, False), (2, True)):
        analyzed = run(*LIVENESS, "analyze", taken[shards].paths[0], "--json")
        assert analyzed.returncode == 0, analyzed.stderr
        rates = json.loads(analyzed.stdout)["runs"][0]["response_rates"]
        assert {rate.get("low") is not None for rate in rates.values()} == {sampled}


def test_a_damaged_set_is_named_and_nothing_is_left(taken: dict[int, Shared], tmp_path: Path) -> None:
    first, second = taken[2].paths
    copy = changed(second, tmp_path, {})
    (copy / "sets").unlink()
    (copy / "sets").mkdir()
    done = merge(first, copy, "-o", tmp_path / "united")
    assert done.returncode == 1
    assert str(copy / "sets") in done.stderr
    assert not (tmp_path / "united").exists()


def test_the_scanner_s_own_address_does_not_change_the_order_of_a_shard(compiled: None, tmp_path: Path) -> None:  # noqa: ARG001 - for its effect
    """No machine probes itself; were its address left out of the order, shards would have different orders."""
    lab = tmp_path / "lab.yaml"
    lab.write_text(LAB)
    targets = {"allow": ["10.1.0.0/25", f"{SCANNER}/32"]}
    config = write_yaml(
        tmp_path / "config.yaml", CONFIG | {"output": str(tmp_path), "targets": targets, "probes": ["icmp"]}
    )
    scans = [" ".join([*LIVENESS, f"scan -q -C {config} --run-id {at} --shards 2 --shard {at}"]) for at in range(2)]
    script = tmp_path / "scans.sh"
    script.write_text("set -e\n" + "\n".join(scans) + "\n")
    done = run(*LIVENESS, "lab", "exec", "--plain", "--internet", lab, "--", "sh", script, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    paths = [tmp_path / "shared" / str(shard) for shard in range(2)]
    assert {(path / "targets.txt").read_text() for path in paths} == {"10.1.0.0/25\n10.255.0.2\n"}
    united = merge(*paths, "-o", tmp_path / "united")
    assert (united.returncode, united.stderr) == (0, "")
    left_out = [list(load_left_out(path).entries()) for path in (*paths, tmp_path / "united")]
    assert left_out == [[SCANNER]] * 3, "it was not probed, and is no miss"
    echo = next(entry for entry in Census(tmp_path / "united").manifest.sets if entry.file.startswith("sets/icmp.echo"))
    assert echo.cardinality == 128


def test_an_agreed_start_is_kept_and_recorded(compiled: None, tmp_path: Path) -> None:  # noqa: ARG001 - for its effect
    """No packet leaves before; how late the first one was is in the manifest, also after the run was resumed."""
    lab = tmp_path / "lab.yaml"
    lab.write_text(LAB)
    changes = {"output": str(tmp_path), "probes": ["icmp"], "rate": "60pps", "block_prefix": 3}
    config = write_yaml(tmp_path / "config.yaml", CONFIG | changes)
    start = datetime.now(UTC) + timedelta(seconds=25)
    path, scan = tmp_path / "shared" / "1", " ".join([*LIVENESS, "scan"])
    options = f"-C {config} --run-id 1 --start-at {start.isoformat()} --vantage ams1 -t 5s"
    script = tmp_path / "scans.sh"
    script.write_text(f"{scan} {options}; cp {path}/manifest.json {tmp_path}; {scan} --resume {path}\n")
    capture = (sys.executable, "-m", "tests.census.capture", lab, tmp_path / "frames")
    done = run(*capture, "sh", script, cwd=ROOT, timeout=TIMEOUT_S)
    assert "waiting until" in done.stderr
    manifest = load_manifest(tmp_path / "manifest.json")
    assert manifest.status == "partial", "too short for the rest of this test"
    assert Census(path).manifest.shard == manifest.shard
    assert Census(path).manifest.resumed
    assert isinstance(manifest.vantage, Vantage)
    assert manifest.vantage.name == "ams1"
    frames = [line.split() for line in (tmp_path / "frames").read_text().splitlines()]
    echoes = [int(time_ns) / 1e9 for time_ns, frame in frames if ICMP in Ether(bytes.fromhex(frame))]
    assert min(echoes) >= start.timestamp() - 0.001
    assert isinstance(manifest.shard, Shard)
    assert manifest.shard.late_ms is not None
    assert abs(datetime.fromisoformat(manifest.started) - start) < timedelta(seconds=10), (
        "the wait is no part of the run"
    )
    assert manifest.shard.late_ms >= 0
    assert min(echoes) - start.timestamp() >= manifest.shard.late_ms / 1e3 - 0.001
