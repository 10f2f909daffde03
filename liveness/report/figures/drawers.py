"""Drawing of described figures: one drawer for each kind of content."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from matplotlib.figure import Figure as Canvas

from liveness.analysis.figures import (
    Bars,
    Cumulative,
    Figure,
    Funnels,
    GainCurves,
    Heatmap,
    Layers,
    RelativeRates,
    Survival,
    Timeline,
    Turnovers,
    UpSet,
)
from liveness.analysis.measure import RunResults
from liveness.analysis.results import Results
from liveness.analysis.survey.figures.contents import (
    Activity,
    BlockRaster,
    Curves,
    Density,
    Downtime,
    OutageRaster,
    SpaceMap,
)
from liveness.report.figures.bars import draw_bars
from liveness.report.figures.cumulative import draw_cumulative
from liveness.report.figures.curves import draw_curves
from liveness.report.figures.density import draw_density
from liveness.report.figures.drawing import Drawing, Saved
from liveness.report.figures.funnel import draw_layers
from liveness.report.figures.heatmap import draw_heatmap
from liveness.report.figures.origins import draw_gain_curves, draw_relative_rates
from liveness.report.figures.over_time import draw_activity, draw_downtime
from liveness.report.figures.port_funnels import draw_funnels
from liveness.report.figures.rasters import draw_block_raster, draw_outage_raster
from liveness.report.figures.space_map import draw_space_map
from liveness.report.figures.style import styled
from liveness.report.figures.timeline import draw_timeline
from liveness.report.figures.turnover import draw_survival, draw_turnovers
from liveness.report.figures.upset import draw_upset
from liveness.report.options import Format
from liveness.system.child import run_in_children

FEWEST: Final = 3
"""Figures that are worth a process: to start one takes as long as a figure."""

DRAWERS: Final[dict[type, Callable[[Any], Canvas]]] = {
    Activity: draw_activity,
    Bars: draw_bars,
    BlockRaster: draw_block_raster,
    Cumulative: draw_cumulative,
    Curves: draw_curves,
    Density: draw_density,
    Downtime: draw_downtime,
    Funnels: draw_funnels,
    GainCurves: draw_gain_curves,
    Heatmap: draw_heatmap,
    Layers: draw_layers,
    OutageRaster: draw_outage_raster,
    RelativeRates: draw_relative_rates,
    SpaceMap: draw_space_map,
    Survival: draw_survival,
    Timeline: draw_timeline,
    Turnovers: draw_turnovers,
    UpSet: draw_upset,
}


def drawn(figure: Figure) -> Drawing:
    """Return one figure drawn."""
    with styled():
        return Drawing(figure, DRAWERS[type(figure.content)](figure.content))


def figures_of(run: RunResults) -> Iterator[Drawing]:
    """Yield the figures of one run."""
    yield from map(drawn, run.figures())


def figures_across(results: Results) -> Iterator[Drawing]:
    """Yield the figures of several runs together; none of a single run."""
    yield from map(drawn, results.figures())


def saved(figures: Iterable[Figure], formats: Sequence[Format]) -> list[Saved]:
    """Return the figures drawn and saved in each format; several processes draw them, one for each core."""
    waiting = list(figures)
    children = min(len(os.sched_getaffinity(0)), len(waiting) // FEWEST)
    if children < 2:  # noqa: PLR2004 - one process is this one
        return [drawn(figure).saved(formats) for figure in waiting]

    def draw(first: int) -> list[Saved]:
        return [drawn(figure).saved(formats) for figure in waiting[first::children]]

    found = run_in_children([partial(draw, first) for first in range(children)])
    return [found[place % children][place // children] for place in range(len(waiting))]
