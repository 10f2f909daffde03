"""What the talker decides, event by event, by a clock of the test's own."""

from collections import Counter
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from liveness.scan.talk.actions import (
    ACTION,
    ACTION_WIDTH,
    ASK,
    ASK_AGAIN,
    RESET_HEARD,
    RESET_IT,
    RESET_UNHEARD,
    TARGET,
)
from liveness.scan.talk.conversations import take_events
from liveness.scan.talk.due import empty_verdicts, take_time, take_withdrawn
from liveness.scan.talk.memory import FINISHED, SWEPT, WAYS, WRITTEN, conversations
from liveness.scan.talk.shared import (
    ACKNOWLEDGED,
    COUNTS,
    ENDED,
    LATE_NS,
    OPENED,
    REFUSED,
    RESET,
    SHUT,
    SPOKE,
    VERDICT_TARGET,
    WIDTH,
)
from liveness.space.intervals import Intervals

KEY: Final = bytes(range(16))
S: Final = 1_000_000_000
WAIT_NS: Final = 5 * S
HORIZON_NS: Final = 100 * S
TARGET_ADDRESS: Final = 0x0A010203
NOBODY: Final = Intervals.empty()
MOST_HOSTS: Final = WAYS
"""As many services as one place of the table has room for: none is forgotten."""
HOSTS, ATTEMPTS = st.integers(0, MOST_HOSTS - 1), st.integers(0, 1)
EVENTS: Final = {
    "opened": OPENED,
    "shut": SHUT,
    "acknowledged": ACKNOWLEDGED,
    "spoke": SPOKE,
    "ended": ENDED,
    "reset": RESET,
}
NOW_NS: Final = 1_790_000_000 * S
"""Time by the clock of captures."""


class Talks:
    """The conversations of a talker whose host has been up for `up_s` seconds."""

    def __init__(self, up_s: float = 1_000.0, places: int = 2) -> None:
        self.now_ns = int(up_s * S)
        self.mute: list[int] = []
        """Targets that stayed mute, in order."""
        self.held = conversations(KEY, np.zeros(len(COUNTS), np.int64), places=places, logged=64)

    def on(
        self,
        event: int,
        target: int = TARGET_ADDRESS,
        attempt: int = 0,
        age_s: float = 0,
        withdrawn: Intervals = NOBODY,
        *,
        new: bool = True,
    ) -> list[int]:
        """Take an event; return what is done."""
        events, actions = np.zeros((1, WIDTH), np.int64), np.zeros((4, ACTION_WIDTH), np.int64)
        events[0] = event, target, 0, attempt, 1, 2, 3, NOW_NS - int(age_s * S)
        taken, done = take_events(
            self.held,
            events,
            0,
            1,
            self.now_ns,
            HORIZON_NS,
            NOW_NS - LATE_NS,
            new,
            withdrawn.first,
            withdrawn.last,
            actions,
            0,
        )
        assert taken == 1
        return [int(action) for action in actions[:done, ACTION]]

    def opt_out(self) -> None:
        """Look at all talks under way again, as the talker does when someone has opted out."""
        self.held.pointers[SWEPT] = self.held.pointers[FINISHED]

    def counts(self, *names: str) -> tuple[int, ...]:
        return tuple(int(self.held.counts[COUNTS.index(name)]) for name in names)

    @property
    def under_way(self) -> int:
        """Conversations in the log."""
        return int(self.held.pointers[WRITTEN] - self.held.pointers[FINISHED])

    def later(self, seconds: float, withdrawn: Intervals = NOBODY) -> list[tuple[int, int]]:
        """Let time pass; return what is done, and to whom."""
        self.now_ns += int(seconds * S)
        actions, verdicts = np.zeros((64, ACTION_WIDTH), np.int64), empty_verdicts(64)
        done = take_withdrawn(self.held, self.now_ns, withdrawn.first, withdrawn.last, actions, 0)
        done, mute = take_time(self.held, self.now_ns, WAIT_NS, False, actions, done, verdicts)
        self.mute += verdicts[:mute, VERDICT_TARGET].tolist()
        return [(int(action), int(target)) for action, target in actions[:done, [ACTION, TARGET]]]


def test_a_target_that_opts_out_during_its_talk_is_reset_at_once_and_not_asked_again() -> None:
    talks = Talks()
    assert (talks.on(OPENED), talks.on(OPENED, TARGET_ADDRESS + 1)) == ([ASK], [ASK])
    gone = Intervals.from_bounds([TARGET_ADDRESS], [TARGET_ADDRESS])
    talks.opt_out()
    assert talks.later(0, gone) == [(RESET_UNHEARD, TARGET_ADDRESS)]
    assert talks.later(1.5, gone) == [(ASK_AGAIN, TARGET_ADDRESS + 1)]
    assert talks.on(OPENED, withdrawn=gone) == [RESET_IT]
    assert talks.later(5, gone) == [(RESET_UNHEARD, TARGET_ADDRESS + 1)]
    assert talks.on(OPENED, TARGET_ADDRESS, withdrawn=gone) == [RESET_IT]
    assert talks.counts("refused_withdrawn") == (0,)
    assert talks.counts("talks", "withdrawn", "refused") == (2, 1, 0), "a service that was talked to is not refused"


def test_a_target_that_has_opted_out_is_not_asked() -> None:
    talks = Talks()
    gone = Intervals.from_bounds([TARGET_ADDRESS], [TARGET_ADDRESS])
    assert talks.on(OPENED, withdrawn=gone) == [RESET_IT]
    assert talks.counts("talks", "withdrawn", "refused", "refused_withdrawn") == (0, 1, 1, 1)


def test_a_talk_whose_request_was_acknowledged_ends_after_the_request_if_its_target_opts_out() -> None:
    talks = Talks()
    talks.on(OPENED)
    talks.on(ACKNOWLEDGED)
    talks.opt_out()
    gone = Intervals.from_bounds([TARGET_ADDRESS], [TARGET_ADDRESS])
    assert talks.later(0, gone) == [(RESET_HEARD, TARGET_ADDRESS)]


def test_talks_beyond_the_room_are_reset_and_counted() -> None:
    talks = Talks(places=1)
    done = [talks.on(OPENED, TARGET_ADDRESS + host) for host in range(WAYS + 2)]
    assert done == [[ASK]] * WAYS + [[RESET_IT]] * 2
    assert talks.counts("talks", "refused", "no_room", "unsure") == (WAYS, 2, 2, 0)


def test_a_talk_that_takes_the_place_of_one_that_began_in_the_same_instant_is_repeated_once() -> None:
    talks = Talks(places=1)
    for host in range(WAYS):
        talks.on(OPENED, TARGET_ADDRESS + host)
        talks.on(SPOKE, TARGET_ADDRESS + host)
    assert talks.on(OPENED, TARGET_ADDRESS + WAYS) == [ASK]
    assert talks.later(1) == [(ASK_AGAIN, TARGET_ADDRESS + WAYS)]
    assert talks.later(10) == [(RESET_UNHEARD, TARGET_ADDRESS + WAYS)]
    assert talks.mute == [TARGET_ADDRESS + WAYS]


def test_the_connection_of_the_repeat_is_reset_at_once_although_the_talk_was_reset_just_now() -> None:
    """A peer would keep it half open, and send its SYN-ACK again after a second."""
    talks = Talks()
    assert (talks.on(OPENED), talks.on(SPOKE)) == ([ASK], [RESET_IT])
    talks.now_ns += S // 100
    assert (talks.on(OPENED, attempt=1), talks.on(OPENED, attempt=1)) == ([RESET_IT], [])
    assert talks.counts("held_back") == (1,)
    talks.now_ns += S // 4
    assert (talks.on(SPOKE), talks.on(SPOKE, attempt=1)) == ([RESET_IT], [RESET_IT])


def test_requests_that_leave_late_are_counted() -> None:
    talks = Talks()
    talks.on(OPENED, age_s=0.9)
    talks.on(OPENED, TARGET_ADDRESS + 1, age_s=1.1)
    assert talks.counts("talks", "late") == (2, 1)


def test_a_talk_that_is_over_is_not_waited_for() -> None:
    talks = Talks()
    for host in range(3):
        talks.on(OPENED, TARGET_ADDRESS + host)
    talks.on(SPOKE, TARGET_ADDRESS)
    talks.on(SPOKE, TARGET_ADDRESS + 2)
    talks.later(0)
    assert talks.under_way == 2, "the second one is still awaited, and the third one comes after it"
    talks.on(SPOKE, TARGET_ADDRESS + 1)
    talks.later(0)
    assert talks.under_way == 0


def test_a_host_that_was_booted_just_now_talks_to_services_that_answer_the_repeat_only() -> None:
    talks = Talks(up_s=20, places=1)
    assert [talks.on(OPENED, TARGET_ADDRESS + host, attempt=1) for host in range(3)] == [[ASK]] * 3
    assert talks.held.counts[REFUSED] == 0


def test_a_repeat_is_refused_where_its_talk_may_be_forgotten() -> None:
    talks = Talks(places=1)
    for host in range(WAYS):
        assert talks.on(OPENED, TARGET_ADDRESS + host) == [ASK]
        talks.on(SPOKE, TARGET_ADDRESS + host)
    assert talks.on(OPENED, TARGET_ADDRESS + WAYS) == [ASK]
    talks.later(1)
    assert talks.on(OPENED, TARGET_ADDRESS, attempt=1) == [RESET_IT]
    assert talks.held.counts[REFUSED] == 1


@pytest.mark.parametrize("event", [OPENED, SHUT, SPOKE, ENDED])
@pytest.mark.parametrize("talked", [True, False])
def test_a_peer_that_goes_on_is_reset_now_and_then(event: int, *, talked: bool) -> None:
    """The rate of all talks is one: a peer that is answered each time could use it up alone."""
    talks = Talks()
    if talked:
        assert (talks.on(OPENED), talks.on(SPOKE)) == ([ASK], [RESET_IT])
        talks.now_ns += S
    new = event != OPENED or talked
    done = []
    for _ in range(50):
        done += talks.on(event, new=new)
        talks.now_ns += S // 100
    assert done == [RESET_IT] * 3
    assert talks.counts("resets", "held_back") == (3 + talked, 47)


def test_the_connection_of_the_repeat_is_reset_while_the_talk_goes_on() -> None:
    talks = Talks()
    assert (talks.on(OPENED), talks.on(OPENED, attempt=1), talks.on(SPOKE)) == ([ASK], [RESET_IT], [RESET_IT])


Step = tuple[str, int, int]


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["opened", "shut", "acknowledged", "spoke", "ended", "reset"]), HOSTS, ATTEMPTS),
            st.tuples(st.just("later"), st.sampled_from([0, 1, 300, 1_000, 4_000, 9_000]), st.just(0)),
            st.tuples(st.just("opts out"), HOSTS, st.just(0)),
        ),
        max_size=60,
    )
)
def test_a_service_gets_one_request_and_one_repeat_whatever_it_sends(steps: list[Step]) -> None:
    talks, gone = Talks(places=1), BitMap()
    done: list[tuple[int, int]] = []
    heard: set[int] = set()
    unwanted: list[int] = []
    for what, number, attempt in [*steps, *[("later", 1_000, 0)] * 20]:
        withdrawn = Intervals.from_bounds(sorted(gone), sorted(gone)) if gone else NOBODY
        if what == "later":
            before = len(talks.mute)
            new = talks.later(number / 1_000, withdrawn)
            unwanted += [target for target in talks.mute[before:] if target in gone]
        elif what == "opts out":
            gone.add(TARGET_ADDRESS + number)
            talks.opt_out()
            continue
        else:
            target = TARGET_ADDRESS + number
            new = [(action, target) for action in talks.on(EVENTS[what], target, attempt, withdrawn=withdrawn)]
            if what not in ("opened", "shut"):
                heard.add(target)
        unwanted += [target for action, target in new if action in (ASK, ASK_AGAIN) and target in gone]
        done += new
    assert unwanted == []
    assert talks.under_way == 0
    for host in range(MOST_HOSTS):
        mine = [action for action, target in done if target == TARGET_ADDRESS + host]
        asked = [action for action in mine if action in (ASK, ASK_AGAIN)]
        assert asked in ([], [ASK], [ASK, ASK_AGAIN])
        if asked:
            assert mine.index(ASK) < len(mine) - 1 or TARGET_ADDRESS + host in heard, "a talk that nothing ended"
    assert len(talks.mute) == len(set(talks.mute))
    resets = sum(action not in (ASK, ASK_AGAIN) for action, _ in done)
    asks = Counter(action for action, _ in done)
    assert talks.counts("talks", "repeats", "resets") == (asks[ASK], asks[ASK_AGAIN], resets)
