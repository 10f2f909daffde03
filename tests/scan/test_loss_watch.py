"""What a session says of itself: a rate that was not reached, frames that nothing tells of, no reply at all."""

import time
from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import pytest

from liveness.order.order import Position
from liveness.runs.checkpoint import Checkpoint
from liveness.runs.counter_views import totals
from liveness.runs.losses import Losses, LossRecord, LostSpan
from liveness.scan.losses.accounts import EVERY_NS
from liveness.scan.losses.silence import ReplyDrop
from liveness.scan.losses.watch import LossWatch
from liveness.scan.plan import Plan
from liveness.scan.shared import Shared
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from tests.runs.test_manifest import full_manifest
from tests.scan.test_census_in_memory import CONTROL_PORT, FIRST, small_config

LAGS = [0, 3, 6, 9, 40, 43, 46, 49]


class Session:
    """A watch over counters that a test sets; its interface is the loopback, which nothing is sent on."""

    def __init__(self, losses: Losses | None = None, at: int = 0, **changes: object) -> None:
        targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + 255]), Intervals.empty(), lab=True)
        plan = Plan(small_config(senders=1, **changes), targets, CONTROL_PORT, bytes(16))
        self.shared = Shared(plan)
        positions = [Position(block=0, tick=at, lags=LAGS, begins=LAGS)]
        first = Checkpoint(
            manifest=full_manifest(), positions=positions, sent=[[0, 0]] * 4, rate_pps=1.0, losses=losses or Losses()
        )
        self.shared.begin_at(first, 0)
        self.notices: list[str] = []
        self.ended: list[str] = []
        self.watch = LossWatch(
            plan, self.shared, "lo", first, time.monotonic() - 30, self.notices.append, self.ended.append, lambda: None
        )

    def send(self, frames: int, completed: int) -> None:
        """Say what was sent of the first probe, and what of it is completed."""
        self.shared.sent[0, 0, 0] = frames
        self.shared.completed[0] = completed


@pytest.fixture
def begin() -> Iterator[Callable[..., Session]]:
    sessions: list[Session] = []

    def begun(*given: object, **changes: object) -> Session:
        sessions.append(Session(*given, **changes))  # type: ignore[arg-type]
        return sessions[-1]

    yield begun
    for session in sessions:
        session.watch.accounts.close()


def test_a_fixed_rate_that_is_not_reached_is_reported_at_once_and_at_the_end(begin: Callable[..., Session]) -> None:
    session = begin()
    session.send(100, 100)
    session.shared.given_up_s[0] = 12.0
    session.watch.look()
    session.watch.look()
    (notice,) = session.notices
    assert "was not reached: senders could not keep up for 12.0 s of 30" in notice
    assert any("was not reached" in line for line in session.watch.warnings(received=1))
    assert totals(session.shared)["given_up_s"] == 12.0


def test_a_little_time_given_up_and_a_rate_that_is_searched_for_are_not_told(begin: Callable[..., Session]) -> None:
    for session, given_up_s in ((begin(), 1.0), (begin(rate="auto"), 12.0)):
        session.send(100, 100)
        session.shared.given_up_s[0] = given_up_s
        session.watch.look()
        assert session.notices == []
        assert session.watch.warnings(received=1) == []


def test_unaccounted_frames_are_reported(begin: Callable[..., Session]) -> None:
    session = begin()
    session.send(100, 93)
    assert session.watch.conclude() is None
    assert session.watch.unaccounted == 7
    assert any(line.startswith("7 probes were handed over") for line in session.watch.warnings(received=1))


def test_frames_that_the_ring_drops_are_reported_at_once(begin: Callable[..., Session]) -> None:
    """While the block is being sent: not at its end, when nothing can be done about them any more."""
    session = begin()
    session.shared.activities.begin(0, Position(block=0, tick=0, lags=LAGS, begins=LAGS), 0, 10_000)
    for look in range(1, 5):
        session.shared.activities.tick(0, 50 * look)
        session.send(100 * look, 90 * look)
        session.shared.dropped[0] = 10 * look
        session.watch.accounts.looked_ns -= EVERY_NS
        session.watch.look()
    assert "interface lo dropped them" in session.notices[0]
    assert session.watch.accounts.lost == 40
    assert sum(record.probes for record in session.watch.losses().records) == 40


def test_no_reply_at_all_has_its_causes_in_order(begin: Callable[..., Session]) -> None:
    session = begin()
    session.send(100, 100)
    (line,) = session.watch.warnings(received=0)
    words = ["source address", "gateway", "firewall", "no target is alive"]
    assert [line.index(word) for word in words] == sorted(line.index(word) for word in words)
    assert session.watch.warnings(received=1) == []


@pytest.mark.parametrize(("at", "pending"), [(0, 0), (60, 10), (1_000, 40)])
def test_a_resumed_run_keeps_what_it_does_not_send_anyway(begin: Callable[..., Session], at: int, pending: int) -> None:
    span = LostSpan(sender=0, block=0, first=50, last=90, lags=LAGS, begins=LAGS, tries=2)
    record = LossRecord(from_s=1.0, to_s=2.0, cause="the cable was out", probes=320, targets=80)
    session = begin(Losses(records=[record], pending=[span]), at)
    assert sum(entry.last - entry.first for entry in session.watch.book.pending) == pending
    assert all(entry.tries == 0 for entry in session.watch.book.pending), "another session counts its own tries"
    assert session.watch.losses().records == [record]
    lines = session.watch.warnings(received=1)
    assert "320 probes to 80 targets were lost between 1.0 s and 2.0 s: the cable was out" in lines
    session.shared.repairs.request(0, 0)
    session.watch.look()
    stretch = session.shared.repairs.answered_stretch(0)
    assert (stretch is None) == (pending == 0)
    if stretch is not None:
        assert (stretch.first, stretch.last) == (50, 50 + pending)


QUARTER_NS = 250_000_000


def a_minute_then_a_repair_of_some(session: Session) -> int:
    """Let a minute pass with replies to a fifth of the probes, then begin a repair of some targets; return the time."""
    guard, shared, now_ns = session.watch.guard, session.shared, time.monotonic_ns()
    for _ in range(4 * 60):
        now_ns += QUARTER_NS
        shared.sent[0, :, 0] += 250
        shared.accepted[0] += 50
        guard.look(now_ns)
    some = LostSpan(sender=0, block=0, first=50, last=90, lags=LAGS, begins=LAGS, lowest=FIRST, highest=FIRST + 63)
    guard.book.repairs.in_hand[0] = some
    return now_ns


def test_a_repair_of_some_targets_that_answer_nothing_is_no_silence(begin: Callable[..., Session]) -> None:
    """The targets of one gateway may all be dark; the detector expects the hit rate of the whole block."""
    session = begin()
    guard, shared, now_ns = session.watch.guard, session.shared, a_minute_then_a_repair_of_some(session)
    assert guard.book.repairs.selective
    for _ in range(4 * 10):
        now_ns += QUARTER_NS
        shared.repaired[0, :, 0] += 250
        guard.look(now_ns)
    assert guard.drop is None
    assert not guard.detector.may_have_dropped()
    guard.book.repairs.in_hand[0] = msgspec.structs.replace(guard.book.repairs.in_hand[0], lowest=0, highest=0xFFFFFFFF)
    for _ in range(4 * 10):  # a repair of all targets is judged by the same past
        now_ns += QUARTER_NS
        shared.repaired[0, :, 0] += 250
        guard.look(now_ns)
    assert guard.drop is not None


def test_a_block_is_not_judged_by_the_one_before_if_a_repair_of_some_targets_lay_between(
    begin: Callable[..., Session],
) -> None:
    session = begin()
    guard, shared, now_ns = session.watch.guard, session.shared, a_minute_then_a_repair_of_some(session)
    guard.look(now_ns + QUARTER_NS)
    guard.book.repairs.in_hand.clear()
    shared.drained[0] = 1
    for _ in range(4 * 10):
        now_ns += QUARTER_NS
        shared.sent[0, :, 0] += 250
        guard.look(now_ns)
    assert guard.drop is None


@pytest.mark.parametrize(("hit_rate", "tried"), [(0.5, False), (0.001, True)])
def test_a_pause_is_interrupted_only_where_its_trickle_shows_nothing(
    hit_rate: float, tried: bool, begin: Callable[..., Session]
) -> None:
    session = begin()
    session.shared.rate_pps[0] = 1000.0
    guard = session.watch.guard
    probes = session.shared.sent.shape[1]
    guard.drop = ReplyDrop(0.0, 0.0, 100.0, np.full(probes, hit_rate / probes))
    second = 1_000_000_000
    rates = []
    for paused_s in range(1, 120):
        guard._try(paused_s * second)
        rates.append(float(session.shared.trickle_pps[0]))
    assert 0 < rates[0] <= 100.0
    assert (0.0 in rates) == tried  # 0 is no trickle: the full rate
    assert rates.count(0.0) <= 10
