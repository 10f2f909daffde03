"""Scans that end early: by signals, by a limit, by the death of a process. What was received stays, and is true."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from liveness.config.load import resolve_targets
from liveness.config.model import from_document
from liveness.lab.hosts.check import probes_of
from liveness.lab.hosts.truth import expected_sets
from liveness.lab.load import load_internet
from liveness.system.warming import PROCESS_NAME
from tests.census.support import EXEC, LIVENESS, Census, clean_environment, run, write_yaml

pytestmark = pytest.mark.lab

LAB: Final = """
name: small
networks:
  - {name: hosts, kind: host, prefixes: [10.1.0.0/24], listen: [80], dns: answer}
  - {name: dark, kind: silent, prefixes: [10.2.0.0/25]}
"""
TARGETS: Final = 256 + 128
CONFIG: Final[dict[str, object]] = {
    "name": "cut",
    "targets": {"allow": ["10.1.0.0/24", "10.2.0.0/25"]},
    "rate": "40pps",  # 20 s of sending: none of these scans comes to its end
    "senders": 2,
    "cooldown": "10s",
}
MARK: Final = "CENSUS_TEST_MARK"
WAIT_S: Final = 90.0
BEGUN: Final = 0.05
"""Share of its frames that a scan sends before something happens to it: a second's."""


@pytest.fixture
def mark() -> Iterator[str]:
    """Mark everything a test starts by its environment; all of it must be gone when what it started has ended."""
    mark = str(uuid.uuid4())
    yield mark
    assert await_true(lambda: not marked(mark)), f"left behind: {marked(mark)}"


def marked(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it ended meanwhile
                if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
    return found


def await_true(condition: Callable[[], bool]) -> bool:
    """Wait for something to come true; return whether it did."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def children_of(pid: int) -> list[int]:
    """Return the children of a process in the order in which they were born, but for those that compile kernels."""
    with suppress(OSError):
        born = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [child for child in born if not _compiles(child)]
    return []


def _compiles(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_bytes().strip() == PROCESS_NAME
    return False


def is_scan(pid: int) -> bool:
    """Tell the scan from the lab, whose processes have the scan's command as an argument."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return b"scan" in words and b"lab" not in words
    return False


def state_of(pid: int) -> str:
    """Return the state of a process, as proc(5) calls it: "T" if it is stopped, "" if there is none."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    return ""


@dataclass
class Scan:
    """A scan in a lab while it runs."""

    process: subprocess.Popen[str]
    path: Path
    internet: Path
    status: Path
    pid: int = 0
    """The scan's own process: the supervisor."""
    receiver: int = 0
    senders: tuple[int, ...] = ()

    def find_processes(self, senders: int = 2) -> None:
        """Wait until receiver and senders run: the receiver is born first, what compacts segments last."""
        assert await_true(lambda: any(map(is_scan, children_of(self.process.pid)))), self.process.poll()
        (self.pid,) = filter(is_scan, children_of(self.process.pid))
        assert await_true(lambda: len(children_of(self.pid)) >= 1 + senders), (
            self.process.poll(),
            children_of(self.pid),
        )
        self.receiver, *found = children_of(self.pid)[: 1 + senders]
        self.senders = tuple(found)

    def wait_for(self, condition: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until a status line fulfils a condition, however slow the machine is."""
        assert await_true(lambda: any(map(condition, self.lines()))), (self.process.poll(), self.lines()[-1:])

    def wait_sent(self, share: float = BEGUN) -> None:
        """Wait until a share of all frames has been sent."""
        self.wait_for(lambda line: line["sent"] >= share * line["planned"])

    def lines(self) -> list[dict[str, Any]]:
        """Return the whole lines of the status file so far."""
        with suppress(OSError):
            return [json.loads(line) for line in self.status.read_text().splitlines(keepends=True) if line[-1] == "\n"]
        return []

    def end(self) -> tuple[int, str]:
        """Wait for its end; return exit code and standard error."""
        _, complaints = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, complaints


@pytest.fixture
def begin(compiled: None, tmp_path: Path, mark: str) -> Callable[..., Scan]:  # noqa: ARG001 - for its effect
    def begin(
        preexec_fn: Callable[[], None] | None = None, command: Sequence[str] = LIVENESS, **changes: object
    ) -> Scan:
        internet = tmp_path / "small.yaml"
        internet.write_text(LAB)
        config = write_yaml(tmp_path / "config.yaml", CONFIG | {"output": str(tmp_path)} | changes)
        lab = [*EXEC, "--plain", "--internet", str(internet), "--"]
        process = subprocess.Popen(
            [
                *lab,
                *command,
                "scan",
                "-q",
                "-C",
                str(config),
                "--run-id",
                "early",
                "--status-file",
                str(tmp_path / "status"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(**{MARK: mark}),
            start_new_session=True,
            preexec_fn=preexec_fn,  # noqa: PLW1509 - one system call, in a child of a process without threads that lock
        )
        return Scan(process, tmp_path / "cut" / "early", internet, tmp_path / "status")

    return begin


def kept(path: Path) -> str:
    return f"what was received is kept in {path}; `liveness scan --resume {path}` continues it"


def check_kept(scan: Scan, reason: str) -> Census:
    """Check that a run says it is partial and why, and that its sets are whole files and parts of the truth."""
    census = Census(scan.path)
    manifest = census.manifest
    assert manifest.status == "partial"
    assert manifest.reason is not None
    assert reason in manifest.reason
    assert manifest.finished is not None
    assert manifest.targets == TARGETS
    config = from_document(manifest.config)
    targets = resolve_targets(config, lab=True).intervals
    truth = expected_sets(
        load_internet(str(scan.internet)), targets, probes_of(config), manifest.control_port, config.network.ttl
    )
    for key, members in census.sets.items():  # read_set verifies digest and cardinality
        assert members <= truth[key], key
    files = {path.name for path in (scan.path / "sets").iterdir()}
    assert files == {Path(entry.file).name for entry in manifest.sets}
    for counts in manifest.probes.values():
        assert all(0 <= count < TARGETS for count in counts.sent)
    assert any(block.status == "partial" for block in manifest.blocks)
    return census


def check_some_found(census: Census) -> None:
    manifest = census.manifest
    sent, answered = manifest.probes["icmp"].sent[0], sum(manifest.attempts["icmp"].values())
    assert 0 < answered <= sent < TARGETS
    assert len(census.sets) > 6
    messages = sum(sum(counts.values()) for counts in manifest.messages.values())
    assert manifest.receive.packets == messages + sum(manifest.rejected.values())


@pytest.mark.parametrize("group", [False, True], ids=["process", "group"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=str)
def test_a_signal_ends_a_scan_and_keeps_what_it_found(
    begin: Callable[..., Scan], number: signal.Signals, code: int, group: bool
) -> None:
    scan = begin()
    scan.find_processes()
    scan.wait_sent()
    if group:
        os.killpg(scan.process.pid, number)  # as a terminal does, to the lab and every process of the scan at once
    else:
        os.kill(scan.pid, number)
    ended, complaints = scan.end()
    assert ended == code
    assert complaints == f"liveness: interrupted by {number.name}: {kept(scan.path)}\n"
    check_some_found(check_kept(scan, f"interrupted by {number.name}"))


def test_a_terminal_that_closes_ends_a_scan_and_a_signal_of_its_name_does_not(begin: Callable[..., Scan]) -> None:
    """As daemons have it: SIGHUP of somebody means to read lists anew, that of a closed terminal to end."""
    master, terminal = os.openpty()

    def take() -> None:
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    scan = begin(preexec_fn=take)
    os.close(terminal)
    scan.find_processes()
    scan.wait_sent()
    os.kill(scan.pid, signal.SIGHUP)
    scan.wait_sent(2 * BEGUN)
    assert scan.process.poll() is None
    os.close(master)
    os.killpg(scan.process.pid, signal.SIGHUP)  # as a shell tells its jobs that the terminal is gone
    ended, complaints = scan.end()
    assert ended == 129, complaints
    assert "Traceback" not in complaints
    check_some_found(check_kept(scan, "interrupted by SIGHUP"))


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_repeated_signals_lose_nothing(begin: Callable[..., Scan], second: signal.Signals) -> None:
    """Signals keep coming until the manifest is written: the reason is one of them, and the record is whole.

    The second one may come before Python has called the handler of the first.
    """
    scan = begin()
    scan.find_processes()
    scan.wait_sent()
    os.kill(scan.pid, signal.SIGINT)
    while '"running"' in (scan.path / "manifest.json").read_text() and scan.process.poll() is None:
        with suppress(ProcessLookupError):
            os.kill(scan.pid, second)
        time.sleep(0.002)
    ended, complaints = scan.end()
    assert ended in (130, 128 + second)  # one may come when all is written, and the process about to leave
    assert "Traceback" not in complaints
    manifest = Census(scan.path).manifest
    assert manifest.reason in ("interrupted by SIGINT", f"interrupted by {second.name}")
    check_some_found(check_kept(scan, manifest.reason))


STOPPING: Final = """
import os, signal
from liveness.__main__ import main
from liveness.scan import run

before = run.{step}

def stopped(*arguments):
    os.kill(os.getpid(), signal.SIGSTOP)
    return before(*arguments)

run.{step} = stopped
main()
"""
"""A scan that stops before a step of its preparation, until it gets SIGCONT."""


@pytest.mark.parametrize(
    ("step", "number"),
    [("find_way", signal.SIGTERM), ("open_session", signal.SIGINT), ("drop_rights", signal.SIGTERM)],
    ids=str,
)
def test_a_signal_before_the_first_packet_leaves_nothing(
    begin: Callable[..., Scan], step: str, number: signal.Signals
) -> None:
    scan = begin(command=(sys.executable, "-c", STOPPING.format(step=step)))
    assert await_true(lambda: any(map(is_scan, children_of(scan.process.pid))))
    (pid,) = filter(is_scan, children_of(scan.process.pid))
    assert await_true(lambda: state_of(pid) == "T")
    assert scan.path.exists()
    os.kill(pid, number)
    os.kill(pid, signal.SIGCONT)
    ended, complaints = scan.end()
    assert (ended, "Traceback" in complaints) == (128 + number, False), complaints
    assert not scan.path.exists()


def test_a_signal_in_the_cooldown_ends_it(begin: Callable[..., Scan]) -> None:
    """Everything was sent by then: the run is partial all the same, since late replies were not awaited."""
    scan = begin(rate="4000pps", probe_spacing="10ms", cooldown="60s")
    scan.find_processes()
    scan.wait_for(lambda line: line["state"] == "waiting")
    os.kill(scan.pid, signal.SIGINT)
    assert scan.end()[0] == 130
    census = Census(scan.path)
    assert (census.manifest.status, census.manifest.reason) == ("partial", "interrupted by SIGINT")
    assert {tuple(counts.sent) for counts in census.manifest.probes.values()} == {(TARGETS, TARGETS)}
    assert len(census.sets) > 6


def test_a_killed_sender_ends_the_scan_and_the_receiver_s_data_stay(begin: Callable[..., Scan]) -> None:
    scan = begin()
    scan.find_processes()
    scan.wait_sent()
    os.kill(scan.senders[1], signal.SIGKILL)
    ended, complaints = scan.end()
    assert ended == 5
    reason = "sender 1 process was killed by SIGKILL"
    assert complaints == f"liveness: error: {reason}: {kept(scan.path)}\n"
    check_some_found(check_kept(scan, reason))


def test_a_killed_receiver_ends_the_scan(begin: Callable[..., Scan]) -> None:
    """What it had written to disk by then stays."""
    scan = begin(checkpoint="200ms")
    scan.find_processes()
    scan.wait_sent()
    os.kill(scan.receiver, signal.SIGKILL)
    ended, complaints = scan.end()
    assert ended == 5
    assert complaints.startswith("liveness: error: receiver 0 process was killed by SIGKILL")
    assert complaints.count("\n") == 1
    census = check_kept(scan, "receiver 0 process was killed by SIGKILL")
    assert len(census.sets) > 3
    assert census.manifest.probes["icmp"].sent[0] > 0


@pytest.mark.parametrize("transport", ["af_xdp", "af_packet"])
@pytest.mark.parametrize("up_again", [False, True], ids=["down", "down-and-up"])
def test_an_interface_that_goes_down_ends_the_scan_and_what_was_found_stays(
    begin: Callable[..., Scan], transport: str, up_again: bool
) -> None:
    """It pauses, to its limit here; up again it goes on, unless the ring has not survived."""
    scan = begin(senders=1, network={"transport": transport}, limits={"max_runtime": "6s"})
    scan.find_processes(1)
    scan.wait_sent()
    enter = ("nsenter", "--preserve-credentials", "-t", str(scan.pid), "-U", "-n")
    states = ("down", "up") if up_again else ("down",)
    done = run("sh", "-c", " && ".join(f"{' '.join(enter)} ip link set scan0 {state}" for state in states))
    assert done.returncode == 0, done.stderr
    ended, complaints = scan.end()
    assert ended == 5
    reason = Census(scan.path).manifest.reason or ""
    assert reason.startswith("interface scan0: ") or "max_runtime" in reason, reason
    *notices, last = complaints.splitlines()
    assert last == f"liveness: error: {reason}: {kept(scan.path)}"
    assert "Traceback" not in complaints
    assert all(line.startswith("liveness: ") for line in notices), notices
    check_some_found(check_kept(scan, reason))


def has_ended(pid: int) -> bool:
    """Return whether a process runs no more, be it that nobody has asked for its exit code yet."""
    return state_of(pid) in ("", "Z")


def test_a_killed_supervisor_takes_its_processes_along(begin: Callable[..., Scan]) -> None:
    scan = begin()
    scan.find_processes()
    scan.process.send_signal(signal.SIGSTOP)  # or the lab would end what a command leaves
    os.kill(scan.pid, signal.SIGKILL)
    alone = await_true(lambda: all(map(has_ended, (scan.receiver, *scan.senders))))
    scan.process.send_signal(signal.SIGCONT)
    assert scan.end()[0] == 137
    assert alone
    assert Census(scan.path).manifest.status == "running"
    done = run(*LIVENESS, "analyze", scan.path)
    assert done.returncode == 0
    assert "running" in done.stderr


def test_max_runtime_ends_a_scan(begin: Callable[..., Scan]) -> None:
    scan = begin(limits={"max_runtime": "1500ms"})
    ended, complaints = scan.end()
    assert ended == 5
    reason = "limits.max_runtime of 1500ms reached"
    assert complaints == f"liveness: error: {reason}: {kept(scan.path)}\n"
    check_some_found(check_kept(scan, reason))


def test_a_partial_run_is_analysed_with_a_warning_and_not_checked(begin: Callable[..., Scan]) -> None:
    scan = begin(limits={"max_runtime": "1s"})
    assert scan.end()[0] == 5
    analysed = run(*LIVENESS, "analyze", scan.path, "--json")
    assert analysed.returncode == 0
    assert "partial" in analysed.stderr
    checked = run(*LIVENESS, "lab", "check", "--plain", "--internet", scan.internet, scan.path)
    assert checked.returncode == 2
    assert "'partial'" in checked.stderr
