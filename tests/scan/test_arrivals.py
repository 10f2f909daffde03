"""Arrivals in shared memory, against a sorted list: the kernel's times count, not those at which a receiver reads."""

import bisect
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from liveness.replies import REPLY_DTYPE
from liveness.scan.losses.order_track import OrderTrack
from liveness.scan.losses.reply_track import ReplyTrack
from liveness.scan.receive.arrivals import FIRST, Arrivals, arrived

OFFSET_NS = 1_700_000_000_000_000_000


def replies_at(times: list[int]) -> Any:  # noqa: ANN401 - a structured array
    replies: Any = np.zeros(len(times), REPLY_DTYPE)
    replies["time_ns"] = times
    replies["time_ns"] += OFFSET_NS
    replies["rtt_ns"] = -1
    return replies


@given(
    st.lists(st.lists(st.integers(0, 100), max_size=5), max_size=20),
    st.integers(1, 2),
    st.integers(0, 2_500),
    st.integers(0, 2_500),
)
def test_counts_at_block_ends_are_exact(steps: list[list[int]], receivers: int, since: int, at: int) -> None:
    """Between the first and the last reply of a block, arrivals are taken as steady."""
    arrivals = Arrivals(receivers)
    now, times, ends = 1, [], [0]
    for number, block in enumerate(steps):
        inside = [now := now + step for step in block]
        arrivals.note(number % receivers, replies_at(inside), OFFSET_NS)
        times += inside
        ends += inside[-1:]
        now += 1
    courses = arrivals.since(since)
    for end in ends:
        if end >= since:
            assert arrived(courses, end) - arrived(courses, since) <= bisect.bisect(times, end)
            assert arrived(arrivals.since(0), end) == bisect.bisect(times, end)
    assert 0 <= arrived(arrivals.since(0), at) <= len(times)


def test_old_blocks_are_overwritten_and_said_to_be_missing() -> None:
    arrivals = Arrivals(1, blocks=4)
    for number in range(10):
        arrivals.note(0, replies_at([100 * number, 100 * number + 50]), OFFSET_NS)
    (course,) = arrivals.since(0)
    assert course.since_ns == 650, "the last reply of the oldest block that is kept"
    assert arrived([course], 950) - arrived([course], 650) == 6
    (course,) = arrivals.since(800)
    assert course.since_ns == 800


def test_a_row_that_is_not_whole_is_passed_over() -> None:
    arrivals = Arrivals(1)
    for number in range(3):
        arrivals.note(0, replies_at([100 * number]), OFFSET_NS)
    arrivals._rows[0, 2, FIRST] += 1
    assert arrived(arrivals.since(0), 1_000) == 2


def test_rows_none_of_which_is_whole_say_nothing_of_any_time() -> None:
    """A receiver on another core may have written its first row, of which the supervisor sees the number alone."""
    arrivals = Arrivals(2)
    for receiver in range(2):
        arrivals.note(receiver, replies_at([100 * (receiver + 1)]), OFFSET_NS)
    arrivals._rows[0, 0, FIRST] += 1
    courses = arrivals.since(0)
    assert arrived(courses, 1_000) == 1
    assert courses[0].since_ns > 1 << 62, "nothing is known of its past"
    assert courses[1].since_ns == 0
    track = OrderTrack(1)
    assert ReplyTrack(track, arrivals).broken_from(10**12, 2 * 10**12) is None
    assert not ReplyTrack(track, arrivals).come_since(10**12, 2 * 10**12)


def test_a_block_that_waited_while_the_clock_was_set_back_is_not_of_the_future() -> None:
    """Its replies carry the old time of day; those of later blocks are counted at their own times."""
    arrivals = Arrivals(1)
    arrivals.note(0, replies_at([100]), OFFSET_NS, now_ns=110)
    arrivals.note(0, replies_at([5_150, 5_160]), OFFSET_NS, now_ns=200)
    arrivals.note(0, replies_at([300]), OFFSET_NS, now_ns=310)
    assert [arrived(arrivals.since(0), at_ns) for at_ns in (100, 200, 300, 6_000)] == [1, 3, 4, 4]


def test_round_trips_are_sampled() -> None:
    arrivals = Arrivals(1)
    replies = replies_at([10] * 1_000)
    replies["rtt_ns"][::2] = 7_000
    arrivals.note(0, replies, OFFSET_NS)
    arrivals.note(0, replies_at([20]), OFFSET_NS)
    (course,) = arrivals.since(0)
    assert course.trips_ns.tolist() == [7_000]
