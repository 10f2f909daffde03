"""Frames leave when they are filled, and probes to one address keep their distance, whatever ring and machine do."""

import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace

import pytest

from liveness.config.model import from_document
from liveness.net.memory import MemoryRxRing, MemoryTxRing
from liveness.probes.template import LinkAddresses
from liveness.scan.plan import Plan
from liveness.scan.send import sender as sending
from liveness.scan.send.sender import Sender
from liveness.scan.session import constants_of
from liveness.scan.shared import Shared
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets

FIRST = parse_address("10.1.0.0")
SPACING_S = 0.02


def plan_of(count: int, rate: str, **retransmit: object) -> Plan:
    config = from_document(
        {
            "name": "x",
            "targets": {"allow": ["10.1.0.0/16"]},
            "probes": ["icmp", "tcp/80", "tcp/443"],
            "control": False,
            "rate": rate,
            "probe_spacing": f"{SPACING_S * 1000:.0f}ms",
            "cooldown": "0s",
            "retransmit": retransmit,
        }
    )
    targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + count - 1]), Intervals.empty(), lab=True)
    return Plan(config, targets, None, bytes(16))


class StallingRing(MemoryTxRing):
    """A ring that takes a few frames a kick, and now and then stands still, as a busy machine does."""

    def __init__(self) -> None:
        self.arrived_s: dict[bytes, list[float]] = defaultdict(list)
        super().__init__(self.network, MemoryRxRing(), slots=600, frames_a_kick=32)
        self.stall_at = 400

    def network(self, frame: bytes) -> Iterator[bytes]:
        self.arrived_s[frame[30:34]].append(time.monotonic())
        return iter(())

    def kick(self) -> bool:
        if self.completed >= self.stall_at:
            self.stall_at += 1500
            time.sleep(0.05)  # caught up afterwards, at twice the rate
        return super().kick()


@pytest.mark.parametrize(
    ("count", "rate", "retransmit"),
    [
        (3000, "10kpps", {"attempts": 1}),
        (2000, "10kpps", {"attempts": 2, "queue": 700}),
        (2000, "10kpps", {"attempts": 2, "queue": 0}),
        (1, "10kpps", {"attempts": 3}),
    ],
)
def test_no_two_probes_to_one_address_are_closer_than_the_spacing(
    count: int, rate: str, retransmit: dict[str, object]
) -> None:
    """Not after a stall, not before repeats begin, nor between a probe and another's repeat."""
    plan = plan_of(count, rate, **retransmit)
    ring = StallingRing()
    shared = Shared(plan)
    Sender(plan, constants_of(plan, LinkAddresses(bytes(6), bytes(6)), (0,)), ring, shared, 0).run()
    assert len(ring.arrived_s) == count
    assert {len(times) for times in ring.arrived_s.values()} == {3 * plan.attempts}
    assert min(b - a for times in ring.arrived_s.values() for a, b in pairwise(times)) >= SPACING_S
    assert int(shared.completed.sum()) == 3 * plan.attempts * count


def test_a_sender_never_sleeps_with_frames_that_the_kernel_has_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a call takes 32 frames (Linux before 6.17), those left over would wait for the next tick."""
    plan = plan_of(3000, "100kpps", attempts=1)
    ring = StallingRing()
    left: list[int] = []

    def sleep(seconds: float) -> None:
        left.append(ring.waiting)
        time.sleep(seconds)

    clock = SimpleNamespace(sleep=sleep, time_ns=time.time_ns, monotonic=time.monotonic, monotonic_ns=time.monotonic_ns)
    monkeypatch.setattr(sending, "time", clock)
    shared = Shared(plan)
    Sender(plan, constants_of(plan, LinkAddresses(bytes(6), bytes(6)), (0,)), ring, shared, 0).run()
    assert len(left) > 10
    assert set(left) == {0}
