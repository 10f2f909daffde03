"""``scripts/bench scan``: a census from end to end by the command users type, and whether every counter adds up."""

import os
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
import yaml

from liveness.config.model import PAPER_PROBES
from liveness.errors import LivenessError
from liveness.runs.manifest import Manifest
from liveness.runs.rundir import RunDirectory
from liveness.space.addresses import format_address
from scripts.benchmarks.far_end import FAR_MAC, MOST_TARGETS, NEAR, TARGETS, Counted, counted, far_end
from scripts.benchmarks.network import in_private_network
from scripts.benchmarks.output import as_json_option, print_facts, print_json

MOST_TRIAL_FRAMES: Final = 32
ATTEMPTS: Final = 2
OWNED_SHARE: Final = 64
"""One target in so many answers."""


@click.command("scan")
@click.option(
    "--targets", type=click.IntRange(64, MOST_TARGETS), default=MOST_TARGETS, show_default=True, help="Addresses."
)
@click.option("--rate", default="50kpps", show_default=True, help="Packets a second of each of the eight probes.")
@click.option("--senders", default="1", show_default=True, help="Processes that send.")
@click.option("--ring-mib", default=64, show_default=True, type=click.IntRange(1), help="Size of the receive ring.")
@click.option("--output", type=click.Path(file_okay=False), help="Where the run goes for the time being, if not /tmp.")
@as_json_option
def command(targets: int, rate: str, senders: str, ring_mib: int, output: str | None, as_json: bool) -> None:
    """Take a census of 2^24 addresses with eight probes, two attempts each, and add up every counter.

    The far end of a veth pair owns one address in 64, for which its kernel answers, and drops what is for the others.
    Exit code 1 if a counter does not add up.
    """
    changes: dict[str, object] = {"rate": rate, "senders": int(senders) if senders.isdecimal() else senders}
    changes["receive"] = {"ring_mib": ring_mib}
    document = in_private_network(lambda: take_census(targets, changes, output, quiet=as_json))
    if as_json:
        print_json("scan", document)
    else:
        print_facts(f"A census of {targets:,} addresses", document)
    for problem in document["problems"]:
        click.echo(f"does not add up: {problem}", err=True)
    if document["problems"]:
        raise SystemExit(1)


def take_census(targets: int, changes: dict[str, object], output: str | None, *, quiet: bool) -> dict[str, Any]:
    """Scan in this private network and return the document of what was counted."""
    owned_bits = (targets // OWNED_SHARE).bit_length() - 1
    with tempfile.TemporaryDirectory(dir=output) as folder, far_end(owned_bits):
        config = Path(folder) / "bench.yaml"
        config.write_text(yaml.safe_dump(census_config(targets, folder) | changes))
        before = counted()
        path = _scan(config, quiet=quiet)
        after = counted()
        manifest = RunDirectory.open(path).read_manifest()
    return account(manifest, before, after, 1 << owned_bits)


def census_config(targets: int, folder: str) -> dict[str, Any]:
    """Return the config of a census of the first `targets` of the far end's."""
    return {
        "name": "bench",
        "seed": 73,
        "targets": {"allow": [f"{format_address(TARGETS)}-{format_address(TARGETS + targets - 1)}"]},
        "probes": list(PAPER_PROBES),
        "control": False,
        "retransmit": {"attempts": ATTEMPTS},
        "cooldown": "2s",
        "network": {"interface": NEAR, "gateway_mac": FAR_MAC},
        "output": folder,
    }


def _scan(config: Path, *, quiet: bool) -> Path:
    """Run ``liveness scan`` and return its run directory; its summary goes to standard error unless `quiet`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVENESS_")}
    done = subprocess.run(
        [sys.executable, "-m", "liveness", "scan", "--config", str(config), *(["--quiet"] if quiet else [])],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    sys.stderr.write(done.stderr)
    if not done.stdout.strip():
        raise LivenessError(f"liveness scan ended with exit code {done.returncode} and without a run")
    return Path(done.stdout.strip())


def account(manifest: Manifest, before: Counted, after: Counted, owned: int) -> dict[str, Any]:
    """Return what was sent and received by every count there is, and where two of them differ."""
    transmit, receive = manifest.transmit, manifest.receive
    planned = manifest.targets * len(manifest.probes) * ATTEMPTS
    sent = sum(sum(counts.sent) for counts in manifest.probes.values())
    own = after.own_packets - before.own_packets
    left = after.interface.tx_packets - before.interface.tx_packets - own
    if 0 < left - transmit.frames <= MOST_TRIAL_FRAMES:
        left = transmit.frames  # each ring has proven itself by a frame, or by a few, before the scan
    arrived = after.interface.rx_packets - before.interface.rx_packets
    matched = sum(sum(counts.values()) for counts in manifest.messages.values())
    rejected = sum(manifest.rejected.values())
    started, finished = (
        datetime.fromisoformat(text or manifest.started) for text in (manifest.started, manifest.finished)
    )
    seconds = (finished - started).total_seconds()
    equal = {
        "sent and planned": (sent, planned),
        "sent and completed": (sent, transmit.frames),
        "completed and the interface's count": (transmit.frames, left),
        "received and matched + rejected": (receive.packets, matched + rejected),
        "sent by interval and sent": (sum(manifest.timeline.sent), sent),
        "received by interval and received": (sum(manifest.timeline.packets), receive.packets),
        "the kernel's count and received + dropped": (receive.kernel_packets, receive.packets + receive.kernel_drops),
        "the interface's count and received + dropped": (arrived, receive.packets + receive.kernel_drops),
    }
    problems = [f"{what}: {entry:,} and {other:,}" for what, (entry, other) in equal.items() if entry != other]
    if manifest.status != "complete":
        problems.append(f"the run is {manifest.status}: {manifest.reason}")
    return {
        "targets": manifest.targets,
        "seconds": round(seconds, 1),
        "sent": sent,
        "completed": transmit.frames,
        "send_errors": transmit.errors,
        "sent_by_interface": left,
        "sent_by_kernel": own,
        "arrived_at_interface": arrived,
        "received": receive.packets,
        "matched": matched,
        "rejected": rejected,
        "dropped": receive.kernel_drops,
        "expected": owned * len(manifest.probes) * ATTEMPTS,
        "mpps": round(sent / max(seconds, 1e-3) / 1e6, 3),
        "adds_up": not problems,
        "problems": problems,
    }
