"""The moment at which the path broke, estimated from what was sent and when replies arrived."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from liveness.replies import REPLY_DTYPE
from liveness.scan.losses.order_track import OrderTrack
from liveness.scan.losses.reply_track import NS, ReplyTrack
from liveness.scan.receive.arrivals import Arrivals

if TYPE_CHECKING:
    from liveness.scan.shared import Shared

LOOK_NS = NS // 10
MS = 1_000_000


def steady(at_ns: int) -> int:
    """Return the frames handed over until a time, at 10,000 a second."""
    return at_ns * 10_000 // NS


def stalling(at_ns: int) -> int:
    """Return the same of a sender that gets no processor for 60 ms of every 200, and catches up."""
    return steady(at_ns // (200 * MS) * 200 * MS) + min(steady(200 * MS), steady(int(at_ns % (200 * MS) * 200 / 140)))


def tracked(
    broken_ns: int,
    until_ns: int,
    hit_rate: float,
    *,
    handed: Callable[[int], int] = steady,
    trip_ns: int = 0,
    trip_known: bool = True,
    receivers: int = 1,
    again_ns: int = 1 << 62,
) -> ReplyTrack:
    """Return the track of a path that broke, and works again from `again_ns` on.

    Marks are a tenth of a second apart, blocks 20 ms.
    """
    sent, arrivals = OrderTrack(1), Arrivals(receivers)
    for at_ns in range(0, until_ns + 1, LOOK_NS):
        counts = SimpleNamespace(
            handed=lambda _, at_ns=at_ns: handed(at_ns),
            completed=np.array([handed(at_ns)]),
            dropped=np.zeros(1, np.int64),
            activities=SimpleNamespace(now=lambda _: None),
        )
        sent.note(at_ns, cast("Shared", counts))
    seen = 0
    for block_ns in range(0, until_ns, 20 * MS):
        times = []
        for at_ns in range(block_ns, block_ns + 20 * MS, MS):
            sent_ns = max(0, at_ns - trip_ns)
            answered = int(handed(min(sent_ns, broken_ns)) * hit_rate)
            answered += int(max(0, handed(sent_ns) - handed(min(again_ns, sent_ns))) * hit_rate)
            times += [at_ns] * (answered - seen)
            seen = answered
        replies: Any = np.zeros(len(times), REPLY_DTYPE)
        replies["time_ns"] = times
        replies["rtt_ns"] = trip_ns if trip_known else -1
        for receiver in range(receivers):
            arrivals.note(receiver, replies[receiver::receivers], 0)
    return ReplyTrack(sent, arrivals)


@pytest.mark.parametrize("handed", [steady, stalling])
@pytest.mark.parametrize("trip_ms", [0, 5, 180])
@pytest.mark.parametrize("hit_rate", [1.0, 0.3, 0.04])
@pytest.mark.parametrize("broken_ms", [8_000, 8_030, 8_250, 8_490])
def test_the_number_lost_is_found(broken_ms: int, hit_rate: float, trip_ms: int, handed: Callable[[int], int]) -> None:
    """Also where the path broke just after it was seen to work, and where receivers share the replies."""
    broken_ns = broken_ms * MS
    track = tracked(broken_ns, 9 * NS, hit_rate, handed=handed, trip_ns=trip_ms * MS, receivers=2)
    found = track.broken_from(8 * NS, 9 * NS)
    assert found is not None
    assert found >= 8 * NS
    lost = handed(9 * NS) - handed(broken_ns)
    assert abs(track.sent.handed(9 * NS) - track.sent.handed(found) - lost) <= 0.02 * lost


@pytest.mark.parametrize("since_ms", [7_910, 7_940, 7_970])
def test_a_sender_that_stalls_between_two_marks_is_no_loss(since_ms: int) -> None:
    """What it had handed over is known at marks only; a path that worked at a time worked at the mark before, too."""
    track = tracked(8_050 * MS, 9 * NS, 1.0, handed=stalling)
    found = track.broken_from(since_ms * MS, 9 * NS)
    assert found is not None
    lost = stalling(9 * NS) - stalling(8_050 * MS)
    assert track.sent.handed(9 * NS) - track.sent.handed(found) == pytest.approx(lost, rel=0.01)


def test_round_trips_that_are_not_known_are_taken_as_short() -> None:
    track = tracked(8_250 * MS, 9 * NS, 0.3, trip_ns=20 * MS, trip_known=False)
    found = track.broken_from(8 * NS, 9 * NS)
    assert found is not None
    assert 0 <= found - 8_250 * MS <= 25 * MS, "later by the round-trip time"


def test_too_few_replies_say_nothing() -> None:
    track = tracked(8_250_000_000, 9 * NS, 0.001)
    assert track.broken_from(8 * NS, 9 * NS) is None
    assert tracked(8 * NS, 9 * NS, 0.0001).back_from(8 * NS, 9 * NS, 7 * NS) is None


def test_a_path_that_never_worked_has_no_moment() -> None:
    assert ReplyTrack(OrderTrack(1), Arrivals(1)).broken_from(5, 9) is None
    assert tracked(0, NS, 1.0).broken_from(0, NS) is None


def test_nothing_that_was_lost_is_left_out_where_replies_come_on() -> None:
    """Duplicates of distant hosts may come after the path has broken: the interval still ends where it ends."""
    track = tracked(20 * NS, 9 * NS, 5.0)
    assert track.broken_from(8 * NS, 9 * NS) == 9 * NS


@pytest.mark.parametrize("trip_ms", [0, 40])
@pytest.mark.parametrize("hit_rate", [1.0, 0.2])
@pytest.mark.parametrize("back_ms", [11_000, 11_370])
def test_the_end_is_found(back_ms: int, hit_rate: float, trip_ms: int) -> None:
    """Replies were missing from 9 s on; what has come since then answers what was sent since the path works again."""
    track = tracked(9 * NS, 12 * NS, hit_rate, trip_ns=trip_ms * MS, again_ns=back_ms * MS)
    found = track.back_from(10 * NS, 12 * NS - 100 * MS, 9 * NS)
    assert found is not None
    assert abs(found - back_ms * MS) <= 25 * MS


def test_replies_that_come_as_before_are_recognised() -> None:
    track = tracked(8 * NS, 12 * NS, 0.3)
    assert track.come_since(6 * NS, 7 * NS)
    assert not track.come_since(8 * NS, 11 * NS)
