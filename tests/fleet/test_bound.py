"""Scans below a program that takes no signals, as sudo takes none from its caller: they end with their runner."""

import fcntl
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest
import yaml

from liveness.fleet.bound import holder_of, signal_scan
from tests.census.support import ROOT
from tests.fleet.support import FAKE, Place, cleaned, kill_left, wait_for

SCAN = """
import fcntl, os, signal, sys, time
def stop(number, _):
    open(sys.argv[1] + "/stopped", "w").write(str(number))
    sys.exit(128 + number)
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, stop)
lock = open(sys.argv[1] + "/lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print(os.getpid(), file=lock, flush=True)
open(sys.argv[1] + "/begun", "w")
time.sleep(60)
"""
DEAF = """
import signal, subprocess, sys
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
sys.exit(subprocess.call(sys.argv[1:]))
"""
RUNNER = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "liveness.fleet.bound", str(os.getpid()), *sys.argv[1:]])
print(child.pid, flush=True)
sys.exit(child.wait())
"""


def begun(run: Path) -> tuple["subprocess.Popen[str]", int]:
    """Start a runner with a scan below a deaf program; return it, and the process between them."""
    words = [sys.executable, "-c", DEAF, sys.executable, "-c", SCAN, str(run)]
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(run), *words],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    out: IO[str] | None = runner.stdout
    assert out is not None
    with out:
        pid = int(out.readline())
    wait_for((run / "begun").exists, "the scan")
    return runner, pid


def end(run: Path, *pids: int) -> None:
    """Leave no process behind."""
    for pid in (holder_of(run), *pids):
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_a_scan_below_a_deaf_program_is_stopped_by_a_signal(tmp_path: Path) -> None:
    runner, bound = begun(tmp_path)
    try:
        assert holder_of(tmp_path) not in (None, bound, runner.pid)
        os.kill(bound, signal.SIGINT)
        assert runner.wait(20) == 128 + signal.SIGINT
        assert (tmp_path / "stopped").read_text() == str(int(signal.SIGINT))
        assert holder_of(tmp_path) is None
    finally:
        end(tmp_path, bound, runner.pid)


def test_a_scan_below_a_deaf_program_stops_if_its_runner_is_killed(tmp_path: Path) -> None:
    runner, bound = begun(tmp_path)
    try:
        runner.kill()
        runner.wait(20)
        wait_for(lambda: holder_of(tmp_path) is None, "the end of the scan")
        assert (tmp_path / "stopped").read_text() == str(int(signal.SIGTERM))
    finally:
        end(tmp_path, bound, runner.pid)


def test_a_scan_that_takes_no_signal_yet_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        sent: list[tuple[int, int]] = []

        def kill(pid: int, number: int) -> None:
            sent.append((pid, number))
            if len(sent) == 1:
                raise PermissionError

        monkeypatch.setattr(os, "kill", kill)
        assert not signal_scan(tmp_path, signal.SIGINT)
        assert signal_scan(tmp_path, signal.SIGINT)
        assert sent == [(os.getpid(), signal.SIGINT)] * 2
    assert holder_of(tmp_path) is None, "nobody holds it: the id in it may be that of another process by now"


def test_an_interrupted_fleet_whose_command_is_deaf_stops_its_scan(tmp_path: Path) -> None:
    place = Place(tmp_path, vantages=1)
    document = yaml.safe_load(place.file.read_text())
    document["vantages"][0]["command"] = [sys.executable, "-c", DEAF, *FAKE]
    place.file.write_text(yaml.safe_dump(document))
    with cleaned(place):
        place.hold()
        command = place.begin("--run-id", "r1")
        place.wait_held(1)
        os.killpg(command.process.pid, signal.SIGINT)
        code, _, err = command.ended()
        assert code == 130, err
        assert len(place.lines("end")) == 1
        assert [job["state"] for job in place.status()["jobs"]] == ["stopped"]


def test_an_interrupted_fleet_stops_a_scan_that_was_left_to_itself(tmp_path: Path) -> None:
    with cleaned(Place(tmp_path, vantages=1)) as place:
        place.hold()
        first = place.begin("--run-id", "r1")
        place.wait_held(1)
        first.process.kill()
        first.process.wait(20)
        scan = place.lines("begin")[0]["pid"]
        kill_left(place, "liveness.fleet.bound")
        kill_left(place, "liveness.fleet.runner")
        second = place.begin("--run-id", "r1")
        wait_for(lambda: any((tmp_path / "store").rglob("lease-0002.json")), "a second runner at work")
        os.killpg(second.process.pid, signal.SIGINT)
        code, _, err = second.ended()
        assert code == 130, err
        assert [line["pid"] for line in place.lines("end")] == [scan]
        assert len(place.lines("begin")) == 1
