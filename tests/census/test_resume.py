"""Runs that are killed at any moment and go on: the sets are the truth, and nobody is probed more than once again."""

import random
import re
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec
import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.l2 import Ether

from liveness.runs.checkpoint import load_checkpoint
from tests.census.support import LIVENESS, ROOT, Census, losses_of, run, write_yaml

pytestmark = pytest.mark.lab

LAB: Final = """
name: small
networks:
  - {name: hosts, kind: host, prefixes: [10.1.0.0/24], listen: [80], dns: answer}
  - {name: dark, kind: silent, prefixes: [10.2.0.0/25]}
"""
TARGETS: Final = 256 + 128
CONFIG: Final[dict[str, object]] = {
    "name": "killed",
    "targets": {"allow": ["10.1.0.0/24", "10.2.0.0/25"]},
    "probes": ["icmp", "tcp/80", "dns"],
    "rate": "150pps",
    "block_prefix": 15,
    "senders": 2,
    "probe_spacing": "20ms",
    "cooldown": "300ms",
    "checkpoint": "200ms",
    "retransmit": {"attempts": 2, "queue": 100},
}
PROBES: Final = 4
ATTEMPTS: Final = 2
SESSIONS: Final = """
import os, random, signal, subprocess, sys, time
from pathlib import Path

config, run, kills, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
chance = random.Random(seed)
scan = [sys.executable, "-m", "liveness", "scan", "-q"]
begin, go_on = [*scan, "-C", str(config), "--run-id", run.name], [*scan, "--resume", str(run)]
command, killed = begin, []
while True:
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    if len(killed) < kills:
        while not (run / "checkpoint.json").exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 2.5))
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        found = children.read_text().split() if process.poll() is None else []
        who = chance.choice(["supervisor", "all", *range(len(found))])
        victims = [process.pid] if who == "supervisor" else found if who == "all" else [found[who]]
        for victim in [process.pid, *victims] if who == "all" else victims:
            try:
                os.kill(int(victim), signal.SIGKILL)
            except ProcessLookupError:
                pass
        killed.append(str(who))
    complaints = process.communicate(timeout=100)[1]
    print(process.returncode, " ".join(killed[-1:]), complaints.strip().replace("\\n", " | "), file=sys.stderr)
    if process.returncode == 0:
        break
    if process.returncode not in (5, -9) or "Traceback" in complaints:
        sys.exit(f"a session ended with {process.returncode}: {complaints}")
    if (run / "manifest.json").exists():
        command = go_on
print(len(killed))
"""


def prepare(folder: Path, **changes: object) -> tuple[Path, Path, Path]:
    """Write lab and config; return both and where the run will lie."""
    internet = folder / "small.yaml"
    internet.write_text(LAB)
    config = write_yaml(folder / "config.yaml", CONFIG | {"output": str(folder)} | changes)
    return internet, config, folder / "killed" / "1"


def captured(frames: Path) -> Counter[tuple[str, str]]:
    """Return how many probes went to each destination, by protocol; what the scanner's own kernel sent left out."""
    count: Counter[tuple[str, str]] = Counter()
    for line in frames.read_text().splitlines():
        packet = Ether(bytes.fromhex(line.split()[1]))
        if IP not in packet or packet[IP].src != "10.255.0.2":
            continue
        if ICMP in packet and packet[ICMP].type == 8:
            count["icmp", packet[IP].dst] += 1
        elif TCP in packet and packet[TCP].flags == "S":
            count["tcp", packet[IP].dst] += 1
        elif packet[IP].proto == 17:
            count["udp", packet[IP].dst] += 1
    return count


@pytest.mark.parametrize(("kills", "seed"), [(3, 1), (5, 2)])
def test_killed_and_resumed_the_sets_are_the_truth(
    compiled: None,  # noqa: ARG001 - for its effect
    tmp_path: Path,
    kills: int,
    seed: int,
) -> None:
    judge_killed_run(tmp_path, kills, seed)


@pytest.mark.slow
def test_a_hundred_kills(compiled: None, tmp_path: Path) -> None:  # noqa: ARG001 - for its effect
    """Ten runs of ten kills, three at a time: most of a session is waiting."""

    def judge(seed: int) -> None:
        folder = tmp_path / str(seed)
        folder.mkdir()
        judge_killed_run(folder, 10, seed)

    with ThreadPoolExecutor(3) as together:
        list(together.map(judge, range(10, 20)))


def judge_killed_run(folder: Path, kills: int, seed: int) -> None:
    """Kill a run that often at random moments, go on each time, and hold what comes of it against the truth."""
    internet, config, path = prepare(folder)
    sessions, frames = folder / "sessions.py", folder / "frames"
    sessions.write_text(SESSIONS)
    capture = (sys.executable, "-m", "tests.census.capture", internet, frames)
    done = run(*capture, sys.executable, sessions, config, path, str(kills), str(seed), cwd=ROOT, timeout=900)
    assert done.returncode == 0, done.stderr
    cuts = len(Census(path).manifest.resumed)
    checked = run(*LIVENESS, "lab", "check", "--plain", "--internet", internet, path)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    manifest = Census(path).manifest
    assert (manifest.status, losses_of(manifest)) == ("complete", [])
    assert manifest.targets == TARGETS
    for counts in manifest.probes.values():
        assert (counts.sent, counts.send_errors) == ([TARGETS, TARGETS], 0)
    for (protocol, address), count in captured(frames).items():
        probes = 2 if protocol == "tcp" else 1
        assert ATTEMPTS <= count / probes <= ATTEMPTS * (1 + cuts), (protocol, address, done.stderr)
    assert len(captured(frames)) == 3 * TARGETS
    assert not (path / "segments").exists()
    assert not (path / "checkpoint.json").exists()


def test_an_interrupted_run_continues_and_a_finished_one_does_not(compiled: None, tmp_path: Path) -> None:  # noqa: ARG001 - for its effect
    """Stopped by its limit again and again; each session has the limit for itself, and goes back a second or two."""
    internet, config, path = prepare(tmp_path, limits={"max_runtime": "3s"})
    script = tmp_path / "sessions.sh"
    scan = " ".join([*LIVENESS, "scan", "-q"])
    script.write_text(f"{scan} -C {config} --run-id 1; until {scan} --resume {path}; do ls {path}/segments; done\n")
    lab = (*LIVENESS, "lab", "exec", "--plain", "--internet", internet, "--")
    done = run(*lab, "sh", script, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("limits.max_runtime of 3s reached") >= 2
    left = done.stdout.split().count
    assert sum(map(left, {word for word in done.stdout.split() if word.endswith(".segment")})) == (
        done.stderr.count("limits.max_runtime") - 1
    ), "one segment is left after each session"
    manifest = Census(path).manifest
    assert len(manifest.resumed) == done.stderr.count("limits.max_runtime")
    assert manifest.timeline.end_s == sorted(manifest.timeline.end_s)
    assert sum(manifest.timeline.completed) == manifest.transmit.frames >= PROBES * ATTEMPTS * TARGETS
    assert manifest.transmit.frames - PROBES * ATTEMPTS * TARGETS == manifest.transmit.resent > 0
    checked = run(*LIVENESS, "lab", "check", "--plain", "--internet", internet, path)
    assert checked.returncode == 0, checked.stdout
    again = run(*LIVENESS, "scan", "--resume", path)
    assert again.returncode == 2
    assert again.stderr == f"liveness: error: {path}: this run is complete: there is nothing to resume\n"


def cut_off(folder: Path) -> tuple[Path, Path]:
    """Return the lab's file, and a run whose every process was killed."""
    internet, config, path = prepare(folder)
    sessions = folder / "cut.sh"
    scan = " ".join([*LIVENESS, "scan", "-q", "-C", str(config), "--run-id", "1"])
    sessions.write_text(
        f"{scan} & while [ ! -f {path}/segments/0-000004.segment ]; do sleep 0.1; done; kill -9 $!; wait; true\n"
    )
    done = run(*LIVENESS, "lab", "exec", "--plain", "--internet", internet, "--", "sh", sessions)
    assert done.returncode == 0, done.stderr
    return internet, path


def resumed(internet: Path, path: Path) -> tuple[int, str]:
    done = run(
        *LIVENESS, "lab", "exec", "--plain", "--internet", internet, "--", *LIVENESS, "scan", "-q", "--resume", path
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("victim", ["manifest.json", "checkpoint.json", "segments/0-000002.segment"])
@pytest.mark.parametrize("damage", ["cut", "gone", "empty"])
def test_damage_is_named_and_the_run_continues(compiled: None, tmp_path: Path, victim: str, damage: str) -> None:  # noqa: ARG001 - for its effect
    """What a power cut may leave: a file cut short, an empty one, or none."""
    internet, path = cut_off(tmp_path)
    content = (path / victim).read_bytes()
    if damage == "gone":
        (path / victim).unlink()
    else:
        (path / victim).write_bytes(content[: random.Random(7).randrange(len(content))] if damage == "cut" else b"")
    code, complaints = resumed(internet, path)
    assert (code, complaints) == (0, "")
    warnings = Census(path).manifest.loss_warnings
    if (victim, damage) == ("segments/0-000002.segment", "gone"):
        assert not any("segment" in warning for warning in warnings), "it was never there, for all that can be known"
    else:
        assert sum(victim in warning for warning in warnings) == 1
    checked = run(*LIVENESS, "lab", "check", "--plain", "--internet", internet, path, "--json")
    if victim.startswith("segments"):
        differences = msgspec.json.decode(checked.stdout)["differences"]
        assert all(difference["extra"] == 0 for difference in differences)
    else:
        assert checked.returncode == 0, checked.stdout


def test_two_scans_do_not_write_one_run(compiled: None, tmp_path: Path) -> None:  # noqa: ARG001 - for its effect
    internet, config, path = prepare(tmp_path)
    scan = " ".join([*LIVENESS, "scan", "-q"])
    script = tmp_path / "two.sh"
    script.write_text(
        f"{scan} -C {config} --run-id 1 & while [ ! -f {path}/checkpoint.json ]; do sleep 0.1; done;"
        f" {scan} --resume {path}; echo second $? >&2; wait\n"
    )
    done = run(*LIVENESS, "lab", "exec", "--plain", "--internet", internet, "--", "sh", script)
    assert done.returncode == 0
    refused = rf"liveness: error: {path}: a scan is at work on this run \(process \d+\): wait for its end, or stop it"
    assert re.fullmatch(rf"{refused}\nsecond 4\n", done.stderr)
    assert Census(path).manifest.status == "complete"
    assert Census(path).manifest.resumed == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume", "nowhere"], "nowhere: no such run directory"),
        (
            ["--resume", ".", "-r", "5pps"],
            "--resume continues a run as it was configured: only -q and watching options apply",
        ),
        (
            ["--resume", ".", "--shard", "0"],
            "--resume continues a run as it was configured: only -q and watching options apply",
        ),
        (
            ["--resume", ".", "10.0.0.0/8"],
            "--resume continues a run as it was configured: only -q and watching options apply",
        ),
        (["--resume", "."], "neither manifest nor checkpoint can be read"),
    ],
)
def test_what_cannot_be_resumed_is_reported(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = run(*LIVENESS, "scan", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_checkpoint_is_written_at_once_and_again(compiled: None, tmp_path: Path) -> None:  # noqa: ARG001 - for its effect
    _, path = cut_off(tmp_path)
    checkpoint = load_checkpoint(path / "checkpoint.json")
    assert checkpoint.manifest.status == "running"
    assert checkpoint.totals.frames > 0
    assert [len(probe) for probe in checkpoint.sent] == [ATTEMPTS] * PROBES
