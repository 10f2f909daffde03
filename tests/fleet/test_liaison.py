"""The liaison of a runner: whatever the store does, a part that may be moved by now is no longer scanned."""

import threading
import time
from types import SimpleNamespace
from typing import Any

from liveness.fleet import liaison as module
from liveness.fleet.liaison import Liaison
from tests.fleet.support import wait_for

LOST_AFTER_S = 3.0


class Store:
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
    store, release, hanging = Store(), threading.Event(), threading.Event()
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
    store = Store()
    made, notes = begun(monkeypatch, store)

    def fail() -> None:
        raise RuntimeError("odd")

    store.answer = fail
    wait_for(made.stop.is_set, "the end of a scan whose store fails")
    made.end()
    assert made.reason == "unreachable"
    assert notes[0].startswith("RuntimeError: odd (")
    assert len(notes) == 2
