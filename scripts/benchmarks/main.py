"""The command line of the benchmarks: the group, and its eight subcommands."""

import click

from scripts.benchmarks import analyze, model, pace, repeat, rx, scan, sets, tx


@click.group()
def group() -> None:
    """Measure this machine, in private networks. Ratios within one run count; the machine's speed drifts."""


for one in (tx, rx, scan, pace, sets, analyze, model, repeat):
    group.add_command(one.command)
