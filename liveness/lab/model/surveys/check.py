"""Comparison of a survey with the model Internet that it probed: every round of every address, losses apart."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import UsageError
from liveness.lab.model.change.clock import ModelClock
from liveness.lab.model.origin.view import View
from liveness.lab.model.population.answer import PROBES
from liveness.lab.model.population.load import Population
from liveness.lab.model.population.truth import number_of
from liveness.lab.model.responder.probe_log import read_log
from liveness.lab.model.responder.record import SUMMARY, Summary, has_record, read_summary, view_in
from liveness.lab.model.surveys.arrivals import ProbesByBlock, Schedule, Timing, TimingSum
from liveness.lab.model.surveys.changes import changes_of, lease_s_of, shift_day
from liveness.lab.model.surveys.listening import Listening, listening_of
from liveness.lab.model.surveys.sequences import FIGURES, count_single_losses, figures_of
from liveness.lab.model.surveys.silences import Silence, is_diurnal, silences_of
from liveness.lab.model.surveys.truth import (
    DOWN_STATE,
    LATE_STATE,
    QUIET,
    UP_STATE,
    BlockTruth,
    habit_of,
    truth_of_block,
)
from liveness.lab.source import RECORD_FOLDER
from liveness.planes.blocks import BLOCK_ADDRESSES
from liveness.planes.manifest import MAX_INTERVAL_S, MAX_START_NS, NAME
from liveness.planes.matrix import Planes
from liveness.planes.rundir import SurveyRun
from liveness.space.addresses import format_address

STATES: Final = ("silent", "positive", "negative", "late")
EXAMPLES: Final = 5


@dataclass(slots=True)
class ProbeComparison:
    """Comparison of one probe of a survey; counts are of pairs of address and round unless said otherwise."""

    probe: str
    sent: int = 0
    wrong: int = 0
    """Sent, arrived, and recorded as something else than what was delivered."""
    never_arrived: int = 0
    """Recorded as sent, and not seen at the far end."""
    unrecorded: int = 0
    """Arrived, and recorded as not sent: as after a kill."""
    repeated: int = 0
    """Probed more than once in a round."""
    strays: int = 0
    """Probes to no address of the survey, or before its first round."""
    contradictions: int = 0
    """Replies of the far end that the model does not know: a fault of the lab."""
    lost: int = 0
    """Positive replies that were lost on the way, or whose probes were."""
    single_losses: int = 0
    single_losses_repaired: int = 0
    other_figures: int = 0
    """Addresses of which A, U or N_U, plain or repaired, differ from the truth without loss."""
    examples: list[str] = field(default_factory=list)
    figures: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, FIGURES), np.int64))
    """The truth without loss: (addresses, FIGURES)."""
    silences: list[Silence] = field(default_factory=list)
    diurnal: list[bool | None] = field(default_factory=list)
    """By block: whether a daily cycle must be found; None where either is right."""
    peak_hours_utc: list[float | None] = field(default_factory=list)
    """By block: the middle of the hours in which its hosts are up."""
    changes: list[NDArray[np.int64]] = field(default_factory=list)
    """By block: churn from day to day, (days, CHANGES)."""
    shift_days: list[int | None] = field(default_factory=list)
    """By block: the day of its lasting shift, -1 for none; None where either is right."""
    leases_s: list[float | None] = field(default_factory=list)
    """By block: the lease that must be found, NO_LEASE for none; None where either is right."""

    @property
    def exact(self) -> bool:
        """Whether the run says of every round exactly what was delivered."""
        return not (self.wrong or self.never_arrived or self.repeated or self.strays or self.contradictions)


@dataclass(frozen=True, slots=True)
class SurveyComparison:
    """Comparison of a whole survey with the model."""

    run: SurveyRun
    clock: ModelClock
    schedule: Schedule
    summary: Summary
    probes: list[ProbeComparison]
    timing: Timing

    @property
    def problems(self) -> list[str]:
        """What the far end has to say against the scanner or itself, a line each."""
        lines = [f"{count:,} malformed packets: {label}" for label, count in self.summary.malformed.items()]
        if self.summary.overrun:
            lines.append(f"the model was too slow for {self.summary.overrun:,} packets: probe fewer blocks")
        if self.summary.unlogged:
            lines.append(f"the model's log lacks {self.summary.unlogged:,} probes: probe fewer blocks")
        return lines

    @property
    def equal(self) -> bool:
        """Whether every round of every address is as it was delivered, and all probes were well formed."""
        return not self.problems and all(one.exact for one in self.probes)


def check_survey(path: Path, population: Population) -> SurveyComparison:
    """Compare a survey with the population that it probed in a lab, by the record of that lab.

    UsageError for a run without such a record, or one that cannot be judged.
    """
    run = SurveyRun.open(path)
    record = path / RECORD_FOLDER / SUMMARY
    if not has_record(path):
        raise UsageError(f"{record}: no record of the model: a survey is compared by its lab's log of probes")
    summary = read_summary(path)
    if summary.clock is None:
        raise UsageError(
            f"{record}: $.clock: missing: the population has no section 'time': add one, such as 'time: {{}}'"
        )
    clock = ModelClock(summary.clock.real_ns, summary.clock.model_ns, summary.clock.speed)
    last_ns = run.manifest.start_ns + round((run.manifest.rounds + 1) * run.manifest.interval_s * 1e9)
    if not all(0 <= clock.at_ns(time_ns) <= MAX_START_NS for time_ns in (run.manifest.start_ns, last_ns)):
        raise UsageError(f"{record}: $.clock: by this clock the survey was not taken between 1970 and 2200")
    if run.manifest.interval_s * clock.speed > MAX_INTERVAL_S:
        raise UsageError(
            f"{record}: $.clock.speed: {clock.speed}: rounds of {run.manifest.interval_s:g} s take over a year"
        )
    probes = list(run.manifest.probes)
    numbers = [number_of(probe) for probe in probes]
    if len(set(numbers)) < len(numbers):
        raise UsageError(f"{path / NAME}: $.probes: of TCP ports that a population has no word for, one can be judged")
    with run.matrix() as matrix:
        schedule = Schedule.of(run.manifest, matrix.phases_ms())
        came = ProbesByBlock(read_log(path), run.blocks, schedule, numbers)
        others = [number for number in np.flatnonzero(came.seen).tolist() if number not in numbers]
        if others:
            named = ", ".join(PROBES[number] if number < len(PROBES) else f"number {number}" for number in others)
            raise UsageError(f"{record}: the far end saw probes that the survey does not name: {named}")
        for probe in probes:
            matrix.open_probe(probe)
        compare = _Comparing(
            run,
            population,
            clock,
            schedule,
            listening_of(schedule, matrix, came, summary.ended_ns),
            summary.slowest_ms * 1_000_000,
            view_in(population, summary),
            TimingSum(),
        )
        compared = [
            compare.probe(probe, came, (matrix.planes(probe, block, 1) for block in range(len(run.blocks))))
            for probe in probes
        ]
    return SurveyComparison(run, clock, schedule, summary, compared, compare.timing.timing(came, schedule))


@dataclass(frozen=True, slots=True)
class _Comparing:
    """What the comparison of every probe of a survey needs."""

    run: SurveyRun
    population: Population
    clock: ModelClock
    schedule: Schedule
    listening: Listening
    slowest_ns: int
    view: View | None
    """The place from which the survey was sent."""
    timing: TimingSum

    def probe(self, probe: str, probes: ProbesByBlock, planes: Iterator[Planes]) -> ProbeComparison:
        """Compare the planes of one probe, block by block."""
        tables, number, interval_ns = self.population.tables, number_of(probe), self.schedule.interval_ns
        result = ProbeComparison(probe, strays=int(probes.elsewhere[number]))
        starts_ns = self.clock.at_ns(self.schedule.start_ns)
        losses = np.zeros(2, np.int64)
        figures = []
        for block, part in enumerate(planes):
            came = probes.of_block(block, probe)
            result.strays += came.strays
            result.unrecorded += came.after
            self.timing.add(came)
            truth = truth_of_block(
                tables,
                number,
                self.clock,
                came,
                self.schedule.rounds,
                interval_ns,
                self.listening,
                self.slowest_ns,
                self.view,
            )
            found = Found.of(part)
            figures.append(_compare_rounds(result, truth, found, losses, self.run.blocks.numbers[block]))
            habit = habit_of(tables, int(self.run.blocks.numbers[block]), starts_ns)
            cycle = is_diurnal(habit, truth, found.sent, interval_ns * self.clock.speed)
            result.silences += silences_of(block, truth, found.sent, habit, cycle=cycle)
            result.diurnal.append(cycle)
            result.peak_hours_utc.append(habit.peak_hour_utc)
            model_ns = interval_ns * self.clock.speed
            result.changes.append(changes_of(truth.positive, found.sent, model_ns))
            result.shift_days.append(shift_day(habit, truth, found.sent, model_ns))
            result.leases_s.append(lease_s_of(habit, truth, found.sent, model_ns))
        result.single_losses, result.single_losses_repaired = losses.tolist()
        result.figures = np.concatenate(figures)
        return result


@dataclass(frozen=True, slots=True)
class Found:
    """What a run says of one block, by address and round."""

    sent: NDArray[np.bool_]
    positive: NDArray[np.bool_]
    state: NDArray[np.int64]

    @classmethod
    def of(cls, planes: Planes) -> "Found":
        """Unpack the planes of one block."""
        sent, positive, negative, late = (
            np.unpackbits(plane, axis=1, count=planes.rounds, bitorder="little").astype(np.bool_)
            for plane in (planes.sent, planes.positive, planes.negative, planes.late)
        )
        state = np.select([positive, negative, late], [UP_STATE, DOWN_STATE, LATE_STATE], QUIET)
        return cls(sent, positive, state)


def _compare_rounds(
    result: ProbeComparison, truth: BlockTruth, found: Found, losses: NDArray[np.int64], slash24: int
) -> NDArray[np.int64]:
    """Compare the rounds of one block; add what differs to the result, and return the figures of the truth."""
    sent, arrived = found.sent, truth.arrived > 0
    # Where the lab itself does not know on which side of a limit a reply came, silence or lateness are right too.
    either = truth.open & ((found.state == QUIET) | (found.state == LATE_STATE) | (truth.expected == LATE_STATE))
    wrong = sent & arrived & (found.state != truth.expected) & ~either
    result.sent += int(sent.sum())
    result.wrong += int(wrong.sum())
    result.never_arrived += int((sent & ~arrived).sum())
    result.unrecorded += int((arrived & ~sent).sum())
    result.repeated += int((truth.arrived > 1).sum())
    result.contradictions += truth.contradictions
    result.lost += int((truth.lost & sent).sum())
    for octet, number in np.argwhere(wrong)[: EXAMPLES - len(result.examples)].tolist():
        address = format_address(int(slash24) * BLOCK_ADDRESSES + octet)
        states = f"{STATES[found.state[octet, number]]}, not {STATES[truth.expected[octet, number]]}"
        result.examples.append(f"{address}, round {number}: {states}")
    figures = figures_of(np.where(either, found.positive, truth.positive), sent)
    result.other_figures += int((figures != figures_of(found.positive, sent)).any(axis=1).sum())
    count_single_losses(found.positive, sent, truth.expected == UP_STATE, truth.lost, losses)
    return figures
