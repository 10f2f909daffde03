"""Figures of addresses from their rounds, counted one round after the other: the judge's own way, not the analysis'."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel

SENT, ONES, PERIODS, ONES_REPAIRED, PERIODS_REPAIRED = range(5)
FIGURES: Final = 5
"""A = ones / sent, N_U = periods and U = A / N_U follow from these numbers, and so they do after repair."""


def figures_of(up: NDArray[np.bool_], sent: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the numbers of each address, (addresses, FIGURES), from its rounds: (addresses, rounds)."""
    figures = np.zeros((len(up), FIGURES), np.int64)
    _count(up, sent, figures)
    return figures


@kernel
def _count(up: NDArray[np.bool_], sent: NDArray[np.bool_], figures: NDArray[np.int64]) -> None:
    for row in range(len(up)):
        sequence = up[row][sent[row]]
        length = len(sequence)
        figures[row, SENT] = length
        was_up, was_up_repaired = False, False
        for i in range(length):
            repaired = sequence[i] or (0 < i < length - 1 and sequence[i - 1] and sequence[i + 1])
            figures[row, ONES] += int64(sequence[i])
            figures[row, PERIODS] += int64(sequence[i] and not was_up)
            figures[row, ONES_REPAIRED] += int64(repaired)
            figures[row, PERIODS_REPAIRED] += int64(repaired and not was_up_repaired)
            was_up, was_up_repaired = sequence[i], repaired


@kernel
def count_single_losses(
    up: NDArray[np.bool_],
    sent: NDArray[np.bool_],
    delivered: NDArray[np.bool_],
    lost: NDArray[np.bool_],
    counts: NDArray[np.int64],
) -> None:
    """Add up single losses, in counts[0], and those of them that repair makes up for, in counts[1].

    A loss is single if positive replies were delivered in the rounds before and after it; repair fills it if both are
    positive (`up`) in the run.
    """
    for row in range(len(up)):
        places = np.flatnonzero(sent[row])
        for i in range(1, len(places) - 1):
            before, after = places[i - 1], places[i + 1]
            if lost[row, places[i]] and delivered[row, before] and delivered[row, after]:
                counts[0] += 1
                counts[1] += int64(up[row, before] and up[row, after])
