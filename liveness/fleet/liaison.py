"""Liaison of a runner with the store: in a thread of its own it renews the lease and fetches lists and marks.

The scan goes on whatever the store does. Only a vantage point whose part may be moved to another one stops if the store
cannot be reached for so long that this may have happened.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from liveness.errors import LivenessError, explain
from liveness.fleet import layout, marks, opt_outs
from liveness.fleet.lease import Holder, LostError, State
from liveness.fleet.store import Store, StoreError
from liveness.fleet.workplace import OPT_OUTS, READABLE, Workplace

LOOK_S: Final = 2.0
"""Seconds between two looks at lists and marks: a published opt-out reaches the scan in this time."""
RENEWALS: Final = 6
"""A lease is renewed so many times before it would expire."""
JOIN_S: Final = 10.0
"""Seconds for the last look: a request to a store that hangs is not waited for."""

Reason = Literal["cancelled", "drained", "lost", "unreachable"]


@dataclass(slots=True)
class Liaison:
    """The thread. `stop` is set, with a reason, when the scan is to end; `note` is called with what went wrong."""

    workplace: Workplace
    store: Store
    holder: Holder
    note: Callable[[str], None]
    stop: threading.Event = field(default_factory=threading.Event, init=False)
    reason: Reason | None = field(default=None, init=False)
    message: str = field(default="", init=False)
    state: State = field(default="waiting", init=False)
    problem: str = field(default="", init=False)
    """Why the store could not be reached at the last look; empty if it was."""
    _ended: threading.Event = field(default_factory=threading.Event, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _tag: str | None = field(default=None, init=False)
    _renewed_s: float = field(default=0.0, init=False)
    _reached_s: float = field(default_factory=time.monotonic, init=False)

    def begin(self) -> None:
        """Fetch the published lists, and start the thread. Raises StoreError, LostError."""
        self.fetch_opt_outs()
        self._reached_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="liaison", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(JOIN_S)

    def fetch_opt_outs(self) -> None:
        """Fetch the published blocklists if they have changed. LivenessError if they are damaged: none is replaced."""
        name = layout.opt_outs(self.workplace.job.census)
        tag = self.store.tag(name)
        if tag == self._tag and tag is not None:
            return
        content = (self.store.get(name) if tag is not None else None) or b""
        opt_outs.intervals_of(self.store, name, content)
        if content != self.workplace.read(OPT_OUTS):
            self.workplace.write(OPT_OUTS, content, READABLE)
        self._tag = tag

    def look(self) -> None:
        """Renew the lease if it is time, and fetch lists and marks.

        A damaged object keeps nothing else from being done. Raises LostError, and the first other LivenessError.
        """
        problems = []
        for part in (self._renew, self.fetch_opt_outs, self._look_at_marks):
            try:
                part()
            except LostError:
                raise
            except LivenessError as error:
                problems.append(error)
        if not any(isinstance(error, StoreError) for error in problems):
            self._reached_s = time.monotonic()
        if problems:
            raise problems[0]

    def _look_at_marks(self) -> None:
        """End the scan if the run was cancelled, or this vantage point drained."""
        job = self.workplace.job
        if marks.is_cancelled(self.store, job.census, job.run):
            self._stop("cancelled", "the run was cancelled")
        mark = marks.drained(self.store, job.census, job.vantage)
        if mark is not None and (mark.now or mark.lost):
            self._stop("drained", f"{job.vantage} was drained")

    def _renew(self) -> None:
        """Renew the lease if it is time."""
        if time.monotonic() - self._renewed_s >= self.holder.length_s / RENEWALS:
            self.holder.renew(self.state, self.workplace.share(), self.message)
            self._renewed_s = time.monotonic()

    def renew_now(self, state: State) -> None:
        """Renew the lease with another state at the next look."""
        self.state = state
        self._renewed_s = 0.0

    def _run(self) -> None:
        while not self._ended.wait(LOOK_S):
            try:
                self.look()
            except LostError as error:
                self._stop("lost", str(error))
            except Exception as error:  # noqa: BLE001 - without this thread nobody would renew the lease
                self._missed(error)
            else:
                self.problem = ""

    def check_reached(self) -> None:
        """Stop if another vantage point may have taken over, because the store was not reached for so long.

        The runner calls this, because a request in the thread may hang.
        """
        lost_after_s = self.workplace.job.lost_after_s
        silent_s = time.monotonic() - self._reached_s
        if lost_after_s is not None and silent_s > lost_after_s / 2:
            problem = self.problem or f"{self.store.url}: no answer"
            self._stop("unreachable", f"{problem}: not reached for {silent_s:,.0f} s: this part may be moved by now")

    def _missed(self, error: Exception) -> None:
        """Note a look that failed, once; stop if another vantage point may have taken over meanwhile."""
        if not self.problem:
            self.note(f"{explain(error)}: the scan goes on")
        self.problem = explain(error)
        self.check_reached()

    def _stop(self, reason: Reason, message: str) -> None:
        if self.reason is None:
            self.reason, self.message = reason, message
            self.note(message)
            self.stop.set()
