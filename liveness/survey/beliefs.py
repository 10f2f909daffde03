"""Beliefs about the /24s of a running survey: which are down now, judged round by round with what came before.

A /24 is down if Trinocular believes so and none of its addresses answered in rounds whose silence would have a
probability below 1e-9 with the /24 up. Availability is learned from the earlier rounds of the survey, by hour of the
day: the smallest of the hour and its two neighbours counts, so that the nights of a daily cycle are no outages.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.survey.outages import CHANCE_BELOW, HOURS
from liveness.analysis.survey.trinocular import (
    CAP_HIGH,
    FEWEST_EVER,
    LEAST_AVAILABILITY,
    RECOVERY_MISS,
    judge_round,
    state_of,
)
from liveness.kernel import kernel
from liveness.planes.blocks import BLOCK_ADDRESSES
from liveness.planes.live import BLOCK_BYTES
from liveness.planes.verdicts import DOWN

MOST_AVAILABILITY: Final = 0.999
"""Of a /24 that always answered: its next silence is unlikely, not impossible."""
LOG_LIMIT: Final = math.log(CHANCE_BELOW)
STRIDE: Final = 157
"""The addresses of a /24 are taken in steps of this, odd, so that neighbours are far apart."""
BLOCKS_AT_ONCE: Final = 1 << 10
"""Number of /24s whose bits are unpacked at once."""

SAME: Final = 0
WENT_DOWN: Final = 1
CAME_BACK: Final = 2


class States(NamedTuple):
    """What is believed and known of each /24: arrays with a row for each."""

    belief: NDArray[np.float64]  # that it is up
    at: NDArray[np.int64]  # place of the next address in Trinocular's order
    since_up: NDArray[np.int64]  # rounds since Trinocular last held it up
    silence: NDArray[np.float64]  # logarithm of the probability of the silent rounds until now
    silent_from: NDArray[np.int64]  # first of these rounds, -1 without any
    down: NDArray[np.bool_]
    judged: NDArray[np.bool_]  # in the last round
    taken: NDArray[np.int64]  # rounds in which it was probed
    ever: NDArray[np.uint8]  # (/24s, 256) 1 for addresses that have answered
    sent: NDArray[np.int32]  # (/24s, 24) probes sent, by hour of the day
    positive: NDArray[np.int32]  # (/24s, 24) positive replies, by hour of the day
    pending: NDArray[np.int32]  # (/24s, 24) probes of silent rounds: learned if the silence ends without an outage


@kernel
def availability_at(sent: NDArray[np.int32], positive: NDArray[np.int32], hour: int, members: int) -> float:
    """Return the mean availability of the ever-responsive addresses of one /24 in an hour of the day.

    All addresses of a /24 are probed alike, so those of E(b) got their share of the probes. Hours without a probe are
    skipped; if all three have none, all hours count.
    """
    share = members / BLOCK_ADDRESSES
    smallest = 2.0
    for near in range(hour - 1, hour + 2):
        at = near % HOURS
        if sent[at] > 0:
            smallest = min(smallest, positive[at] / (sent[at] * share))
    if smallest > 1.0:
        probes = sent.sum()
        smallest = positive.sum() / (probes * share) if probes > 0 else 0.0
    return min(smallest, MOST_AVAILABILITY)


@kernel
def members_of(ever: NDArray[np.uint8], order: NDArray[np.int64]) -> int:
    """Write the octets of the ever-responsive addresses into `order`, as Trinocular takes them; return their number."""
    members = 0
    for i in range(BLOCK_ADDRESSES):
        octet = i * STRIDE % BLOCK_ADDRESSES
        if ever[octet]:
            order[members] = octet
            members += 1
    return members


@kernel
def judge_block(
    states: States,
    block: int,
    asked: NDArray[np.uint8],
    answers: NDArray[np.uint8],
    order: NDArray[np.int64],
    availability: float,
    active: int,
) -> bool:
    """Update the belief about a /24 from a round, and return whether it is held down now; `order` has its E(b)."""
    recovery = int(np.ceil(np.log(RECOVERY_MISS) / np.log(1 - availability)))
    states.at[block], states.belief[block], states.since_up[block], _ = judge_round(
        asked.reshape(-1, 1),
        answers.reshape(-1, 1),
        order,
        0,
        availability,
        recovery,
        states.at[block] % len(order),
        states.belief[block],
        states.since_up[block],
        np.empty(0, np.int16),
    )
    if active:
        return False
    for octet in order:
        states.silence[block] += asked[octet] * np.log(1 - availability)
    return bool(states.silence[block] < LOG_LIMIT and state_of(states.belief[block]) == DOWN)


@kernel
def note_silence(states: States, block: int, number: int, active: int) -> bool:
    """Note whether a /24 was silent in a round; return whether that ended an outage."""
    if not active:
        if states.silent_from[block] < 0:
            states.silent_from[block] = number
        return False
    was_down = bool(states.down[block])
    if not was_down:
        states.sent[block] += states.pending[block]
    states.pending[block] = 0
    states.down[block] = False
    states.silence[block], states.silent_from[block] = 0.0, -1
    return was_down


@kernel
def take_round(
    states: States,
    first: int,
    sent: NDArray[np.uint8],
    positive: NDArray[np.uint8],
    number: int,
    hour: int,
    learning: int,
    changes: NDArray[np.uint8],
) -> None:
    """Judge a round of some /24s from the one at `first` on, and learn from it.

    `changes` gets SAME, WENT_DOWN or CAME_BACK for each. `sent` and `positive` have a byte for each address, 0 or 1. A
    /24 is judged once `learning` rounds were learned.
    """
    members_in_order = np.empty(BLOCK_ADDRESSES, np.int64)
    for row in range(len(sent) // BLOCK_ADDRESSES):
        block, begin = first + row, row * BLOCK_ADDRESSES
        asked = sent[begin : begin + BLOCK_ADDRESSES]
        answers = positive[begin : begin + BLOCK_ADDRESSES] & asked
        probed, active = int(asked.sum()), int(answers.sum())
        changes[block], states.judged[block] = SAME, False
        if probed == 0:
            continue
        if note_silence(states, block, number, active):
            changes[block] = CAME_BACK
        members = members_of(states.ever[block], members_in_order)
        availability = 0.0
        if states.taken[block] >= learning and members >= FEWEST_EVER:
            availability = availability_at(states.sent[block], states.positive[block], hour, members)
        if availability >= LEAST_AVAILABILITY:
            states.judged[block] = True
            order = members_in_order[:members]
            if judge_block(states, block, asked, answers, order, availability, active) and not states.down[block]:
                states.down[block], changes[block] = True, WENT_DOWN
        elif active:
            states.belief[block], states.since_up[block] = CAP_HIGH, 0
        if states.down[block]:
            continue  # what an outage hides is not learned
        states.taken[block] += 1
        if states.judged[block] and not active:
            states.pending[block, hour] += probed
        else:
            states.sent[block, hour] += probed
            states.positive[block, hour] += active
            states.ever[block] |= answers


class Beliefs:
    """The beliefs about some /24s of a survey."""

    def __init__(self, blocks: int, learning: int) -> None:
        """Begin with nothing known of `blocks` /24s, each of which is judged after `learning` rounds."""
        self._learning = learning
        self.states = States(
            belief=np.full(blocks, CAP_HIGH),
            at=np.zeros(blocks, np.int64),
            since_up=np.zeros(blocks, np.int64),
            silence=np.zeros(blocks),
            silent_from=np.full(blocks, -1, np.int64),
            down=np.zeros(blocks, np.bool_),
            judged=np.zeros(blocks, np.bool_),
            taken=np.zeros(blocks, np.int64),
            ever=np.zeros((blocks, BLOCK_ADDRESSES), np.uint8),
            sent=np.zeros((blocks, HOURS), np.int32),
            positive=np.zeros((blocks, HOURS), np.int32),
            pending=np.zeros((blocks, HOURS), np.int32),
        )

    def take(
        self, number: int, sent: NDArray[np.uint8], positive: NDArray[np.uint8], hour: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Take the planes of a round (a bit for each address), and return changes and where the last silence began.

        Both have a value for each /24; -1 for one that was not silent.
        """
        blocks = len(self.states.belief)
        changes, silent_from = np.zeros(blocks, np.uint8), self.states.silent_from.copy()
        for first in range(0, blocks, BLOCKS_AT_ONCE):
            columns = slice(first * BLOCK_BYTES, (first + BLOCKS_AT_ONCE) * BLOCK_BYTES)
            asked = np.unpackbits(sent[columns], bitorder="little")
            answers = np.unpackbits(positive[columns], bitorder="little")
            take_round(self.states, first, asked, answers, number, hour, self._learning, changes)
        return changes, np.where(changes == CAME_BACK, silent_from, self.states.silent_from)

    @property
    def judged(self) -> int:
        """Number of /24s that were judged in the last round."""
        return int(self.states.judged.sum())

    @property
    def down(self) -> int:
        """Number of /24s that are down."""
        return int(self.states.down.sum())


def warm_up() -> None:
    """Compile the kernel that judges rounds, or load it from its cache, so that it does not keep a round waiting."""
    nothing = np.zeros(BLOCK_BYTES, np.uint8)
    Beliefs(1, 1).take(0, nothing, nothing, 0)
