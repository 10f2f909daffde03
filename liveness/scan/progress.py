"""Progress of a running scan, read from shared memory, and those who are notified of it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from liveness.errors import explain
from liveness.runs.counter_views import totals, totals_by_probe
from liveness.scan.plan import Plan
from liveness.scan.shared import Shared


@dataclass(frozen=True, slots=True)
class ProbeProgress:
    """The progress of one probe: frames planned, and its counters by the names under which they are shown."""

    name: str
    planned: int
    counts: Mapping[str, int]

    @property
    def sent(self) -> int:
        """Frames sent."""
        return self.counts["sent"]

    @property
    def replies(self) -> int:
        """Replies accepted, duplicates included."""
        return self.counts["replies"]


@dataclass(frozen=True, slots=True)
class Gauge:
    """A number that only some products have, by its name in the status and, after `liveness_`, in the metrics."""

    name: str
    help: str
    value: float | Mapping[str, float]
    """One number, or one for each probe by its name."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a scan."""

    elapsed_s: float
    probes: tuple[ProbeProgress, ...]
    counts: Mapping[str, float]
    """The counters that are shown as a single number, by the names under which they are shown (`runs.counters`)."""
    blocks_drained: int
    blocks: int
    rate_pps: float
    """Current rate of senders, in packets per second of each probe."""
    sending: bool
    """False once the last sender has ended."""
    silent: bool = False
    """Whether replies have stopped."""
    problem: str | None = None
    """Why senders are paused, None if they are not."""
    part: str = "block"
    """Name of a part of the order: a block of a census, a round of a survey."""
    gauges: tuple[Gauge, ...] = ()

    @property
    def sent(self) -> int:
        """Frames sent for all probes."""
        return sum(probe.sent for probe in self.probes)

    @property
    def planned(self) -> int:
        """Frames planned for all probes."""
        return sum(probe.planned for probe in self.probes)


def observe(
    plan: Plan,
    shared: Shared,
    elapsed_s: float,
    *,
    sending: bool,
    silent: bool = False,
    problem: str | None = None,
    unresolved: int = 0,
) -> Progress:
    """Return a snapshot of a scan that has been running for `elapsed_s` seconds.

    `unresolved` is the number of targets that did not answer ARP, to which no frames are planned.
    """
    planned = (plan.target_count - unresolved) * plan.attempts
    counts = totals_by_probe(shared, len(plan.probes))
    return Progress(
        elapsed_s=elapsed_s,
        probes=tuple(
            ProbeProgress(probe.name, planned, numbers) for probe, numbers in zip(plan.probes, counts, strict=True)
        ),
        counts=totals(shared),
        blocks_drained=shared.blocks_drained(),
        blocks=len(plan.order.parts),
        rate_pps=shared.pace_pps(),
        sending=sending,
        silent=silent,
        problem=problem,
    )


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
            self.notice(f"WARNING: the progress of the scan is not shown any more: {explain(error)}")

    def notice(self, text: str) -> None:
        """Report a line that needs attention at once; failures of the listener are ignored."""
        with suppress(Exception, SystemExit):
            self.on_notice(text)
