"""Figures of outages: the share of blocks that are down over time, and the rounds of all blocks with outages."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.figures import Colour, Figure
from liveness.analysis.numbers import count, percent
from liveness.analysis.survey.figures.availability import rounds_of
from liveness.analysis.survey.figures.contents import Downtime, OutageRaster, figure_id
from liveness.analysis.survey.gathered import LEVELS, UNKNOWN, ProbeGathered
from liveness.analysis.survey.outages import Outage
from liveness.analysis.survey.results import ProbeResult, SurveyResults
from liveness.reference.quan_2012 import DOWN_AT_ANY_TIME, LABEL

MOST_BLOCKS: Final = 400
"""Rows of the raster: with more blocks, those that were down for most rounds."""


def outage_figures(results: SurveyResults, probe: ProbeResult, gathered: ProbeGathered) -> Iterator[Figure]:
    """Yield the figures of one probe: none without a block that answered, one only without an outage."""
    if probe.responding_blocks == 0:
        return
    yield _downtime(results, probe)
    if gathered.levels:
        yield _raster(results, probe, gathered)


def down_by_round(outages: Sequence[Outage], rounds: int) -> NDArray[np.int64]:
    """Return the number of outages that each round is part of."""
    edges = np.zeros(rounds + 1, np.int64)
    for outage in outages:
        edges[outage.first] += 1
        edges[outage.last + 1] -= 1
    return np.cumsum(edges)[:rounds]


def _downtime(results: SurveyResults, probe: ProbeResult) -> Figure:
    rounds = results.manifest.rounds
    full = [outage for block in probe.blocks for outage in block.outages]
    judged = [block.trinocular for block in probe.blocks if block.trinocular is not None]
    replayed = [outage for outages in judged for outage in outages]
    shares = {
        "full": down_by_round(full, rounds) / probe.responding_blocks,
        "Trinocular": down_by_round(replayed, rounds) / max(1, len(judged)),
    }
    published = DOWN_AT_ANY_TIME
    lines: list[tuple[str, Colour, NDArray[np.float64]]] = [
        ("full outages", "blue", shares["full"]),
    ]
    weekly = [outage for outage in full if outage.weekly]
    if weekly:
        lines.append(("not weekly", "green", shares["full"] - down_by_round(weekly, rounds) / probe.responding_blocks))
    if judged:
        lines.append(("Trinocular", "orange", shares["Trinocular"]))
    return Figure(
        figure_id("outages-over-time", probe.probe),
        f"Outages over time, {probe.probe}",
        f"Lines of the share of /24s that are down in each round: full outages {percent(shares['full'].mean(), 2)} on"
        f" average and {percent(shares['full'].max())} at most, Trinocular {percent(shares['Trinocular'].mean(), 2)}"
        f" and {percent(shares['Trinocular'].max())}; published {published.words}.",
        [
            f"Full outages: {count(len(full))}, of {count(probe.responding_blocks)} responding /24s.",
            *(
                [f"not weekly: without the {count(len(weekly))} at the same time of each week, as of offices."]
                if weekly
                else []
            ),
            f"Trinocular: {count(len(replayed))} outages, of {count(len(judged))} /24s that it judges.",
            f"{published.words} of {published.of} are down at any time ({LABEL}, {published.where}).",
        ],
        Downtime(
            rounds_of(results), lines, published.value, LABEL, "share of /24s down"
        ),
        "outages",
    )  # fmt: skip


def _raster(results: SurveyResults, probe: ProbeResult, gathered: ProbeGathered) -> Figure:
    found = {block.block: block.outages for block in probe.blocks if block.block in gathered.levels}
    down = {block: sum(outage.sent for outage in outages) for block, outages in found.items()}
    most = sorted(found, key=lambda block: (-down[block], block))[:MOST_BLOCKS]
    chosen = sorted(most, key=lambda block: (found[block][0].first, found[block][0].last, block))
    shown = "" if len(chosen) == len(found) else f", the {count(len(chosen))} that were down for most rounds"
    return Figure(
        figure_id("outage-raster", probe.probe),
        f"/24s with outages, {probe.probe}",
        f"Raster of {count(len(chosen))} /24s by {count(results.manifest.rounds)} rounds, in the order in which their"
        " first outages began; dark where few addresses answer.",
        [
            f"A row for each of the {count(len(found))} /24s with a full outage{shown}.",
            "Outages of several /24s that begin together are next to each other.",
            "Shade: addresses that answered / addresses that were sent a probe, of those that ever answered.",
        ],
        OutageRaster(
            rounds_of(results), np.array([gathered.levels[block] for block in chosen]), LEVELS, UNKNOWN,
            [results.run.blocks.name(block) for block in chosen],
        ),
        "outages",
    )  # fmt: skip
