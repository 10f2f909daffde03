"""What is lost while it is sent again: only that is still lost which a repair was to mend, whatever the loss was."""

import itertools
import time
from collections.abc import Iterable

import pytest

from liveness.order.order import Position
from liveness.runs.losses import Losses
from liveness.scan.losses.book import LossBook
from liveness.scan.losses.entry import Certainty
from liveness.scan.losses.extent import frames_by_probe
from liveness.scan.losses.intervals import LossInterval
from liveness.scan.plan import Plan
from liveness.scan.shared import Shared
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from tests.scan.test_census_in_memory import CONTROL_PORT, FIRST, small_config
from tests.scan.test_repair import Outage, Rig

COUNT = 3 * 256
"""Two blocks: one of 512 targets, and one of 256."""
LAGS = [0, 3, 6, 9, 40, 43, 46, 49]
PROBES = 4
SECOND_NS = 1_000_000_000

HALF = range(FIRST, FIRST + 256)
OTHER_HALF = range(FIRST + 256, FIRST + 512)
QUARTER = range(FIRST + 128, FIRST + 256)
EVERY_SECOND = range(FIRST, FIRST + 512, 2)
OTHERS = range(FIRST + 1, FIRST + 512, 2)
ELSEWHERE = range(FIRST + 512, FIRST + 768)
ALL = range(FIRST, FIRST + 512)


def intervals(addresses: Iterable[int]) -> Intervals | None:
    """Return the targets of a loss, None for all."""
    return None if addresses is ALL else Intervals.from_bounds(list(addresses), list(addresses))


class Session:
    """A book over one sender whose walks are published by hand: a second of virtual time for each walk."""

    def __init__(self) -> None:
        targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + COUNT - 1]), Intervals.empty(), lab=True)
        config = small_config(senders=1, block_prefix=23)
        self.plan = Plan(config, targets, CONTROL_PORT, bytes(16))
        self.shared = Shared(self.plan)
        self.now_ns = time.monotonic_ns()
        self.book = LossBook(self.plan, self.shared, Losses(), self.now_ns, 0.0, lambda _line: None)

    def walk(self, block: int, first: int, last: int, repair: int = 0) -> LossInterval:
        """Send a walk, exactly in a second; return that second, in which nothing is lost yet."""
        began_ns, self.now_ns = self.now_ns, self.now_ns + SECOND_NS
        place = Position(block=block, tick=first, lags=LAGS, begins=LAGS)
        self.shared.activities.begin(0, place, first, last, repair)
        frames = self.shared.repaired if repair else self.shared.sent
        for share in range(11):
            self.shared.activities.tick(0, first + (last - first) * share // 10)
            frames[0, 0, 0] += 1
            self.shared.completed[0] += 1
            self.book.track.note(began_ns + share * SECOND_NS // 10, self.shared)
        return LossInterval(began_ns, self.now_ns, "the cable was out")

    def repair(self) -> LossInterval | None:
        """Send the next stretch of the list again, in a second; return that second, None if the list is empty."""
        self.shared.repairs.request(0, 1)
        self.book.repairs.serve(settled=True)
        stretch = self.shared.repairs.answered_stretch(0)
        if stretch is None:
            return None
        return self.walk(stretch.block, stretch.first, stretch.last, stretch.number)

    def lose(self, interval: LossInterval, addresses: Iterable[int] = ALL, frames: int | None = None) -> None:
        """Report that what was sent in an interval to some targets was lost, or so many frames of it."""
        certainty = Certainty.PATH if frames is None else Certainty.COUNTERS
        lost = LossInterval(interval.start_ns, interval.end_ns, interval.cause, intervals(addresses))
        self.book.report(lost, certainty, frames)

    def finish(self) -> None:
        """Request the next stretch, so that the one in hand is done."""
        self.shared.repairs.request(0, 1)
        self.book.repairs.serve(settled=True)


@pytest.mark.parametrize("reported", ["during the repair", "after the next has begun"])
@pytest.mark.parametrize(
    ("first", "second", "still"),
    [
        (ALL, ALL, ALL),
        (HALF, ALL, HALF),
        (QUARTER, ALL, QUARTER),
        (HALF, HALF, HALF),
        (HALF, QUARTER, QUARTER),
        (QUARTER, HALF, QUARTER),
        (HALF, OTHER_HALF, []),
        (HALF, ELSEWHERE, []),
        (ALL, HALF, HALF),
        (EVERY_SECOND, ALL, EVERY_SECOND),
        (EVERY_SECOND, EVERY_SECOND, EVERY_SECOND),
        ([FIRST + 7], ALL, [FIRST + 7]),
    ],
)
def test_a_loss_during_a_repair_concerns_what_the_repair_was_to_mend(
    first: Iterable[int], second: Iterable[int], still: Iterable[int], reported: str
) -> None:
    """Counted target by target: `still` was lost both times in ticks 100 to 200 of the block, and nothing else."""
    session = Session()
    session.walk(0, 0, 100)
    session.lose(session.walk(0, 100, 200), first)
    lanes = len(LAGS)
    assert session.book.remaining().probes == pytest.approx(100 * lanes * len(list(first)) / 512, rel=0.05)
    session.walk(0, 200, 561)
    repair = session.repair()
    assert repair is not None
    if reported != "during the repair":
        session.finish()
        assert session.book.pending == []
    session.lose(repair, second)
    if reported == "during the repair":
        session.finish()
    expected = 100 * lanes * len(list(still)) / 512
    remaining = session.book.remaining()
    assert remaining.probes == pytest.approx(expected, rel=0.05, abs=0.1)
    if list(still):
        (span,) = session.book.pending
        assert (span.lowest, span.highest) == ((0, 0xFFFFFFFF) if still is ALL else (min(still), max(still)))
        assert span.tries == 1
    records = session.book.losses().records
    frames = 100 * lanes * (len(list(first)) + len(set(second) & _sent_again(first))) / 512
    assert sum(record.probes for record in records) == pytest.approx(frames, rel=0.1, abs=2)


def _sent_again(first: Iterable[int]) -> set[int]:
    """Return the targets of a repair: those between the first and the last that are concerned."""
    return set(ALL) if first is ALL else set(range(min(first), max(first) + 1))


def test_a_share_of_a_repair_is_a_share_of_what_it_was_to_mend() -> None:
    """A quarter of the frames was lost, and then the half of what was sent again."""
    session = Session()
    sent = 100 * len(LAGS)
    session.walk(0, 0, 100)
    session.lose(session.walk(0, 100, 200), frames=sent // 4)
    assert session.book.remaining().probes == pytest.approx(sent / 4, rel=0.05)
    session.walk(0, 200, 561)
    repair = session.repair()
    assert repair is not None
    again = frames_by_probe(session.book.track.spans(repair.start_ns, repair.end_ns), session.plan).sum()
    session.lose(repair, frames=int(again) // 2)
    session.finish()
    assert session.book.remaining().probes == pytest.approx(sent / 8, rel=0.05)
    assert sum(record.probes for record in session.book.losses().records) == sent // 4 + again // 2


def test_the_margin_of_a_repair_stays_a_margin() -> None:
    """What was sent again to be on the safe side is not known to be lost, whatever becomes of it."""
    session = Session()
    session.walk(0, 0, 100)
    second = session.walk(0, 100, 200)
    lost = LossInterval(second.start_ns, second.end_ns, "the cable was out", before_ns=SECOND_NS // 2)
    session.book.report(lost)
    before = session.book.remaining()
    repair = session.repair()
    assert repair is not None
    session.lose(repair)
    session.finish()
    assert session.book.remaining() == before
    (span,) = session.book.pending
    assert span.first - span.margin <= 50


def test_a_loss_of_some_targets_has_their_share_of_each_block() -> None:
    """All of the second block is behind a gateway, and none of the first one."""
    session = Session()
    whole = LossInterval(session.walk(0, 0, 561).start_ns, session.walk(1, 0, 305).end_ns, "a gateway was out")
    session.lose(whole, ELSEWHERE)
    assert {span.block for span in session.book.pending} == {1}
    extent = session.book.remaining()
    assert extent.probes == pytest.approx(256 * len(LAGS), rel=0.02)
    assert extent.affected == pytest.approx(256, rel=0.02)
    assert extent.missed == pytest.approx(256, rel=0.02)


def test_a_stretch_that_is_lost_again_and_again_is_not_sent_for_ever() -> None:
    """Whether a loss is known during the repair or only after it: the number of tries is bounded."""
    session = Session()
    session.lose(session.walk(0, 0, 561), HALF)
    for tries in itertools.count():
        repair = session.repair()
        if repair is None:
            break
        session.finish()
        session.lose(repair)
        assert tries < 10
    assert tries == 2
    assert session.book.remaining().missed == pytest.approx(256, rel=0.02)


@pytest.mark.parametrize("senders", [1, 2])
def test_senders_send_again_what_a_repair_lost_and_to_nobody_else(senders: int) -> None:
    """The way to half of the second block fails, then everything while they are sent to again: only they get more."""
    rig = Rig(senders)
    behind = frozenset(f"10.1.2.{n}" for n in range(128))
    rig.run([Outage(0.75, 0.9, behind), Outage(1.01, 1.03)])  # the second in the repair, which only `behind` gets
    arrived, attempts = rig.network.arrived, rig.plan.attempts
    assert {address for _, address in rig.network.lost} <= behind
    assert {count for (_, address), count in arrived.items() if address not in behind} == {attempts}
    assert {count for (_, address), count in arrived.items() if address in behind} <= set(range(attempts, 3 * attempts))
    assert len(arrived) == COUNT * PROBES
    assert rig.book.pending == []
    assert rig.book.too_much() is None
