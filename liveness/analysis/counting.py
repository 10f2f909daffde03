"""The kernels of the pass: sets side by side become the state of each address, and states are counted.

One /16 at a time is laid out in byte planes, an array of shape (planes, 65536): byte p of an address's state lies in
plane p. They are small enough to stay in a core's cache. Eight planes are a word of the state.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.slicing import slice_key
from liveness.analysis.table import Table, place_of
from liveness.ipsets.portable import ARRAY, BITMAP
from liveness.kernel import inlined, int64, kernel, uint64

CELLS: Final = 1 << 16
ROW: Final = 256
"""Cells of a /24."""
EIGHT: Final = 8
FAMILY_BITS: Final = 0b111
"""The families' coverage in the first byte of a view (`views.py`)."""

EXPANDED: Final[NDArray[np.uint64]] = (
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").view(np.uint64)[:, 0] * 255
)
"""By byte of a bitmap: eight cells, all ones where the bit is set."""


class Containers(NamedTuple):
    """Some containers of a run's sets: set s has those from cursors[s] up to ends[s], ascending by key."""

    keys: NDArray[np.uint16]
    sizes: NDArray[np.int32]
    forms: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    """Container c of set s lies at offsets[c + s], and ends at offsets[c + s + 1], bytes of its file."""
    masks: NDArray[np.uint8]
    """By set and plane: the bits that its members have."""
    cursors: NDArray[np.int64]
    ends: NDArray[np.int64]
    shifts: NDArray[np.int64]
    """By set: what to add to an offset for its place in `bytes`."""
    numbers: NDArray[np.uint16]
    octets: NDArray[np.uint8]
    """What was read, as numbers of 16 bits and as bytes."""


class Sheet(NamedTuple):
    """Where one /16 is laid out, and what was found in it."""

    planes: NDArray[np.uint8]
    groups: NDArray[np.uint64]
    """The planes, eight cells at a time."""
    row: NDArray[np.uint64]
    """The states of one /24, shape (words, 256)."""
    states: NDArray[np.uint64]
    """The states of the cells that have any, shape (65536 + 1, words)."""
    cells: NDArray[np.uint16]
    """Which cells these are."""
    slots: NDArray[np.int32]
    """Where in the table their states are."""


class Pass(NamedTuple):
    """What a pass over a run keeps to, and what it counts beside states; arrays are empty where nothing is asked for."""

    outside_first: NDArray[np.uint32]
    outside_last: NDArray[np.uint32]
    """Intervals of addresses that do not count, ascending."""
    view_masks: NDArray[np.uint64]
    prefixes24: NDArray[np.int64]
    """/24s by the families that found them."""
    alive24: NDArray[np.uint16]
    """By /24, how many addresses any family found."""
    slice_first: NDArray[np.uint32]
    slice_label: NDArray[np.int32]
    slice_counts: NDArray[np.int64]
    """By label and column (`slicing.py`)."""


@inlined
def lay(
    containers: Containers, begin: int, behind: int, size: int, form: int, mask: int, sheet: Sheet, plane: int
) -> None:
    """OR `mask` into the cells of one container, at `begin` up to `behind` bytes, in one plane."""
    cells = sheet.planes[plane]
    numbers = containers.numbers
    if form == ARRAY:
        for i in range(begin // 2, begin // 2 + size):
            cells[numbers[i]] |= mask
    elif form == BITMAP:
        octets = containers.octets[begin:behind]
        groups = sheet.groups[plane]
        repeated = uint64(mask) * uint64(0x0101010101010101)
        for i in range(CELLS // EIGHT):
            groups[i] |= EXPANDED[octets[i]] & repeated
    else:
        for i in range(begin // 2 + 1, behind // 2, 2):
            first = int64(numbers[i])
            for cell in range(first, min(first + int64(numbers[i + 1]) + 1, CELLS)):
                cells[cell] |= mask


@kernel
def lay_key(key: int, containers: Containers, sheet: Sheet) -> bool:
    """Lay out what all sets hold of one /16, and move their cursors on; return whether any holds anything."""
    found = False
    for one in range(len(containers.cursors)):
        at = containers.cursors[one]
        if at >= containers.ends[one] or int64(containers.keys[at]) != key:
            continue
        containers.cursors[one] = at + 1
        found = True
        begin = containers.offsets[at + one] + containers.shifts[one]
        behind = containers.offsets[at + one + 1] + containers.shifts[one]
        size, form = int64(containers.sizes[at]), int64(containers.forms[at])
        for plane in range(len(sheet.planes)):
            mask = containers.masks[one, plane]
            if mask:
                lay(containers, begin, behind, size, form, mask, sheet, plane)
    return found


@kernel
def blank(key: int, first: NDArray[np.uint32], last: NDArray[np.uint32], planes: NDArray[np.uint8]) -> None:
    """Empty the cells of a /16 that lie in intervals first[i] to last[i], both included, ascending."""
    base = key << 16
    low, high = 0, len(first)
    while low < high:  # the first interval that ends here or later
        middle = (low + high) // 2
        if int64(last[middle]) < base:
            low = middle + 1
        else:
            high = middle
    while low < len(first) and int64(first[low]) < base + CELLS:
        begin, behind = max(int64(first[low]) - base, 0), min(int64(last[low]) - base + 1, CELLS)
        planes[:, begin:behind] = 0
        low += 1


@kernel
def gather(  # noqa: C901 - two innermost loops over the same row, in one piece
    sheet: Sheet, fold_masks: NDArray[np.uint64], prefixes24: NDArray[np.int64]
) -> int:
    """Take the states of all cells that have one off the planes, leave these empty, and return how many there are.

    `prefixes24` counts /24s by which of the three masks any of their cells has.
    """
    words = len(sheet.row)
    found = 0
    for begin in range(0, CELLS, ROW):
        anything = uint64(0)
        for plane in range(len(sheet.planes)):
            group = sheet.groups[plane, begin // EIGHT : (begin + ROW) // EIGHT]
            for i in range(ROW // EIGHT):
                anything |= group[i]
        if not anything:
            continue
        families = 0
        anything_at = sheet.row[0]
        for word in range(words):
            row = sheet.row[word]
            row[:] = 0
            for plane in range(EIGHT * word, min(EIGHT * word + EIGHT, len(sheet.planes))):
                part = sheet.planes[plane, begin : begin + ROW]
                place = uint64(EIGHT * (plane - EIGHT * word))
                for i in range(ROW):
                    row[i] |= uint64(part[i]) << place
                part[:] = 0
            fold = uint64(0)
            for i in range(ROW):
                fold |= row[i]
            for family in range(len(fold_masks)):
                if fold & fold_masks[family, word]:
                    families |= 1 << family
        prefixes24[families] += 1
        for i in range(ROW):
            anything = anything_at[i]
            sheet.states[found, 0] = anything
            for word in range(1, words):
                state = sheet.row[word, i]
                sheet.states[found, word] = state
                anything |= state
            sheet.cells[found] = begin + i
            found += anything != 0
    return found


@kernel
def view(states: NDArray[np.uint64], slot: int, view_masks: NDArray[np.uint64], views: NDArray[np.uint8]) -> None:
    """Write what a state shows: a bit for each mask that it meets, eight a byte."""
    for octet in range(views.shape[1]):
        shown = 0
        for bit in range(EIGHT):
            for word in range(states.shape[1]):
                if states[slot, word] & view_masks[octet * EIGHT + bit, word]:
                    shown |= 1 << bit
        views[slot, octet] = shown


@kernel
def count_states(sheet: Sheet, found: int, table: Table, view_masks: NDArray[np.uint64]) -> None:
    """Count the states that were gathered into a table with room for them."""
    states, counts, views, taken, used = table
    wanted, slots = sheet.states, sheet.slots
    for i in range(found):
        at = place_of(states, counts, wanted, i)
        if counts[at] == 0:
            for word in range(states.shape[1]):
                states[at, word] = wanted[i, word]
            view(states, at, view_masks, views)
            taken[used[0]] = at
            used[0] += 1
        counts[at] += 1
        slots[i] = at


@kernel
def count_keys(  # noqa: C901 - what is not asked for is passed by
    key: int,
    behind: int,
    containers: Containers,
    sheet: Sheet,
    table: Table,
    asked: Pass,
    seen: NDArray[np.uint8],
) -> int:
    """Count the states of the /16s from `key` up to `behind`; return where it stopped because the table has no room.

    `seen` has the shape (/16s, bytes of a view, 65536), or none; what each address shows is left in it, the /16 below
    `behind` last.
    """
    for one in range(key, behind):
        if 2 * (table.used[0] + CELLS) > len(table.counts):
            return one
        if len(seen):
            seen[len(seen) - behind + one] = 0
        if not lay_key(one, containers, sheet):
            continue
        if len(asked.outside_first):
            blank(one, asked.outside_first, asked.outside_last, sheet.planes)
        found = gather(sheet, asked.view_masks[:3], asked.prefixes24)
        count_states(sheet, found, table, asked.view_masks)
        if len(asked.alive24):
            for i in range(found):
                if int64(table.views[sheet.slots[i], 0]) & FAMILY_BITS:
                    asked.alive24[(one << EIGHT) + (int64(sheet.cells[i]) >> EIGHT)] += 1
        if len(asked.slice_first):
            slice_key(
                one,
                found,
                sheet.cells,
                sheet.slots,
                table.views,
                asked.slice_first,
                asked.slice_label,
                asked.slice_counts,
            )
        if len(seen):
            show(sheet.cells, sheet.slots, found, table.views, seen[len(seen) - behind + one])
    return behind


@kernel
def show(
    cells: NDArray[np.uint16],
    slots: NDArray[np.int32],
    found: int,
    views: NDArray[np.uint8],
    seen: NDArray[np.uint8],
) -> None:
    """Leave what each address of a /16 shows in `seen`."""
    for octet in range(views.shape[1]):
        part = seen[octet]
        for i in range(found):
            part[cells[i]] = views[slots[i], octet]
