"""Listeners of a scan: output for people and for other programs, whose failures never end the scan."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from liveness.errors import explain
from liveness.scan.progress import Progress


@dataclass(slots=True)
class Listeners:
    """The two functions that a scan calls while it runs. Exceptions that they raise are caught here."""

    on_progress: Callable[[Progress], None]
    on_notice: Callable[[str], None]
    _failed: bool = field(default=False, init=False)

    def progress(self, progress: Progress) -> None:
        """Report the progress of the scan. A listener that failed is not called again, and a notice says why."""
        if self._failed:
            return
        try:
            self.on_progress(progress)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - rich exits the process if a pipe is closed
            self._failed = True
            self.notice(f"WARNING: nothing shows how the scan stands any more: {explain(error)}")

    def notice(self, text: str) -> None:
        """Report a line that needs attention at once; failures of the listener are ignored."""
        with suppress(Exception, SystemExit):
            self.on_notice(text)
