"""Rasters of single /24s: every round of every address, of blocks that are chosen as examples or by a user."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.figures import Figure
from liveness.analysis.numbers import count, percent
from liveness.analysis.survey.block import BlockResult
from liveness.analysis.survey.diurnal import DAY_S
from liveness.analysis.survey.figures.availability import hour, rounds_of
from liveness.analysis.survey.figures.contents import (
    LATE,
    NEGATIVE,
    NOT_SENT,
    POSITIVE,
    SILENT,
    WITHDRAWN,
    BlockRaster,
    figure_id,
)
from liveness.analysis.survey.fit import daily_fit
from liveness.analysis.survey.results import ProbeResult, SurveyResults
from liveness.analysis.survey.sequences import PLAIN
from liveness.errors import LivenessError, UsageError, count_of
from liveness.planes.blocks import BLOCK_ADDRESSES
from liveness.planes.matrix import Matrix, Planes
from liveness.planes.rundir import SurveyRun
from liveness.runs.kinds import MANIFEST_FILE
from liveness.space.addresses import parse_address, parse_entry, shown


def chosen_blocks(run: SurveyRun, wanted: Sequence[str]) -> list[int]:
    """Return the indices of the blocks that a user names as /24s or as addresses in them.

    UsageError names what is no address or prefix, and what is not part of the survey.
    """
    chosen = []
    for text in wanted:
        try:
            first, last = parse_entry(text)
        except ValueError as problem:
            raise UsageError(f"--block {text}: {problem}") from None
        number = first >> 8
        if last >> 8 != number:
            raise UsageError(f"--block {text}: more than a /24: give one /24, such as 192.0.2.0/24")
        index = int(np.searchsorted(run.blocks.numbers, number))
        if index == len(run.blocks) or int(run.blocks.numbers[index]) != number:
            raise UsageError(f"--block {text}: not surveyed: {run.path / 'blocks.csv'} has the /24s of this survey")
        chosen.append(index)
    return list(dict.fromkeys(chosen))


def example_blocks(probe: ProbeResult) -> list[int]:
    """Return up to three blocks: with the largest outage that ended, the highest daily wave, the most up periods."""
    outages = [outage for block in probe.blocks for outage in block.outages]
    examples: list[int] = []
    if outages:
        ever = {block.block: block.readings[PLAIN].ever for block in probe.blocks}
        worst = max(outages, key=lambda outage: (outage.end is not None, outage.sent * ever[outage.block]))
        examples.append(worst.block)
    rest = [block for block in probe.blocks if block.readings[PLAIN].ever]
    for worth in (_wave, _changes):
        others = [block for block in rest if block.block not in examples]
        best = max(others, key=worth, default=None)
        if best is not None and worth(best) > 0:
            examples.append(best.block)
    return examples


def _wave(block: BlockResult) -> float:
    return 0.0 if block.diurnal.kind == "none" else block.diurnal.amplitude


def _changes(block: BlockResult) -> float:
    return float(block.readings[PLAIN].periods)


def block_figures(
    results: SurveyResults, probe: ProbeResult, matrix: Matrix, wanted: Sequence[int]
) -> Iterator[Figure]:
    """Yield the raster of each wanted block, or of examples if none is wanted."""
    matrix.open_probe(probe.probe)
    for index in wanted or example_blocks(probe):
        yield _raster(results, probe, probe.blocks[index], matrix.planes(probe.probe, index, 1))


def states_of(planes: Planes) -> NDArray[np.uint8]:
    """Return the state of each round of each row of planes: (rows, rounds), without withdrawn ones."""

    def bits(plane: NDArray[np.uint8]) -> NDArray[np.bool_]:
        return np.unpackbits(plane, axis=1, count=planes.rounds, bitorder="little").astype(np.bool_)

    states = np.full((len(planes.sent), planes.rounds), NOT_SENT, np.uint8)
    sent = bits(planes.sent)
    states[sent] = SILENT
    for state, plane in ((LATE, planes.late), (NEGATIVE, planes.negative), (POSITIVE, planes.positive)):
        states[sent & bits(plane)] = state
    return states


def _mark_withdrawn(states: NDArray[np.uint8], run: SurveyRun, index: int) -> None:
    """Mark the rounds of the addresses that had opted out. LivenessError if the manifest has no addresses there."""
    base = int(run.blocks.numbers[index]) << 8
    for entry in run.manifest.withdrawn:
        try:
            first = max(0, parse_address(entry.first) - base)
            stop = min(BLOCK_ADDRESSES, parse_address(entry.last) - base + 1)
        except ValueError:
            range_ = shown(f"{entry.first} to {entry.last}")
            raise LivenessError(f"{run.path / MANIFEST_FILE}: withdrawn: {range_} is no range of addresses") from None
        if first < stop:
            part = states[first:stop, max(0, entry.round) :]
            part[part == NOT_SENT] = WITHDRAWN


def _raster(results: SurveyResults, probe: ProbeResult, block: BlockResult, planes: Planes) -> Figure:
    states = states_of(planes)
    _mark_withdrawn(states, results.run, block.block)
    positive, sent = states == POSITIVE, (states != NOT_SENT) & (states != WITHDRAWN)
    active = np.where(sent.any(axis=0), positive.sum(axis=0), np.nan).astype(np.float64)
    timing, name = results.timing, results.run.blocks.name(block.block)
    fit = None
    wave = "without a daily cycle"
    if block.diurnal.kind != "none":
        fit = daily_fit(active, timing.interval_s, timing.start_ns / 1e9)
        wave = f"with a {block.diurnal.kind} daily cycle that peaks at {hour(block.diurnal.peak_hour_utc or 0.0)} UTC"
    reading = block.readings[PLAIN]
    mean = reading.mean(reading.a_sum)
    days = planes.rounds * timing.interval_s / DAY_S
    return Figure(
        figure_id(f"raster-{name.removesuffix('.0/24')}", probe.probe),
        f"{name}, {probe.probe}",
        f"Raster of the 256 addresses of {name} by {count(planes.rounds)} rounds ({days:.1f} days):"
        f" {count_of(reading.ever, 'address')} ever answered, mean A {percent(mean)}, {wave};"
        f" {count_of(len(block.outages), 'full outage')}.",
        [
            "A row for each address, .0 at the top.",
            "Above: addresses that answered, by round, and the daily fit of a /24 with a daily cycle.",
        ],
        BlockRaster(rounds_of(results), states, active, None if fit is None else fit.fitted),
        "by_block",
    )
