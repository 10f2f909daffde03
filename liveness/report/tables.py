"""The report in tables: every result of every run, for a terminal, a pipe or a file."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from liveness.analysis.results import Results, RunResults
from liveness.report import (
    error_tables,
    gain_tables,
    joint_tables,
    loss_tables,
    network_tables,
    run_tables,
    transport_tables,
)


def report_tables(results: Results) -> Iterator[RenderableType]:
    """Yield the tables of all runs by start time, then of the changes between them."""
    for run in results.runs:
        yield from tables_of(run)
    for change in results.changes:
        yield gain_tables.change_table(change)


def tables_of(run: RunResults) -> Iterator[RenderableType]:
    """Yield the tables of one run, its warnings first."""
    alarms = run_tables.alarms(run.manifest)
    yield from alarms
    if alarms:
        yield Text()
    everyone = run.addresses.all
    attempts = max((len(counts.sent) for counts in run.manifest.probes.values()), default=0)
    yield run_tables.run_table(run.manifest)
    yield run_tables.probes_table(run.manifest)
    yield network_tables.taxonomy_table(run.taxonomy, run.manifest.targets, everyone)
    yield network_tables.coverage_table(run.addresses, "addresses")
    yield network_tables.coverage_table(run.prefixes24, "/24s")
    yield network_tables.reply_types_table(run.reply_types, run.addresses)
    yield network_tables.error_only_table(run.error_only, everyone)
    yield error_tables.categories_table(run.error_categories)
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
    yield gain_tables.retransmit_table(run.gains, attempts)
    yield loss_tables.loss_table(run.loss)
    if run.manifest.busiest_sources:
        yield loss_tables.busiest_table(run.manifest.busiest_sources)
