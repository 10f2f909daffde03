"""Output of a scan for the user, on standard error: its start, progress and summary."""

from logging import INFO, WARNING
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from liveness import log
from liveness.cli.live import LiveView, pace_text, status_line
from liveness.cli.messages import keep_with, people
from liveness.report.layout import Section
from liveness.report.views.run_summary import run_summary_table

PLAIN_EVERY_S: Final = 60.0
"""Time between two lines of a scan without a terminal."""

if TYPE_CHECKING:
    from liveness.runs.course import RateSearch
    from liveness.runs.manifest import Manifest
    from liveness.scan.plan import Plan
    from liveness.scan.record import Identity
    from liveness.watch.reading import Reading


class ScanDisplay:
    """Output of one scan on standard error: its start, its progress and its results.

    A terminal has a live view, any other output a plain line a minute if `plain` is set. A quiet display shows nothing.
    """

    def __init__(self, *, quiet: bool, plain: bool = True) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False)
        self._plain = plain and not quiet
        self._live = LiveView(self._console) if self._console.is_terminal and not quiet else None
        self._next_s = PLAIN_EVERY_S

    def open(self) -> None:
        """Show messages above the live view."""
        if self._live is not None:
            people.write = self._above

    def close(self) -> None:
        """Restore the terminal."""
        self._stop()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            people.reset()

    def _above(self, lead: str, text: str) -> None:
        self._console.print(Text(f"{lead}{text}"), soft_wrap=True)

    def _emit(self, level: int, text: str, shown: str | None = None) -> None:
        """Record a message, and show it in the colours of `shown` unless this display is quiet."""
        log.emit(level, text, shown=False)
        if level >= people.level:
            self._console.print(Text(text) if shown is None else shown, soft_wrap=True)

    def begin(self, plan: "Plan", identity: "Identity") -> None:
        """Report the start of a scan; called when all sockets are open and no packet has been sent."""
        from liveness.space.addresses import format_address

        path = identity.path
        gateway = f" by {format_address(path.gateway)}" if path.gateway is not None else ""
        keep_with(identity.directory)
        self._emit(
            INFO,
            f"scanning {plan.target_count:,} addresses with {len(plan.probes)} probes of {plan.attempts} attempts"
            f" from {format_address(path.source)} on {path.interface}{gateway} through {identity.transport},"
            f" into {identity.directory.path}",
        )

    def read(self, reading: "Reading") -> None:
        """Show the progress."""
        if self._live is not None:
            self._live.show(reading)
        elif self._plain and reading.progress.elapsed_s >= self._next_s:
            self._next_s = reading.progress.elapsed_s + PLAIN_EVERY_S
            self._emit(INFO, status_line(reading))

    def notice(self, text: str) -> None:
        """Show a line that the user should read, even if the display is quiet."""
        log.notice(text)

    def end(self, manifest: "Manifest") -> None:
        """Show the results of the scan, with warnings in red: losses, repaired or not, and a rate not reached."""
        self._stop()
        if people.level <= INFO:
            self._console.print(Section(run_summary_table(manifest)))
        rejected = ", ".join(f"{reason} {count:,}" for reason, count in sorted(manifest.rejected.items())) or "none"
        self._emit(INFO, f"packets received: {manifest.receive.packets:,}; rejected: {rejected}")
        if manifest.rate_search is not None:
            self._emit(INFO, _rate_found(manifest.rate_search, len(manifest.probes)))
        for warning in manifest.loss_warnings:
            self._emit(WARNING, warning, f"[bold red]warning:[/] {escape(warning)}")
        colour = "green" if manifest.status == "complete" else "red"
        warned = " with warnings" if manifest.loss_warnings else ""
        reason = f": {manifest.reason}" if manifest.reason else ""
        ended = f"{reason}; {len(manifest.sets)} sets"
        self._emit(INFO, f"{manifest.status}{warned}{ended}", f"[{colour}]{manifest.status}{warned}[/]{escape(ended)}")


def _rate_found(search: "RateSearch", probes: int) -> str:
    """Return the rate that `rate: auto` has found, and the reason for its limit."""
    reasons = {
        None: "its limit" if search.found_pps >= search.limit_pps else "the scan ended before more was tried",
        "fell": "more causes loss",
        "own-drops": "more is dropped on this host",
        "sender-bound": "the senders cannot keep up with more",
        "unclear": "too few replies to judge more by",
    }
    found = f"{pace_text(search.found_pps)} packets/s of each probe, {pace_text(search.found_pps * probes)} in all"
    unsure = "" if search.checked else ", not checked yet"
    return f"rate found: {found}: {reasons[search.limited_by]}{unsure}; {len(search.steps)} steps in the manifest"
