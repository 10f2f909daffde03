"""``scripts/bench analyze``: a synthetic run with a census's sizes, analysed beside a plain read of its files."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import msgspec

from liveness.runs.rundir import RunDirectory
from scripts.benchmarks.measured import Measured, measured
from scripts.benchmarks.output import as_json_option, print_facts, print_json
from scripts.benchmarks.synthetic_run import write_synthetic_run

READ_BYTES: Final = 1 << 20
MIB: Final = 1 << 20
KIB: Final = 1 << 10


@dataclass(frozen=True, slots=True)
class Round:
    """One analysis, and the plain read beside it."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    read_s: float
    figures_wall_s: float
    """Wall time with all figures drawn as SVG."""
    figures_peak_mib: float
    map_wall_s: float
    """Wall time with the map drawn."""
    map_peak_mib: float

    @property
    def ratio(self) -> float:
        """How many times as long as the read the analysis took."""
        return self.wall_s / self.read_s


@click.command("analyze")
@click.option("--scale", default=1.0, show_default=True, type=click.FloatRange(1e-4, 1), help="Share of the sizes.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="How often it is analysed.")
@click.option("--directory", type=click.Path(exists=True, file_okay=False), help="Where the run is made and removed.")
@click.option("--keep", type=click.Path(), help="Make the run here and keep it, or take the one that is here.")
@as_json_option
def command(scale: float, rounds: int, directory: str | None, keep: str | None, as_json: bool) -> None:
    """How long `liveness analyze` takes for a census of 3.6 billion targets, 487 million of them alive.

    Makes its run in a temporary directory (3.6 GB at full scale), analyses it with a warm cache, as JSON alone, with
    all figures, and with the map, and removes it.
    """
    with _run(scale, directory, keep) as run:
        sets = run.read_manifest().sets
        size = sum(_read(run.path / entry.file) for entry in sets)  # the cache is warm from here on
        with tempfile.TemporaryDirectory() as folder:
            analyse(run, "--map", f"{folder}/map.png", "--figures", folder)  # kernels are compiled from here on
        done = [measure(run) for _ in range(rounds)]
        found = msgspec.json.decode(analyse(run)[0])["runs"][0]
    document = {
        "scale": scale,
        "sets": len(sets),
        "bytes": size,
        "addresses": found["coverage"]["addresses"]["all"],
        "prefixes24": found["coverage"]["prefixes24"]["all"],
        **{name: round(statistics.median(getattr(entry, name) for entry in done), 4) for name in Round.__slots__},
        "ratio": round(statistics.median(entry.ratio for entry in done), 2),
        "map_more_s": round(statistics.median(entry.map_wall_s - entry.wall_s for entry in done), 2),
        "worst_wall_s": round(max(entry.wall_s for entry in done), 2),
    }
    if as_json:
        print_json("analyze", document)
        return
    print_facts("Analysis of a synthetic run, medians of the rounds", document)


def measure(run: RunDirectory) -> Round:
    """Read all sets, then analyse them: as JSON, with figures, with the map."""
    begun = time.monotonic()
    for entry in run.read_manifest().sets:
        _read(run.path / entry.file)
    read_s = time.monotonic() - begun
    _, wall_s, cpu_s, peak_kib = analyse(run)
    with tempfile.TemporaryDirectory() as folder:
        _, figures_s, _, figures_kib = analyse(run, "--figures", folder)
        _, map_s, _, map_kib = analyse(run, "--map", f"{folder}/map.png")
    mib = KIB / MIB
    return Round(wall_s, cpu_s, peak_kib * mib, read_s, figures_s, figures_kib * mib, map_s, map_kib * mib)


def analyse(run: RunDirectory, *more: str) -> Measured:
    """Run ``liveness analyze`` in a process of its own."""
    return measured("analyze", str(run.path), "--json", *more)


@contextmanager
def _run(scale: float, directory: str | None, keep: str | None) -> Iterator[RunDirectory]:
    """Make the run and remove it afterwards, unless it is to be kept."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="liveness-bench-", dir=directory) as folder:
            click.echo("making the run", err=True)
            yield write_synthetic_run(Path(folder), scale)
        return
    there = sorted(Path(keep).glob("synthetic/*/manifest.json"))
    if there:
        yield RunDirectory.open(there[0].parent)
    else:
        click.echo("making the run", err=True)
        yield write_synthetic_run(Path(keep), scale)


def _read(path: Path) -> int:
    """Read a file and return its size."""
    buffer, size = bytearray(READ_BYTES), 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            size += count
    return size
