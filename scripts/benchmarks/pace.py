"""``scripts/bench pace``: how exactly and how smoothly the sender keeps to rates, and what that costs."""

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import click
import numpy as np
from numpy.typing import NDArray

from liveness.config.units import Rate
from liveness.errors import LivenessError, UnsupportedError
from liveness.kernel import kernel
from liveness.net.links import switch_gro_on
from liveness.net.rx_packet import PacketRxRing
from liveness.net.transport import XDP_LIVE, open_transport
from liveness.packets.block import NS_PER_S, capture_time_ns, first_packet, next_packet, pack_block, packet_count
from liveness.scan.process import Child
from liveness.scan.send import sender
from liveness.scan.shared import Shared
from liveness.scan.shared_memory import shared_zeros
from liveness.system.bpf import ACCEPT, RETURN, Instruction, assemble
from scripts.benchmarks.far_clock import FarClock
from scripts.benchmarks.network import in_private_network, link_of, make_veth, steer_receiving, two_cores
from scripts.benchmarks.output import as_json_option, print_json, print_table
from scripts.benchmarks.plans import kit_for, one_block, plan_over

R = TypeVar("R")


class Arrivals(Protocol):
    """Times at which packets arrive at the far end."""

    def end(self) -> tuple[NDArray[np.int64], int]:
        """Return the times in ns and the number of packets without one, when all packets have come."""
        ...


RATES: Final = "10pps,100pps,1kpps,10kpps,100kpps,1Mpps"
RING_MIB: Final = 128
QUIET_S: Final = 0.2
"""Longer than the kernel keeps a block that is not full."""
BEYOND_S: Final = 0.1
"""What is sent after the last second that is judged, so that it is a full one."""
POLL_S: Final = 0.02
PAUSE_S: Final = 100e-6
"""What a gap between two frames is at least to end a burst: above what a frame takes, below what a sender sleeps."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a sender kept to a rate, by the times at which its frames arrived."""

    rate_pps: int
    sent: int
    dropped: int
    """Frames that the interface dropped as they were sent, for want of room in the backlog of the receiving core."""
    captured: int
    lost: int
    """Frames that arrived and that the capture lost."""
    mean_pps: float
    """Over all of them."""
    worst_second: float
    """The largest relative error of any full second since the first frame."""
    burst_frames: int
    """The longest run of frames without a pause of PAUSE_S."""
    ahead_ms: float
    """How far it was ahead of an even flow at most, as time at the rate: the depth of the token bucket it fits."""
    cpu: float
    """CPU seconds a second."""

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "rate_pps": self.rate_pps,
            "sent": self.sent,
            "dropped": self.dropped,
            "captured": self.captured,
            "lost_in_capture": self.lost,
            "mean_pps": round(self.mean_pps, 3),
            "worst_second": round(self.worst_second, 5),
            "burst_frames": self.burst_frames,
            "burst_ms": round(self.burst_frames / self.rate_pps * 1e3, 3),
            "ahead_ms": round(self.ahead_ms, 3),
            "cpu": round(self.cpu, 4),
            "adds_up": self.sent == self.captured + self.lost,
        }


@click.command("pace")
@click.option("--rates", default=RATES, show_default=True, help="The rates, separated by commas.")
@click.option("--seconds", default=5, show_default=True, type=click.IntRange(1), help="How long each rate is kept.")
@click.option(
    "--transport",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "af_xdp", "af_packet", "xdp_live"]),
    help="The transport of the sender: network.transport of a config.",
)
@as_json_option
def command(rates: str, seconds: int, transport: str, as_json: bool) -> None:
    """How exactly and smoothly one sender keeps to a rate, by when its frames arrive at the far end of a veth pair.

    The far end captures the frames. Live frames an XDP program drops there, after it has taken the time.
    A burst is a run of frames without a pause of 0.1 ms, told as time at the rate. At rates that a sender hardly
    reaches it makes no pauses; ahead tells then whether it sends evenly.
    """
    wanted = [packet_rate(text.strip()) for text in rates.split(",")]

    def measure() -> list[Pace]:
        make_veth()
        if transport == XDP_LIVE:
            switch_gro_on("far")
        with suppress(UnsupportedError):  # root may: the sender then has its core for itself
            steer_receiving("far", two_cores()[1])
        return [measure_rate(rate_pps, seconds, transport) for rate_pps in wanted]

    paces = [pace.document() for pace in in_private_network(measure)]
    if as_json:
        print_json("pace", {"rates": paces})
        return
    headings = ("rate pps", "mean pps", "worst second", "burst ms", "ahead ms", "CPU s/s", "sent", "captured")
    keys = ("mean_pps", "worst_second", "burst_ms", "ahead_ms", "cpu", "sent", "captured")
    rows = [(f"{pace['rate_pps']:,}", *(pace[key] for key in keys)) for pace in paces]
    print_table("Pace of one sender", headings, rows, words=0)


def packet_rate(text: str) -> int:
    """Return a rate in packets a second; BadParameter if the text is none, or another kind of rate."""
    try:
        pps = Rate(text).pps
    except ValueError as error:
        raise click.BadParameter(f"{text}: {error}", param_hint="--rates") from None
    if pps is None or pps != int(pps):
        raise click.BadParameter(f"{text}: expected whole packets a second, such as 100kpps", param_hint="--rates")
    return int(pps)


def measure_rate(rate_pps: int, seconds: int, transport: str) -> Pace:
    """Send at a rate, one probe to each target, and capture what arrives."""
    sending, receiving = two_cores()
    count = int(rate_pps * (seconds + BEYOND_S)) + 1
    plan = plan_over(
        one_block(),
        rate=f"{rate_pps}pps",
        probes=["tcp/80"],
        control=False,
        retransmit={"attempts": 1},
        limits={"max_targets": count},
        cooldown="0s",
    )
    constants = kit_for(plan, link_of("veth"))
    sender.warm_up(plan, constants)
    read_times(pack_block([(0, b"")]), np.zeros(1, np.int64), 0)
    shared = Shared(plan)
    arrivals: Arrivals = FarClock("far", count) if transport == XDP_LIVE else Capture("far", count, receiving)
    (tx_ring,) = open_transport("veth", 1, int(constants.lengths.max()), 1, transport, "auto").rings

    def send() -> float:
        cpu_s, began = time.process_time(), time.monotonic()
        sender.Sender(plan, constants, tx_ring, shared, 0).run()
        return (time.process_time() - cpu_s) / (time.monotonic() - began)

    sending_child = Child("sender", send, sending)
    tx_ring.close()
    cpu = _result(sending_child)
    times_ns, lost = arrivals.end()
    return judge(rate_pps, shared, times_ns, lost, cpu)


class Capture:
    """Times of the first `most` packets that an interface receives, by a process that captures them on a core."""

    def __init__(self, interface: str, most: int, core: int) -> None:
        self._done, self._captured, self._times = (shared_zeros((size,), np.int64) for size in (1, 1, most))
        self._ring = PacketRxRing(interface, assemble([Instruction(RETURN, ACCEPT)]), RING_MIB)
        self._child = Child("capture", self._read, core)
        self._ring.close()

    def _read(self) -> int:
        """Read packets until the sender has ended and none has come for a while; return how many were lost."""
        while (block := self._ring.blocks(QUIET_S)) is not None or not self._done[0]:
            if block is not None:
                self._captured[0] = read_times(block, self._times, int(self._captured[0]))
                self._ring.release()
        return self._ring.statistics().drops

    def end(self) -> tuple[NDArray[np.int64], int]:
        """Return the times in ns and the number of packets that the capture lost, when all packets have come."""
        self._done[0] = 1
        lost = _result(self._child)
        return self._times[: self._captured[0]], lost


@kernel
def read_times(block: NDArray[np.uint8], times: NDArray[np.int64], at: int) -> int:
    """Write the times of a TPACKET_V3 block's packets, ns since 1970, to times[at:], as many as fit; return the end."""
    header = first_packet(block)
    for _ in range(packet_count(block)):
        if at < len(times):
            times[at] = capture_time_ns(block, header)
            at += 1
        header = next_packet(block, header)
    return at


def _result(child: Child[R]) -> R:
    """Wait for a child and return its result; LivenessError if it failed."""
    while not child.ended():
        time.sleep(POLL_S)
    result = child.result()
    if result is None:
        raise LivenessError(f"pace: {child.problem()}")
    return result


def judge(rate_pps: int, shared: Shared, times_ns: NDArray[np.int64], lost: int, cpu: float) -> Pace:
    """Return how a sender kept to a rate whose frames arrived at these times."""
    at_s = (times_ns - times_ns[0]) / NS_PER_S + 0.5 / rate_pps  # an even flow has no frame on a second's edge
    in_second = np.bincount(at_s.astype(np.int64))
    full = max(1, int(at_s[-1] + 0.5 / rate_pps))
    surplus = np.arange(len(at_s)) - rate_pps * at_s
    pauses = np.flatnonzero(np.diff(at_s) >= PAUSE_S)
    runs = np.diff(np.concatenate(([-1], pauses, [len(at_s) - 1])))
    return Pace(
        rate_pps=rate_pps,
        sent=int(shared.completed.sum()),
        dropped=int(shared.dropped.sum()),
        captured=len(at_s),
        lost=lost,
        mean_pps=(len(at_s) - 1) / (at_s[-1] - at_s[0]),
        worst_second=float(np.abs(in_second[:full] / rate_pps - 1).max()),
        burst_frames=int(runs.max()),
        ahead_ms=float((surplus - np.minimum.accumulate(surplus)).max()) / rate_pps * 1e3,
        cpu=cpu,
    )
