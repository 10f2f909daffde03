"""Status of a passive run, once a second: as a line of a file, and as a text for people."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from liveness.passive.progress import Progress, StatusLine, status_of
from liveness.passive.state import State
from liveness.watch.line_file import LineFile


@dataclass(slots=True)
class RunStatus:
    """Takes a status line whenever it is called, writes it to a file and hands it to `show`."""

    file: LineFile | None
    show: Callable[[StatusLine], None]
    published: State | None = None
    """The last state that the run has published."""
    _run: str = ""
    _progress: Callable[[], Progress] | None = None
    _began_s: float = field(default_factory=time.monotonic)
    _last_s: float = 0.0
    _last_records: int = 0

    def begin(self, run: str, progress: Callable[[], Progress]) -> None:
        """Take the name of the run, and the function that says how far it is."""
        self._run, self._progress = run, progress
        self._last_s = time.monotonic()
        self._last_records = progress().counts.read

    def take(self, ended: str = "") -> None:
        """Write and show a line; `ended` is the status of a run that has ended."""
        if self._progress is None:
            return
        progress, now_s = self._progress(), time.monotonic()
        passed_s, records = now_s - self._last_s, progress.counts.read
        rate = (records - self._last_records) / passed_s if passed_s > 0 else 0.0
        self._last_s, self._last_records = now_s, records
        line = status_of(self._run, progress, now_s - self._began_s, rate, self.published, ended)
        if self.file is not None:
            self.file.write(msgspec.json.encode(line) + b"\n")
        self.show(line)
