"""The Hilbert curve through the address space: adjacent prefixes are adjacent on the map."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel

ORDER: Final = 12
"""2 ** 12 rows and columns: one cell for each /24."""
SIDE: Final = 1 << ORDER


@kernel
def place_of(distance: int, order: int) -> int:
    """Return the cell of a curve of 2 ** order rows and columns after `distance` steps: row * 2 ** order + column.

    The curve begins in the upper left corner and ends in the upper right one, as in maps of the Internet (Munroe 2006).
    A prefix of length 2 * k is a square, at the cell that the curve of order k gives it.
    """
    x, y, rest = 0, 0, distance
    for level in range(order):
        # From the smallest squares to the largest: two bits of the distance select a quadrant, and the curve so far is
        # rotated into it.
        side = 1 << level
        right = (rest >> 1) & 1
        down = (rest ^ right) & 1
        if down == 0:
            if right == 1:
                x, y = side - 1 - x, side - 1 - y
            x, y = y, x
        x += side * right
        y += side * down
        rest >>= 2
    return (y << order) + x


@kernel
def lay_out(values: NDArray[np.uint16], places: NDArray[np.uint16], order: int, first: int = 0) -> None:
    """Write values[d] to the cell of the curve after first + d steps; the curve has 2 ** order rows and columns.

    `places` is the square that those cells fill: all of the curve's, or those of one prefix.
    """
    inside = len(places) - 1  # a square begins at a multiple of its side
    for distance in range(len(values)):
        place = place_of(first + distance, order)
        places[(place >> order) & inside, place & inside] = values[distance]


def on_map(values: NDArray[np.uint16], order: int = 0, number: int = 0) -> NDArray[np.uint16]:
    """Return values by /24 (address >> 8) as a map: of the whole space, or of one prefix of length 2 * order.

    `number` is the number of the prefix (address >> 32 - 2 * order); `values` has its /24s only.
    """
    side = SIDE >> order
    places = np.zeros((side, side), np.uint16)
    lay_out(values, places, ORDER, number * side * side)
    return places


def square_of(number: int, order: int) -> tuple[int, int]:
    """Return row and column of the prefix of length 2 * order with this number (address >> 32 - 2 * order)."""
    row, column = divmod(int(place_of(number, order)), 1 << order)
    return row, column
