"""The report as tables: every result of every run, for a terminal, a pipe or a file."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from liveness.analysis.measure import RunResults
from liveness.analysis.measures.slices import TOP
from liveness.analysis.results import Results
from liveness.report.layout import STYLES, Section, sections_of


def report_tables(results: Results, top: int = TOP) -> Iterator[RenderableType]:
    """Yield the tables of all runs by start time, then of the changes between them; `top` slices of each run."""
    for run in results.runs:
        yield from tables_of(run, top)
    yield from tables_across(results)


def tables_across(results: Results) -> Iterator[Section]:
    """Yield the tables of several runs together."""
    for table in results.tables():
        yield from sections_of(table)


def tables_of(run: RunResults, top: int = TOP) -> Iterator[RenderableType]:
    """Yield the tables of one run, its warnings first."""
    warnings = [Text(f"warning: {line}", style=STYLES["alarm"]) for line in run.manifest.loss_warnings]
    yield from warnings
    if warnings:
        yield Text()
    for table in run.tables():
        yield from sections_of(table, top)
