"""All figures of a run, and of several runs, in the order of the paper; those without anything to show are left out."""

from collections.abc import Iterator

from liveness.analysis.across.retention import by_chain
from liveness.analysis.measures.lag import lag_curve
from liveness.analysis.results import Results, RunResults
from liveness.report.figures.coverage import coverage_figure
from liveness.report.figures.drawing import Drawing
from liveness.report.figures.funnel import funnel_figure
from liveness.report.figures.heatmap import conditional_figures
from liveness.report.figures.lag import lag_figure
from liveness.report.figures.ports import ports_answered_figure, ports_figure
from liveness.report.figures.replies import categories_figure, reply_types_figure
from liveness.report.figures.timeline import timeline_figure
from liveness.report.figures.turnover import retention_figure, turnover_figure
from liveness.report.figures.upset import upset_figure


def figures_of(run: RunResults) -> Iterator[Drawing]:
    """Yield the figures of one run; of a part of the address space, none of the run as a whole."""
    yield funnel_figure(run.taxonomy, run.targets, run.addresses.all)
    yield coverage_figure(run.addresses, "addresses")
    yield coverage_figure(run.prefixes24, "/24s")
    yield reply_types_figure(run.reply_types, run.addresses)
    yield categories_figure(run.error_categories)
    if run.transport.ports:
        yield ports_answered_figure(run.transport)
        yield ports_figure(run.transport)
    if run.conditional.replies:
        yield from conditional_figures(run.conditional)
    if run.patterns.replies:
        yield upset_figure(run.patterns)
    if run.within is not None:
        return
    lags = lag_curve(run.manifest)
    if lags.lags_s:
        yield lag_figure(lags)
    if run.manifest.timeline.end_s:
        yield timeline_figure(run.manifest)


def figures_across(results: Results) -> Iterator[Drawing]:
    """Yield the figures of several runs; none of one."""
    if results.changes:
        yield turnover_figure(results.changes)
    for number, (title, curves) in enumerate(by_chain(results.retention).items(), start=1):
        yield retention_figure(curves, results.runs, title, number)
