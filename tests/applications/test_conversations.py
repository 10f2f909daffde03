"""What the talker decides, event by event, by a clock of the test's own."""

from typing import Final

import numpy as np
import pytest

from liveness.scan.talk.conversations import (
    ACTION,
    ACTION_WIDTH,
    ASK,
    ASK_AGAIN,
    RESET_IT,
    RESET_UNHEARD,
    TARGET,
    WAYS,
    conversations,
    empty_verdicts,
    take_events,
    take_time,
)
from liveness.scan.talk.shared import COUNTS, ENDED, OPENED, REFUSED, SHUT, SPOKE, WIDTH
from liveness.space.intervals import Intervals

KEY: Final = bytes(range(16))
S: Final = 1_000_000_000
WAIT_NS: Final = 5 * S
HORIZON_NS: Final = 100 * S
TARGET_ADDRESS: Final = 0x0A010203
NOBODY: Final = Intervals.empty()


class Talks:
    """The conversations of a talker whose host has been up for `up_s` seconds."""

    def __init__(self, up_s: float = 1_000.0, places: int = 2) -> None:
        self.now_ns = int(up_s * S)
        self.held = conversations(KEY, np.zeros(len(COUNTS), np.int64), places=places, logged=64)

    def on(
        self,
        event: int,
        target: int = TARGET_ADDRESS,
        attempt: int = 0,
        withdrawn: Intervals = NOBODY,
        *,
        new: bool = True,
    ) -> list[int]:
        """Take an event; return what is done."""
        events, actions = np.zeros((1, WIDTH), np.int64), np.zeros((4, ACTION_WIDTH), np.int64)
        events[0] = event, target, 0, attempt, 1, 2, 3
        taken, done = take_events(
            self.held, events, 0, 1, self.now_ns, HORIZON_NS, new, withdrawn.first, withdrawn.last, actions, 0
        )
        assert taken == 1
        return [int(action) for action in actions[:done, ACTION]]

    def later(self, seconds: float, withdrawn: Intervals = NOBODY) -> list[tuple[int, int]]:
        """Let time pass; return what is done, and to whom."""
        self.now_ns += int(seconds * S)
        actions, verdicts = np.zeros((64, ACTION_WIDTH), np.int64), empty_verdicts(64)
        done, _ = take_time(
            self.held, self.now_ns, WAIT_NS, False, withdrawn.first, withdrawn.last, actions, 0, verdicts
        )
        return [(int(action), int(target)) for action, target in actions[:done, [ACTION, TARGET]]]


def test_a_target_that_opts_out_during_its_talk_is_not_asked_again() -> None:
    talks = Talks()
    assert (talks.on(OPENED), talks.on(OPENED, TARGET_ADDRESS + 1)) == ([ASK], [ASK])
    gone = Intervals.from_bounds([TARGET_ADDRESS], [TARGET_ADDRESS])
    assert talks.later(1.5, gone) == [(ASK_AGAIN, TARGET_ADDRESS + 1)]
    assert talks.later(5, gone) == [(RESET_UNHEARD, TARGET_ADDRESS), (RESET_UNHEARD, TARGET_ADDRESS + 1)]


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


def test_the_connection_of_the_repeat_is_reset_while_the_talk_goes_on() -> None:
    talks = Talks()
    assert (talks.on(OPENED), talks.on(OPENED, attempt=1), talks.on(SPOKE)) == ([ASK], [RESET_IT], [RESET_IT])
