"""Wrong input: one line with file, path, value and remedy, the right exit code, nothing sent, nothing left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.support import assert_one_line, liveness, without_privilege
from tests.populations import town

PUBLIC = "192.88.98.0/24"  # an ordinary address: nothing may ever be sent to it
GOOD = {
    "name": "name: trial",
    "targets": f"targets: {{allow: [{PUBLIC}]}}",
    "contact": "contact: https://example.org/scan",
    "network": "network: {interface: lo}",
}


def config(folder: Path, **changed: str) -> Path:
    path = folder / "census.yaml"
    path.write_text("\n".join({**GOOD, **changed}.values()) + "\n")
    return path


def assert_nothing_left(folder: Path) -> None:
    assert not [path for path in folder.rglob("*") if path.name == "manifest.json" or path.suffix == ".roaring"]
    assert not list(folder.glob("sets/*/*"))


@pytest.mark.parametrize(
    ("changed", "code", "parts"),
    [
        ({"more": "rat: 5kpps"}, 2, ["census.yaml", "$.rat", "rate"]),
        ({"rate": "rate: 0"}, 2, ["census.yaml", "$.rate", "0"]),
        ({"rate": "rate: fast"}, 2, ["census.yaml", "$.rate", "fast", "100kpps"]),
        ({"targets": "targets: {allow: [10.0.0.0/33]}"}, 2, ["census.yaml", "$.targets.allow", "10.0.0.0/33"]),
        ({"targets": "targets: {allow: [192.88.98.1/24]}"}, 2, ["census.yaml", "192.88.98.1/24", "192.88.98.0/24"]),
        ({"targets": f"targets: {{allow: [{PUBLIC}], block: [none.txt]}}"}, 2, ["census.yaml", "block", "none.txt"]),
        ({"targets": "targets: {allow: []}"}, 2, ["census.yaml", "allow"]),
        ({"targets": f"targets: {{allow: [{PUBLIC}], block: [{PUBLIC}]}}"}, 2, ["census.yaml", "blocklist"]),
        ({"targets": "targets: {allow: [10.0.0.0/24]}"}, 2, ["census.yaml", "special-purpose", "10.0.0.0/8"]),
        ({"contact": ""}, 4, ["census.yaml", "$.contact"]),
        ({"network": "network: {interface: nosuch0}"}, 2, ["nosuch0", "lo"]),
        ({"network": "network: {transport: pigeon}"}, 2, ["census.yaml", "$.network.transport", "pigeon"]),
        ({"more": "replies: csv"}, 2, ["census.yaml", "$.replies", "csv", "parquet"]),
        ({"more": "retransmit: {attempts: 0}"}, 2, ["census.yaml", "$.retransmit.attempts", "0"]),
        ({"more": "probes: [icmp, icmp]"}, 2, ["census.yaml", "$.probes", "icmp"]),
        ({"more": "probes: [tcp/70000]"}, 2, ["census.yaml", "$.probes", "tcp/70000"]),
        ({"more": "probe_spacing: 1h\nrate: 1Mpps"}, 2, ["probe_spacing", "1h"]),
        ({"more": "block_prefix: 24", "targets": "targets: {allow: [1.0.0.0/8]}"}, 2, ["block_prefix", "24"]),
    ],
)
def test_wrong_configs(tmp_path: Path, changed: dict[str, str], code: int, parts: list[str]) -> None:
    run = liveness("scan", "--config", config(tmp_path, **changed), "-o", tmp_path / "sets", cwd=tmp_path)
    assert_one_line(run, code, *parts)
    assert_nothing_left(tmp_path)


def test_a_blocklist_that_does_not_parse_stops_the_scan(tmp_path: Path) -> None:
    (tmp_path / "opt-outs.txt").write_text("# ours\n192.0.2.0/24\n192.0.2.300\n")
    path = config(tmp_path, targets=f"targets: {{allow: [{PUBLIC}], block: [opt-outs.txt]}}")
    assert_one_line(liveness("scan", "-C", path, cwd=tmp_path), 2, "opt-outs.txt:3", "192.0.2.300")


def test_a_blocklist_that_cannot_be_read_stops_the_scan(tmp_path: Path) -> None:
    (tmp_path / "opt-outs.txt").mkdir()
    path = config(tmp_path, targets=f"targets: {{allow: [{PUBLIC}], block: [opt-outs.txt]}}")
    assert_one_line(liveness("scan", "-C", path, cwd=tmp_path), 2, "opt-outs.txt")


def test_a_missing_config_and_a_missing_run(tmp_path: Path) -> None:
    assert_one_line(liveness("scan", "-C", tmp_path / "none.yaml"), 2, "none.yaml", "no such file")
    assert_one_line(liveness("analyze", tmp_path / "none"), 2, "none")
    assert_one_line(liveness("analyze", tmp_path), 2, str(tmp_path), "manifest.json")


def test_an_output_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file\n")
    run = liveness("scan", "-C", config(tmp_path), "-o", tmp_path / "taken", cwd=tmp_path)
    assert_one_line(run, 2, str(tmp_path / "taken"))
    run = liveness("scan", "-C", config(tmp_path), "-o", "/proc/sets", cwd=tmp_path)
    assert_one_line(run, 2, "/proc/sets")


def test_a_run_id_that_exists(tmp_path: Path) -> None:
    (tmp_path / "sets" / "trial" / "first").mkdir(parents=True)
    run = liveness("scan", "-C", config(tmp_path), "--run-id", "first", "-o", tmp_path / "sets", cwd=tmp_path)
    assert_one_line(run, 2, "first", "exists already")
    assert (tmp_path / "sets" / "trial" / "first").is_dir()


@pytest.mark.lab
def test_no_route_and_no_privilege(tmp_path: Path) -> None:
    """In a private network without a route; a path that cannot be is told before a privilege is asked for."""
    path = config(tmp_path, network="network: {interface: auto}")
    assert_one_line(without_privilege("scan", "-C", path, cwd=tmp_path), 2, "no route to 192.88.98.0", "ip route add")
    path = config(tmp_path, network="network: {interface: lo, gateway_mac: '02:00:00:00:00:01'}")
    assert_one_line(
        without_privilege("scan", "-C", path, cwd=tmp_path), 2, "lo", "neither Ethernet frames nor IP packets"
    )
    assert_nothing_left(tmp_path)


def test_nothing_to_scan_and_unknown_words(tmp_path: Path) -> None:
    run = liveness("scan", cwd=tmp_path)
    assert (run.code, run.out) == (2, "")
    assert "give --config FILE, TARGETS" in run.err
    run = liveness("scna")
    assert (run.code, run.out) == (2, "")
    assert "did you mean 'scan'?" in run.err
    run = liveness("scan", "--rte", "5")
    assert run.code == 2
    assert "--rate" in run.err
    assert "Traceback" not in run.err


@pytest.mark.parametrize("command", [["probes"], ["analyze", "RUN"], ["analyze", "RUN", "--json"], ["config", "init"]])
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, command: list[str]) -> None:
    """As with head(1): the reader closes the pipe before anything is written to it."""
    if "RUN" in command:
        command = [str(town().write(tmp_path).path) if word == "RUN" else word for word in command]
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run(
        [sys.executable, "-m", "liveness", *command], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert run.stderr == ""
    assert run.returncode == 0
