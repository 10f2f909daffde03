"""The record of a run in a model lab: delivered replies, lost packets by cause, and malformed packets."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.errors import LivenessError
from liveness.files.atomic import write_atomically
from liveness.files.documents import decoded
from liveness.files.reading import read_bytes
from liveness.ipsets.collector import Collector
from liveness.ipsets.roaring import read_roaring, write_roaring
from liveness.lab.model.change.section import MAX_SPEED
from liveness.lab.model.origin.hidden import MOST_RUNS
from liveness.lab.model.origin.view import View
from liveness.lab.model.population.answer import PROBES
from liveness.lab.model.population.load import Population
from liveness.lab.model.responder.sending import KIND_MASK, PROBE_SHIFT
from liveness.lab.model.responder.state import (
    CAUSES,
    DUPLICATED,
    NOISY,
    REPLIES,
    SLOWEST_TICKS,
    TICK_SHIFT,
    UNLOGGED,
    UNRECORDED,
    Model,
)
from liveness.lab.model.responder.verdict import Verdict
from liveness.lab.source import POPULATION_FILE, RECORD_FOLDER
from liveness.planes.manifest import MAX_START_NS
from liveness.replies import Kind

SUMMARY: Final = "record.json"
EVENTS: Final = 256

MOST_MS: Final = 3_600_000
MOST_SESSIONS: Final = 100_000

Counts = dict[str, int]
Time = Annotated[int, Meta(ge=0, le=MAX_START_NS)]
"""ns since the epoch, until 2200."""


class Clock(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The clock of a model: it showed `model_ns` at `real_ns` of the machine; `speed` seconds pass in one second."""

    real_ns: Time
    model_ns: Time
    speed: Annotated[int, Meta(ge=1, le=MAX_SPEED)]


class Summary(Struct, kw_only=True, forbid_unknown_fields=True):
    """The responder's counts during a run. The sessions of a resumed run are added."""

    schema: int = 1
    lossless: bool = True
    """Whether the network model drops nothing."""
    packets: int = 0
    overrun: int = 0
    """Packets that the responder was too slow to receive, and whose content is unknown."""
    frames: Counts = {}
    """Received frames by Verdict."""
    replies: int = 0
    """Packets sent, including duplicates and noise."""
    duplicates: int = 0
    noise: int = 0
    lost: dict[str, Counts] = {}
    """Lost probes that would have been answered, and lost replies, by probe and cause."""
    vantage: str = ""
    """The place of the scanner, in a lab of several."""
    vantage_run: Annotated[int, Meta(ge=0, lt=MOST_RUNS)] = 0
    """Which run of that place this is, counted from 0: hosts may answer some of them only."""
    clock: Clock | None = None
    """The model's clock in all sessions of the run; None if nothing changes with time."""
    unlogged: int = 0
    """Probes that the log of the run lacks, because too many came at once."""
    slowest_ms: Annotated[int, Meta(ge=0, le=MOST_MS)] = 0
    """How much after its time a reply was sent at most, because the responder was busy."""
    ended_ns: Annotated[list[Time], Meta(max_length=MOST_SESSIONS)] = []
    """When the sessions of the run ended: replies that waited then were never sent."""

    def add(self, other: "Summary") -> None:
        """Add the counts of an earlier session."""
        self.slowest_ms = max(self.slowest_ms, other.slowest_ms)
        self.ended_ns = [*other.ended_ns, *self.ended_ns][-MOST_SESSIONS:]
        self.lossless = self.lossless and other.lossless
        for name in ("packets", "overrun", "replies", "duplicates", "noise", "unlogged"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        _add(self.frames, other.frames)
        for probe, counts in other.lost.items():
            _add(self.lost.setdefault(probe, {}), counts)

    @property
    def malformed(self) -> Counts:
        """Frames that no correct scanner sends, by fault."""
        wrong = {verdict.label for verdict in Verdict if verdict.malformed}
        return {label: count for label, count in self.frames.items() if label in wrong}


def _add(counts: Counts, more: Counts) -> None:
    for label, count in more.items():
        counts[label] = counts.get(label, 0) + count


@dataclass(slots=True)
class Record:
    """The events of one run, collected from the kernels' lists."""

    passed: dict[int, Collector] = field(default_factory=dict)
    lost: dict[int, Collector] = field(default_factory=dict)

    def sent(self, targets: NDArray[np.uint32], events: NDArray[np.uint8]) -> None:
        """Record the replies that were sent."""
        _gather(self.passed, targets, events)

    def lose(self, targets: NDArray[np.uint32], events: NDArray[np.uint8]) -> None:
        """Record the packets that were lost."""
        _gather(self.lost, targets, events)

    def write(self, run: Path, summary: Summary, population: str) -> None:
        """Write the record into a run directory, united with the record of an earlier session of the run.

        `summary` has the counts of this session, `population` is the text of the population file. LivenessError if
        a file cannot be written.
        """
        folder = run / RECORD_FOLDER
        try:
            folder.mkdir(exist_ok=True)
            if (folder / SUMMARY).exists():
                summary.add(read_summary(run))
            for kind, collectors in (("passed", self.passed), ("lost", self.lost)):
                for event, collector in collectors.items():
                    path = folder / _file(kind, event)
                    members = collector.finish()
                    write_roaring(path, members | read_roaring(path) if path.exists() else members)
            write_atomically(folder / POPULATION_FILE, population.encode())
            write_atomically(folder / SUMMARY, msgspec.json.format(msgspec.json.encode(summary), indent=2))
        except OSError as problem:
            raise LivenessError(f"{folder}: cannot write the lab's record: {problem.strerror}") from problem


def _gather(collectors: dict[int, Collector], targets: NDArray[np.uint32], events: NDArray[np.uint8]) -> None:
    for event in np.flatnonzero(np.bincount(events, minlength=EVENTS)).tolist():
        if event != UNRECORDED:
            collectors.setdefault(event, Collector()).add(targets[events == event])


def _file(kind: str, event: int) -> str:
    labels = [reply_kind.label for reply_kind in Kind] if kind == "passed" else list(CAUSES)
    return f"{kind}.{PROBES[event >> PROBE_SHIFT].replace('/', '-')}.{labels[event & KIND_MASK]}.roaring"


def summarise(model: Model, *, lossless: bool, overrun: int) -> Summary:
    """Return the counts of a model since its counters were zero."""
    frames = {verdict.label: int(n) for verdict, n in zip(Verdict, model.verdicts, strict=True) if n}
    lost = {
        probe: {cause: int(n) for cause, n in zip(CAUSES, counts, strict=True) if n}
        for probe, counts in zip(PROBES, model.lost, strict=True)
        if counts.any()
    }
    numbers = model.numbers
    real_ns, model_ns, speed = model.clock.tolist()
    return Summary(
        lossless=lossless,
        packets=int(model.verdicts.sum()),
        overrun=overrun,
        frames=frames,
        replies=int(numbers[REPLIES]),
        duplicates=int(numbers[DUPLICATED]),
        noise=int(numbers[NOISY]),
        clock=Clock(real_ns=real_ns, model_ns=model_ns, speed=speed) if len(model.log_ns) else None,
        unlogged=int(numbers[UNLOGGED]),
        slowest_ms=min(MOST_MS, (int(numbers[SLOWEST_TICKS]) << TICK_SHIFT) // 1_000_000),
        lost=lost,
    )


def has_record(run: Path) -> bool:
    """Return whether a run directory holds the record of a model lab."""
    return (run / RECORD_FOLDER / SUMMARY).exists()


def read_summary(run: Path) -> Summary:
    """Return the responder's counts of a run; LivenessError if they cannot be read."""
    path = run / RECORD_FOLDER / SUMMARY
    try:
        content = read_bytes(path)
    except OSError as problem:
        raise LivenessError(f"{path}: cannot read the lab's record: {problem.strerror}") from problem
    return decoded(content, Summary, path, "no record of this version: take the census again")


def view_in(population: Population, summary: Summary) -> View | None:
    """Return from which place of a population a run was sent; None if all places see the same.

    UsageError if the population has no such place.
    """
    section = population.model.vantages
    if section is None or not summary.vantage:
        return None
    return View(section.number(summary.vantage, population.name), summary.vantage_run)


def read_passed(run: Path) -> dict[tuple[str, Kind], BitMap]:
    """Return the targets whose replies were delivered, by probe and kind, without duplicates."""
    passed = {}
    for number, probe in enumerate(PROBES):
        for kind in Kind:
            path = run / RECORD_FOLDER / _file("passed", number << PROBE_SHIFT | kind)
            if path.exists():
                passed[probe, kind] = read_roaring(path)
    return passed


def read_lost(run: Path) -> dict[tuple[str, str], BitMap]:
    """Return the targets with a lost probe or reply, by probe and cause."""
    lost = {}
    for number, probe in enumerate(PROBES):
        for index, cause in enumerate(CAUSES):
            path = run / RECORD_FOLDER / _file("lost", number << PROBE_SHIFT | index)
            if path.exists():
                lost[probe, cause] = read_roaring(path)
    return lost
