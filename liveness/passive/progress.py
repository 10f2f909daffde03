"""Progress of a passive run at work: what it does now, what it has read, and the line of its status file."""

from dataclasses import dataclass
from typing import Final

import msgspec

from liveness.clock import utc, utc_now
from liveness.errors import one_line
from liveness.flows.record import encodable
from liveness.passive.gates import Counts
from liveness.passive.state import State

READING: Final = "reading"
CLASSIFYING: Final = "classifying"
REPORTING: Final = "reporting"
WAITING: Final = "waiting"
_NS_PER_S: Final = 1_000_000_000


@dataclass(slots=True)
class Activity:
    """What a run does now. The run writes it, the thread that shows the progress reads it."""

    state: str = READING
    input: str | None = None
    """The input that is being read."""
    inputs_waiting: int = 0
    """Further inputs that are known and not read yet."""
    intervals_waiting: int = 0
    """Intervals whose records are read and that have no results yet, as far as they are due."""
    newest_interval: int | None = None
    """The newest interval with results."""

    def read(self, name: str, further: int) -> None:
        """Begin with an input; `further` are known to come after it."""
        self.state, self.input, self.inputs_waiting = READING, encodable(name), further

    def turn_to(self, state: str) -> None:
        """Begin with something else than reading."""
        self.state, self.input = state, None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is at one moment."""

    activity: Activity
    inputs: int
    """Inputs that were read whole."""
    counts: Counts
    undecoded: int
    damage: int
    newest_ns: int
    """Start of the newest record; 0 before the first."""
    intervals: int
    interval_ns: int


class StatusLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the status file. `docs/passive.md` explains every field; new fields may be added."""

    time: str
    run: str
    state: str
    elapsed_s: float
    input: str | None
    inputs: int
    inputs_waiting: int
    records: int
    records_per_s: float
    invalid: int
    outside: int
    own_probes: int
    excluded: int
    duplicates: int
    late: int
    undecoded: int
    damage: int
    newest_record: str | None
    intervals: int
    intervals_waiting: int
    newest_interval_end: str | None
    services: int
    services_failing: int


def status_of(
    run: str, progress: Progress, elapsed_s: float, records_per_s: float, published: State | None, ended: str = ""
) -> StatusLine:
    """Return progress as a status line. `published` is the last state published, `ended` the status of an ended run."""
    activity, counts = progress.activity, progress.counts
    newest = activity.newest_interval
    return StatusLine(
        time=utc_now(),
        run=run,
        state=ended or activity.state,
        elapsed_s=round(elapsed_s, 3),
        input=activity.input,
        inputs=progress.inputs,
        inputs_waiting=activity.inputs_waiting,
        records=counts.read,
        records_per_s=round(records_per_s, 1),
        invalid=sum(counts.invalid.values()),
        outside=counts.outside,
        own_probes=counts.own_probes,
        excluded=sum(counts.excluded.values()),
        duplicates=counts.duplicates,
        late=counts.late,
        undecoded=progress.undecoded,
        damage=progress.damage,
        newest_record=utc(progress.newest_ns) if progress.newest_ns else None,
        intervals=progress.intervals,
        intervals_waiting=activity.intervals_waiting,
        newest_interval_end=None if newest is None else utc((newest + 1) * progress.interval_ns),
        services=0 if published is None else published.services,
        services_failing=0 if published is None else len(published.failing),
    )


def progress_lines(line: StatusLine) -> list[str]:
    """Return a status line for people: what the run does, its inputs and records, and its results."""
    doing = {
        READING: f"reading {one_line(line.input)}" if line.input else "looking for inputs",
        CLASSIFYING: f"classifying, {line.intervals_waiting:,} intervals to go",
        REPORTING: "writing the results",
        WAITING: "waiting for further inputs",
    }.get(line.state, line.state)
    further = f" ({line.inputs_waiting:,} to go)" if line.inputs_waiting else ""
    newest = "" if line.newest_record is None else f", newest {line.newest_record}"
    failing = f" ({line.services_failing:,} failing)" if line.services_failing else ""
    return [
        doing,
        f"inputs read {line.inputs:,}{further}, records {line.records:,}, {line.records_per_s:,.0f} records/s{newest}",
        f"intervals {line.intervals:,}, services {line.services:,}{failing}",
    ]
