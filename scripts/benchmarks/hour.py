"""``scripts/bench hour``: an hour of a survey of 24,000 /24s in the lab: its CPU time, its memory, and what it lost."""

import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import yaml
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.lab.model.population.load import load_population
from liveness.lab.model.population.sample import prefixes24_of, public_space, used24
from liveness.lab.source import find_population
from liveness.planes.blocks import Blocks, encode_blocks
from liveness.planes.rundir import SurveyRun
from scripts.benchmarks.output import as_json_option, print_facts, print_json
from scripts.benchmarks.processes import Usage, usage_of

POPULATION: Final = "paper"
OVER_TIME: Final = "\ntime: {}\n"
"""Makes the population change over time, so that a survey of it can be judged."""
SAMPLE_EVERY_S: Final = 30.0
KIB_A_MIB: Final = 1 << 10


@click.command("hour")
@click.option("--blocks", default=24_000, show_default=True, type=click.IntRange(1, 1 << 20), help="How many /24s.")
@click.option("--interval", default="10m", show_default=True, help="Length of a round.")
@click.option("--rounds", default=6, show_default=True, type=click.IntRange(1), help="How many rounds.")
@click.option("--output", type=click.Path(exists=True, file_okay=False), help="Where the run is made and removed.")
@as_json_option
def command(blocks: int, interval: str, rounds: int, output: str | None, as_json: bool) -> None:
    """Survey /24s of the model Internet for an hour, and measure the processes of the survey every 30 s.

    CPU time is user and system time of all processes of the survey; memory is the sum of their proportional shares
    (PSS). Probes whose slot passed while others had the core are counted as not sent. Exit code 1 if a packet was
    dropped, the survey did not complete, or a round is not the truth.
    """
    with tempfile.TemporaryDirectory(prefix="liveness-bench-", dir=output) as folder:
        document = survey_an_hour(Path(folder), blocks, interval, rounds)
    if as_json:
        print_json("hour", document)
    else:
        print_facts(f"A survey of {blocks:,} /24s", document)
    for problem in document["problems"]:
        click.echo(problem, err=True)
    if document["problems"]:
        raise SystemExit(1)


def survey_an_hour(folder: Path, blocks: int, interval: str, rounds: int) -> dict[str, Any]:
    """Run the survey in a lab, and return what it took and what it lost."""
    (folder / "blocks.csv").write_bytes(encode_blocks(Blocks.of(used_blocks(blocks))))
    survey = {"blocks": "blocks.csv", "interval": interval, "duration": interval_times(interval, rounds)}
    config = {
        "name": "hour", "seed": 73, "survey": survey, "contact": "https://example.org/survey", "output": str(folder)
    }  # fmt: skip
    (folder / "survey.yaml").write_text(yaml.safe_dump(config))
    population = folder / "population.yaml"
    population.write_text(packaged_text() + OVER_TIME)
    words = ("survey", "run", "--config", str(folder / "survey.yaml"), "--run-id", "run", "--quiet")
    program = (sys.executable, "-m", "liveness")
    begun = time.monotonic()
    lab = subprocess.Popen([*program, "lab", "exec", "--internet", str(population), "--ideal", "--", *program, *words])
    usages = watch(lab, words)
    wall_s = time.monotonic() - begun
    if lab.returncode:
        raise LivenessError(f"the survey ended with exit code {lab.returncode}")
    return judged(folder / "hour" / "run", population, usages, wall_s)


def watch(lab: "subprocess.Popen[bytes]", words: tuple[str, ...]) -> list[Usage]:
    """Measure the processes of the survey until the lab ends."""
    usages: list[Usage] = []
    while lab.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            lab.wait(SAMPLE_EVERY_S)
            return usages
        used = usage_of(lab.pid, words)
        usages.append(used)
        click.echo(
            f"{used.cpu_s:.1f} s of CPU time, {used.pss_kib / KIB_A_MIB:.0f} MiB, {used.processes} processes", err=True
        )
    return usages


def judged(run: Path, population: Path, usages: list[Usage], wall_s: float) -> dict[str, Any]:
    """Return the numbers of a run that has ended, and what is wrong with it."""
    manifest = SurveyRun.open(run).manifest
    counts = manifest.probes["icmp"]
    checked = subprocess.run(
        [sys.executable, "-m", "liveness", "lab", "check", str(run), "--internet", str(population), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    problems = list(manifest.loss_warnings)
    if manifest.status != "complete":
        problems.append(f"the run is {manifest.status}: {manifest.reason}")
    if checked.returncode:
        problems.append(f"not the truth: {checked.stdout}{checked.stderr}")
    checks: dict[str, Any] = json.loads(checked.stdout) if checked.stdout else {"equal": False, "timing": {}}
    usages = [usage for usage in usages if usage.processes]
    if not usages:
        raise LivenessError(
            f"the survey ended within {SAMPLE_EVERY_S:g} s, before it was measured: give it more rounds"
        )
    sending_s = manifest.rounds * manifest.interval_s
    return {
        "rounds": manifest.rounds,
        "sent": counts.sent,
        "not_sent": counts.not_sent,
        "sent_pps": round(counts.sent / sending_s),
        "positive": counts.positive,
        "negative": counts.negative,
        "wall_s": round(wall_s, 1),
        "cpu_s": round(usages[-1].cpu_s, 1),
        "share_of_a_core": round(usages[-1].cpu_s / sending_s, 4),
        "peak_mib": round(max(usage.pss_kib for usage in usages) / KIB_A_MIB, 1),
        "measurements": len(usages),
        "equal_to_the_truth": checks["equal"],
        "within_50_ms": checks["timing"].get("within_50_ms"),
        "problems": problems,
    }


def used_blocks(count: int) -> NDArray[np.uint32]:
    """Return `count` /24s that are in use in the model, evenly over the public address space."""
    population, space = load_population(POPULATION), prefixes24_of(public_space())
    order = np.random.default_rng(1).permutation(space.count)[: 16 * count]
    numbers = space.address_at(order.astype(np.uint64))
    found = [number for number in numbers.tolist() if used24(population, np.array([number], np.uint32))]
    return np.array(found[:count], np.uint32)


def interval_times(interval: str, rounds: int) -> str:
    """Return a duration of so many intervals, in the interval's unit."""
    digits = interval.rstrip("hms")
    return f"{float(digits) * rounds:g}{interval[len(digits) :]}"


def packaged_text() -> str:
    """Return the file of the packaged population."""
    named = find_population(POPULATION)
    if named is None:
        raise LivenessError(f"no packaged population {POPULATION}")
    return named.text
