"""``scripts/bench cold``: what the first commands of a newcomer take, whose cache of compiled kernels is empty."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import click

from liveness.errors import LivenessError
from scripts.benchmarks.output import as_json_option, print_facts, print_json
from scripts.benchmarks.synthetic_run import write_synthetic_run

SCALE: Final = 1e-4
"""Some 48,000 alive addresses: a small run."""
ANALYZE: Final = "from liveness.cli.main import run; run()"
SCAN: Final = "from liveness.scan.session import compile_kernels; compile_kernels()"


@click.command("cold")
@click.option("--only", type=click.Choice(["analyze", "scan"]), help="Measure one of the two.")
@as_json_option
def command(only: str | None, as_json: bool) -> None:
    """How long the first and the second `analyze` of a small run take, and the kernels of a scan, first and second.

    The cache of compiled kernels is an empty directory at first. `files` counts what has been compiled into it.
    """
    document: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="liveness-bench-") as folder:
        if only != "scan":
            run = write_synthetic_run(Path(folder), SCALE)
            document |= _first_and_second(Path(folder), "analyze", ANALYZE, "analyze", str(run.path))
        if only != "analyze":
            document |= _first_and_second(Path(folder), "scan", SCAN)
    if as_json:
        print_json("cold", document)
    else:
        print_facts("With an empty cache of compiled kernels, and once more", document)


def _first_and_second(folder: Path, name: str, program: str, *arguments: str) -> dict[str, float]:
    """Run a program twice over a cache that is empty at first; return its times, and how many files were compiled."""
    cache = folder / f"cache-{name}"
    cache.mkdir()
    found: dict[str, float] = {}
    for which in ("first", "second"):
        wall_s, cpu_s = _times(program, arguments, cache)
        found |= {f"{name}_{which}_wall_s": round(wall_s, 2), f"{name}_{which}_cpu_s": round(cpu_s, 2)}
        found[f"{name}_{which}_files"] = sum(1 for _ in cache.rglob("*.nbc"))
    return found


def _times(program: str, arguments: tuple[str, ...], cache: Path) -> tuple[float, float]:
    """Run a Python program with this cache; return wall and CPU time, of its own children too."""
    begun = time.monotonic()
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    child = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise LivenessError(f"{' '.join(arguments) or 'compiling'} ended with exit code {child.returncode}")
    return time.monotonic() - begun, usage.ru_utime + usage.ru_stime
