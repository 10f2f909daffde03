"""The supervisor leaves no process behind and keeps what was counted, whatever fails in it."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from liveness.errors import LivenessError, explain
from liveness.net.memory import MemoryRxRing, MemoryTxRing
from liveness.probes.template import LinkAddresses
from liveness.runs.checkpoint import load_checkpoint
from liveness.runs.manifest import Manifest
from liveness.runs.rundir import RunDirectory
from liveness.scan import worker_group
from liveness.scan.interruption import ONE_REQUEST_S, Interruption, StoppedMerge, signals_noted
from liveness.scan.optouts import OptOutWatch
from liveness.scan.plan import Plan
from liveness.scan.receive import receiver
from liveness.scan.receive.receiver import Receiver
from liveness.scan.recovery import compacting
from liveness.scan.recovery.resume import beginning
from liveness.scan.send import sender
from liveness.scan.send.sender import Sender
from liveness.scan.session import constants_of
from liveness.scan.supervisor import Outcome, Supervisor
from liveness.scan.timeline import TimelineRecord
from liveness.scan.totals import SessionTotals
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from liveness.system.child import run_in_child
from tests.scan.test_census_in_memory import small_config

GOLDEN = Path(__file__).parents[1] / "runs" / "manifest.golden.json"
SLOW = {"rate": "200pps", "cooldown": "100ms", "senders": 2}
"""Seconds of sending, if nothing happens."""


def children() -> list[str]:
    """Return what every child of this process is and does; those that ended and were waited for are gone."""
    pid = os.getpid()
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [Path(f"/proc/{child}/stat").read_text() for child in found]


def supervise(
    path: Path,
    prepare: Callable[[pytest.MonkeyPatch, Interruption], dict[str, Any]],
    **changed: object,
) -> tuple[str | None, int]:
    """Run a session in a process of its own; return why it ended early, and how many frames were counted.

    `prepare` breaks something, and may return the listeners. No child may be left, and the checkpoint must be whole.
    """

    def session() -> tuple[str | None, int]:
        interruption = Interruption(begun=True)
        with pytest.MonkeyPatch.context() as patch:
            listeners = prepare(patch, interruption)
            outcome = run(path, interruption, listeners, SLOW | changed)
        left = children()
        assert left == []
        checkpoint = load_checkpoint(RunDirectory(path / "memory" / "one").checkpoint_path)
        assert checkpoint is not None
        assert len(checkpoint.positions) == 2
        for segment in RunDirectory(path / "memory" / "one").segments():
            assert segment.tally.packets >= 0
        return outcome.interruption.reason, int(outcome.shared.sent.sum())

    return run_in_child(session)


def run(path: Path, interruption: Interruption, listeners: dict[str, Any], changed: dict[str, object]) -> Outcome:
    config = small_config(**changed)
    first = parse_address("10.1.0.0")
    targets = Targets.build(Intervals.from_bounds([first], [first + 700]), Intervals.empty(), lab=True)
    plan = Plan(config, targets, 50_123, bytes(16))
    constants = constants_of(plan, LinkAddresses(bytes(6), bytes(6)), (parse_address("198.51.100.7"),))
    sender.warm_up(plan, constants)
    receiver.warm_up(plan, constants)
    directory = RunDirectory.create(path, "memory", "one")
    manifest = msgspec.json.decode(GOLDEN.read_bytes(), type=Manifest)
    replies = MemoryRxRing()
    with signals_noted(interruption, lambda: None):
        return Supervisor(
            plan,
            constants,
            [MemoryTxRing(lambda _: (), replies, 64) for _ in range(2)],
            [replies],
            directory,
            "lo",
            beginning(plan, manifest),
            listeners.get("on_progress", lambda _: None),
            interruption,
            listeners.get("on_notice", lambda _: None),
        ).run()


def fail(*_: object, **__: object) -> None:
    raise ZeroDivisionError("a bug")


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (TimelineRecord, "observe"),
        (SessionTotals, "look"),
        (SessionTotals, "totals"),
        (OptOutWatch, "look"),
        (compacting.Compacting, "look"),
        (worker_group.WorkerGroup, "sending"),
    ],
    ids=lambda entry: entry if isinstance(entry, str) else entry.__name__,
)
def test_whatever_fails_in_the_loop_ends_the_scan_and_every_process(tmp_path: Path, owner: type, name: str) -> None:
    def prepare(patch: pytest.MonkeyPatch, interruption: Interruption) -> dict[str, Any]:
        def begin(_: object) -> None:
            patch.setattr(owner, name, fail)  # once the scan runs

        del interruption
        return {"on_progress": begin}

    reason, _ = supervise(tmp_path, prepare)
    assert reason is not None
    assert reason.startswith("ZeroDivisionError: a bug (test_supervision.py:")


@pytest.mark.parametrize("error", [ValueError("text"), BrokenPipeError(32, "Broken pipe"), SystemExit(1)], ids=repr)
@pytest.mark.parametrize("which", ["on_progress", "on_notice", "both"])
def test_what_listens_to_a_scan_never_ends_it(tmp_path: Path, error: BaseException, which: str) -> None:
    def prepare(patch: pytest.MonkeyPatch, interruption: Interruption) -> dict[str, Any]:
        del patch, interruption

        def listen(_: object) -> None:
            raise error

        names = ("on_progress", "on_notice") if which == "both" else (which,)
        return dict.fromkeys(names, listen)

    reason, sent = supervise(tmp_path, prepare, rate="10kpps")
    assert reason is None
    assert sent == 701 * 4 * 2


def test_no_probe_leaves_if_a_receiver_dies_before_it_is_ready(tmp_path: Path) -> None:
    def prepare(patch: pytest.MonkeyPatch, interruption: Interruption) -> dict[str, Any]:
        def die(_: Receiver) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        del interruption
        patch.setattr(Receiver, "run", die)
        return {}

    assert supervise(tmp_path, prepare) == ("receiver 0 process was killed by SIGKILL", 0)


def test_a_receiver_that_never_becomes_ready_ends_the_scan(tmp_path: Path) -> None:
    def prepare(patch: pytest.MonkeyPatch, interruption: Interruption) -> dict[str, Any]:
        del interruption
        patch.setattr(Receiver, "run", lambda _: time.sleep(3600))
        patch.setattr(worker_group, "READY_WITHIN_S", 0.3)
        patch.setattr(worker_group, "RECEIVER_GRACE_S", 0.3)
        return {}

    assert supervise(tmp_path, prepare) == ("a receiver was not ready within 0 s", 0)


def test_a_sender_that_hangs_is_killed_and_named(tmp_path: Path) -> None:
    def prepare(patch: pytest.MonkeyPatch, interruption: Interruption) -> dict[str, Any]:
        patch.setattr(Sender, "run", lambda _: time.sleep(3600))
        patch.setattr(worker_group, "SENDER_GRACE_S", 0.3)
        return {"on_progress": lambda _: interruption.by("enough")}

    assert supervise(tmp_path, prepare)[0] == "enough"


def test_a_bug_in_a_sender_is_reported_in_one_line(tmp_path: Path) -> None:
    def prepare(patch: pytest.MonkeyPatch, interruption: Interruption) -> dict[str, Any]:
        del interruption
        patch.setattr(Sender, "run", fail)
        return {}

    reason = supervise(tmp_path, prepare)[0] or ""
    assert reason.startswith("ZeroDivisionError: a bug (test_supervision.py:")


def test_a_compaction_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    def prepare(patch: pytest.MonkeyPatch, interruption: Interruption) -> dict[str, Any]:
        del interruption
        patch.setattr(compacting, "compaction_due", lambda _: time.sleep(3600))
        patch.setattr(compacting, "GRACE_S", 0.3)
        return {}

    assert supervise(tmp_path, prepare, rate="10kpps", checkpoint="1ms")[0] is None


def test_the_process_that_compacts_is_forked_before_any_thread_may_start(tmp_path: Path) -> None:
    """Listeners may start threads with the first progress: a lock that one holds would be held in a fork for ever."""

    def prepare(patch: pytest.MonkeyPatch, interruption: Interruption) -> dict[str, Any]:
        forks: list[int] = []
        threads: list[threading.Thread] = []
        fork = os.fork

        def counted() -> int:
            assert not threads, "forked from a process with threads"
            forks.append(1)
            return fork()

        def begin(_: object) -> None:
            running = [stat for stat in children() if ") Z" not in stat]
            if not threads and (len(running), len(forks)) != (4, 4):
                interruption.by(f"a receiver, two senders and what compacts should run, and there are {children()}")
            threads.append(threading.Thread(target=lambda: None))

        patch.setattr(os, "fork", counted)
        return {"on_progress": begin}

    assert supervise(tmp_path, prepare, rate="2kpps")[0] is None


def test_a_signal_after_everything_was_sent_interrupts_nothing() -> None:
    announced: list[str] = []
    interruption = Interruption(begun=True, on_finishing=announced.append)
    interruption.request(signal.SIGTERM)
    interruption.finish(complete=True)  # the senders had ended by then
    assert (interruption.reason, interruption.signal_number) == (None, None)

    late = Interruption(begun=True, on_finishing=announced.append)
    late.finish(complete=True)
    for _ in range(3):
        late.request(signal.SIGTERM)  # a service manager's, to each process of the group
    assert (late.reason, late.signal_number, len(announced)) == (None, None, 1)
    late._last_s = time.monotonic() - ONE_REQUEST_S
    with pytest.raises(StoppedMerge) as stopped:
        late.request(signal.SIGINT)
    assert stopped.value.exit_code == 130


def test_a_scan_that_a_signal_ended_stops_writing_with_the_next() -> None:
    interruption = Interruption(begun=True)
    interruption.request(signal.SIGINT)
    interruption.finish(complete=False)
    interruption.request(signal.SIGINT)
    assert interruption.reason == "interrupted by SIGINT"
    interruption._last_s = time.monotonic() - ONE_REQUEST_S
    with pytest.raises(StoppedMerge):
        interruption.request(signal.SIGINT)


def test_a_failure_is_explained_in_one_line() -> None:
    assert explain(LivenessError("disk: full")) == "disk: full"
    with pytest.raises(ZeroDivisionError) as raised:
        fail()
    assert explain(raised.value).startswith("ZeroDivisionError: a bug (test_supervision.py:")
    assert explain(OSError("two\nlines")) == "OSError: two lines"
