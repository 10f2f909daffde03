"""Trinocular (Quan, Heidemann and Pradkin 2013), replayed over the rounds that a survey recorded.

The belief that a block is up is updated after each probe by Bayes' rule. A round sends one periodic probe, and adaptive
probes while the belief is uncertain. A survey has the answer of every address in every round, so that the replay
only selects the answers that Trinocular would have seen.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel
from liveness.planes.verdicts import DOWN, UNCERTAIN, UP

FEWEST_EVER: Final = 15
"""Least number of ever-responsive addresses, |E(b)|, of a block that Trinocular judges."""
LEAST_AVAILABILITY: Final = 0.1
LOSS: Final = 0.01
STRAY: Final = (1 - LOSS) / 256
"""Probability of a positive reply from a block that is down."""
CAP_LOW: Final = 0.01
CAP_HIGH: Final = 0.99
UP_ABOVE: Final = 0.9
DOWN_BELOW: Final = 0.1
ADAPTIVE_PROBES: Final = 14
RECOVERY_AT: Final = 8
RECOVERY_EVERY: Final = 16
RECOVERY_FIRST: Final = 4
RECOVERY_MISS: Final = 0.2
ORDER_SEED: Final = 0x7121
"""Of the order in which the addresses of a block are probed."""

MOST_PROBES: Final = 1 + ADAPTIVE_PROBES + 16
"""Most probes of a round: the recovery of a block with an availability of 0.1 has 16."""


@kernel
def updated(belief: float, positive: bool, availability: float) -> float:
    """Return the belief that the block is *up* after one probe, limited to [CAP_LOW, CAP_HIGH]."""
    if positive:
        up = belief * availability
        down = (1 - belief) * STRAY
    else:
        up = belief * (1 - availability)
        down = (1 - belief) * (1 - STRAY)
    return min(CAP_HIGH, max(CAP_LOW, up / (up + down)))


def recovery_probes(availability: float) -> int:
    """Return the number of extra probes to a block that is down with which one finds it up with probability 0.8."""
    if availability >= 1:
        return 1
    return math.ceil(math.log(RECOVERY_MISS) / math.log(1 - availability))


@kernel
def state_of(belief: float) -> int:
    """Return UP, DOWN or UNCERTAIN."""
    if belief > UP_ABOVE:
        return UP
    return DOWN if belief < DOWN_BELOW else UNCERTAIN


@kernel
def recovers(rounds_since_up: int) -> bool:
    """Return whether a round of a block that is down has recovery probes."""
    return rounds_since_up <= RECOVERY_FIRST or rounds_since_up == RECOVERY_AT or rounds_since_up % RECOVERY_EVERY == 0


@kernel
def judge_round(  # noqa: C901 - the rules of one round, in the order in which they apply
    sent: NDArray[np.uint8],
    positive: NDArray[np.uint8],
    order: NDArray[np.int64],
    r: int,
    availability: float,
    recovery: int,
    at: int,
    belief: float,
    since_up: int,
    log: NDArray[np.int16],
) -> tuple[int, float, int, int]:
    """Return the place of the next address in `order`, the belief, the rounds since the block was up, and the probes.

    These are the values after round `r`, and `at`, `belief` and `since_up` those before it. `sent` and `positive` are
    the planes of the block by address; `order` has the rows of E(b) in the order in which they are probed cyclically.
    An address that was not sent in a round is skipped; a round in which none was sent changes nothing. `log` gets the
    probes in their order, as far as it has room: row * 2, plus 1 for a positive response.
    """
    byte, bit = r >> 3, r & 7
    before = state_of(belief)
    used = tried = 0
    limit = 1 + ADAPTIVE_PROBES
    settled = recovering = False
    while used < limit and tried < len(order):
        row = order[at]
        at = at + 1 if at + 1 < len(order) else 0
        tried += 1
        if not (sent[row, byte] >> bit) & 1:
            continue
        answered = ((positive[row, byte] >> bit) & 1) == 1
        belief = updated(belief, answered, availability)
        if used < len(log):
            log[used] = 2 * row + int(answered)
        used += 1
        state = state_of(belief)
        settled = (state == UP and answered) or (state == DOWN and not answered)
        if not settled:
            if recovering:  # an address answers again: probe until the belief is certain
                limit = max(limit, 1 + ADAPTIVE_PROBES)
            continue
        if state == UP:
            break
        if recovering:
            continue
        if before != DOWN or not recovers(since_up + 1):
            break
        recovering = True  # down before and down now: perhaps only few addresses answer
        limit = used + recovery
    if used > 0:
        if not settled and state_of(belief) != UNCERTAIN:
            belief = 0.5  # no probe is left, and the last one contradicted the belief
        since_up = 0 if state_of(belief) == UP else since_up + 1
    return at, belief, since_up, used


@kernel
def replay(
    sent: NDArray[np.uint8],
    positive: NDArray[np.uint8],
    order: NDArray[np.int64],
    rounds: int,
    availability: float,
    recovery: int,
    states: NDArray[np.uint8],
    beliefs: NDArray[np.float64],
    probes: NDArray[np.uint8],
    log: NDArray[np.int16],
) -> None:
    """Write the state, the belief and the number of probes of each round of one block: see `judge_round`.

    `log`, (rounds, MOST_PROBES), gets the probes of each round; with no column nothing is logged.
    """
    at, belief, since_up = 0, CAP_HIGH, 0
    for r in range(rounds):
        at, belief, since_up, used = judge_round(
            sent, positive, order, r, availability, recovery, at, belief, since_up, log[r]
        )
        states[r], beliefs[r], probes[r] = state_of(belief), belief, used


class Replay(NamedTuple):
    """The rounds of one block as Trinocular would have probed it."""

    availability: float
    """A(E(b))."""
    states: NDArray[np.uint8]
    beliefs: NDArray[np.float64]
    """Of *up*."""
    probes: NDArray[np.uint8]
    """Probes by round; 0 for a round in which no address was sent a probe."""
    log: NDArray[np.int16]


def is_judged(availability: NDArray[np.float64]) -> bool:
    """Return whether Trinocular judges a block, from the availability of its ever-responsive addresses."""
    return len(availability) >= FEWEST_EVER and float(availability.mean()) >= LEAST_AVAILABILITY


def replayed(
    block: int,
    sent: NDArray[np.uint8],
    positive: NDArray[np.uint8],
    rounds: int,
    availability: NDArray[np.float64],
    *,
    logged: bool = False,
) -> Replay:
    """Replay the rounds of a block that is judged; the planes have the rows of its ever-responsive addresses."""
    mean = float(availability.mean())
    order = np.random.default_rng((ORDER_SEED, block)).permutation(len(availability))
    log = np.zeros((rounds, MOST_PROBES if logged else 0), np.int16)
    found = Replay(mean, np.zeros(rounds, np.uint8), np.zeros(rounds), np.zeros(rounds, np.uint8), log)
    replay(sent, positive, order, rounds, mean, recovery_probes(mean), found.states, found.beliefs, found.probes, log)
    return found
