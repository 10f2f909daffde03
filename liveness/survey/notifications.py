"""Notifications of a running survey, sent by a thread: a slow webhook must not keep the survey from its rounds."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Full, Queue
from threading import Thread
from typing import Final

from liveness.survey.config import SurveyNotify
from liveness.survey.message import SurveyMessage
from liveness.watch.message import failure_of
from liveness.watch.notify import Notifier

MOST_WAITING: Final = 64
"""Messages that may wait for those before them; a message that finds no room is given up, with a warning."""
LAST_S: Final = 120.0
"""Time that the last messages of a session have."""


@dataclass(slots=True)
class Notifications:
    """The sender of the messages of one session. The thread begins with the first message: no process forks later."""

    notifier: Notifier
    _waiting: "Queue[SurveyMessage | None]" = field(default_factory=lambda: Queue(MOST_WAITING), init=False)
    _thread: Thread | None = field(default=None, init=False)

    @classmethod
    def of(cls, notify: SurveyNotify, warn: Callable[[str], None]) -> "Notifications":
        """Return the notifications of a config."""
        return cls(Notifier(notify, notify.on, warn))

    def send(self, message: SurveyMessage) -> None:
        """Send a message soon, if there is anybody to send it to."""
        delivery = self.notifier.delivery
        if not (delivery.command or delivery.webhook):
            return
        if self._thread is None:
            self._thread = Thread(target=self._send_all, name="notifications", daemon=True)
            self._thread.start()
        try:
            self._waiting.put_nowait(message)
        except Full:
            self.notifier.warn(f"not notified, because {MOST_WAITING} messages wait already: {message.summary}")

    def _send_all(self) -> None:
        while (message := self._waiting.get()) is not None:
            self.notifier.send(message)

    def close(self) -> None:
        """Wait until everything is sent, for two minutes at most."""
        if self._thread is None:
            return
        deadline_s = time.monotonic() + LAST_S
        with suppress(Full):
            self._waiting.put(None, timeout=LAST_S)
        self._thread.join(max(0.0, deadline_s - time.monotonic()))
        if self._thread.is_alive():
            self.notifier.warn(f"the last notifications were not sent within {LAST_S:g} s")
        self._thread = None


@contextmanager
def failures_notified(notify: SurveyNotify, name: str, directory: Path, warn: Callable[[str], None]) -> Iterator[None]:
    """Send a message about an error in the body, which is raised again. `directory` is that of the survey or run."""
    try:
        yield
    except Exception as error:
        message = SurveyMessage.of_failure(name, None, str(directory.absolute()), *failure_of(error))
        Notifier(notify, notify.on, warn).send(message)
        raise
