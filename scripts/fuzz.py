"""The fuzzer: runs mutated golden packets through the compiled matcher, and reports rate and findings."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import click

ROOT: Final = Path(__file__).parents[1]
CACHES: Final = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
SHOWN: Final = 20
REPORT_S: Final = 5.0

# Kernels are compiled with bounds checks here, which Numba cannot distinguish from others in its cache.
os.environ["NUMBA_BOUNDSCHECK"] = "1"
os.environ["NUMBA_CACHE_DIR"] = str(CACHES / "liveness-bounds-checked")
sys.path.insert(0, str(ROOT))


@click.command()
@click.option("--packets", default=10_000_000, show_default=True, type=click.IntRange(min=1), help="Packets to match.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same packets.")
@click.option("--sample", default=20_000, show_default=True, help="Packets on which plain Python must agree; 0: none.")
@click.option("--atheris", "runs", default=0, help="Coverage-guided packets as well, with atheris; 0: none.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(*, packets: int, seed: int, sample: int, runs: int, as_json: bool) -> None:
    """Fuzz; leave with exit code 1 if a packet broke an invariant."""
    report = compiled_campaign(packets, seed)
    sample = min(sample, packets)
    if sample:
        report["agreed"], disagreed = compare_with_plain(seed, sample)
        report["findings"] += disagreed
    if runs:
        report["findings"] += coverage_guided(runs, seed)
        report["guided"] = runs
    if as_json:
        click.echo(json.dumps(report, indent=1))
    else:
        print_report(report)
    sys.exit(1 if report["findings"] else 0)


def compiled_campaign(packets: int, seed: int) -> dict[str, Any]:
    """Run batches until so many packets were matched; return rate, outcomes and findings."""
    from liveness.replies import Rejection  # noqa: PLC0415 - after the environment is set
    from tests.fuzzing.campaign import BATCH, Campaign  # noqa: PLC0415

    campaign = Campaign(seed)
    campaign.run(0, 1)  # compiles
    campaign.counts[:] = 0
    findings: list[dict[str, str]] = []
    begun = reported = time.monotonic()
    for batch in range(-(-packets // BATCH)):
        _, found = campaign.run(batch, min(BATCH, packets - batch * BATCH))
        findings += [{"what": finding.what, "frame": finding.frame.hex()} for finding in found]
        if time.monotonic() - reported > REPORT_S:
            reported = time.monotonic()
            click.echo(f"{(batch + 1) * BATCH:,} packets, {len(findings)} findings", err=True)
    seconds = time.monotonic() - begun
    names = [*(rejection.label for rejection in Rejection), "weak", "strong"]
    return {
        "seed": seed,
        "packets": packets,
        "packets_per_second": round(packets / seconds),
        "outcomes": dict(zip(names, campaign.counts.tolist(), strict=True)),
        "findings": findings,
    }


def compare_with_plain(seed: int, sample: int) -> tuple[int, list[dict[str, str]]]:
    """Match the first packets in plain Python too; return how many agree, and those that do not."""
    import numpy as np  # noqa: PLC0415

    from tests.fuzzing.campaign import BATCH, Campaign  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        outcomes = []
        for name, disabled in (("compiled", "0"), ("plain", "1")):
            path = Path(folder) / f"{name}.npz"
            command = [sys.executable, "-m", "tests.fuzzing.campaign", str(seed), str(sample), str(path)]
            subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "NUMBA_DISABLE_JIT": disabled})
            with np.load(path) as arrays:
                outcomes.append((arrays["statuses"], arrays["records"].reshape(sample, -1)))
    (statuses, records), (plain_statuses, plain_records) = outcomes
    differs = np.flatnonzero((statuses != plain_statuses) | np.any(records != plain_records, axis=1)).tolist()
    campaign = Campaign(seed)
    frames = [campaign.frame(*divmod(index, BATCH)) for index in differs]
    return sample - len(differs), [{"what": "compiled and plain differ", "frame": frame.hex()} for frame in frames]


def coverage_guided(runs: int, seed: int) -> list[dict[str, str]]:
    """Let atheris look for packets that reach new code; return what libFuzzer wrote down."""
    with tempfile.TemporaryDirectory() as folder:
        corpus, found = Path(folder) / "corpus", Path(folder) / "found"
        corpus.mkdir()
        found.mkdir()
        options = [
            f"-runs={runs}",
            f"-seed={seed}",
            "-max_len=512",
            f"-artifact_prefix={found}/",
            "-print_final_stats=1",
        ]
        command = [sys.executable, "-m", "tests.fuzzing.guided", str(corpus), *options]
        environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
        done = subprocess.run(command, check=False, cwd=ROOT, env=environment, stdout=sys.stderr)
        findings = [{"what": "found by atheris", "frame": path.read_bytes()[1:].hex()} for path in found.iterdir()]
    if done.returncode and not findings:
        raise click.ClickException("atheris did not run (pip install atheris, Python 3.11 to 3.13): see above")
    return findings


def print_report(report: dict[str, Any]) -> None:
    """Print a report for people."""
    print(
        f"{report['packets']:,} packets, seed {report['seed']}: {report['packets_per_second']:,} a second, each twice"
    )
    for name, count in report["outcomes"].items():
        print(f"  {name:20} {count:>12,}")
    if "agreed" in report:
        print(f"plain Python agrees on {report['agreed']:,}")
    if "guided" in report:
        print(f"coverage-guided: {report['guided']:,}")
    print(f"findings: {len(report['findings'])}")
    for finding in report["findings"][:SHOWN]:
        print(f"  {finding['what']}\n    {finding['frame']}")


if __name__ == "__main__":
    main()
