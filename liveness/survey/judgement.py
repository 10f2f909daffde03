"""A survey of the model Internet against its truth: rounds as the lab judges them, and what the analysis makes of them.

The lab compares rounds. Here the results of `survey analyze` are compared too: figures of addresses, outages and daily
cycles, at the model's time, in which a day may take minutes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from liveness.analysis.survey.block import BlockResult
from liveness.analysis.survey.leases import HOUR_S, LEASES_H
from liveness.analysis.survey.results import analyze_survey
from liveness.analysis.survey.sequences import PLAIN, REPAIRED, AddressFigures
from liveness.lab.model.population.load import Population
from liveness.lab.model.surveys import sequences as truth
from liveness.lab.model.surveys.changes import NO_LEASE
from liveness.lab.model.surveys.check import ProbeComparison, SurveyComparison, check_survey
from liveness.planes.matrix import Matrix
from liveness.planes.rundir import SurveyRun

if TYPE_CHECKING:
    from liveness.lab.model.surveys.silences import Silence

PEAK_H: Final = 1.5
"""How far the peak of a daily cycle may be from the middle of the hours in which hosts are up."""
HALF_DAY_H: Final = 12.0


class _ScaledMatrix(Matrix):
    """Planes whose slots lie at the model's time."""

    def __init__(self, run: SurveyRun, speed: int) -> None:
        super().__init__(run.path, run.manifest.blocks, run.manifest.rounds)
        self._speed = speed

    def phases_ms(self) -> NDArray[np.uint32]:
        """Return when in a round each address is probed, in ms of the model's clock."""
        return (super().phases_ms().astype(np.uint64) * np.uint64(self._speed)).astype(np.uint32)


@dataclass(frozen=True, slots=True)
class _ScaledRun(SurveyRun):
    """A survey as if it had been taken at the model's time."""

    speed: int = 1

    def matrix(self) -> Matrix:
        """Return the planes of the run, to be opened as a context."""
        return _ScaledMatrix(self, self.speed)


@dataclass(slots=True)
class Findings:
    """What the analysis makes of one probe, compared with the truth without loss."""

    probe: str
    other_figures: int = 0
    """Addresses whose number of rounds, A, U or N_U, plain or repaired, differ from the truth."""
    outages_found: int = 0
    outages_invented: int = 0
    """Outages found where no event made a block silent, or more than a round off."""
    outages_missed: int = 0
    """Outages that the truth is sure of and the analysis did not find."""
    cycles_judged: int = 0
    """Blocks of which the truth is sure whether they have a daily cycle."""
    cycles_right: int = 0
    peaks_judged: int = 0
    peaks_right: int = 0
    other_changes: int = 0
    """Counts of churn, by /24 and day, that differ from the truth."""
    shifts_judged: int = 0
    """Blocks of which the truth is sure whether they have a lasting shift."""
    shifts_right: int = 0
    """Of them, those without one where none is, and those whose shift is within a day."""
    leases_judged: int = 0
    """Blocks of which the truth is sure whether they have a lease, and of what length."""
    leases_right: int = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """The comparison of a survey with the model: rounds, and findings of the analysis by probe."""

    comparison: SurveyComparison
    findings: list[Findings]

    @property
    def equal(self) -> bool:
        """Whether every round is as it was delivered; findings may differ by what was lost."""
        return self.comparison.equal

    def lines(self) -> list[str]:
        """Return the judgement as lines of text."""
        comparison, timing = self.comparison, self.comparison.timing
        lines = list(comparison.problems)
        for one, found in zip(comparison.probes, self.findings, strict=True):
            head = f"{comparison.run.manifest.run}: {one.probe}: {one.sent:,} pairs of address and round"
            lines.append(f"{head}: " + ("each as it was delivered" if one.exact else f"{one.wrong:,} are wrong"))
            counts = {
                "recorded as sent, and never arrived": one.never_arrived,
                "arrived, and not recorded as sent": one.unrecorded,
                "probed more than once in a round": one.repeated,
                "probes outside of the survey": one.strays,
                "replies of the lab against its own model": one.contradictions,
                "positive replies lost on the way": one.lost,
                "single losses": one.single_losses,
                "of them filled by repair": one.single_losses_repaired,
                "addresses whose A, U or N_U differ from the truth": found.other_figures,
                "outages found": found.outages_found,
                "of them invented": found.outages_invented,
                "outages missed": found.outages_missed,
                "counts of addresses by day that differ from the truth": found.other_changes,
            }
            lines += [f"  {count:,} {what}" for what, count in counts.items() if count]
            if found.cycles_judged:
                lines.append(f"  daily cycles: {found.cycles_right:,} of {found.cycles_judged:,} blocks are right")
            if found.peaks_judged:
                lines.append(f"  hours of their peaks: {found.peaks_right:,} of {found.peaks_judged:,} are right")
            if found.shifts_judged:
                lines.append(f"  lasting shifts: {found.shifts_right:,} of {found.shifts_judged:,} blocks are right")
            if found.leases_judged:
                lines.append(f"  leases: {found.leases_right:,} of {found.leases_judged:,} blocks are right")
            lines += [f"  {example}" for example in one.examples]
        if timing.within_50_ms is not None and timing.worst_gap_ms is not None:
            lines.append(
                f"  from round to round: {timing.within_50_ms:.3%} within 50 ms of the interval, at worst"
                f" {timing.worst_gap_ms:.1f} ms off"
            )
        if timing.closest_ms is not None:
            lines.append(
                f"  two probes to a /24 are {timing.closest_ms:.2f} ms apart at least, by plan"
                f" {timing.spacing_ms:.2f} ms"
            )
        return lines

    def document(self) -> dict[str, Any]:
        """Return the judgement as one JSON document."""
        comparison = self.comparison
        manifest, timing = comparison.run.manifest, comparison.timing
        return {
            "schema": 1,
            "kind": "survey",
            "run": manifest.run,
            "equal": self.equal,
            "rounds": manifest.rounds,
            "blocks": manifest.blocks,
            "speed": comparison.clock.speed,
            "lossless": comparison.summary.lossless,
            "problems": comparison.problems,
            "timing": {name: getattr(timing, name) for name in timing.__dataclass_fields__},
            "probes": {
                one.probe: _of_rounds(one) | _of_findings(found)
                for one, found in zip(comparison.probes, self.findings, strict=True)
            },
        }


def _of_rounds(one: ProbeComparison) -> dict[str, Any]:
    counts = ("sent", "wrong", "never_arrived", "unrecorded", "repeated", "strays", "contradictions", "lost")
    more = ("single_losses", "single_losses_repaired", "examples")
    return {name: getattr(one, name) for name in (*counts, *more)}


def _of_findings(found: Findings) -> dict[str, Any]:
    return {name: getattr(found, name) for name in found.__dataclass_fields__ if name != "probe"}


def judge_survey(path: Path, population: Population) -> Judgement:
    """Compare a survey with the population that it probed in a lab. UsageError for one that cannot be judged."""
    comparison = check_survey(path, population)
    run, clock = comparison.run, comparison.clock
    manifest = msgspec.structs.replace(
        run.manifest,
        start_ns=clock.at_ns(run.manifest.start_ns),
        interval_s=run.manifest.interval_s * clock.speed,
    )
    findings = {one.probe: Findings(one.probe) for one in comparison.probes}
    by_probe = {one.probe: one for one in comparison.probes}

    def compare_figures(probe: str, first: int, figures: AddressFigures) -> None:
        expected = by_probe[probe].figures[first : first + len(figures.sent)]
        findings[probe].other_figures += int((expected != _in_order(figures)).any(axis=1).sum())

    scaled = _ScaledRun(run.path, manifest, run.blocks, clock.speed)
    for result in analyze_survey(scaled, compare_figures, delays=False).probes:
        compare_blocks(findings[result.probe], by_probe[result.probe], result.blocks)
        compare_changes(findings[result.probe], by_probe[result.probe], result.blocks)
    return Judgement(comparison, list(findings.values()))


def _in_order(figures: AddressFigures) -> NDArray[np.int64]:
    """Return figures of addresses in the order of those of the lab."""
    columns = np.zeros((len(figures.sent), truth.FIGURES), np.int64)
    columns[:, truth.SENT] = figures.sent
    columns[:, truth.ONES] = figures.ones[:, PLAIN]
    columns[:, truth.PERIODS] = figures.periods[:, PLAIN]
    columns[:, truth.ONES_REPAIRED] = figures.ones[:, REPAIRED]
    columns[:, truth.PERIODS_REPAIRED] = figures.periods[:, REPAIRED]
    return columns


def compare_changes(findings: Findings, expected: ProbeComparison, results: list[BlockResult]) -> None:
    """Compare churn, lasting shifts and leases of every block."""
    for result in results:
        wanted = expected.changes[result.block]
        found = np.zeros_like(wanted) if result.changes is None else result.changes
        findings.other_changes += int((found != wanted).sum())
        day = expected.shift_days[result.block]
        if day is not None:
            right = result.shift is None if day < 0 else result.shift is not None and abs(result.shift.day - day) <= 1
            findings.shifts_judged += 1
            findings.shifts_right += right
        lease_s = expected.leases_s[result.block]
        if lease_s == NO_LEASE or (lease_s is not None and lease_s / HOUR_S in LEASES_H):
            findings.leases_judged += 1
            findings.leases_right += (result.lease_s or NO_LEASE) == lease_s


def compare_blocks(findings: Findings, expected: ProbeComparison, results: list[BlockResult]) -> None:
    """Compare outages and daily cycles of every block."""
    silences: dict[int, list[Silence]] = {}
    for silence in expected.silences:
        silences.setdefault(silence.block, []).append(silence)
    for result in results:
        of_block = silences.get(result.block, [])
        matched = [
            any(abs(one.first - outage.first) <= 1 and abs(one.last - outage.last) <= 1 for outage in result.outages)
            for one in of_block
        ]
        findings.outages_found += len(result.outages)
        findings.outages_missed += sum(one.sure and not found for one, found in zip(of_block, matched, strict=True))
        findings.outages_invented += sum(
            not any(
                one.possible and abs(one.first - outage.first) <= 1 and abs(one.last - outage.last) <= 1
                for one in of_block
            )
            for outage in result.outages
        )
        wanted = expected.diurnal[result.block]
        if wanted is None:
            continue
        findings.cycles_judged += 1
        right = (result.diurnal.kind != "none") == wanted
        findings.cycles_right += right
        peak, found_h = expected.peak_hours_utc[result.block], result.diurnal.peak_hour_utc
        if wanted and right and peak is not None and found_h is not None:
            findings.peaks_judged += 1
            apart_h = abs(peak - found_h) % (2 * HALF_DAY_H)
            findings.peaks_right += min(apart_h, 2 * HALF_DAY_H - apart_h) <= PEAK_H
