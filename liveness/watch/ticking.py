"""A thread that calls a function once a second, for commands whose own thread is busy for longer than that."""

import threading
from collections.abc import Callable
from typing import Final

from liveness.errors import explain

EVERY_S: Final = 1.0


class Ticker:
    """Calls a function every second between `begin` and `end`, in a thread of its own.

    A function that fails is not called again, which is reported once.
    """

    def __init__(self, call: Callable[[], None], warn: Callable[[str], None]) -> None:
        self._call, self._warn = call, warn
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._failed = False

    def begin(self) -> None:
        """Start the thread; the first call is at once."""
        self._thread = threading.Thread(target=self._go, name="ticker", daemon=True)
        self._thread.start()

    def end(self, last: Callable[[], None]) -> None:
        """End the thread, after the call that it is in; then call `last` here, unless an earlier call failed."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if not self._failed:
            self._try(last)

    def _go(self) -> None:
        self._try(self._call)
        while not self._failed and not self._ended.wait(EVERY_S):
            self._try(self._call)

    def _try(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - what only shows the state must not end the work
            self._failed = True
            self._warn(f"the state is shown no more: {explain(error)}")
