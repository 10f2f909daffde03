"""The report in tables: every result of every run, for a terminal, a pipe or a file."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from liveness.analysis.across.retention import by_chain
from liveness.analysis.results import Results, RunResults
from liveness.report import (
    change_tables,
    error_tables,
    gain_tables,
    joint_tables,
    loss_tables,
    network_tables,
    run_tables,
    slice_tables,
    transport_tables,
)


def report_tables(results: Results, top: int = slice_tables.TOP) -> Iterator[RenderableType]:
    """Yield the tables of all runs by start time, then of the changes between them; `top` slices of each run."""
    for run in results.runs:
        yield from tables_of(run, top)
    yield from tables_across(results)


def tables_across(results: Results) -> Iterator[RenderableType]:
    """Yield the tables of what changed from run to run."""
    for change in results.changes:
        yield change_tables.change_table(change)
        if change.ports:
            yield change_tables.ports_table(change)
    for title, curves in by_chain(results.retention).items():
        yield change_tables.retention_table(curves, title)
    if results.left_out:
        yield change_tables.left_out_table(results.left_out)


def tables_of(run: RunResults, top: int = slice_tables.TOP) -> Iterator[RenderableType]:
    """Yield the tables of one run, its warnings first; of a part of the address space, none that count packets."""
    alarms = run_tables.alarms(run.manifest)
    yield from alarms
    if alarms:
        yield Text()
    everyone = run.addresses.all
    yield run_tables.run_table(run.manifest, run)
    if run.manifest.path:
        yield run_tables.events_table(run.manifest)
    if run.manifest.losses:
        yield run_tables.losses_table(run.manifest)
    if run.within is None:
        yield run_tables.probes_table(run.manifest)
    else:
        yield slice_tables.within_table(run.within, run.targets)
    yield network_tables.taxonomy_table(run.taxonomy, run.targets, everyone)
    yield network_tables.coverage_table(run.addresses, "addresses")
    yield network_tables.coverage_table(run.prefixes24, "/24s")
    yield network_tables.reply_types_table(run.reply_types, run.addresses)
    yield network_tables.error_only_table(run.error_only, everyone)
    yield error_tables.categories_table(run.error_categories)
    if run.within is None:
        yield error_tables.messages_table(run.error_messages)
        yield error_tables.other_unreachable_table(run.error_messages)
    yield error_tables.sources_table(run.error_sources)
    yield transport_tables.ports_answered_table(run.transport)
    yield transport_tables.ports_table(run.transport)
    yield transport_tables.port_split_table(run.transport)
    yield transport_tables.tarpits_table(run.tarpits, run.manifest.control_port)
    yield transport_tables.inflation_table(run.tarpits)
    yield from joint_tables.conditional_tables(run.conditional)
    yield joint_tables.patterns_table(run.patterns)
    yield gain_tables.gains_table(run.gains)
    if run.within is None:
        yield from _packet_tables(run)
    if run.slices is not None:
        yield slice_tables.slices_table(run.slices, everyone, top)


def _packet_tables(run: RunResults) -> Iterator[RenderableType]:
    """Yield the tables of what a run counts as a whole."""
    attempts = max((len(counts.sent) for counts in run.manifest.probes.values()), default=0)
    yield gain_tables.retransmit_table(run.gains, attempts)
    yield loss_tables.loss_table(run.loss)
    if run.manifest.busiest_sources:
        yield loss_tables.busiest_table(run.manifest.busiest_sources)
