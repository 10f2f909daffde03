"""Actions of the talker: the frames that it is to send, as rows of an array."""

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel

ACTION, TARGET, PROBE, ATTEMPT, FROM, SEQUENCE, ACKNOWLEDGMENT, ACTION_WIDTH = range(8)
"""Columns of an action. SEQUENCE counts from the cookie plus 1 in requests, and is absolute in resets."""
ASK, ASK_AGAIN, RESET_IT, RESET_UNHEARD, RESET_HEARD = range(5)
"""Actions: the request, its repeat, and a reset: with the number acknowledged, or at the end of a talk."""


@kernel
def act(
    actions: NDArray[np.int64], at: int, action: int, key: int, ours: int, sequence: int, acknowledgment: int
) -> int:
    """Write an action of the conversation `key`; return the number of actions."""
    actions[at, ACTION] = action
    actions[at, TARGET] = (key >> 16) & 0xFFFFFFFF
    actions[at, PROBE] = (key >> 8) & 0xFF
    actions[at, ATTEMPT] = key & 0xFF
    actions[at, FROM] = ours
    actions[at, SEQUENCE] = sequence
    actions[at, ACKNOWLEDGMENT] = acknowledgment
    return at + 1
