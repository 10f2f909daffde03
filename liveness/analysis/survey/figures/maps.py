"""Maps of a survey: mean availability, and the hour at which the daily cycle peaks, by prefix."""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.figures import Figure
from liveness.analysis.numbers import count
from liveness.analysis.survey.block import BlockResult
from liveness.analysis.survey.figures.availability import hour
from liveness.analysis.survey.figures.contents import SpaceMap, figure_id
from liveness.analysis.survey.results import ProbeResult, SurveyResults
from liveness.analysis.survey.sequences import PLAIN

FINEST: Final = 12
"""The order at which a cell is a /24."""
SMALLEST_SQUARE: Final = 8
"""The order of the smallest square that is drawn: a /16."""
DETAIL: Final = (4, 7)
"""A square is drawn in 2 ** 4 to 2 ** 7 rows and columns of cells."""
CELLS_A_BLOCK: Final = 8
"""The cells are so large that there are at most eight for each block, so that few blocks can be seen too."""
DAY_H: Final = 24.0


def map_figures(results: SurveyResults, probe: ProbeResult) -> Iterator[Figure]:
    """Yield the maps of one probe; none without a block that answered, no map of cycles without one."""
    if probe.responding_blocks == 0:
        return
    yield _availability(results, probe)
    if any(block.diurnal.kind != "none" for block in probe.blocks):
        yield _phases(results, probe)


def square_of(numbers: NDArray[np.uint32]) -> tuple[int, int]:
    """Return order and number of the smallest square that has all blocks (address >> 8, ascending)."""
    first, last = int(numbers[0]), int(numbers[-1])
    order = SMALLEST_SQUARE
    while first >> (24 - 2 * order) != last >> (24 - 2 * order):
        order -= 1
    return order, first >> (24 - 2 * order)


def detail(blocks: int) -> int:
    """Return how much finer than the square the cells of a map of so many blocks are."""
    least, most = DETAIL
    return max([least, *(finer for finer in range(least, most + 1) if 4**finer <= CELLS_A_BLOCK * blocks)])


def _map(
    results: SurveyResults,
    probe: ProbeResult,
    value_of: Callable[[BlockResult], complex | None],
    finish: Callable[[complex, int], float],
) -> tuple[int, int, int, NDArray[np.int64], NDArray[np.float64]]:
    """Return the square and its cells: the sums of the values of each cell's blocks, and their number, finished."""
    numbers = results.run.blocks.numbers
    square_order, square = square_of(numbers)
    order = min(FINEST, square_order + detail(len(numbers)))
    cells, inverse = np.unique(numbers.astype(np.int64) >> (24 - 2 * order), return_inverse=True)
    sums, counts = np.zeros(len(cells), np.complex128), np.zeros(len(cells), np.int64)
    for block in probe.blocks:
        value = value_of(block)
        if value is not None:
            sums[inverse[block.block]] += value
            counts[inverse[block.block]] += 1
    values = np.array(
        [finish(total, number) if number else np.nan for total, number in zip(sums, counts.tolist(), strict=True)]
    )
    return order, square_order, square, cells, values


def cell_words(order: int) -> str:
    """Return the meaning of a cell."""
    return "A cell is a /24." if order == FINEST else f"A cell is a /{2 * order}, and has the mean of its /24s."


def _availability(results: SurveyResults, probe: ProbeResult) -> Figure:
    order, square_order, square, cells, values = _map(
        results,
        probe,
        lambda block: block.readings[PLAIN].mean(block.readings[PLAIN].a_sum),
        lambda total, number: float(total.real) / number,
    )
    mean = float(np.nanmean(values))
    return Figure(
        figure_id("map-availability", probe.probe),
        f"Map of availability, {probe.probe}",
        f"Hilbert-curve map of {count(probe.responding_blocks)} responding /24s: mean A of their cells is {mean:.2f}.",
        [
            "Along a Hilbert curve, prefixes that are near in number are near on the map.",
            f"{cell_words(order)} A of a /24 is the mean over its ever-responsive addresses.",
        ],
        SpaceMap(
            order, square_order, square, cells, values, 0.0, 1.0, is_cyclic=False, scale_label="mean A",
            empty_label="surveyed, never answered",
        ),
        "by_block",
    )  # fmt: skip


def _phases(results: SurveyResults, probe: ProbeResult) -> Figure:
    def wave(block: BlockResult) -> complex | None:
        """Return a vector that points at the hour of the peak."""
        if block.diurnal.kind == "none" or block.diurnal.peak_hour_utc is None:
            return None
        angle = 2 * np.pi * block.diurnal.peak_hour_utc / DAY_H
        return complex(block.diurnal.amplitude * np.cos(angle), block.diurnal.amplitude * np.sin(angle))

    order, square_order, square, cells, values = _map(
        results, probe, wave, lambda total, _: float(np.angle(total)) / (2 * np.pi) % 1.0 * DAY_H
    )
    blocks = [block for block in probe.blocks if block.diurnal.kind != "none"]
    whole = sum(wave(block) or 0j for block in blocks)
    peak = hour(float(np.angle(whole)) / (2 * np.pi) % 1.0 * DAY_H)
    return Figure(
        figure_id("map-phase", probe.probe),
        f"Map of the daily cycle, {probe.probe}",
        f"Hilbert-curve map of the UTC hour at which {count(len(blocks))} /24s with a daily cycle peak; all together"
        f" peak at {peak} UTC.",
        [
            "The hour, UTC, at which the daily wave of a /24 peaks; where the sun rises later, it peaks later.",
            f"{cell_words(order)} Hours are averaged as directions, weighted by the height of the wave.",
        ],
        SpaceMap(
            order, square_order, square, cells, values, 0.0, DAY_H, is_cyclic=True, scale_label="hour of the peak, UTC",
            empty_label="surveyed, no daily cycle",
        ),
        "daily_cycles",
    )  # fmt: skip
