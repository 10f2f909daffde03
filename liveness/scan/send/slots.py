"""Owns the slots of a ring as the sending kernel takes them: their frames as words, and what each of them holds."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.probes.fill import flat_words


class Slots(NamedTuple):
    """The slots of a ring, and what was filled in last."""

    words: NDArray[np.uint16]  # all frames in one, as `flat_words` gives them
    step: int  # words from one frame to the next
    held: NDArray[np.int64]  # (slots,) the probe whose template a slot holds, -1 none
    attempts: NDArray[np.int64]  # (slots,) the attempt it was filled for
    lengths: NDArray[np.uint16]  # (slots,) bytes of its frame


def slots_of(frames: NDArray[np.uint8]) -> Slots:
    """Return the slots of a ring's frames, (slots, frame bytes), none of which is filled."""
    words, step = flat_words(frames)
    count = len(frames)
    return Slots(words, step, np.full(count, -1, np.int64), np.zeros(count, np.int64), np.zeros(count, np.uint16))
