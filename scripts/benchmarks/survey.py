"""``scripts/bench survey``: the analysis of a synthetic survey, without and with figures and page."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from scripts.benchmarks.measured import Measured, measured
from scripts.benchmarks.output import as_json_option, print_facts, print_json
from scripts.benchmarks.synthetic_survey import write_synthetic_survey

KIB_A_MIB: Final = 1 << 10


@click.command("survey")
@click.option("--blocks", default=24_000, show_default=True, type=click.IntRange(1, 1 << 20), help="How many /24s.")
@click.option("--days", default=14.0, show_default=True, type=click.FloatRange(0.01, 365), help="How many days.")
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(1), help="How often it is analysed.")
@click.option("--directory", type=click.Path(exists=True, file_okay=False), help="Where the run is made and removed.")
@click.option("--keep", type=click.Path(), help="Make the run here and keep it, or take the one that is here.")
@as_json_option
def command(blocks: int, days: float, rounds: int, directory: str | None, keep: str | None, as_json: bool) -> None:
    """How long `liveness survey analyze` takes for 24,000 /24s and 14 days.

    Makes its run in a temporary directory (5.7 GB at full size), analyses it as JSON alone, and with all figures and
    the page, and removes it. Times are the least of the rounds.
    """
    with _run(blocks, days, directory, keep) as run:
        plain: list[Measured] = []
        drawn: list[Measured] = []
        for _ in range(rounds):
            plain.append(measured("survey", "analyze", str(run), "--json"))
            with tempfile.TemporaryDirectory() as folder:
                wanted = ("--figures", f"{folder}/figures", "--html", f"{folder}/page.html")
                drawn.append(measured("survey", "analyze", str(run), "--json", *wanted))
                page_mib = Path(folder, "page.html").stat().st_size / (1 << 20)
    document: dict[str, object] = {"blocks": blocks, "days": days}
    for name, runs in (("plain", plain), ("figures", drawn)):
        document |= {
            f"{name}_wall_s": round(min(entry.wall_s for entry in runs), 2),
            f"{name}_cpu_s": round(min(entry.cpu_s for entry in runs), 2),
            f"{name}_peak_mib": round(max(entry.peak_kib for entry in runs) / KIB_A_MIB, 1),
        }
    document["page_mib"] = round(page_mib, 2)
    if as_json:
        print_json("survey", document)
        return
    print_facts("Analysis of a synthetic survey", document)


@contextmanager
def _run(blocks: int, days: float, directory: str | None, keep: str | None) -> Iterator[Path]:
    """Make the run and remove it afterwards, unless it is to be kept."""
    if keep is not None and (Path(keep) / "manifest.json").is_file():
        yield Path(keep)
        return
    click.echo("making the run", err=True)
    if keep is not None:
        yield write_synthetic_survey(Path(keep), blocks, days).path
        return
    with tempfile.TemporaryDirectory(prefix="liveness-bench-", dir=directory) as folder:
        yield write_synthetic_survey(Path(folder) / "survey", blocks, days).path
