"""The map of one run: the whole address space at one pixel per /24 or reduced, or one /8 enlarged."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.numbers import count, percent
from liveness.report.figures.style import drawable
from liveness.report.map.hilbert import ORDER, on_map, square_of
from liveness.report.map.palette import shades
from liveness.report.map.sheet import Words, sheet
from liveness.space.addresses import format_address
from liveness.space.special import special_purpose

OCTET_ORDER: Final = 4
"""The order of the curve of /8s."""
LETTERS_PX: Final = {1: 24, 2: 15, 4: 11}
"""Letter heights by reduction, the number of /24s along the side of a pixel."""
ZOOM: Final = 4
"""Pixels along the side of a /24 in the map of one /8."""
ZOOM_ORDER: Final = 6
"""The order at which the map of a /8 is divided: into /12s."""
ZOOM_LETTER_PX: Final = 14
SMALLEST_ORDER: Final = 10
"""The order of the smallest square that is drawn, a /20 of 16 /24s."""
FOCUS_PX: Final = 1024
"""The side in pixels of a square that is drawn alone."""


RESERVED_MARK: Final = 1 << 14
UNPROBED_MARK: Final = 1 << 15
"""Added to the number of alive addresses of a /24, so that one walk along the curve lays out all that is drawn."""


class Part(NamedTuple):
    """The cells of a square of the map, each at its place."""

    alive: NDArray[np.uint16]
    """Alive addresses of each /24."""
    reserved: NDArray[np.bool_]
    """Whether the whole /24 is special-purpose space."""
    unprobed: NDArray[np.bool_] | None
    """Whether no address of the /24 was probed; None if that is not known."""


@dataclass(frozen=True, eq=False)
class LivenessMap:
    """The distribution of a run's network-alive addresses (IPall) over the address space."""

    run: str
    """The name of the run."""
    alive24: NDArray[np.uint16]
    """Alive addresses by /24 (address >> 8), 2 ** 24 of them."""
    probed24: NDArray[np.bool_] | None = None
    """Whether any address of each /24 was probed; None if that is not known."""

    @cached_property
    def _cells(self) -> NDArray[np.uint16]:
        """Alive addresses by /24, with a mark on those that are special-purpose space, and on those not probed."""
        cells = self.alive24.copy()
        intervals = special_purpose()
        for first, last in zip(intervals.first.tolist(), intervals.last.tolist(), strict=True):
            cells[-(-first >> 8) : (last + 1) >> 8] |= RESERVED_MARK
        if self.probed24 is not None:
            cells[~self.probed24] |= UNPROBED_MARK
        return cells

    def _part(self, order: int, number: int) -> Part:
        """Return the cells of a prefix of length 2 * order, laid out: (0, 0) is the whole space."""
        many = 1 << (24 - 2 * order)
        laid_out = on_map(self._cells[number * many : (number + 1) * many], order, number)
        return Part(
            laid_out & np.uint16(RESERVED_MARK - 1),
            (laid_out & RESERVED_MARK) > 0,
            None if self.probed24 is None else (laid_out & UNPROBED_MARK) > 0,
        )

    @cached_property
    def focus(self) -> tuple[int, int] | None:
        """The smallest square that contains all probed /24s: half its prefix length, and its number.

        None if it would be larger than a /8, or if the probed /24s are not known.
        """
        found = np.zeros(0, np.int64) if self.probed24 is None else np.flatnonzero(self.probed24 | (self.alive24 > 0))
        if not len(found):
            return None
        order = SMALLEST_ORDER
        while found[0] >> (24 - 2 * order) != found[-1] >> (24 - 2 * order):
            order -= 1
        return None if order < OCTET_ORDER else (order, int(found[0]) >> (24 - 2 * order))

    @cached_property
    def focused(self) -> bytes | None:
        """The map of a small run: its own square, enlarged; None if the whole space should be drawn."""
        if self.focus is None:
            return None
        order, number = self.focus
        zoom = FOCUS_PX >> (ORDER - order)
        first, many = number << (24 - 2 * order), 1 << (24 - 2 * order)
        name = f"{format_address(first << 8)}/{2 * order}"
        return self._square(order, number, max(ZOOM, zoom), name, self.alive24[first : first + many])

    def png(self, reduction: int = 1) -> bytes:
        """Return the map of the whole space as PNG; with a reduction of 2 or 4, a pixel has that many /24s per side.

        Such a pixel has the mean of its /24s, and one alive address at least if any has one.
        """
        many = 1 << OCTET_ORDER
        names = {square_of(octet, OCTET_ORDER): str(octet) for octet in range(many * many)}
        whole = self._part(0, 0)
        alive, reserved = reduced(whole.alive, whole.reserved, reduction)
        unprobed = None if whole.unprobed is None else reduced(whole.alive, whole.unprobed, reduction)[1]
        unit = (
            "one pixel a /24" if reduction == 1 else f"one pixel a /{24 - 2 * (reduction.bit_length() - 1)}, its mean"
        )
        words = Words(
            self._title(self.alive24, "IPv4 by /8"), names, unit, f"{self.run}: {self.summary()}", LETTERS_PX[reduction]
        )
        return sheet(shades(alive, reserved, unprobed), words)

    def zoomed(self, octet: int) -> bytes:
        """Return the map of one /8, 0 to 255, at 4 x 4 pixels per /24 and divided into /12s, as PNG."""
        return self._square(OCTET_ORDER, octet, ZOOM, f"{octet}.0.0.0/8", self._of(octet), self.summary(octet))

    def _square(
        self, order: int, number: int, zoom: int, name: str, numbers: NDArray[np.uint16], summary: str = ""
    ) -> bytes:
        """Return the map of a prefix of length 2 * order, at zoom x zoom pixels per /24, divided into 16 squares."""
        row, column = square_of(number, order)
        pixels = shades(*self._part(order, number)).repeat(zoom, 0).repeat(zoom, 1)
        below = ZOOM_ORDER - OCTET_ORDER
        side = 1 << below
        names = {}
        for square in range(side * side):
            place = (number << (2 * below)) + square
            down, right = square_of(place, order + below)
            length = 2 * (order + below)
            names[down - row * side, right - column * side] = f"{format_address(place << (32 - length))}/{length}"
        words = Words(
            self._title(numbers, name),
            names,
            f"{zoom} x {zoom} pixels a /24",
            f"{self.run}: {summary or self.summary()}",
            ZOOM_LETTER_PX,
        )
        return sheet(pixels, words)

    def summary(self, octet: int | None = None) -> str:
        """Return a description of the map in words, of one /8 if `octet` is given."""
        part = self.alive24 if octet is None else self._of(octet)
        active = int(np.count_nonzero(part))
        where = "the IPv4 address space" if octet is None else f"{octet}.0.0.0/8"
        return (
            f"Hilbert-curve map of {where}: {count(int(part.sum(dtype=np.int64)))} addresses alive in"
            f" {count(active)} of {count(len(part))} /24s ({percent(active / len(part))})."
        )

    def _of(self, octet: int) -> NDArray[np.uint16]:
        """Return the alive addresses by /24 of one /8."""
        return self.alive24[octet << 16 : (octet + 1) << 16]

    def _title(self, part: NDArray[np.uint16], what: str) -> str:
        alive = int(part.sum(dtype=np.int64))
        return (
            f"{drawable(self.run)}: {what}, {count(alive)} addresses alive in {count(int(np.count_nonzero(part)))} /24s"
        )


def reduced(
    alive: NDArray[np.uint16], reserved: NDArray[np.bool_], reduction: int
) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    """Return a map with fewer rows and columns: means, rounded up, and cells that are reserved as a whole."""
    if reduction == 1:
        return alive, reserved
    rows = len(alive) // reduction
    shape = (rows, reduction, rows, reduction)
    total = alive.reshape(shape).sum(axis=(1, 3), dtype=np.uint32)
    means = (-(-total.astype(np.int64) // reduction**2)).astype(np.uint16)
    throughout: NDArray[np.bool_] = np.all(reserved.reshape(shape), axis=(1, 3))
    return means, throughout
