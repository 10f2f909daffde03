"""``scripts/bench budget``: what a kernel that sends 32 frames a call costs, in delay, spacing and speed."""

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Final

import click

from liveness.errors import LivenessError
from liveness.net.ring import TxRing
from liveness.net.rx_packet import PacketRxRing
from liveness.net.system_calls import KERNEL, Kernel
from liveness.net.transport import open_transport
from liveness.packets.block import unpack_block
from liveness.packets.headers import PROTOCOL_ICMP
from liveness.probes.icmp import PAYLOAD_AT, TIME_AT
from liveness.scan.process import Child
from liveness.scan.send import sender
from liveness.scan.shared import Shared
from liveness.system.bpf import ACCEPT, RETURN, Instruction, assemble
from liveness.system.child import run_in_child
from scripts.benchmarks import contestants
from scripts.benchmarks.contest import Contestant, Performance, rounds_of
from scripts.benchmarks.network import in_private_network, link_of, make_sink, make_veth, two_cores
from scripts.benchmarks.older_kernel import OlderKernel
from scripts.benchmarks.output import as_json_option, print_json, print_table
from scripts.benchmarks.plans import kit_for, one_block, plan_over

RING_MIB: Final = 64
QUIET_S: Final = 0.3
PROTOCOL_AT: Final = 14 + 9
DESTINATION_AT: Final = 14 + 16
SENT_AT: Final = slice(PAYLOAD_AT + TIME_AT, PAYLOAD_AT + TIME_AT + 8)
PROBES: Final = ("icmp", "tcp/80", "tcp/443", "dns")
SPACING_MS: Final = 10
WAYS: Final = {"ours": "auto", "af_xdp": "af_xdp", "af_packet": "af_packet"}


@dataclass(frozen=True, slots=True)
class Delays:
    """How late frames left, and how close together those to one target, by when they arrived over veth."""

    frames: int
    median_ms: float
    """Between the send time in the payload of echo requests and their arrival."""
    worst_ms: float
    closest_ms: float
    """The least time between two probes to one target."""
    too_close: int
    """Pairs of probes to one target that arrived less than SPACING_MS apart."""


@click.command("budget")
@click.option(
    "--rate", default=20_000, show_default=True, type=click.IntRange(100), help="Packets/s of each of 4 probes."
)
@click.option("--targets", default=20_000, show_default=True, type=click.IntRange(2), help="Targets, probed once each.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="How often each sender is run.")
@click.option("--seconds", default=1.0, show_default=True, type=click.FloatRange(0, min_open=True), help="How long.")
@as_json_option
def command(rate: int, targets: int, rounds: int, seconds: float, as_json: bool) -> None:
    """Delay, spacing and speed where the kernel sends 32 frames a call, as before Linux 6.17.

    The delay is from the send time in a probe's payload to its arrival at the far end of a veth pair. Speeds are of one
    sender with all probes over all of IPv4: ours is `network.transport: auto`, beside either ring by itself.
    """
    run_in_child(contestants.warm_up)
    found = {
        name: in_private_network(lambda kernel=kernel: delays(kernel, rate, targets))  # type: ignore[misc]
        for name, kernel in (("whole ring", KERNEL), ("32", OlderKernel()))
    }
    entered = {name: _contestant(way) for name, way in WAYS.items()}
    speeds = {
        place: rounds_of(entered, make, rounds, seconds) for place, make in (("sink", make_sink), ("veth", make_veth))
    }
    ratio = round(found["32"].median_ms / found["whole ring"].median_ms, 2)
    shares = {place: share_of_faster(done) for place, done in speeds.items()}
    if as_json:
        document: dict[str, Any] = {name.replace(" ", "_"): asdict(entry) for name, entry in found.items()}
        medians = {place: {name: median_mpps(each) for name, each in done.items()} for place, done in speeds.items()}
        print_json("budget", document | {"median_ratio": ratio, "mpps": medians, "ours_to_faster": shares})
        return
    rows = [(name, *asdict(entry).values()) for name, entry in found.items()]
    headings = ("frames a call", "frames", "median ms", "worst ms", "closest ms", f"below {SPACING_MS} ms")
    print_table(f"Delay at {rate:,} packets/s of each probe; medians' ratio {ratio}", headings, rows)
    speed_rows = [
        (place, *(median_mpps(each) for each in done.values()), shares[place]) for place, done in speeds.items()
    ]
    places = ("into", *WAYS, "ours to the faster")
    print_table("Frames sent at 32 a call, millions a second", places, speed_rows)


def _contestant(transport: str) -> Contestant:
    def open_ring(interface: str, longest: int, multiple_of: int) -> TxRing:
        opened = open_transport(interface, 1, longest, multiple_of, transport, "auto", kernel=OlderKernel())
        return opened.rings[0]

    return contestants.send_census(open_ring)


def median_mpps(each: Iterable[Performance]) -> float:
    """Return the median speed of some rounds, millions of frames a second."""
    return round(statistics.median(entry.mpps for entry in each), 3)


def share_of_faster(done: dict[str, list[Performance]]) -> float:
    """Return our speed as a share of the faster ring's, the median of the rounds' shares."""
    rounds = zip(done["ours"], done["af_xdp"], done["af_packet"], strict=True)
    shares = [ours.mpps / max(xdp.mpps, packet.mpps) for ours, xdp, packet in rounds]
    return round(statistics.median(shares), 2)


def delays(kernel: Kernel, rate_pps: int, targets: int) -> Delays:
    """Send four probes to each of some targets over veth, and judge by when they arrive."""
    make_veth()
    plan = plan_over(
        one_block(targets),
        rate=f"{rate_pps}pps",
        probes=list(PROBES),
        control=False,
        retransmit={"attempts": 1},
        probe_spacing=f"{SPACING_MS}ms",
        cooldown="0s",
    )
    constants = kit_for(plan, link_of("veth"))
    sender.warm_up(plan, constants)
    capture = PacketRxRing("far", assemble([Instruction(RETURN, ACCEPT)]), RING_MIB)
    (ring,) = open_transport(
        "veth", 1, int(constants.lengths.max()), len(plan.probes), "af_xdp", "never", kernel=kernel
    ).rings
    sending, _ = two_cores()
    child = Child("sender", sender.Sender(plan, constants, ring, Shared(plan), 0).run, sending)
    ring.close()
    arrived: list[tuple[int, bytes]] = []
    while (block := capture.blocks(QUIET_S)) is not None or not child.ended():
        if block is not None:
            arrived += unpack_block(block)
            capture.release()
    if problem := child.problem():
        raise LivenessError(f"budget: {problem}")
    capture.close()
    return judge([frame for frame in arrived if frame[1][12:14] == b"\x08\x00"])


def judge(arrived: list[tuple[int, bytes]]) -> Delays:
    """Return the delays of frames that arrived, pairs of (time in ns since 1970, frame)."""
    late_ms = [
        (at_ns - int.from_bytes(frame[SENT_AT], "big")) / 1e6
        for at_ns, frame in arrived
        if frame[PROTOCOL_AT] == PROTOCOL_ICMP
    ]
    by_target: dict[bytes, list[int]] = defaultdict(list)
    for at_ns, frame in arrived:
        by_target[frame[DESTINATION_AT : DESTINATION_AT + 4]].append(at_ns)
    gaps_ms = [(later - at) / 1e6 for times in by_target.values() for at, later in pairwise(sorted(times))]
    return Delays(
        frames=len(arrived),
        median_ms=round(statistics.median(late_ms), 4),
        worst_ms=round(max(late_ms), 4),
        closest_ms=round(min(gaps_ms), 3),
        too_close=sum(gap < SPACING_MS for gap in gaps_ms),
    )
