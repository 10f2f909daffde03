"""``scripts/bench talk``: talks with services while a census goes on, and a flood of forged SYN-ACKs."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import numpy as np
import yaml

from liveness.config.model import PAPER_PROBES
from liveness.errors import LivenessError
from liveness.net.links import interface_counters
from liveness.net.transport import open_transport
from liveness.probes.template import LinkAddresses
from liveness.runs.manifest import Manifest
from liveness.runs.rundir import RunDirectory
from liveness.scan.process import Child
from liveness.scan.session import constants_of
from liveness.space.addresses import format_address, parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from scripts.benchmarks.far_end import FAR, FAR_MAC, NEAR, NEAR_ADDRESS, NEAR_MAC, TARGETS
from scripts.benchmarks.generator import send_pool
from scripts.benchmarks.network import in_private_network
from scripts.benchmarks.output import as_json_option, print_facts, print_json
from scripts.benchmarks.plans import plan_over
from scripts.benchmarks.processes import Usage, named_usage
from scripts.benchmarks.replies import SLOT_BYTES, SYN_ACK, Pool, make_replies, probe_frames
from scripts.benchmarks.talking_end import FarEnd, Seen, talking_end

MOST_TARGETS: Final = 1 << 22
PORTS: Final = (32768, 49151)
SAMPLE_EVERY_S: Final = 0.25
KIB_A_MIB: Final = 1 << 10
BAR_MIB: Final = 200
PLAIN_S: Final = 2
COOLDOWN_S: Final = 2
MOST_TRIAL_FRAMES: Final = 64
"""Frames by which rings have proven themselves before the scan."""
FORGED_FRAMES: Final = 1 << 16
FLOOD_AFTER_SYNS: Final = 64
PATIENCE_S: Final = 120.0
SHORTEST_S: Final = 0.01
FLOOD_MARGIN: Final = 2
FLOOD_MARGIN_S: Final = 3.0
"""The scan takes so many times what the flood should, and that much longer: other processes may slow the flood down."""
SLOW_PPS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Scanned:
    """A scan that has ended: its manifest, its processes by name as they were last seen, and its peak of memory."""

    manifest: Manifest
    processes: dict[str, Usage]
    peak_kib: int
    seen: Seen
    left: int
    """Frames that left the scanner's interface."""
    forged: int

    @property
    def sending_s(self) -> float:
        """Return the time from the start to the end of the scan, without its cooldown."""
        finished = datetime.fromisoformat(self.manifest.finished or self.manifest.started)
        return (finished - datetime.fromisoformat(self.manifest.started)).total_seconds() - COOLDOWN_S

    @property
    def talk(self) -> dict[str, int]:
        """The counts of talks."""
        return {} if self.manifest.talk is msgspec.UNSET else self.manifest.talk

    def cpu_s(self, name: str) -> float:
        """Return the CPU time of the processes whose name begins so."""
        return round(sum(used.cpu_s for process, used in self.processes.items() if process.startswith(name)), 2)

    def pss_mib(self, name: str = "") -> float:
        """Return the memory of the processes whose name begins so (PSS)."""
        kib = sum(used.pss_kib for process, used in self.processes.items() if process.startswith(name))
        return round(kib / KIB_A_MIB, 1)


@click.command("talk")
@click.option(
    "--services", type=click.IntRange(32, MOST_TARGETS // 2), default=240_000, show_default=True, help="Open ports."
)
@click.option("--rate", type=click.IntRange(1), default=12_000, show_default=True, help="SYN-ACKs a second.")
@click.option(
    "--forged", type=click.IntRange(1), default=10_000_000, show_default=True, help="Forged SYN-ACKs of the flood."
)
@click.option("--forged-rate", type=click.IntRange(1), default=500_000, show_default=True, help="Of them a second.")
@as_json_option
def command(services: int, rate: int, forged: int, forged_rate: int, as_json: bool) -> None:
    """Talk to HTTP services while a census with eight probes goes on, then send forged SYN-ACKs to a census.

    The far end of a veth pair has a service on every second target, which answers the request. Memory is the sum of
    the proportional shares (PSS) of all processes of the scan at its peak; what talks add to that of the same census
    without applications is given as well. The flood has addresses, ports and shape of
    the SYN-ACKs that the census awaits; only its cookies are made with another key. Exit code 1 if a reply was dropped,
    a service was not talked to, a talk was late, talks add 200 MiB or more, or a forged SYN-ACK got an answer.
    """
    plain_kib = in_private_network(lambda: measure_plain(rate))
    document = in_private_network(lambda: measure_talks(services, rate, plain_kib))
    document |= in_private_network(lambda: measure_flood(forged, forged_rate))
    problems = document["problems"] = document.pop("talk_problems") + document.pop("flood_problems")
    if as_json:
        print_json("talk", document)
    else:
        print_facts(f"Talks with {services:,} services", document)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise SystemExit(1)


def measure_plain(rate_pps: int) -> int:
    """Return the peak of memory of the same census without talks, KiB."""
    return scan(2 * rate_pps * PLAIN_S, 2 * rate_pps, list(PAPER_PROBES), applications=(), answering=True).peak_kib


def measure_talks(services: int, rate_pps: int, plain_kib: int) -> dict[str, Any]:
    """Scan a far end that speaks, and return what the talks took."""
    done = scan(services * 2, 2 * rate_pps, list(PAPER_PROBES), answering=True)
    talk, manifest, seen = done.talk, done.manifest, done.seen
    seconds = done.sending_s
    answers = manifest.messages.get("tcp/80", {}).get("answer", 0)
    equal = {
        "services and talks": (services, talk.get("talks", 0)),
        "services and answers": (services, answers),
        "requests sent and received": (talk.get("talks", 0), seen.requests),
        "repeats sent and received": (talk.get("repeats", 0), seen.repeats),
        "resets sent and received": (talk.get("resets", 0), seen.resets),
    }
    problems = [f"{what}: {one:,} and {other:,}" for what, (one, other) in equal.items() if one != other]
    problems += [
        f"{name}: {talk[name]:,}" for name in ("refused", "late", "lost_events", "lost_verdicts") if talk.get(name, 0)
    ]
    problems += _problems_of(done)
    added_mib = (done.peak_kib - plain_kib) / KIB_A_MIB
    if added_mib >= BAR_MIB:
        problems.append(f"the talks took {added_mib:.0f} MiB")
    return {
        "syn_acks": seen.syn_acks,
        "talks": talk.get("talks", 0),
        "seconds": round(seconds, 1),
        "talks_pps": round(talk.get("talks", 0) / seconds),
        "answers": answers,
        "repeats": talk.get("repeats", 0),
        "resets": talk.get("resets", 0),
        "refused": talk.get("refused", 0),
        "late": talk.get("late", 0),
        "probes_sent": manifest.transmit.frames,
        "drops": manifest.receive.kernel_drops,
        "talker_cpu_share": round(done.cpu_s("talker") / seconds, 3),
        "receiver_cpu_share": round(done.cpu_s("receiver") / seconds, 3),
        "sender_cpu_share": round(done.cpu_s("sender") / seconds, 3),
        "talker_mib": done.pss_mib("talker"),
        "peak_mib": round(done.peak_kib / KIB_A_MIB, 1),
        "added_mib": round(added_mib, 1),
        "talk_problems": problems,
    }


def measure_flood(forged: int, rate_pps: int) -> dict[str, Any]:
    """Send forged SYN-ACKs to a census that talks, and return what came of them."""
    targets = int((FLOOD_MARGIN * forged / rate_pps + FLOOD_MARGIN_S) * SLOW_PPS)
    done = scan(targets, SLOW_PPS, ["tcp/80"], answering=False, flood=(forged, rate_pps))
    rejected = sum(done.manifest.rejected.values())
    answered = done.left - done.manifest.transmit.frames
    if 0 < answered <= MOST_TRIAL_FRAMES:
        answered = 0
    took = {name: number for name, number in done.talk.items() if number}
    problems = [f"the flood: {name}: {number:,}" for name, number in took.items()]
    if done.seen.resets or done.seen.requests or answered:
        problems.append(f"the flood got {done.seen.resets + done.seen.requests + answered:,} answers")
    if done.manifest.messages:
        problems.append(f"forged SYN-ACKs were accepted: {done.manifest.messages}")
    if done.manifest.status != "complete":
        problems.append(f"the run is {done.manifest.status}: {done.manifest.reason}")
    return {
        "forged": done.forged,
        "forged_rejected": rejected,
        "forged_dropped": done.manifest.receive.kernel_drops,
        "forged_answered": done.seen.resets + done.seen.requests + answered,
        "forged_talks": sum(took.values()),
        "forged_peak_mib": round(done.peak_kib / KIB_A_MIB, 1),
        "flood_problems": problems,
    }


def _problems_of(done: Scanned) -> list[str]:
    manifest = done.manifest
    problems = [] if manifest.status == "complete" else [f"the run is {manifest.status}: {manifest.reason}"]
    if manifest.receive.kernel_drops or done.seen.dropped:
        problems.append(f"dropped: {manifest.receive.kernel_drops:,} replies, {done.seen.dropped:,} by the far end")
    return problems


def scan(
    targets: int,
    rate_pps: int,
    probes: list[str],
    *,
    answering: bool,
    applications: tuple[str, ...] = ("http",),
    flood: tuple[int, int] | None = None,
) -> Scanned:
    """Scan a far end in this private network, flood the scan if wanted, and return what was counted."""
    pool = None if flood is None else forged_pool(targets)
    with tempfile.TemporaryDirectory() as folder, talking_end(answering=answering) as end:
        config = Path(folder) / "talk.yaml"
        config.write_text(
            yaml.safe_dump(config_of(targets, rate_pps, probes, folder) | {"applications": list(applications)})
        )
        before = interface_counters(NEAR).tx_packets
        words = ("scan", "--config", str(config), "--quiet")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVENESS_")}
        output = Path(folder) / "output"
        with output.open("wb") as stream:
            process = subprocess.Popen([sys.executable, "-m", "liveness", *words], stdout=stream, env=environment)
        child = None
        if flood is not None and pool is not None:
            forged, rate = flood
            child = Child("flood", lambda: _flood(end, pool, forged, rate))
        processes, peak_kib = watch(process, words)
        sent = 0
        if child is not None:
            child.end_within(PATIENCE_S)
            found = child.result()
            if found is None:
                raise LivenessError(f"the flood failed: {child.problem()}")
            sent = found
        if not output.read_text().strip():
            raise LivenessError(f"liveness scan ended with exit code {process.returncode} and without a run")
        manifest = RunDirectory.open(Path(output.read_text().strip())).read_manifest()
        left = interface_counters(NEAR).tx_packets - before
    return Scanned(manifest, processes, peak_kib, end.seen, left, sent)


def config_of(targets: int, rate_pps: int, probes: list[str], folder: str) -> dict[str, Any]:
    """Return the config of a census, without applications."""
    return {
        "name": "talk",
        "seed": 73,
        "targets": {"allow": [f"{format_address(TARGETS)}-{format_address(TARGETS + targets - 1)}"]},
        "probes": probes,
        "talk": {"rate": f"{10 * rate_pps}pps"},
        "rate": f"{rate_pps}pps",
        "control": False,
        "retransmit": {"attempts": 1},
        "cooldown": f"{COOLDOWN_S}s",
        "contact": "https://example.org/scan",
        "network": {"interface": NEAR, "gateway_mac": FAR_MAC, "source_ports": "-".join(map(str, PORTS))},
        "output": folder,
    }


def watch(process: "subprocess.Popen[bytes]", words: tuple[str, ...]) -> tuple[dict[str, Usage], int]:
    """Sample the processes of a scan until it ends; return each as last seen, and the peak of their memory, KiB."""
    processes: dict[str, Usage] = {}
    peak_kib = 0
    while process.poll() is None:
        used = named_usage(process.pid, words)
        processes |= {name: usage for name, usage in used.items() if usage.pss_kib}
        peak_kib = max(peak_kib, sum(usage.pss_kib for usage in used.values()))
        time.sleep(SAMPLE_EVERY_S)
    return processes, peak_kib


def forged_pool(targets: int) -> Pool:
    """Return SYN-ACKs to the probes of another census of the same targets: all is right but the key."""
    config = config_of(targets, SLOW_PPS, ["tcp/80"], ".")
    first = Intervals.from_bounds([TARGETS], [TARGETS + targets - 1])
    changes = {name: config[name] for name in ("probes", "control", "retransmit", "network")}
    plan = plan_over(Targets.build(first, Intervals.empty(), lab=True), **changes)
    near, far = (bytes.fromhex(mac.replace(":", "")) for mac in (NEAR_MAC, FAR_MAC))
    constants = constants_of(plan, LinkAddresses(near, far), (parse_address(NEAR_ADDRESS),))
    addresses = plan.first_addresses(FORGED_FRAMES)
    count = len(addresses)
    pool = Pool(np.zeros((count, SLOT_BYTES), np.uint8), np.zeros(count, np.uint16), np.ones(count, np.bool_))
    sent = probe_frames(constants, 0, 0, addresses)
    rows, shapes = np.arange(count), np.full(count, SYN_ACK)
    length = int(constants.lengths[0])
    make_replies(sent, length, shapes, rows, np.zeros(count, np.bool_), pool.frames, pool.lengths)
    return pool


def _flood(end: FarEnd, pool: Pool, forged: int, rate_pps: int) -> int:
    """In a child: wait until the scan probes, send the flood from the far end, and return how many frames it has."""
    end.peer.enter()
    before = interface_counters(FAR).rx_packets
    deadline = time.monotonic() + PATIENCE_S
    while interface_counters(FAR).rx_packets - before < FLOOD_AFTER_SYNS:
        if time.monotonic() > deadline:
            raise LivenessError("the census sends nothing")
        time.sleep(0.01)
    (ring,) = open_transport(FAR, 1, SLOT_BYTES, 1, "auto", "auto").rings
    try:
        while (rest := forged - ring.completed) > 0:
            send_pool(pool, ring, rate_pps, max(rest / rate_pps, SHORTEST_S))
        return ring.completed
    finally:
        ring.close()
