"""The map of one run: the whole space at one pixel a /24 or reduced, or one /8 enlarged."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.report.figures.style import drawable
from liveness.report.layout import count, percent
from liveness.report.map.hilbert import SIDE, on_map, square_of
from liveness.report.map.palette import shades
from liveness.report.map.sheet import Words, sheet
from liveness.space.special import special_purpose

OCTET_ORDER: Final = 4
"""The curve of the /8s."""
TILE: Final = SIDE >> OCTET_ORDER
"""The side of a /8, in /24s."""
LETTERS_PX: Final = {1: 24, 2: 15, 4: 11}
"""By the reductions there are: /24s along the side of a pixel."""
ZOOM: Final = 4
"""Pixels along the side of a /24 in the map of one /8."""
ZOOM_ORDER: Final = 6
"""The map of a /8 is divided into /12s."""
ZOOM_LETTER_PX: Final = 14


@dataclass(frozen=True, eq=False)
class LivenessMap:
    """Where a run's network-alive addresses (IPall) are."""

    run: str
    """How the run is called."""
    alive24: NDArray[np.uint16]
    """Alive addresses by /24 (address >> 8), 2 ** 24 of them."""

    @cached_property
    def places(self) -> NDArray[np.uint16]:
        """The same on the map, shape (4096, 4096)."""
        return on_map(self.alive24)

    @cached_property
    def reserved(self) -> NDArray[np.bool_]:
        """Where on the map /24s lie that are special-purpose throughout."""
        reserved = np.zeros(SIDE * SIDE, np.uint16)
        intervals = special_purpose()
        for first, last in zip(intervals.first.tolist(), intervals.last.tolist(), strict=True):
            reserved[-(-first >> 8) : (last + 1) >> 8] = 1
        return on_map(reserved).astype(np.bool_)

    def png(self, reduction: int = 1) -> bytes:
        """Return the map of the whole space; at a reduction of 2 or 4 a pixel is so many /24s in each direction.

        Such a pixel has the mean of its /24s, and one alive address at least if any has one.
        """
        many = 1 << OCTET_ORDER
        names = {square_of(octet, OCTET_ORDER): str(octet) for octet in range(many * many)}
        alive, reserved = reduced(self.places, self.reserved, reduction)
        unit = (
            "one pixel a /24" if reduction == 1 else f"one pixel a /{24 - 2 * (reduction.bit_length() - 1)}, its mean"
        )
        words = Words(
            self._title(self.alive24, "IPv4 by /8"), names, unit, f"{self.run}: {self.summary()}", LETTERS_PX[reduction]
        )
        return sheet(shades(alive, reserved), words)

    def zoomed(self, octet: int) -> bytes:
        """Return the map of one /8, 0 to 255, at 4 x 4 pixels a /24 and divided into /12s."""
        row, column = square_of(octet, OCTET_ORDER)
        part = slice(row * TILE, (row + 1) * TILE), slice(column * TILE, (column + 1) * TILE)
        pixels = shades(self.places[part], self.reserved[part]).repeat(ZOOM, 0).repeat(ZOOM, 1)
        side = 1 << (ZOOM_ORDER - OCTET_ORDER)
        names = {}
        for square in range(side * side):
            down, right = square_of((octet << 4) + square, ZOOM_ORDER)
            names[down - row * side, right - column * side] = f"{octet}.{square << 4}.0.0/12"
        words = Words(
            self._title(self._of(octet), f"{octet}.0.0.0/8"),
            names,
            f"{ZOOM} x {ZOOM} pixels a /24",
            f"{self.run}: {self.summary(octet)}",
            ZOOM_LETTER_PX,
        )
        return sheet(pixels, words)

    def summary(self, octet: int | None = None) -> str:
        """Return in words what the map shows, of one /8 if `octet` is given."""
        part = self.alive24 if octet is None else self._of(octet)
        active = int(np.count_nonzero(part))
        where = "the IPv4 address space" if octet is None else f"{octet}.0.0.0/8"
        return (
            f"Hilbert-curve map of {where}: {count(int(part.sum(dtype=np.int64)))} addresses alive in"
            f" {count(active)} of {count(len(part))} /24s ({percent(active / len(part))})."
        )

    def _of(self, octet: int) -> NDArray[np.uint16]:
        """Return the numbers of one /8."""
        return self.alive24[octet << 16 : (octet + 1) << 16]

    def _title(self, part: NDArray[np.uint16], what: str) -> str:
        alive = int(part.sum(dtype=np.int64))
        return (
            f"{drawable(self.run)}: {what}, {count(alive)} addresses alive in {count(int(np.count_nonzero(part)))} /24s"
        )


def reduced(
    alive: NDArray[np.uint16], reserved: NDArray[np.bool_], reduction: int
) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    """Return a map with fewer rows and columns: means, rounded up, and what is reserved throughout."""
    if reduction == 1:
        return alive, reserved
    rows = len(alive) // reduction
    shape = (rows, reduction, rows, reduction)
    total = alive.reshape(shape).sum(axis=(1, 3), dtype=np.uint32)
    means = (-(-total.astype(np.int64) // reduction**2)).astype(np.uint16)
    throughout: NDArray[np.bool_] = np.all(reserved.reshape(shape), axis=(1, 3))
    return means, throughout
