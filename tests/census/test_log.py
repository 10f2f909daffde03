"""The log of real scans: every reply a row, replays of every capture the same sets, no failure of it harms the run."""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest

from tests.census.support import EXEC, LIVENESS, Census, clean_environment, losses_of, run, write_yaml
from tests.census.test_interrupt import children_of, is_scan

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("compiled")]

LAB: Final = """
name: small
networks:
  - {name: hosts, kind: host, prefixes: [10.1.0.0/24], listen: [80], dns: answer}
  - {name: dark, kind: silent, prefixes: [10.2.0.0/25]}
"""
CONFIG: Final[dict[str, object]] = {
    "name": "logged",
    "targets": {"allow": ["10.1.0.0/24", "10.2.0.0/25"]},
    "rate": "1kpps",
    "probe_spacing": "10ms",
    "cooldown": "1s",
    "replies": "both",
    "receive": {"receivers": 2},
}
END_S: Final = 150.0
"""More than any of this takes on a machine that does other things meanwhile."""
SLOWLY: Final[dict[str, object]] = {"rate": "15pps"}
CAPTURED: Final = """
dumpcap -q -i scan0 -w {capture} 2>{stderr} &
tool=$!
while ! grep -q '^File:' {stderr}; do sleep 0.05; done
{scan}
code=$?
sleep 0.5
kill -INT $tool
wait $tool
exit $code
"""


def in_lab(folder: Path, script: str, **changes: object) -> subprocess.Popen[str]:
    """Start a shell script in a lab, in which {scan} is the command of a scan into the folder."""
    (folder / "lab.yaml").write_text(LAB)
    config = write_yaml(folder / "census.yaml", CONFIG | {"output": str(folder)} | changes)
    words = {
        "scan": f"{' '.join(LIVENESS)} scan -C {config} --run-id one",
        "resume": f"{' '.join(LIVENESS)} scan --resume {folder}/logged/one",
        "run": folder / "logged" / "one",
        "folder": folder,
        "capture": folder / "capture.pcapng",
        "stderr": folder / "stderr.txt",
    }
    return subprocess.Popen(
        [*EXEC, "--plain", "--internet", str(folder / "lab.yaml"), "--", "sh", "-c", script.format(**words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )


def finished(process: subprocess.Popen[str]) -> str:
    """Wait for a script's success; return what it said."""
    _, stderr = process.communicate(timeout=END_S)
    assert process.returncode == 0, stderr
    return stderr


@dataclass(frozen=True)
class Logged:
    """A scan with both logs, and what another tool captured meanwhile."""

    census: Census
    capture: Path


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    folder = tmp_path_factory.mktemp("logged")
    finished(in_lab(folder, CAPTURED))
    return Logged(Census(folder / "logged" / "one"), folder / "capture.pcapng")


def query(census: Census, sql: str) -> list[Any]:
    """Ask a plain DuckDB about the files themselves."""
    return duckdb.connect().execute(sql.format(files=f"'{census.path}/replies/*.parquet'")).fetchall()


def test_every_message_is_a_row(logged: Logged) -> None:
    manifest = logged.census.manifest
    rows = query(
        logged.census,
        "SELECT probe, kind || coalesce('-' || icmp_type || '-' || icmp_code, ''), count(*) FROM {files} GROUP BY ALL",
    )
    counts = {(probe, label): n for probe, labels in manifest.messages.items() for label, n in labels.items()}
    assert {(probe, label): n for probe, label, n in rows} == counts
    assert sum(counts.values()) > 4000


def test_rows_say_who_and_when_and_how_far(logged: Logged) -> None:
    census = logged.census
    for key, members in census.sets.items():
        if key.role != "direct":
            error = f"AND icmp_type = {key.reply.icmp_type} AND icmp_code = {key.reply.icmp_code}"
            rows = query(
                census,
                f"SELECT DISTINCT {key.role} FROM {{files}} WHERE probe = '{key.reply.probe}'"
                f" AND kind = '{key.reply.kind.label}' {error if key.reply.icmp_type is not None else ''}",
            )
            assert {address for (address,) in rows} == set(members)
    # one router lies between: what its hosts send with 64 comes in with 63
    assert query(census, "SELECT DISTINCT reply_ttl FROM {files} WHERE kind != 'error'") == [(63,)]
    assert query(census, "SELECT count(*) FROM {files} WHERE kind = 'syn-ack' AND tcp_flags != 18") == [(0,)]
    ((known, least, most),) = query(census, "SELECT count(rtt_ns), min(rtt_ns), max(rtt_ns) FROM {files}")
    assert known == census.manifest.messages["icmp"]["echo-reply"]
    assert 0 < least <= most < 60 * 10**9
    ((first, last),) = query(census, "SELECT min(time_ns), max(time_ns) FROM {files}")
    assert 0 <= last - first < 120 * 10**9
    assert abs(last / 1e9 - census.path.stat().st_mtime) < 120


def test_the_manifest_lists_the_log(logged: Logged) -> None:
    log = logged.census.manifest.log
    assert (log.complete, log.problems) == (True, [])
    on_disk = {
        f"{folder}/{path.name}" for folder in ("replies", "pcap") for path in (logged.census.path / folder).iterdir()
    }
    assert {file.file for file in log.files} == on_disk
    rows: Counter[str] = Counter()
    for file in log.files:
        rows[file.file.rpartition(".")[2]] += file.rows
        assert file.bytes == (logged.census.path / file.file).stat().st_size
    assert rows["parquet"] == sum(sum(counts.values()) for counts in logged.census.manifest.messages.values())
    assert rows["pcap"] == logged.census.manifest.receive.packets


def check_replayed(census: Census, capture: Path | None, output: Path) -> Census:
    done = run(*LIVENESS, "replay", *([capture] if capture else []), "--run", census.path, "-o", output, "--check")
    assert done.returncode == 0, done.stderr
    replayed = Census(output)
    before, after = ({entry.file: entry.sha256 for entry in run.manifest.sets} for run in (census, replayed))
    assert before == after
    assert len(after) > 15
    for file in after:
        assert (output / file).read_bytes() == (census.path / file).read_bytes()
    assert replayed.manifest.messages == census.manifest.messages
    assert replayed.manifest.rejected == census.manifest.rejected
    assert replayed.manifest.receive.packets == census.manifest.receive.packets
    return replayed


def test_its_own_packets_give_the_same_sets(logged: Logged, tmp_path: Path) -> None:
    check_replayed(logged.census, None, tmp_path / "out")


@pytest.mark.parametrize("kind", ["dumpcap", "tcpdump", "pcap", "nsecpcap"])
def test_another_tool_s_capture_gives_the_same_sets(logged: Logged, tmp_path: Path, kind: str) -> None:
    """As dumpcap wrote it, as tcpdump and editcap copy it: probes and whatever else passed are in it."""
    capture = tmp_path / "capture"
    if kind == "dumpcap":
        capture = logged.capture
    elif kind == "tcpdump":
        subprocess.run(["tcpdump", "-q", "-r", logged.capture, "-w", capture], check=True, capture_output=True)
    else:
        subprocess.run(["editcap", "-F", kind, logged.capture, capture], check=True)
    check_replayed(logged.census, capture, tmp_path / "out")


def test_tshark_reads_our_packets(logged: Logged) -> None:
    """And finds as many as we say, none of them malformed."""
    files = sorted((logged.census.path / "pcap").iterdir())
    packets = 0
    for file in files:
        fields = ["-T", "fields", "-e", "frame.time_epoch", "-e", "_ws.malformed"]
        done = run("tshark", "-r", file, *fields)
        lines = [line.split("\t") for line in done.stdout.splitlines()]
        packets += len(lines)
        assert not any(malformed for _, malformed in lines)
        assert any(len(stamp.rpartition(".")[2].rstrip("0")) > 6 for stamp, _ in lines), "nanoseconds"
    assert packets == logged.census.manifest.receive.packets


def check_intact(logged: Logged, folder: Path, stderr: str, *words: str) -> Census:
    """Check that a run has all its sets though its log failed, and that one line tells so."""
    census = Census(folder / "logged" / "one")
    assert {entry.file: entry.sha256 for entry in census.manifest.sets} == {
        entry.file: entry.sha256 for entry in logged.census.manifest.sets
    }
    assert census.sets.keys() == logged.census.sets.keys()
    manifest = census.manifest
    assert (manifest.status, manifest.reason) == ("complete", None)
    assert not manifest.log.complete
    (problem,) = manifest.log.problems
    assert losses_of(manifest) == [problem]
    assert problem.startswith("the log lacks ")
    assert all(word in problem for word in words), problem
    warnings = [line for line in stderr.splitlines() if line.startswith("warning: ")]
    (line,) = [line for line in warnings if "was not reached" not in line]
    assert line == f"warning: {problem}"
    return census


def test_a_full_disk_ends_the_log_and_not_the_scan(logged: Logged, tmp_path: Path) -> None:
    """In a file system of 4.2 MiB, 4 of which are kept for the sets: the log would need half of one."""
    script = """
    mkdir {folder}/logged
    unshare -m sh -c '
      mount -t tmpfs -o size=4300k none {folder}/logged && {scan} && cp -r {folder}/logged {folder}/kept
    '
    """
    stderr = finished(in_lab(tmp_path, script, rate="300pps"))
    (tmp_path / "logged").rmdir()
    (tmp_path / "kept").rename(tmp_path / "logged")
    census = check_intact(logged, tmp_path, stderr, "replies", "packets", "the disk is full")
    rows = {file.file.partition("/")[0]: file.rows for file in census.manifest.log.files if file.rows}
    assert 0 < rows["pcap"] < census.manifest.receive.packets
    assert query(census, "SELECT count(*) FROM {files}") == [
        (sum(file.rows for file in census.manifest.log.files if file.file.startswith("replies/")),)
    ]


def test_a_log_that_is_removed_under_the_scan(logged: Logged, tmp_path: Path) -> None:
    script = """
    {scan} &
    scan=$!
    while ! [ -d {run}/replies ] || ! [ -d {run}/pcap ]; do sleep 0.01; done
    rm -rf {run}/replies {run}/pcap
    wait $scan
    """
    stderr = finished(in_lab(tmp_path, script))
    check_intact(logged, tmp_path, stderr, "replies", "packets")


@dataclass(frozen=True)
class Running:
    """A slow scan while it runs, its supervisor and its receivers."""

    process: subprocess.Popen[str]
    census: Census
    supervisor: int
    receivers: list[int]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """Begin a slow scan and wait until both receivers have replies."""
    with in_lab(tmp_path, "{scan}; exit $?", **SLOWLY) as process:
        try:

            def scans(pid: int) -> list[int]:
                return [entry for child in children_of(pid) for entry in ([child] if is_scan(child) else scans(child))]

            await_all(process, lambda: bool(scans(process.pid)))
            supervisor = scans(process.pid)[0]
            await_all(process, lambda: len(children_of(supervisor)) >= 3)
            census = Census(tmp_path / "logged" / "one")
            await_all(process, lambda: len(list(census.path.glob("replies/*.spool"))) == 2)
            time.sleep(1.0)
            yield Running(process, census, supervisor, children_of(supervisor)[:2])
        finally:
            process.kill()


def await_all(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Wait for something that a running scan comes to."""
    deadline = time.monotonic() + END_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def count_rows(path: Path) -> int:
    done = run(*LIVENESS, "replies", path, "--csv", "--sql", "SELECT count(*) FROM replies")
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[1])


def test_a_killed_receiver_leaves_its_log(running: Running, tmp_path: Path) -> None:
    """Its sets since the last segment are gone; the log of its packets gives them back."""
    for receiver in running.receivers:
        os.kill(receiver, signal.SIGKILL)
    _, stderr = running.process.communicate(timeout=END_S)
    assert running.process.returncode == 5, stderr
    census = running.census
    assert census.manifest.status == "partial"
    assert not list(census.path.glob("replies/*.spool"))
    rows = {file.file.partition("/")[0]: 0 for file in census.manifest.log.files}
    for file in census.manifest.log.files:
        rows[file.file.partition("/")[0]] += file.rows
    assert rows["pcap"] >= rows["replies"] > 0
    assert count_rows(census.path) == rows["replies"]
    done = run(*LIVENESS, "replay", "--run", census.path, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    replayed = Census(tmp_path / "out")
    assert sum(sum(counts.values()) for counts in replayed.manifest.messages.values()) == rows["pcap"]
    assert len(replayed.sets) > 6


def test_the_log_of_a_scan_that_runs_and_of_one_that_was_killed(running: Running, tmp_path: Path) -> None:
    before = count_rows(running.census.path)
    assert before > 0
    time.sleep(1.0)
    later = count_rows(running.census.path)
    assert later > before
    os.kill(running.supervisor, signal.SIGKILL)
    running.process.communicate(timeout=END_S)
    assert running.census.manifest.status == "running"
    assert list(running.census.path.glob("replies/*.spool"))
    assert count_rows(running.census.path) >= later
    done = run(*LIVENESS, "replay", "--run", running.census.path, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    replayed = Census(tmp_path / "out").manifest
    assert (replayed.status, replayed.reason) == ("partial", "the scan never came to its end")
    assert sum(sum(counts.values()) for counts in replayed.messages.values()) >= later


def test_a_resumed_run_continues_its_logs(logged: Logged, tmp_path: Path) -> None:
    """No file of the first session is lost; what came in just before the crash may be in the log and not counted."""
    script = """
    {scan} &
    scan=$!
    until [ -n "$(ls {run}/replies/*.spool 2>/dev/null)" ]; do sleep 0.05; done
    sleep 2
    kill -9 $scan
    wait $scan
    sleep 0.5
    ls {run}/replies > {folder}/left.txt
    {resume}
    """
    finished(in_lab(tmp_path, script, rate="150pps"))
    census = Census(tmp_path / "logged" / "one")
    assert (census.manifest.status, census.manifest.log.complete) == ("complete", True)
    assert {entry.file: entry.sha256 for entry in census.manifest.sets} == {
        entry.file: entry.sha256 for entry in logged.census.manifest.sets
    }
    files = [file.file for file in census.manifest.log.files]
    for spool in (tmp_path / "left.txt").read_text().split():
        assert f"replies/{Path(spool).stem}.parquet" in files
    assert len([file for file in files if file.startswith("pcap/")]) > 2
    rows = sum(file.rows for file in census.manifest.log.files if file.file.startswith("replies/"))
    assert rows >= sum(sum(counts.values()) for counts in census.manifest.messages.values())
    assert query(census, "SELECT count(*) FROM {files}") == [(rows,)]
