"""Kernels of slices: addresses and /24s of one /16, counted by slice."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.counting.views import Shown
from liveness.kernel import int64, kernel

ROW_BITS: Final = 8
CELLS: Final = 1 << 16
FAMILY_SETS: Final = 8
"""Sets of the three families that found an address: a number of three bits."""
LAYERS: Final = len(Shown) - 3

COLUMNS: Final = FAMILY_SETS + LAYERS + FAMILY_SETS
"""Columns of a slice: addresses by set of families, addresses by layer, /24s by set of families."""


@kernel
def add_shown(shown: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
    """Add addresses, counted by the first byte of their view, to a slice, and clear the counts."""
    for value in range(len(shown)):
        number = shown[value]
        if number:
            counts[value & (FAMILY_SETS - 1)] += number
            for layer in range(LAYERS):
                if (value >> (3 + layer)) & 1:
                    counts[FAMILY_SETS + layer] += number
            shown[value] = 0


@kernel
def slice_key(  # noqa: C901 - one walk along addresses, /24s and slices together
    key: int,
    found: int,
    cells: NDArray[np.uint16],
    views: NDArray[np.uint8],
    first: NDArray[np.uint32],
    label: NDArray[np.int32],
    counts: NDArray[np.int64],
) -> None:
    """Count the `found` addresses of a /16 by slice; cells[i] has the view views[i].

    The label of address a is label[j] for the last first[j] <= a. A /24 counts once for each slice in which it has
    addresses, even if the slice has several parts of it.
    """
    base = key << 16
    at = int64(np.searchsorted(first, base, side="right")) - 1
    shown = np.zeros(256, np.int64)
    row_labels, row_folds = np.zeros(256, np.int64), np.zeros(256, np.int64)
    current, row, in_row, i = -1, -1, 0, 0
    while i < found:
        cell = int64(cells[i])
        while at + 1 < len(first) and int64(first[at + 1]) <= base + cell:
            at += 1
        here = int64(label[at])
        # A new slice begins: add the counts collected for the previous one.
        if here != current:
            if current >= 0:
                add_shown(shown, counts[current])
            current = here
        # A new /24 begins: count the previous one in every slice that it had addresses in.
        if cell >> ROW_BITS != row:
            for place in range(in_row):
                counts[row_labels[place], FAMILY_SETS + LAYERS + row_folds[place]] += 1
            row, in_row = cell >> ROW_BITS, 0
        stop = (row + 1) << ROW_BITS
        if at + 1 < len(first):
            stop = min(stop, int64(first[at + 1]) - base)
        fold = 0
        # All addresses up to the end of the slice or of the /24 have the same label.
        while i < found and int64(cells[i]) < stop:
            value = int64(views[i, 0])
            shown[value] += 1
            fold |= value
            i += 1
        place = 0
        while place < in_row and row_labels[place] != here:
            place += 1
        if place == in_row:
            row_labels[place], row_folds[place] = here, 0
            in_row += 1
        row_folds[place] |= fold & (FAMILY_SETS - 1)
    for place in range(in_row):
        counts[row_labels[place], FAMILY_SETS + LAYERS + row_folds[place]] += 1
    if current >= 0:
        add_shown(shown, counts[current])
