"""Listeners of a scan: what is written for people and for other programs, which never ends the scan."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from liveness.errors import explain
from liveness.scan.progress import Progress


@dataclass(slots=True)
class Listeners:
    """The two functions that a scan calls while it runs; what they raise stays in here."""

    on_progress: Callable[[Progress], None]
    on_notice: Callable[[str], None]
    _failed: bool = field(default=False, init=False)

    def progress(self, progress: Progress) -> None:
        """Say how the scan stands. A listener that failed once hears no more, and a notice says why."""
        if self._failed:
            return
        try:
            self.on_progress(progress)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - rich leaves the process where a pipe is closed
            self._failed = True
            self.notice(f"WARNING: nothing shows how the scan stands any more: {explain(error)}")

    def notice(self, text: str) -> None:
        """Say a line that somebody ought to know at once; nobody may hear it."""
        with suppress(Exception, SystemExit):
            self.on_notice(text)
