"""Output of a running survey on standard error: its start, its progress and its results."""

from logging import INFO, WARNING
from typing import TYPE_CHECKING

import msgspec
from rich.markup import escape

from liveness.analysis.numbers import percent
from liveness.cli.display import ScanDisplay
from liveness.cli.messages import keep_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from liveness.planes.manifest import SurveyManifest
    from liveness.runs.manifest import Manifest
    from liveness.scan.plan import Plan
    from liveness.scan.record import Identity
    from liveness.watch.watchers import Watchers


class SurveyDisplay(ScanDisplay):
    """Output of one survey: a live view on a terminal, a plain line a minute elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        self._begun: Manifest | None = None

    def starting(self, watchers: "Watchers") -> "Callable[[Plan, Identity], None]":
        """Return the function to call when a survey starts."""
        from liveness.scan.record import running_manifest

        def start(plan: "Plan", identity: "Identity") -> None:
            self._begun = running_manifest(plan, identity)
            watchers.begin(plan, identity)

        return start

    def begin(self, plan: "Plan", identity: "Identity") -> None:
        """Report the start of a survey; called when all sockets are open and no packet has been sent."""
        from liveness.space.addresses import format_address

        keep_with(identity.directory)
        self._emit(
            INFO,
            f"surveying {plan.intervals.count:,} addresses with {', '.join(probe.name for probe in plan.probes)}"
            f" from {format_address(identity.path.source)} on {identity.path.interface} through {identity.transport},"
            f" into {identity.directory.path}",
        )

    def end(self, manifest: "Manifest") -> None:
        """Remove the live view; `finish` shows the results."""
        del manifest
        self._stop()

    def finish(self, watchers: "Watchers", manifest: "SurveyManifest") -> None:
        """Pass the status of the ended survey to the watchers, and show its results."""
        if self._begun is not None:
            watchers.end(msgspec.structs.replace(self._begun, status=manifest.status))
        for name, counts in manifest.probes.items():
            planned = counts.sent + counts.not_sent
            self._emit(
                INFO,
                f"{name}: sent {counts.sent:,} ({percent(counts.sent / planned if planned else None)} of those due),"
                f" positive {counts.positive:,}, negative {counts.negative:,}, late {counts.late:,},"
                f" withdrawn {counts.withdrawn:,}",
            )
        for warning in manifest.loss_warnings:
            self._emit(WARNING, warning, f"[bold red]warning:[/] {escape(warning)}")
        colour = "green" if manifest.status == "complete" else "red"
        reason = f": {manifest.reason}" if manifest.reason else ""
        ended = f"{reason}; {manifest.rounds:,} of {manifest.planned_rounds:,} rounds"
        self._emit(INFO, f"{manifest.status}{ended}", f"[{colour}]{manifest.status}[/]{escape(ended)}")
