"""The liaison of a runner: whatever the store does, a part that may be moved by now is no longer scanned."""

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from obstore.store import MemoryStore

from liveness.errors import LivenessError
from liveness.fleet import liaison as module
from liveness.fleet.lease import Holder
from liveness.fleet.liaison import Liaison
from liveness.fleet.store import Store as ObjectStore
from tests.fleet.support import wait_for

LOST_AFTER_S = 3.0


class Silent:
    """A store that answers at first, and then does as a test says."""

    url = "made up"

    def __init__(self) -> None:
        self.answer: Any = lambda: None

    def tag(self, _name: str) -> None:
        self.answer()

    def document(self, _name: str, _kind: object) -> None:
        """Nothing is cancelled or drained."""


def begun(monkeypatch: Any, store: Any) -> tuple[Liaison, list[str]]:  # noqa: ANN401 - pytest's, and made up
    """Return a liaison at work, and what it notes."""
    monkeypatch.setattr(module, "LOOK_S", 0.05)
    notes: list[str] = []
    job = SimpleNamespace(census="wide", run="r1", vantage="v0", lost_after_s=LOST_AFTER_S)
    workplace: Any = SimpleNamespace(job=job, read=lambda _: b"", write=lambda *_: None)
    holder: Any = SimpleNamespace(length_s=1e12)  # it is never time to renew
    made = Liaison(workplace, store, holder, notes.append)
    made.begin()
    return made, notes


def test_a_store_that_hangs_is_noticed_by_the_caller(monkeypatch: Any) -> None:  # noqa: ANN401 - pytest's
    monkeypatch.setattr(module, "JOIN_S", 0.1)
    store, release, hanging = Silent(), threading.Event(), threading.Event()
    made, notes = begun(monkeypatch, store)

    def hang() -> None:
        hanging.set()
        release.wait(30)

    try:
        store.answer = hang
        assert hanging.wait(10)
        made.check_reached()
        assert not made.stop.is_set()
        time.sleep(LOST_AFTER_S / 2 + 0.2)
        made.check_reached()
        assert (made.stop.is_set(), made.reason) == (True, "unreachable")
        assert len(notes) == 1
        assert notes[0].startswith("made up: no answer: not reached for ")
        before_s = time.monotonic()
        made.end()
        assert time.monotonic() - before_s < 10
    finally:
        release.set()


def test_an_unforeseen_error_is_a_missed_look(monkeypatch: Any) -> None:  # noqa: ANN401 - pytest's
    store = Silent()
    made, notes = begun(monkeypatch, store)

    def fail() -> None:
        raise RuntimeError("odd")

    store.answer = fail
    wait_for(made.stop.is_set, "the end of a scan whose store fails")
    made.end()
    assert made.reason == "unreachable"
    assert notes[0].startswith("RuntimeError: odd (")
    assert len(notes) == 2


def in_memory(files: dict[str, bytes]) -> tuple[Liaison, ObjectStore]:
    """Return a liaison, which owns the job, with a store in memory; what it writes goes to `files`."""
    store = ObjectStore(MemoryStore(), "memory")
    job = SimpleNamespace(census="wide", run="r1", vantage="v0", lost_after_s=None)

    def write(name: str, content: bytes, _mode: int) -> None:
        files[name] = content

    workplace: Any = SimpleNamespace(job=job, read=files.get, write=write, share=lambda: None)
    holder = Holder(store, "wide/r1/v0/0-of-1", "v0", "machine", "instance", "host", 1, 0.0)
    holder.take()
    return Liaison(workplace, store, holder, lambda _: None), store


def test_a_published_list_that_is_damaged_replaces_none() -> None:
    files: dict[str, bytes] = {}
    made, store = in_memory(files)
    store.put("wide/opt-outs.txt", b"9.9.0.0/24\n")
    made.fetch_opt_outs()
    store.put("wide/opt-outs.txt", b"9.9.0.0/24\n9.9.1.0/2")
    with pytest.raises(LivenessError, match=r"memory: wide/opt-outs\.txt:2: "):
        made.fetch_opt_outs()
    assert files == {"opt-outs.txt": b"9.9.0.0/24\n"}
    store.put("wide/opt-outs.txt", b"9.9.0.0/24\n9.9.1.0/24\n")
    made.fetch_opt_outs()
    assert files == {"opt-outs.txt": b"9.9.0.0/24\n9.9.1.0/24\n"}


def test_a_scan_does_not_begin_with_a_damaged_list() -> None:
    made, store = in_memory({})
    store.put("wide/opt-outs.txt", b"9.9.0.0/99\n")
    with pytest.raises(LivenessError, match=r"9\.9\.0\.0/99"):
        made.begin()


@pytest.mark.parametrize("name", ["opt-outs.txt", "drained/v0.json", "r1/cancelled.json"])
def test_a_damaged_object_does_not_keep_the_lease_from_being_renewed(name: str) -> None:
    made, store = in_memory({})
    store.put(f"wide/{name}", b"{")
    before = made.holder.lease
    assert before is not None
    with pytest.raises(LivenessError, match=name.rpartition("/")[2]):
        made.look()
    assert made.holder.lease is not None
    assert made.holder.lease.expires_s > before.expires_s
    assert not made.stop.is_set()


def test_a_damaged_list_does_not_hide_that_the_run_was_cancelled() -> None:
    made, store = in_memory({})
    store.put("wide/opt-outs.txt", b"?")
    store.put("wide/r1/cancelled.json", b'{"at": "2026-12-01T00:00:00Z"}')
    with pytest.raises(LivenessError, match=r"opt-outs\.txt"):
        made.look()
    assert made.reason == "cancelled"
