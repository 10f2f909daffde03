"""What is known to be lost is sent again: losses as intervals of time, over rings in memory, by a supervisor's part."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from scapy.layers.inet import IP

from liveness.net.memory import MemoryRxRing, MemoryTxRing
from liveness.order.order import Position
from liveness.probes.template import LinkAddresses
from liveness.runs.losses import Losses, LostSpan
from liveness.scan.losses.book import LossBook
from liveness.scan.losses.entry import Certainty
from liveness.scan.losses.extent import frames_by_probe
from liveness.scan.losses.intervals import LossInterval
from liveness.scan.losses.repairs import Stretch
from liveness.scan.plan import Plan
from liveness.scan.send.sender import Sender
from liveness.scan.session import constants_of
from liveness.scan.shared import HOLD_PATH, Shared
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from tests.scan.test_census_in_memory import CONTROL_PORT, SOURCE, name_of, small_config

FIRST = parse_address("10.1.0.0")
COUNT = 3 * 256
WAIT_S = 60.0


class Gap:
    """A network that answers nothing, and loses all frames to some targets (None for all) while `broken`."""

    def __init__(self) -> None:
        self.broken = False
        self.behind: frozenset[str] | None = None
        self.arrived: Counter[tuple[str, str]] = Counter()
        self.lost: Counter[tuple[str, str]] = Counter()
        self.on_frame: Callable[[], None] = lambda: None

    def __call__(self, frame: bytes) -> Iterator[bytes]:
        packet = IP(frame[14:])
        lost = self.broken and (self.behind is None or packet.dst in self.behind)
        (self.lost if lost else self.arrived)[name_of(packet), packet.dst] += 1
        self.on_frame()
        return iter(())


@dataclass(frozen=True)
class Outage:
    """An outage, from when to when of the frames of a run: shares of the planned ones, above 1 those of repairs."""

    begins: float
    ends: float
    behind: frozenset[str] | None = None
    """The targets that nothing reaches; None for all."""


class Rig:
    """Senders in threads over rings in memory, and the part of a supervisor that keeps the book."""

    def __init__(self, senders: int, **changes: object) -> None:
        config = small_config(
            rate="600pps",
            probe_spacing="50ms",
            retransmit={"attempts": 2, "queue": 100},
            cooldown="300ms",
            block_prefix=23,
            senders=senders,
            **changes,
        )
        targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + COUNT - 1]), Intervals.empty(), lab=True)
        self.plan = Plan(config, targets, CONTROL_PORT, bytes(range(16)))
        self.shared = Shared(self.plan)
        self.network = Gap()
        self.constants = constants_of(self.plan, LinkAddresses(bytes(6), bytes(6)), (SOURCE,))
        rings = [MemoryTxRing(self.network, MemoryRxRing(), slots=160) for _ in range(senders)]
        self.senders = [
            threading.Thread(target=Sender(self.plan, self.constants, ring, self.shared, index).run)
            for index, ring in enumerate(rings)
        ]
        self.notices: list[str] = []
        self.switches: list[float] = []
        """Progress at which the network has to break, to be mended, and so on."""
        self.book = LossBook(self.plan, self.shared, Losses(), time.monotonic_ns(), 0.0, self.notices.append)

    def progress(self) -> float:
        """Return the planned frames that were sent, as a share; when all were, with those of repairs."""
        planned = self.plan.target_count * self.plan.attempts * len(self.plan.probes)
        sent = int(self.shared.sent.sum())
        return (sent if sent < planned else sent + int(self.shared.repaired.sum())) / planned

    def _hold_when_due(self) -> None:
        """Hold all senders, in the thread of one of them, as soon as an outage has to begin or to end."""
        if self.switches and self.progress() >= self.switches[0]:
            self.switches.pop(0)
            self.shared.pause(HOLD_PATH)

    def switch(self, *, broken: bool) -> int:
        """Break or mend the network while all senders are held, so that its time is exact; return that time."""
        at_ns = time.monotonic_ns()
        self.book.track.note(at_ns, self.shared)
        self.network.broken = broken
        self.shared.resume(HOLD_PATH)
        return at_ns

    def sender_again(self) -> Sender:
        """Return a sender over a ring of its own, when those of the run have ended."""
        return Sender(self.plan, self.constants, MemoryTxRing(self.network, MemoryRxRing(), slots=160), self.shared, 0)

    def run(self, outages: list[Outage]) -> None:
        """Run to the end; break the network in these outages, in their order, and report each."""
        self.shared.repairs.open[0] = 1
        self.switches = [share for outage in outages for share in (outage.begins, outage.ends)]
        self.network.on_frame = self._hold_when_due
        for sender in self.senders:
            sender.start()
        began_ns, left = 0, list(outages)
        deadline = time.monotonic() + WAIT_S
        while any(sender.is_alive() for sender in self.senders) and time.monotonic() < deadline:
            self.book.track.note(time.monotonic_ns(), self.shared)
            held = bool(self.shared.hold[0] & HOLD_PATH) and self.shared.all_held()
            if held and self.network.broken:
                outage = left.pop(0)
                loss = LossInterval(began_ns, self.switch(broken=False), "the cable was out", targets_of(outage))
                self.book.report(loss)
            elif held:
                self.network.behind = left[0].behind
                began_ns = self.switch(broken=True)
            self.book.repairs.serve(settled=not self.network.broken)
            time.sleep(0.05)
        assert not any(sender.is_alive() for sender in self.senders)
        assert not left, "all outages came about"


def targets_of(outage: Outage) -> Intervals | None:
    """Return the targets of an outage."""
    if outage.behind is None:
        return None
    addresses = sorted(map(parse_address, outage.behind))
    return Intervals.from_bounds(addresses, addresses)


@pytest.mark.parametrize("senders", [1, 2])
def test_every_probe_that_was_lost_is_sent_again_and_hardly_any_other(senders: int) -> None:
    rig = Rig(senders)
    rig.run([Outage(0.1, 0.25), Outage(0.7, 0.8)])  # the second in the second block
    lost = sum(rig.network.lost.values())
    addresses = {f"10.1.{n >> 8}.{n & 255}" for n in range(COUNT)}
    assert {address for _, address in rig.network.arrived} == addresses
    assert set(rig.network.arrived.values()) <= {2, 3, 4}, "each probe arrived as often as it has attempts, or more"
    assert len(rig.network.arrived) == COUNT * len(rig.plan.probes)
    repaired = int(rig.shared.repaired.sum())
    assert lost <= repaired <= 2.5 * lost + 200, (lost, repaired)
    assert rig.shared.sent.sum(axis=0).tolist() == [[COUNT, COUNT]] * len(rig.plan.probes)
    assert rig.book.pending == []
    assert rig.book.too_much() is None
    records = rig.book.losses().records
    assert sum(record.probes for record in records) == pytest.approx(lost, rel=0.2)
    assert rig.notices
    assert rig.book.warnings()[-1] == "everything that is known to have been lost was sent again"


@pytest.mark.parametrize("place", ["begin", "middle", "end"])
def test_a_repair_sends_its_stretch_and_nothing_beyond(place: str) -> None:
    """Where few lanes are at work, a tick has few frames, and a batch has room for more ticks than the stretch has."""
    rig = Rig(1)
    order, share = rig.plan.order, rig.plan.share(0)
    lanes = len(rig.plan.probes) * rig.plan.attempts
    position = order.walk(0, share, 600.0, np.zeros((lanes, order.marks(0, share)), np.int64)).position()
    end = max(position.lags) + order.most_targets(0, share)
    lags, begins = list(position.lags), list(position.begins)
    sender = rig.sender_again()
    for length in (1, 2, 30):
        first = {"begin": 0, "middle": end // 2, "end": end - length}[place]
        before = rig.shared.repaired.sum(axis=(0, 2))
        sender._send_again(Stretch(0, first, first + length, lags, begins, 1.0))
        sender.transmitter.drain()
        span = LostSpan(sender=0, block=0, first=first, last=first + length, lags=lags, begins=begins)
        sent = rig.shared.repaired.sum(axis=(0, 2)) - before
        assert sent.tolist() == frames_by_probe([span], rig.plan).tolist()
    assert rig.shared.repaired.sum() > 0


def test_a_repair_of_one_target_sends_to_nobody_else() -> None:
    """A neighbour that got another MAC address, say: all others have got their probes."""
    rig = Rig(1)
    order, share = rig.plan.order, rig.plan.share(0)
    lanes = len(rig.plan.probes) * rig.plan.attempts
    position = order.walk(0, share, 600.0, np.zeros((lanes, order.marks(0, share)), np.int64)).position()
    end = max(position.lags) + order.most_targets(0, share)
    sender, moved = rig.sender_again(), FIRST + 7
    sender._send_again(Stretch(0, 0, end, list(position.lags), list(position.begins), 4.0, moved, moved))
    sender.transmitter.drain()
    assert {address for _, address in rig.network.arrived} == {"10.1.0.7"}
    assert set(rig.network.arrived.values()) == {rig.plan.attempts}


def test_bounds_of_a_loss_reach_its_repair() -> None:
    rig = Rig(1, limits={"repair": True})
    rig.run([])
    moved = Intervals.from_bounds([FIRST + 7], [FIRST + 7])
    rig.book.report(LossInterval(rig.book.started_ns, time.monotonic_ns(), "it moved", moved))
    assert rig.book.pending
    for span in rig.book.pending:
        assert (span.lowest, span.highest) == (FIRST + 7, FIRST + 7)


@pytest.mark.parametrize(
    ("first", "count", "limits", "paces"),
    [
        (512, 256, {}, [16.0, 1.0]),  # nothing of the first block, and all of the second
        (256, 512, {}, [2.0, 1.0]),
        (500, 13, {}, [16.0, 16.0]),
        (512, 64, {}, [16.0, 4.0]),
        (512, 64, {"max_pps_per_24": 100_000}, [1.0, 1.0]),  # a faster walk would be a higher load on these /24s
    ],
)
def test_a_repair_of_some_targets_keeps_to_the_rate(
    first: int, count: int, limits: dict[str, object], paces: list[float]
) -> None:
    """Ticks pass faster where few of a block's targets are sent to again, and packets do not."""
    rig = Rig(1, limits=limits)
    lags = [0] * (len(rig.plan.probes) * rig.plan.attempts)
    lowest, highest = FIRST + first, FIRST + first + count - 1
    behind = Intervals.from_bounds([lowest], [highest])
    found = []
    for number, block in enumerate(rig.plan.order.parts):
        rig.book.pending.append(
            LostSpan(sender=0, block=number, first=0, last=99, lags=lags, begins=lags, lowest=lowest, highest=highest)
        )
        rig.shared.repairs.request(0, 1)
        rig.book.repairs.serve(settled=True)
        stretch = rig.shared.repairs.answered_stretch(0)
        assert stretch is not None
        found.append(stretch.pace)
        assert stretch.pace * block.listed.intersection(behind).count / block.listed.count <= 1
    assert found == paces


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_a_walk_of_one_probe_has_its_spacing_again(attempts: int) -> None:
    """Repeats of the one probe follow each other at its distance, in a resumed run and a repair too."""
    targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + COUNT - 1]), Intervals.empty(), lab=True)
    changes = {"probes": ["icmp"], "control": False, "retransmit": {"attempts": attempts, "queue": 100}}
    plan = Plan(small_config(senders=1, **changes), targets, None, bytes(16))
    order, share = plan.order, plan.share(0)
    marks = np.zeros((attempts, order.marks(0, share)), np.int64)
    position = order.walk(0, share, 600.0, marks).position()
    expected = position.lags[1] if attempts > 1 else 0
    assert order.again(position, share).spacing == expected
    assert order.walk(0, share, 600.0, marks, position).spacing == expected


def test_the_number_of_targets_is_that_of_those_that_missed_a_probe() -> None:
    rig = Rig(1, limits={"repair": False})
    rig.run([Outage(0.1, 0.3)])
    concerned = {address for _, address in rig.network.lost}
    (record,) = rig.book.losses().records
    assert record.targets == pytest.approx(len(concerned), rel=0.05)
    assert record.probes == pytest.approx(sum(rig.network.lost.values()), rel=0.05)
    missed = {
        address for probe, address in set(rig.network.lost) if rig.network.lost[probe, address] == rig.plan.attempts
    }
    assert rig.book.remaining().missed == pytest.approx(len(missed), rel=0.1, abs=5)
    assert int(rig.shared.repaired.sum()) == 0


def test_counted_frames_are_a_share_of_the_interval() -> None:
    rig = Rig(1, limits={"repair": False})
    rig.run([Outage(0.1, 0.3)])
    rig.book.pending.clear()
    start, end = rig.book.started_ns, time.monotonic_ns()
    rig.book.report(LossInterval(start, end, "a queue was full"), Certainty.COUNTERS, 100)
    record = rig.book.losses().records[-1]
    assert sum(span.share * (span.last - span.first) for span in rig.book.pending) > 0
    assert rig.book.remaining().probes == pytest.approx(100, rel=0.01)
    assert 0 < rig.book.remaining().affected <= 100
    assert "100 probes" not in record.cause


@pytest.mark.parametrize(("margin", "kept"), [(0, 0), (5, 0), (11, 1), (200, 1)])
def test_a_pending_stretch_whose_margin_was_sent_before_the_session_stays(margin: int, kept: int) -> None:
    """The session sends everything from its start on; what lies before it, a margin too, nobody else sends."""
    rig = Rig(1)
    lanes = len(rig.plan.probes) * rig.plan.attempts
    lags = rig.plan.order.walk(0, rig.plan.share(0), 600.0, np.zeros((lanes, 100), np.int64)).position().lags
    start = Position(block=0, tick=100, lags=lags, begins=lags)
    rig.shared.positions.publish(0, start)
    span = LostSpan(sender=0, block=0, first=110, last=120, lags=lags, begins=lags, margin=margin)
    book = LossBook(rig.plan, rig.shared, Losses(pending=[span]), time.monotonic_ns(), 0.0, rig.notices.append)
    assert len(book.pending) == kept
    for pending in book.pending:
        assert pending.first - pending.margin <= 110 - margin
        assert pending.first <= pending.last <= 100
