"""Opt-outs of real scans: withdrawn in mid-run within seconds, kept by runs that go on, taken out of runs on disk."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest
from pyroaring import BitMap
from scapy.layers.inet import ICMP, IP, TCP, IPerror
from scapy.layers.l2 import Ether
from scapy.utils import rdpcap

from liveness.optouts.stage import STAGE
from tests.census.support import LIVENESS, ROOT, Census, clean_environment, run, write_yaml
from tests.census.test_interrupt import await_true, children_of, is_scan

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("compiled")]

LAB: Final = """
name: small
networks:
  - {name: hosts, kind: host, prefixes: [10.1.0.0/24], listen: [80], dns: answer}
  - {name: dark, kind: silent, prefixes: [10.2.0.0/25]}
"""
TARGETS: Final = 256 + 128
OUT: Final = IPv4Network("10.1.0.64/26")
CONFIG: Final[dict[str, object]] = {
    "name": "optout",
    "targets": {"allow": ["10.1.0.0/24", "10.2.0.0/25"], "block": ["block.txt"]},
    "probes": ["icmp", "tcp/80", "dns"],
    "rate": "60pps",  # 13 s of sending
    "probe_spacing": "20ms",
    "cooldown": "500ms",
    "checkpoint": "300ms",
    "senders": 2,
    "retransmit": {"attempts": 2, "queue": 100},
}
HEARD_S: Final = 5.0
"""So soon a running scan sends nothing more to what was blocked."""
END_S: Final = 120.0


def prepare(folder: Path, **changes: object) -> tuple[Path, Path, Path]:
    """Write lab, list and config; return the lab's file, the list and where the run will lie."""
    (folder / "lab.yaml").write_text(LAB)
    (folder / "block.txt").write_text("# nobody yet\n")
    write_yaml(folder / "census.yaml", CONFIG | {"output": str(folder)} | changes)
    return folder / "lab.yaml", folder / "block.txt", folder / "optout" / "one"


def words_of(pid: int) -> list[bytes]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return []


def scan_of(process: subprocess.Popen[str]) -> int:
    """Return the process id of the scan that a command in a lab has started, once it sends."""
    found: list[int] = []

    def is_there() -> bool:
        todo = [process.pid]
        while todo:
            pid = todo.pop()
            if is_scan(pid) and b"tests.census.capture" not in words_of(pid) and len(children_of(pid)) >= 3:
                found.append(pid)
                return True
            todo += children_of(pid)
        return False

    assert await_true(is_there), process.poll()
    return found[0]


def probes(frames: Path) -> Iterator[tuple[float, IPv4Address]]:
    """Yield when each probe passed the router, in seconds since 1970, and whom it went to; not what the kernel sent."""
    for line in frames.read_text().splitlines():
        when, frame = line.split()
        packet = Ether(bytes.fromhex(frame))
        if IP not in packet or packet[IP].src != "10.255.0.2" or not packet[IP].dst.startswith(("10.1.", "10.2.")):
            continue
        if (
            packet[IP].proto == 17
            or (TCP in packet and packet[TCP].flags == "S")
            or (ICMP in packet and packet[ICMP].type == 8)
        ):
            yield int(when) / 1e9, IPv4Address(packet[IP].dst)


@pytest.mark.parametrize("hangup", [False, True], ids=["noticed", "told-by-SIGHUP"])
def test_a_running_scan_sends_nothing_more_to_what_is_blocked(tmp_path: Path, hangup: bool) -> None:
    lab, block, path = prepare(tmp_path)
    frames = tmp_path / "frames"
    command = [*LIVENESS, "scan", "-q", "-C", str(tmp_path / "census.yaml"), "--run-id", "one"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.census.capture", str(lab), str(frames), *command],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(),
        start_new_session=True,
    )  # fmt: skip
    pid = scan_of(process)
    time.sleep(2)
    blocked_at = time.time()
    added = run(*LIVENESS, "blocklist", "add", str(OUT), "-b", block, "--who", "noc@example.net", "--why", "mail")
    assert added.returncode == 0, added.stderr
    if hangup:
        os.kill(pid, signal.SIGHUP)
    time.sleep(3)
    block.write_text(block.read_text() + "10.1.0.0/24 # nobody knows\n10.1.0.256\n")
    _, stderr = process.communicate(timeout=END_S)
    assert process.returncode == 0, stderr
    sent = list(probes(frames))
    assert not [when for when, address in sent if address in OUT and when > blocked_at + HEARD_S]
    late = [address for when, address in sent if address not in OUT and when > blocked_at + HEARD_S]
    assert len(set(late)) > 50

    manifest = Census(path).manifest
    assert manifest.status == "complete"
    (withdrawal,) = manifest.opt_outs.withdrawals
    assert (withdrawal.addresses, withdrawal.lists) == (64, [str(block)])
    (problem,) = manifest.opt_outs.list_problems
    assert problem.problem.startswith(f"{block}:4: '10.1.0.256' is not a prefix")
    assert stderr.count("WARNING") == 1
    assert f"liveness: WARNING: {block}:4: " in stderr
    assert "liveness: blocklist changed: 64 targets withdrawn" in stderr
    for counts in manifest.probes.values():
        assert TARGETS - 64 <= counts.sent[1] <= counts.sent[0] < TARGETS
    to_out = sum(address in OUT for _, address in sent)
    assert sum(sum(counts.sent) for counts in manifest.probes.values()) == 4 * 2 * (TARGETS - 64) + to_out
    assert len(sent) == 4 * 2 * (TARGETS - 64) + to_out
    assert to_out > 0


def test_a_run_that_is_resumed_applies_what_was_blocked_meanwhile(tmp_path: Path) -> None:
    lab, block, path = prepare(tmp_path)
    frames, script = tmp_path / "frames", tmp_path / "sessions.sh"
    scan = " ".join([*LIVENESS, "scan", "-q"])
    interrupted = f"{sys.executable} -m tests.census.interrupted"
    script.write_text(
        f"{interrupted} 3 2 {scan} -C {tmp_path}/census.yaml --run-id one\n"
        f"{' '.join(LIVENESS)} blocklist add {OUT} -b {block}; date +%s.%N > {tmp_path}/at\n"
        f"{interrupted} 1 2 {scan} --resume {path}\n"
        f": > {block}\n"
        f"{scan} --resume {path}\n"
    )
    capture = (sys.executable, "-m", "tests.census.capture", lab, frames, "sh", script)
    done = run(*capture, cwd=ROOT, timeout=END_S)
    assert done.returncode == 0, done.stderr
    blocked_at = float((tmp_path / "at").read_text())
    sent = list(probes(frames))
    assert [when for when, address in sent if address in OUT and when < blocked_at]
    assert not [when for when, address in sent if address in OUT and when > blocked_at]
    assert len({address for _, address in sent if address not in OUT}) == TARGETS - 64
    manifest = Census(path).manifest
    assert (manifest.status, len(manifest.resumed)) == ("complete", 2)
    assert [withdrawal.addresses for withdrawal in manifest.opt_outs.withdrawals] == [64]
    kept = json.loads((path / "opt-outs.json").read_text())
    assert kept["prefixes"] == [str(OUT)]


def is_about_the_opted_out(packet: Any) -> bool:  # noqa: ANN401 - scapy's packets
    """Judge by scapy: source, destination, the header an error quotes, and the target in an echo's payload."""
    found = [packet[IP].src, packet[IP].dst]
    if IPerror in packet:
        found += [packet[IPerror].src, packet[IPerror].dst]
    if ICMP in packet and packet[ICMP].type == 0:
        found.append(str(IPv4Address(bytes(packet[ICMP].payload)[8:12])))
    return any(IPv4Address(address) in OUT for address in found)


def packets(path: Path) -> list[bytes]:
    return [bytes(packet) for file in sorted((path / "pcap").iterdir()) for packet in rdpcap(str(file))]


def rows(query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(query).fetchall()


def replies(path: Path) -> list[tuple[Any, ...]]:
    return rows(f"SELECT * FROM read_parquet('{path}/replies/*.parquet') ORDER BY ALL")


def apply(path: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    return run(*LIVENESS, "blocklist", "apply", path, *options)


def test_the_opted_out_leave_sets_and_logs_of_a_finished_run(tmp_path: Path) -> None:
    lab, block, path = prepare(tmp_path, rate="1kpps", replies="both", receive={"receivers": 2})
    done = run(*LIVENESS, "lab", "exec", "--plain", "--internet", lab, "--", *LIVENESS, "scan", "-q", "-C",
               tmp_path / "census.yaml", "--run-id", "one")  # fmt: skip
    assert done.returncode == 0, done.stderr
    before, packets_before, replies_before = Census(path), packets(path), replies(path)
    out = BitMap(range(int(OUT[0]), int(OUT[-1]) + 1))
    assert any(members & out for members in before.sets.values())
    unchanged = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}

    assert apply(path).stdout == f"{path}: nothing of 0 blocked addresses is in it\n"
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == unchanged
    block.write_text(f"{OUT} # 2026-11-22, noc@example.net, by mail\n")
    (path.parent / "reports" / path.name).mkdir(parents=True)
    done = apply(path)
    stderr = f"{path}: its report still counts them: liveness census report {path}\n"
    assert (done.returncode, done.stderr) == (0, stderr)

    after = Census(path)
    assert after.sets == {key: members - out for key, members in before.sets.items() if members - out}
    assert {file.name for file in (path / "sets").iterdir()} == {Path(entry.file).name for entry in after.manifest.sets}
    assert packets(path) == [packet for packet in packets_before if not is_about_the_opted_out(Ether(packet))]
    columns = [row[0] for row in rows(f"DESCRIBE FROM read_parquet('{path}/replies/*.parquet')")]
    source, target = columns.index("source"), columns.index("target")
    assert replies(path) == [row for row in replies_before if row[source] not in out and row[target] not in out]
    assert 0 < len(replies(path)) < len(replies_before)
    assert {file.file: (file.rows, file.bytes) for file in after.manifest.log.files} == {
        f"{file.parent.name}/{file.name}": (
            rows(f"SELECT count(*) FROM '{file}'")[0][0] if file.suffix == ".parquet" else len(rdpcap(str(file))),
            file.stat().st_size,
        )
        for folder in ("replies", "pcap")
        for file in (path / folder).iterdir()
    }
    (applied,) = after.manifest.opt_outs.applied
    assert (applied.lists, applied.blocked) == ([str(block)], 64)
    assert {change.file: (change.before, change.after) for change in applied.sets} == {
        key.file: (len(members), len(members - out)) for key, members in before.sets.items() if members & out
    }
    assert after.manifest.messages == before.manifest.messages
    assert run(*LIVENESS, "analyze", path, "--json").returncode == 0

    content = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    again = apply(path)
    nothing = f"{path}: nothing of 64 blocked addresses is in it\n"
    assert (again.returncode, again.stdout, again.stderr) == (0, nothing, "")
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == content
    assert not (path / "lock").exists()
    assert not (path / STAGE).exists()


def test_a_run_at_work_is_refused_and_a_partial_one_continues_without_the_opted_out(tmp_path: Path) -> None:
    """Nothing of them comes back when the run goes on, although its own lists do not name them."""
    lab, _, path = prepare(tmp_path, replies="parquet")
    other = tmp_path / "other.txt"
    other.write_text(f"{OUT}\n10.2.0.0/28\n")
    frames, script = tmp_path / "frames", tmp_path / "sessions.sh"
    scan, taken = " ".join([*LIVENESS, "scan", "-q"]), f"{' '.join(LIVENESS)} blocklist apply {path} -b {other}"
    script.write_text(
        f"{scan} -C {tmp_path}/census.yaml --run-id one &\n"
        f"while [ ! -f {path}/segments/0-000009.segment ]; do sleep 0.1; done\n"
        f"{taken} 2> {tmp_path}/refused; echo $? >> {tmp_path}/refused\n"
        f"kill -9 $!; wait\n"
        f"{taken}\n"
        f"date +%s.%N > {tmp_path}/at\n"
        f"{scan} --resume {path}\n"
    )
    done = run(sys.executable, "-m", "tests.census.capture", lab, frames, "sh", script, cwd=ROOT, timeout=END_S)
    assert done.returncode == 0, done.stderr
    refused = rf"liveness: error: {path}: a scan is at work on this run \(process \d+\): wait for its end, or stop it"
    assert re.fullmatch(rf"{refused}\n4\n", (tmp_path / "refused").read_text())
    taken_at = float((tmp_path / "at").read_text())
    sent = list(probes(frames))
    assert [when for when, address in sent if address in OUT and when < taken_at]
    assert not [when for when, address in sent if address in OUT and when > taken_at]
    census = Census(path)
    assert census.manifest.status == "complete"
    (applied,) = census.manifest.opt_outs.applied
    assert applied.segments
    out = BitMap(range(int(OUT[0]), int(OUT[-1]) + 1))
    assert census.sets
    assert not any(members & out for members in census.sets.values())
    echo = census.union({"icmp"}, {"echo-reply"}, "direct")
    assert echo == BitMap(range(int(IPv4Address("10.1.0.0")), int(IPv4Address("10.1.1.0")))) - out
    number = int(OUT[0])
    query = (
        f"SELECT count(*) FROM read_parquet('{path}/replies/*.parquet') WHERE target BETWEEN {number} AND {number + 63}"
    )
    assert rows(query) == [(0,)]
