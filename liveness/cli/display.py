"""What people are shown: tables on standard output, a scan's bars and summary on standard error."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

PIPE_COLUMNS = 120

if TYPE_CHECKING:
    from liveness.scan.plan import Plan
    from liveness.scan.progress import Progress as ScanProgress
    from liveness.scan.record import Identity
    from liveness.store.manifest import Manifest, RateSearch


class OutputConsole(Console):
    """Standard output for tables; a pipe gets lines of 120 columns, and one that is closed is told as such."""

    def __init__(self) -> None:
        super().__init__(width=None if sys.stdout.isatty() else PIPE_COLUMNS)

    def on_broken_pipe(self) -> None:
        """Leave it to the command line, which takes it for no error, rather than exit with 1."""
        raise BrokenPipeError


class ScanDisplay:
    """The display of one scan; a context manager. Quiet shows nothing at all, a pipe gets no bars."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False)
        self._loud = Console(stderr=True, highlight=False) if quiet else self._console
        self._bars = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[replies]:>12,} replies"),
            TimeRemainingColumn(),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def begin(self, plan: "Plan", identity: "Identity") -> None:
        """Say what begins: called when everything is open and no packet has left."""
        from liveness.space.addresses import format_address

        path = identity.path
        gateway = f" by {format_address(path.gateway)}" if path.gateway is not None else ""
        self._console.print(
            f"scanning {plan.target_count:,} addresses with {len(plan.probes)} probes of {plan.attempts} attempts"
            f" from {format_address(path.source)} on {path.interface}{gateway} through {identity.transport},"
            f" into {identity.directory.path}",
            soft_wrap=True,
        )
        for probe in plan.probes:
            self._tasks[probe.name] = self._bars.add_task(
                probe.name, total=plan.target_count * plan.attempts, replies=0
            )

    def update(self, progress: "ScanProgress") -> None:
        """Move the bars. The first call starts their thread: by then every process of the scan has been forked."""
        self._bars.start()
        for probe in progress.probes:
            self._bars.update(self._tasks[probe.name], completed=probe.sent, replies=probe.replies)

    def notice(self, text: str) -> None:
        """Show a line that somebody ought to read, be the display quiet."""
        self._loud.print(f"liveness: {text}", soft_wrap=True, markup=False)

    def end(self, manifest: "Manifest") -> None:
        """Show what came of the scan, losses in red."""
        self._bars.stop()
        self._console.print(_summary(manifest))
        rejected = ", ".join(f"{reason} {count:,}" for reason, count in sorted(manifest.rejected.items())) or "none"
        self._console.print(f"packets received: {manifest.receive.packets:,}; rejected: {rejected}", soft_wrap=True)
        if manifest.rate_search is not None:
            self._console.print(_rate_found(manifest.rate_search, len(manifest.probes)), soft_wrap=True)
        for warning in manifest.loss_warnings:
            self._console.print(f"[bold red]loss:[/] {warning}", soft_wrap=True)
        lossy = " with losses" if manifest.loss_warnings else ""
        colour = "green" if manifest.status == "complete" and not lossy else "red"
        reason = f": {manifest.reason}" if manifest.reason else ""
        self._console.print(f"[{colour}]{manifest.status}{lossy}[/]{reason}; {len(manifest.sets)} sets", soft_wrap=True)


def _summary(manifest: "Manifest") -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("probe")
    for heading in ("sent", "answered", "share", "recovered"):
        table.add_column(heading, justify="right")
    table.add_column("messages")
    for name, counts in manifest.probes.items():
        answered = sum(manifest.attempts.get(name, {}).values())
        first = counts.sent[0]
        table.add_row(
            name,
            f"{sum(counts.sent):,}",
            f"{answered:,}",
            f"{answered / first:.1%}" if first else "-",
            f"{manifest.recovered_by_retransmit.get(name, 0):,}",
            _messages(manifest.messages.get(name, {})),
        )
    return table


def _rate_found(search: "RateSearch", probes: int) -> str:
    """Return what `rate: auto` has found, and why it was not more."""
    reasons = {
        None: "its limit" if search.found_pps >= search.limit_pps else "the scan ended before more was tried",
        "fell": "more causes loss",
        "own-drops": "more is dropped on this host",
        "sender-bound": "the senders cannot keep up with more",
        "unclear": "too few replies to judge more by",
    }
    found = f"{search.found_pps:,.0f} packets/s of each probe, {search.found_pps * probes:,.0f} in all"
    unsure = "" if search.checked else ", not checked yet"
    return f"rate found: {found}: {reasons[search.limited_by]}{unsure}; {len(search.steps)} steps in the manifest"


def _messages(counts: dict[str, int]) -> str:
    """Return the messages of a probe by kind, all errors together."""
    kinds: dict[str, int] = {}
    for label, count in counts.items():
        kind = "errors" if label.startswith("error-") else label
        kinds[kind] = kinds.get(kind, 0) + count
    return ", ".join(f"{kind} {count:,}" for kind, count in kinds.items())
