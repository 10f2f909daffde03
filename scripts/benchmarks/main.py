"""The command line of the benchmarks: the group, and its subcommands."""

import click

from scripts.benchmarks import (
    across,
    analyze,
    budget,
    cold,
    day,
    flows,
    hour,
    kernels,
    live,
    model,
    pace,
    repeat,
    report,
    rx,
    scan,
    sets,
    survey,
    talk,
    tx,
)


@click.group()
def group() -> None:
    """Measure this machine, in private networks. Ratios within one run count; the machine's speed drifts."""


for module in (
    tx,
    live,
    rx,
    scan,
    pace,
    budget,
    sets,
    analyze,
    report,
    cold,
    model,
    repeat,
    flows,
    day,
    hour,
    kernels,
    survey,
    across,
    talk,
):
    group.add_command(module.command)
