"""``scripts/bench repeat``: what a repeat recovers, by how long it comes after its original, in the model Internet."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import click
import yaml

from liveness.errors import LivenessError
from liveness.lab.model.responder.record import read_summary
from liveness.runs.manifest import Manifest
from liveness.runs.rundir import RunDirectory
from scripts.benchmarks.output import as_json_option, print_json, print_table

ATTEMPTS: Final = 2
PROBES: Final = ("icmp", "tcp/80", "dns")
COOLDOWN_S: Final = 8


@click.command("repeat")
@click.option("--targets", default=1 << 18, show_default=True, type=click.IntRange(1), help="Addresses of each census.")
@click.option(
    "--rate", default=20_000, show_default=True, type=click.IntRange(1), help="Packets a second of each probe."
)
@click.option("--delays", default="0,0.5,2,10", show_default=True, help="Seconds between a probe and its repeat.")
@click.option("--population", default="paper", show_default=True, help="Population file or name.")
@as_json_option
def command(targets: int, rate: int, delays: str, population: str, as_json: bool) -> None:
    """Take the same census of the model Internet several times, each with another delayed-retransmit queue.

    Prints how many targets answered the original, how many more the repeat alone, and the gain: the second over the
    first (Bano et al. 2018, section 3: 2.2 % for echo replies and 20 s).
    """
    wanted = _delays(delays)
    rows = [take_census(targets, rate, delay_s, population) for delay_s in wanted]
    if as_json:
        print_json("repeat", {"targets": targets, "rate_pps": rate, "censuses": rows})
        return
    lines = [
        (
            f"{row['delay_s']:g}",
            f"{row['longest_s']:g}",
            probe,
            f"{entry['first']:,}",
            f"{entry['recovered']:,}",
            f"{entry['gain']:.2%}",
            f"{entry['lost']:.2%}",
        )
        for row in rows
        for probe, entry in row["probes"].items()
    ]
    headings = ("delay s", "up to", "probe", "first", "recovered", "gain", "lost packets")
    print_table(f"Repeats in the model Internet, {targets:,} targets", headings, lines, 3)


def _delays(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise click.UsageError(f"--delays: {text!r}: expected seconds such as 0,0.5,10") from None


def take_census(targets: int, rate: int, delay_s: float, population: str) -> dict[str, Any]:
    """Scan the model Internet and return what originals and repeats found.

    The queue is as long as that takes at the rate; while repeats overlap with originals it takes twice as long.
    """
    queue = max(1, round(delay_s * rate))
    if queue > targets:
        raise click.UsageError(f"--delays: {delay_s:g}: more than the {targets / rate:g} s that the originals take")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "repeat.yaml"
        config.write_text(yaml.safe_dump(_config(targets, rate, queue, folder)))
        path = _scan(config, population)
        manifest, summary = RunDirectory.open(path).read_manifest(), read_summary(path)
    if summary.overrun:
        raise LivenessError(f"the model was too slow for {summary.overrun:,} packets: --rate is too high here")
    probes = {probe: _found(manifest, probe, summary.lost.get(probe, {})) for probe in PROBES}
    return {"delay_s": queue / rate, "longest_s": ATTEMPTS * queue / rate, "queue": queue, "probes": probes}


def _config(targets: int, rate: int, queue: int, folder: str) -> dict[str, Any]:
    return {
        "name": "repeat",
        "seed": 73,
        "targets": {"allow": ["0.0.0.0/1"]},
        "limits": {"max_targets": targets},
        "block_prefix": 1,  # a queue is no longer than a block
        "probes": list(PROBES),
        "control": False,
        "rate": f"{rate}pps",
        "retransmit": {"attempts": ATTEMPTS, "queue": queue},
        "probe_spacing": "10ms",
        "cooldown": f"{COOLDOWN_S}s",
        "contact": "the model Internet",
        "output": folder,
    }


def _scan(config: Path, population: str) -> Path:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVENESS_")}
    command = ["lab", "exec", "--internet", population, "--"]
    done = subprocess.run(
        [sys.executable, "-m", "liveness", *command, sys.executable, "-m", "liveness", "scan", "-q", "-C", str(config)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode != 0:
        raise LivenessError(f"liveness lab exec ended with exit code {done.returncode}: {done.stderr.strip()}")
    return Path(done.stdout.strip())


def _found(manifest: Manifest, probe: str, lost: dict[str, int]) -> dict[str, Any]:
    """Return what attempts found of a probe: `lost` is the share of probes to answering targets and of answers."""
    attempts = manifest.attempts[probe]
    first = sum(count for pattern, count in attempts.items() if pattern.startswith("1"))
    recovered = manifest.recovered_by_retransmit[probe]
    answers = sum(manifest.messages[probe].values())
    gone = sum(lost.values())
    return {
        "first": first,
        "recovered": recovered,
        "gain": round(recovered / max(1, first), 5),
        "lost": round(gone / max(1, answers + gone), 5),
    }
