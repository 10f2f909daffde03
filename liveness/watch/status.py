"""Status file: one JSON document per line, one line per second."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

import msgspec
from msgspec import Struct, defstruct

from liveness.clock import utc_now
from liveness.runs.counter_views import shown
from liveness.runs.manifest import Manifest
from liveness.scan.plan import Plan
from liveness.scan.record import Identity
from liveness.watch.line_file import LineFile
from liveness.watch.reading import Reading


class ProbeStatus(Struct, frozen=True, kw_only=True):
    """Status of one probe: frames planned and rates. Its counters (`runs.counters`) are added by `ProbeLine`."""

    planned: int
    sent_pps: float
    replies_pps: float
    hit_rate: float | None


class StatusHead(Struct, frozen=True, kw_only=True):
    """Status of a scan without its counters. `docs/census.md` explains every field; new fields may be added."""

    time: str
    run: str
    state: str
    elapsed_s: float
    eta_s: float | None
    sent: int
    planned: int
    replies: int
    sent_pps: float
    replies_pps: float
    rate_pps: float
    hit_rate: float | None
    silent: bool
    blocks_done: int
    blocks: int
    problem: str | None = None
    gauges: dict[str, float | dict[str, float]] = {}
    """Numbers that only some products have, such as the /24s of a survey that are down."""


def _with_counters(name: str, base: type[Struct], *, each_probe: bool) -> type[Struct]:
    """Return a record with a field for each counter that is shown per probe, or for each that is one number."""
    fields = [(label, float) for label, counter in shown().items() if counter.each_probe == each_probe]
    return defstruct(name, fields, bases=(base,), frozen=True, kw_only=True)


ProbeLine: Final = _with_counters("ProbeLine", ProbeStatus, each_probe=True)
StatusLine: Final = defstruct(
    "StatusLine",
    [("probes", dict[str, ProbeLine])],  # type: ignore[valid-type]  # made from the declarations
    bases=(_with_counters("StatusCounters", StatusHead, each_probe=False),),
    frozen=True,
    kw_only=True,
)


def status_of(run: str, reading: Reading, state: str) -> StatusHead:
    """Return a reading as a status line; `state` is the result of `state_of`, or the manifest's status at the end."""
    progress = reading.progress
    line = StatusLine(
        time=utc_now(),
        run=run,
        state=state,
        elapsed_s=round(progress.elapsed_s, 3),
        eta_s=None if reading.eta_s is None else round(reading.eta_s, 1),
        sent=progress.sent,
        planned=progress.planned,
        replies=reading.replies,
        sent_pps=round(reading.sent_pps, 1),
        replies_pps=round(reading.replies_pps, 1),
        rate_pps=round(progress.rate_pps, 4),
        hit_rate=_share(reading.hit_rate),
        silent=progress.silent,
        blocks_done=progress.blocks_drained,
        blocks=progress.blocks,
        problem=progress.problem,
        gauges={
            gauge.name: dict(gauge.value) if isinstance(gauge.value, Mapping) else gauge.value
            for gauge in progress.gauges
        },
        probes={
            probe.name: ProbeLine(
                planned=probe.planned,
                sent_pps=round(probe.sent_pps, 1),
                replies_pps=round(probe.replies_pps, 1),
                hit_rate=_share(probe.hit_rate),
                **probe.counts,
            )
            for probe in reading.probes
        },
        **{name: round(count, 3) for name, count in progress.counts.items()},
    )
    return cast("StatusHead", line)


def state_of(reading: Reading) -> str:
    """Return whether a scan is sending, paused, or waiting for late replies to its last probes."""
    progress = reading.progress
    if progress.sending and progress.problem is not None:
        return "paused"
    return "sending" if progress.sending and progress.sent < progress.planned else "waiting"


def _share(share: float | None) -> float | None:
    return None if share is None else round(share, 6)


@dataclass(slots=True)
class StatusFile:
    """Status file of a scan, which starts it again."""

    path: Path
    warn: Callable[[str], None]
    _file: LineFile = field(init=False)
    _run: str = ""
    _last: Reading | None = None

    def __post_init__(self) -> None:
        """Prepare the file."""
        self._file = LineFile(self.path, self.warn)

    def open(self) -> None:
        """Open the file. Raises UsageError that names it, also for a pipe without a reader."""
        self._file.open()

    def begin(self, plan: Plan, identity: Identity) -> None:
        """Record the name of the run."""
        self._run = f"{plan.config.name}/{identity.directory.path.name}"

    def read(self, reading: Reading) -> None:
        """Write a line."""
        self._last = reading
        self._write(status_of(self._run, reading, state_of(reading)))

    def end(self, manifest: Manifest) -> None:
        """Write the last line."""
        if self._last is not None:
            self._write(status_of(self._run, self._last, manifest.status))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: StatusHead) -> None:
        self._file.write(msgspec.json.encode(line) + b"\n")
