"""Results of a survey: one pass over its blocks, in a few threads and bounded memory."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.survey.block import BlockResult, Timing, analyze_block
from liveness.analysis.survey.churn import CHANGES
from liveness.analysis.survey.delays import DelayTable, delay_table
from liveness.analysis.survey.estimates import Estimate, ratio, total
from liveness.analysis.survey.lengths import median_of, surviving_median
from liveness.analysis.survey.occupancy import DENSE_ABOVE, SPARSE_BELOW
from liveness.analysis.survey.sequences import (
    ALL,
    BEGUN_EARLY,
    ENDED,
    PLAIN,
    READINGS,
    REPAIRED,
    RUNNING,
    AddressFigures,
    figures_of,
    histograms_for,
)
from liveness.errors import LivenessError
from liveness.planes.blocks import BLOCK_ADDRESSES
from liveness.planes.manifest import ProbeRounds, SurveyManifest
from liveness.planes.matrix import Matrix
from liveness.planes.rundir import SurveyRun

CHUNK_BYTES: Final = 8 << 20
"""Bytes of one plane that each thread reads at once."""
MOST_BLOCKS: Final = 64

AddressSink = Callable[[str, int, AddressFigures], None]
"""Receives figures of addresses in order: the probe, the index of the first address, and the figures."""
ActivitySink = Callable[[str, list[BlockResult], NDArray[np.int32]], None]
"""Receives blocks in order: the probe, results, and (blocks, 2, rounds): addresses active and probed, by round."""


@dataclass(frozen=True, slots=True)
class ReadingResult:
    """Figures of a whole survey in one reading; means are over ever-responsive addresses, None without one."""

    ever: int
    availability: float | None
    mean_up: float | None
    periods_an_address: float | None
    up_periods: int
    median_up_s: float | None
    median_up_censored_s: float | None
    median_up_kaplan_meier_s: float | None


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The results of a survey for one probe."""

    probe: str
    counts: ProbeRounds
    responding_blocks: int
    readings: tuple[ReadingResult, ...]
    lengths: NDArray[np.int64]
    """Up periods by length: (2 readings, 4 kinds, rounds + 1)."""
    blocks: list[BlockResult]
    estimates: dict[str, Estimate] = field(default_factory=dict)
    delays: DelayTable | None = None
    """None if the times of replies are not known."""

    @property
    def changes(self) -> NDArray[np.int64]:
        """Churn of all blocks by day: (days, CHANGES)."""
        found = [block.changes for block in self.blocks if block.changes is not None]
        return np.sum(found, axis=0, dtype=np.int64) if found else np.zeros((0, CHANGES), np.int64)

    def occupied(self, *, ever: bool) -> NDArray[np.float64]:
        """Return how many addresses of each block were active at a time, or `ever`."""
        plain = [block.readings[PLAIN] for block in self.blocks]
        return np.array([reading.ever if ever else reading.a_sum for reading in plain], np.float64)


@dataclass(frozen=True, slots=True)
class SurveyResults:
    """The results of a survey, by probe."""

    run: SurveyRun
    timing: Timing
    probes: list[ProbeResult]
    problems: list[str] = field(default_factory=list)
    """What the numbers do not cover, and why times of replies are not known although the survey kept them."""

    @property
    def manifest(self) -> SurveyManifest:
        """The manifest of the run."""
        return self.run.manifest


def analyze_survey(
    run: SurveyRun,
    addresses: AddressSink | None = None,
    activity: ActivitySink | None = None,
    *,
    delays: bool = True,
) -> SurveyResults:
    """Return the results of a survey; the sinks receive the figures of every address and the rounds of every block.

    Without `delays` the log of replies is not read; one that cannot be read is a problem of the results. LivenessError
    if a plane is missing or damaged.
    """
    timing = Timing(run.manifest.start_ns, run.manifest.interval_s)
    with run.matrix() as matrix:
        phases_ms = matrix.phases_ms()
        probes = [_probe(run, matrix, probe, phases_ms, timing, addresses, activity) for probe in run.manifest.probes]
    shard = run.manifest.shard
    problems: list[str] = []
    if shard is not None and shard.of > 1:
        problems.append(
            f"shard {shard.index} of {shard.of}: it has a part of the survey's /24s: `liveness merge` unites the shards"
        )
    if delays:
        probes = [replace(probe, delays=_delays(run, probe.probe, problems)) for probe in probes]
    return SurveyResults(run, timing, probes, list(dict.fromkeys(problems)))


def _delays(run: SurveyRun, probe: str, problems: list[str]) -> DelayTable | None:
    try:
        return delay_table(run, probe)
    except LivenessError as problem:
        problems.append(f"no delays of replies: {problem}")
        return None


@dataclass(frozen=True, slots=True)
class _Part:
    first: int
    figures: AddressFigures
    lengths: NDArray[np.int64]
    blocks: list[BlockResult]
    activity: NDArray[np.int32]


def _probe(
    run: SurveyRun,
    matrix: Matrix,
    probe: str,
    phases_ms: NDArray[np.uint32],
    timing: Timing,
    addresses: AddressSink | None,
    activity: ActivitySink | None,
) -> ProbeResult:
    rounds = run.manifest.rounds
    matrix.open_probe(probe)
    lengths = histograms_for(1, rounds)[0]
    blocks: list[BlockResult] = []
    sums = np.zeros(4, np.int64)
    for part in _parts(run, matrix, probe, phases_ms, timing):
        lengths += part.lengths
        blocks += part.blocks
        sums += [int(column.sum()) for column in part.figures[:4]]
        if addresses is not None:
            addresses(probe, part.first * BLOCK_ADDRESSES, part.figures)
        if activity is not None:
            activity(probe, part.blocks, part.activity)
    sent, positive, negative, late = sums.tolist()
    planned = len(run.blocks) * BLOCK_ADDRESSES * rounds
    withdrawn = run.manifest.probes[probe].withdrawn
    counts = ProbeRounds(
        sent=sent,
        not_sent=planned - sent - withdrawn,
        withdrawn=withdrawn,
        positive=positive,
        negative=negative,
        late=late,
    )
    readings = tuple(_reading(blocks, lengths, reading, timing.interval_s) for reading in range(READINGS))
    responding = sum(result.readings[PLAIN].ever > 0 for result in blocks)
    return ProbeResult(probe, counts, responding, readings, lengths, blocks, _estimates(run, blocks))


def _parts(
    run: SurveyRun, matrix: Matrix, probe: str, phases_ms: NDArray[np.uint32], timing: Timing
) -> Iterator[_Part]:
    """Yield the parts of a survey in the order of blocks; at most one more than the number of threads is in memory."""
    rounds = run.manifest.rounds
    count = max(1, min(MOST_BLOCKS, CHUNK_BYTES // (BLOCK_ADDRESSES * ((rounds + 7) // 8))))
    threads = min(4, os.cpu_count() or 1)

    def work(first: int) -> _Part:
        blocks = min(count, len(run.blocks) - first)
        planes = matrix.planes(probe, first, blocks)
        histograms = histograms_for(blocks, rounds)
        figures = figures_of(planes, histograms)
        results = []
        verdicts = matrix.verdicts(probe, first, blocks) if probe in run.manifest.verdicts else None
        activity = np.zeros((blocks, 2, rounds), np.int32)
        for index in range(blocks):
            of_block = figures.rows(index * BLOCK_ADDRESSES, BLOCK_ADDRESSES)
            phases = phases_ms[(first + index) * BLOCK_ADDRESSES : (first + index + 1) * BLOCK_ADDRESSES]
            recorded = None if verdicts is None else verdicts[index]
            results.append(
                analyze_block(
                    first + index, planes.block(index), of_block, histograms[index], phases, timing, recorded,
                    activity[index],
                )
            )  # fmt: skip
        return _Part(first, figures, histograms.sum(axis=0), results, activity)

    firsts = iter(range(0, len(run.blocks), count))
    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(work, first) for first in islice(firsts, threads + 1)]
        while waiting:
            part = waiting.pop(0).result()
            following = next(firsts, None)
            if following is not None:
                waiting.append(pool.submit(work, following))
            yield part


def _reading(blocks: list[BlockResult], lengths: NDArray[np.int64], reading: int, interval_s: float) -> ReadingResult:
    of_blocks = [result.readings[reading] for result in blocks]
    ever = sum(figures.ever for figures in of_blocks)
    periods = sum(figures.periods for figures in of_blocks)

    def seconds(rounds: float | None) -> float | None:
        return None if rounds is None else rounds * interval_s

    def mean(whole: float) -> float | None:
        return whole / ever if ever else None

    histograms = lengths[reading]
    return ReadingResult(
        ever=ever,
        availability=mean(sum(figures.a_sum for figures in of_blocks)),
        mean_up=mean(sum(figures.u_sum for figures in of_blocks)),
        periods_an_address=mean(periods),
        up_periods=periods,
        median_up_s=seconds(median_of(histograms[ALL])),
        median_up_censored_s=seconds(median_of(histograms[BEGUN_EARLY])),
        median_up_kaplan_meier_s=seconds(surviving_median(histograms[ENDED], histograms[RUNNING])),
    )


def _estimates(run: SurveyRun, blocks: list[BlockResult]) -> dict[str, Estimate]:
    """Return estimates for all eligible blocks, from the weights of those drawn."""
    weights, strata = run.blocks.weights, run.blocks.policies
    plain = [result.readings[PLAIN] for result in blocks]
    ever = np.array([figures.ever for figures in plain], np.float64)
    found = {
        "responding_blocks": total((ever > 0).astype(np.float64), weights, strata),
        "ever_responsive": total(ever, weights, strata),
    }
    for name, reading in (("", PLAIN), ("_repaired", REPAIRED)):
        figures = [result.readings[reading] for result in blocks]
        a_sum = np.array([entry.a_sum for entry in figures])
        u_sum = np.array([entry.u_sum for entry in figures])
        periods = np.array([entry.periods for entry in figures], np.float64)
        found[f"active_at_a_time{name}"] = total(a_sum, weights, strata)
        found[f"A{name}"] = ratio(a_sum, ever, weights, strata, high=1.0)
        found[f"U{name}"] = ratio(u_sum, ever, weights, strata, high=1.0)
        found[f"N_U{name}"] = ratio(periods, ever, weights, strata)
    responding = (ever > 0).astype(np.float64)
    occupancy = np.array([reading.a_sum for reading in plain]) / BLOCK_ADDRESSES
    stable = np.array([float(result.stable) for result in blocks])
    found["stable"] = ratio(stable, ever, weights, strata, high=1.0)
    down = np.array([sum(one.sent for one in result.outages if not one.weekly) for result in blocks], np.float64)
    found["down"] = ratio(down, responding * run.manifest.rounds, weights, strata, high=1.0)
    for name, chosen in (("sparse_blocks", occupancy < SPARSE_BELOW), ("dense_blocks", occupancy > DENSE_ABOVE)):
        found[name] = ratio(responding * chosen, responding, weights, strata, high=1.0)
    return found
