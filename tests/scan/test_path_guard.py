"""The guard of the way against a script of sights: what it holds, publishes, tells as lost, and when it ends."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from liveness.config.model import from_document
from liveness.net.path.gateways import Gateway, Moved
from liveness.net.path.observation import Observation
from liveness.net.path.path import Hop, LeftOut, Path
from liveness.replies import REPLY_DTYPE
from liveness.scan.losses.intervals import LossInterval
from liveness.scan.losses.order_track import OrderTrack
from liveness.scan.path.guard import IN_FLIGHT_NS, PathGuard
from liveness.scan.path.record import PathRecord
from liveness.scan.plan import Plan
from liveness.scan.shared import HOLD_PATH, Shared
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets

if TYPE_CHECKING:
    from liveness.net.path.watch import PathWatch

TARGETS = Intervals.from_bounds([parse_address("10.1.0.0")], [parse_address("10.1.0.99")])
GATEWAY = bytes([10, 0, 0, 1])
OLD, NEW = bytes([2, 0, 0, 0, 0, 1]), bytes([2, 0, 0, 0, 0, 2])
SECOND = 1_000_000_000


@dataclass
class Script:
    """A watch that sees what it is given, a tenth of a second a look."""

    now_ns: int = 100 * SECOND
    near: Intervals = field(default_factory=Intervals.empty)
    mac: bytes = OLD
    shares: dict[bytes, Intervals] = field(default_factory=lambda: {GATEWAY: TARGETS})
    gateway: Gateway = field(default_factory=lambda: Gateway(GATEWAY, OLD, 0, 0))
    changes: dict[str, Any] = field(default_factory=dict)
    path: Path = field(default_factory=lambda: Path("s0", 2, 1500, OLD, 1, (Hop(GATEWAY, OLD, TARGETS),)))

    @property
    def hops(self) -> list[tuple[bytes, Intervals]]:
        return [(self.gateway.mac, TARGETS)]

    def look(self) -> Observation:
        self.now_ns += SECOND // 10
        return Observation(self.now_ns, **self.changes)


class Guarded:
    """A guard over a script, and what it has said."""

    def __init__(self, longest_pause_s: float = 600) -> None:
        config = from_document(
            {"name": "guard", "targets": {"allow": ["10.1.0.0/24"]}, "probes": ["icmp"], "control": False, "senders": 2}
        )
        plan = Plan(config, Targets.build(TARGETS, Intervals.empty(), lab=True), None, bytes(16), cores=(0, 1, 2, 3))
        self.shared = Shared(plan)
        self.script = Script()
        self.ends: list[str] = []
        self.losses: list[LossInterval] = []
        self.withdrawn: list[Intervals] = []
        self.record = PathRecord(0.0)
        self.guard = PathGuard(
            cast("PathWatch", self.script),
            self.shared,
            self.record,
            end=self.ends.append,
            notice=lambda _: None,
            lost=self.losses.append,
            withdraw=self.withdrawn.append,
            longest_pause_s=longest_pause_s,
            track=OrderTrack(plan.senders),
        )

    def see(self, looks: int = 1, **changes: object) -> None:
        self.script.changes = changes
        for _ in range(looks):
            self.guard.look()

    def obey(self) -> None:
        self.shared.held[:] = self.shared.hold[0]

    def problem(self) -> str | None:
        return self.guard.problem

    def actions(self) -> list[str]:
        return [event.action for event in self.record.events]


def test_a_problem_holds_senders_and_the_loss_ends_when_they_obey() -> None:
    guarded = Guarded()
    guarded.see(3)
    whole_ns = guarded.script.now_ns
    guarded.see(2, problem="no carrier", since_ns=whole_ns)
    assert guarded.shared.hold[0] == HOLD_PATH
    assert guarded.problem() == "no carrier"
    assert guarded.losses == [], "a sender may still send"
    stopped_ns = time.monotonic_ns()  # while the path is looked at, which takes time
    guarded.obey()
    guarded.see(problem="no carrier", since_ns=whole_ns)
    (loss,) = guarded.losses
    assert stopped_ns <= loss.end_ns <= time.monotonic_ns()
    assert loss == LossInterval(whole_ns, loss.end_ns, "no carrier", before_ns=IN_FLIGHT_NS, counted=True)
    guarded.see(5)
    assert guarded.shared.hold[0] == 0
    assert guarded.problem() is None
    assert (len(guarded.losses), guarded.actions(), guarded.ends) == (1, ["paused", "resumed"], [])


def test_a_pause_has_an_end() -> None:
    guarded = Guarded(longest_pause_s=2)
    guarded.see(10, problem="no carrier", since_ns=1)
    assert guarded.ends == []
    guarded.see(20, problem="no carrier", since_ns=1)
    (reason,) = guarded.ends
    assert reason.startswith("no carrier, for 2 s by now")
    assert len(guarded.losses) == 1
    assert guarded.shared.hold[0] == HOLD_PATH, "nothing is sent into it at the end either"


def test_a_moved_gateway_is_published_and_the_loss_ends_when_all_have_taken_it_over() -> None:
    guarded = Guarded()
    guarded.script.gateway.mac = NEW
    since_ns = guarded.script.now_ns - SECOND
    guarded.see(moved=(Moved(guarded.script.gateway, OLD, since_ns),), redirect=True)
    generation, hops = guarded.shared.hops.read()
    assert (generation, hops.macs.tobytes()) == (1, NEW)
    guarded.shared.hops.taken[0] = 1
    guarded.see(3)
    assert guarded.losses == []
    guarded.shared.hops.taken[1] = 1
    guarded.shared.hops.taken_ns[:] = since_ns + SECOND // 4, since_ns + SECOND // 2
    guarded.see()
    (loss,) = guarded.losses
    assert loss.start_ns - loss.before_ns < since_ns
    assert loss.start_ns <= since_ns
    assert loss.end_ns == since_ns + SECOND // 2
    assert loss.ends_ns == (since_ns + SECOND // 4, since_ns + SECOND // 2), "each sender has lost as long as it took"
    assert "02:00:00:00:00:01 became 02:00:00:00:00:02" in loss.cause
    assert guarded.actions() == ["redirected"]


def test_a_sender_that_met_a_down_interface_is_believed() -> None:
    guarded = Guarded()
    guarded.see(2)
    guarded.shared.downs[1] += 1
    guarded.see()
    assert guarded.problem() == "interface s0 was down for a moment"
    guarded.obey()
    guarded.see()
    assert guarded.problem() is None
    assert len(guarded.losses) == 1


def test_a_gateway_that_forwards_is_not_missed() -> None:
    guarded = Guarded()
    replies: Any = np.zeros(50, REPLY_DTYPE)
    for _ in range(100):
        guarded.see()
        guarded.shared.arrivals.note(0, replies, -guarded.script.now_ns)
    silent = "gateway 10.0.0.1 does not answer"
    since_ns = guarded.script.now_ns
    for _ in range(60):
        guarded.shared.arrivals.note(0, replies, -guarded.script.now_ns)
        guarded.see(problem=silent, what="neighbour", since_ns=since_ns)
    assert guarded.problem() is None
    guarded.see(60, problem=silent, what="neighbour", since_ns=since_ns)
    assert guarded.problem() == silent


def test_null_routes_are_withdrawn_and_the_end_is_reported_once() -> None:
    guarded = Guarded()
    part = Intervals.from_bounds([parse_address("10.1.0.8")], [parse_address("10.1.0.15")])
    guarded.see(null=(LeftOut("a blackhole route", part),), changed_ns=guarded.script.now_ns)
    assert guarded.withdrawn == [part]
    assert guarded.losses[0].targets == part
    guarded.see(3, gone="interface s0 was removed")
    assert len(guarded.ends) == 1
    assert guarded.actions() == ["left-out", "ended"]
