"""The lag curve: which share of targets had all their probes within which time."""

from typing import Final

from matplotlib.ticker import FuncFormatter, NullFormatter

from liveness.analysis.formula import formulas
from liveness.analysis.measures.lag import LagCurve
from liveness.report import published
from liveness.report.figures.bars import MARK, legend, published_key, share_axis
from liveness.report.figures.drawing import Drawing, panel
from liveness.report.figures.style import BLUE, styled
from liveness.report.layout import count, seconds

LEAST_S: Final = 1e-4
"""What is closer together stands at the left edge: the axis is logarithmic."""


def lag_figure(curve: LagCurve) -> Drawing:
    """Draw the cumulative distribution of the lag between the first attempts of all probes to one target."""
    lags = [max(lag, LEAST_S) for lag in curve.lags_s]
    shares = [(place + 1) / len(lags) for place in range(len(lags))]
    with styled():
        figure, axes = panel()
        axes.step(
            [lags[0], *lags], [0.0, *shares], where="post", color=BLUE, linewidth=1.8, gid="lag", label="this run"
        )
        theirs = published.LAG_SECONDS
        axes.plot([theirs["p80_s"], theirs["max_s"]], [0.8, 1.0], marker="D", gid="published", zorder=5, **MARK)
        axes.set_xscale("log")
        axes.set_xlim(min(lags[0] / 2, 0.05), 2 * max(lags[-1], theirs["max_s"]))
        axes.set_ylim(0, 1.04)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(visible=True, axis="both")
        axes.set_xlabel("lag between the probes to one target, first attempts")
        axes.set_ylabel(f"share of the targets recorded, {count(len(lags))}")
        share_axis(axes)
        legend(axes, published_key("80% within 10 min, all within 25 min"))
    middle, last = curve.lags_s[(len(lags) - 1) // 2], curve.lags_s[-1]
    return Drawing(
        name="lag",
        title="Lag between probes (section 3)",
        alt=f"Cumulative curve of the lag, {count(len(lags))} recorded: half within {seconds(middle)},"
        f" all within {seconds(last)}.",
        notes=[
            f"{formulas(LagCurve)['lags_s']}.",
            f"Every {count(curve.every_targets)}th target of each block is recorded: {count(len(lags))} in all.",
        ],
        figure=figure,
    )


def _short(duration_s: float) -> str:
    """Return a power of ten of seconds as people say it."""
    return f"{1000 * duration_s:g} ms" if duration_s < 1 else f"{duration_s:g} s"
