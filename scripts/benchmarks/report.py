"""``scripts/bench report``: a small run analysed with a warm cache, as tables and with everything that can be drawn."""

import statistics
import tempfile
from pathlib import Path
from typing import Final

import click

from scripts.benchmarks.measured import Measured, measured
from scripts.benchmarks.output import as_json_option, print_facts, print_json
from scripts.benchmarks.synthetic_run import write_synthetic_run

SCALE: Final = 1e-4
"""Some 48,000 alive addresses: a small run."""


@click.command("report")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="How often each is measured.")
@as_json_option
def command(rounds: int, as_json: bool) -> None:
    """How long a report of a small run takes, once its kernels are compiled: least and median of the rounds.

    `tables` is `liveness analyze RUN`, `drawn` is the same with `--figures --html --map`.
    """
    with tempfile.TemporaryDirectory(prefix="liveness-bench-") as folder:
        run = str(write_synthetic_run(Path(folder), SCALE).path)
        drawn = ("--figures", f"{folder}/figures", "--html", f"{folder}/page.html", "--map", f"{folder}/map.png")
        measured("analyze", run, *drawn)  # kernels are compiled from here on
        tables, pictures = [], []
        for _ in range(rounds):
            tables.append(measured("analyze", run))
            pictures.append(measured("analyze", run, *drawn))
    document = {**_summary("tables", tables), **_summary("drawn", pictures)}
    if as_json:
        print_json("report", document)
    else:
        print_facts("Reports of a small run", document)


def _summary(name: str, rounds: list[Measured]) -> dict[str, float]:
    """Return the least and the median times of the rounds."""
    walls, cpus = [each.wall_s for each in rounds], [each.cpu_s for each in rounds]
    return {
        f"{name}_wall_s": round(min(walls), 2),
        f"{name}_median_wall_s": round(statistics.median(walls), 2),
        f"{name}_cpu_s": round(min(cpus), 2),
        f"{name}_median_cpu_s": round(statistics.median(cpus), 2),
    }
