"""One trial of a receiver: replies offered to it at a rate over veth, and every one of them accounted for."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from liveness.errors import LivenessError
from liveness.net.links import interface_counters, switch_gro_on
from liveness.net.receiving import PACKET, open_receiving
from liveness.net.ring import TxRing
from liveness.net.transport import AUTO, XDP_LIVE, open_transport
from liveness.packets.reply_filter import reply_filter
from liveness.probes.run_constants import RunConstants
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import total
from liveness.scan.plan import Plan
from liveness.scan.process import Child
from liveness.scan.receive.receiver import Receiver
from liveness.scan.session import REPLY_ICMP_TYPES
from liveness.scan.shared import Shared
from scripts.benchmarks.generator import send_pool, send_ring
from scripts.benchmarks.network import SOURCE
from scripts.benchmarks.replies import SLOT_BYTES, Pool

BEHIND_S: Final = 0.1
"""A receiver that is further behind than this when the last reply has left does not keep up, however large its ring."""
PATIENCE_S: Final = 30.0
POLL_S: Final = 0.002


@dataclass(frozen=True, slots=True)
class Trial:
    """One run at one rate; frames throughout. What was offered is matched, rejected or dropped."""

    rate_pps: float
    """What was asked for; 0 is as fast as the generator can."""
    steered: bool
    capture: str
    """How packets were captured: see `receive.capture`."""
    generator: str
    """Transport by which they were offered."""
    offered: int
    matched: int
    rejected: int
    ring_drops: int
    """By the kernel because the receive ring was full."""
    link_drops: int
    """By the kernel before the ring: the backlog of the receiving core was full."""
    wrong: int
    """Of the offered: how many the receiver must reject."""
    seconds: float
    behind_s: float
    """How long after the last reply had left the receiver had them all."""
    receiver_cpu_s: float
    sender_cpu_s: float
    """CPU time of either process, less waiting; what the kernel does for packets is added to who runs on that core."""

    @property
    def drops(self) -> int:
        """Replies lost, wherever."""
        return self.ring_drops + self.link_drops

    @property
    def adds_up(self) -> bool:
        """Whether every reply is accounted for, and where none was lost, judged as it should be."""
        whole = self.offered == self.matched + self.rejected + self.drops
        return whole and (self.drops > 0 or self.rejected == self.wrong)

    @property
    def holds(self) -> bool:
        """Whether the receiver kept up."""
        return self.adds_up and self.drops == 0 and self.behind_s <= BEHIND_S

    @property
    def offered_mpps(self) -> float:
        """Replies offered, millions a second."""
        return self.offered / self.seconds / 1e6

    @property
    def matched_mpps(self) -> float:
        """Replies matched, millions a second, the time it took to catch up included."""
        return self.matched / (self.seconds + self.behind_s) / 1e6

    def document(self) -> dict[str, Any]:
        """Return the trial as JSON has it."""
        return {
            "offered_mpps": round(self.offered_mpps, 3),
            "matched_mpps": round(self.matched_mpps, 3),
            "drops": self.drops,
            "ring_drops": self.ring_drops,
            "link_drops": self.link_drops,
            "offered": self.offered,
            "matched": self.matched,
            "rejected": self.rejected,
            "adds_up": self.adds_up,
            "seconds": round(self.seconds, 3),
            "behind_s": round(self.behind_s, 4),
            "receiver_ns": round(self.receiver_cpu_s / self.offered * 1e9, 1),
            "sender_ns": round(self.sender_cpu_s / self.offered * 1e9, 1),
            "steered": self.steered,
            "capture": self.capture,
            "generator": self.generator,
        }


@dataclass(frozen=True, slots=True)
class Course:
    """What all trials of a run share."""

    plan: Plan
    constants: RunConstants
    pool: Pool
    ring_mib: int
    seconds: float
    receiving: int
    """The receiver's core."""
    batch: int
    """Replies offered at once."""
    generator: str = AUTO

    def run(self, rate_pps: float, *, steered: bool, capture: str = PACKET) -> Trial:
        """Offer replies to a fresh receiver at a rate, on the veth pair of this private network."""
        cookie = self.plan.cookie
        program = reply_filter((SOURCE,), cookie.port_first, cookie.port_last, REPLY_ICMP_TYPES)
        (rx_ring,) = open_receiving("veth", program, 1, self.ring_mib, capture).rings
        shared = Shared(self.plan)
        with tempfile.TemporaryDirectory() as output:
            directory = RunDirectory.create(Path(output), "rx", "run")
            life = Receiver(self.plan, self.constants, rx_ring, shared, directory)
            child = Child("receiver", life.run, self.receiving)
            rx_ring.close()
            _await(lambda: bool(shared.ready.all()), child)
            with _generator_ring(self.generator) as tx_ring:
                arrived = interface_counters("veth").rx_packets
                cpu_s = _cpu_s(child.pid)
                send = send_ring if self.generator == XDP_LIVE else send_pool
                sent = send(self.pool, tx_ring, rate_pps, self.seconds, self.batch)
                behind_s = _catch_up(shared, child, interface_counters("veth").rx_packets - arrived)
                cpu_s = _cpu_s(child.pid) - cpu_s
            shared.finish[0] = 1
            _await(child.ended, child)
            problem = child.problem() or child.result()
            if problem is not None:
                raise LivenessError(f"the receiver failed: {problem}")
            tally = total(directory.segments())
        return Trial(
            rate_pps=rate_pps,
            steered=steered,
            capture=capture,
            generator=self.generator,
            offered=sent.left + sent.dropped,
            matched=sum(sum(counts.values()) for counts in tally.messages.values()),
            rejected=sum(tally.rejected.values()),
            ring_drops=tally.kernel_drops,
            link_drops=sent.dropped,
            wrong=sent.wrong,
            seconds=sent.seconds,
            behind_s=behind_s,
            receiver_cpu_s=cpu_s,
            sender_cpu_s=sent.cpu_s,
        )


def _catch_up(shared: Shared, child: Child[str | None], arrived: int) -> float:
    """Wait until the receiver has had what arrived, or the kernel has dropped it; return how long that took."""
    began = time.monotonic()
    _await(lambda: int(shared.packets.sum() + shared.kernel_drops.sum()) >= arrived, child)
    return time.monotonic() - began


def _await(condition: Callable[[], bool], child: Child[str | None]) -> None:
    patience = time.monotonic() + PATIENCE_S
    while not condition():
        if child.ended() and not condition():
            raise LivenessError(f"the receiver ended early: {child.problem() or child.result()}")
        if time.monotonic() > patience:
            child.kill()
            raise LivenessError(f"the receiver did not come to an end within {PATIENCE_S:.0f} s")
        time.sleep(POLL_S)


def _cpu_s(pid: int) -> float:
    """Return the CPU time that a process has taken, seconds: schedstat counts ns on the core."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


@contextmanager
def _generator_ring(transport: str) -> Iterator[TxRing]:
    if transport == XDP_LIVE:
        switch_gro_on("veth")
    (ring,) = open_transport("far", 1, SLOT_BYTES, 1, transport, "auto").rings
    try:
        yield ring
    finally:
        ring.close()
