"""Kernels of the pass: the sets of a run are combined into the state of each address, and states are counted.

One /16 at a time is expanded into byte planes, an array of shape (planes, 65536): byte p of an address's state is in
plane p. The planes of a /16 fit into the cache of a core. Eight planes form a word of the state.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.counting.slicing import slice_key
from liveness.analysis.counting.table import Table, place_of
from liveness.ipsets.portable_index import ARRAY, BITMAP
from liveness.kernel import int64, kernel, uint64

CELLS: Final = 1 << 16
ROW: Final = 256
"""Cells of a /24."""
EIGHT: Final = 8
IDLE: Final = -1
FAMILY_BITS: Final = 0b111
"""The families' coverage in the first byte of a view (`views.py`)."""

EXPANDED: Final[NDArray[np.uint64]] = (
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").view(np.uint64)[:, 0] * 255
)
"""For each byte of a bitmap: eight cells, all ones if the bit is set."""


class Containers(NamedTuple):
    """Containers of a run's sets: set s has those from cursors[s] up to ends[s], ascending by key."""

    keys: NDArray[np.uint16]
    sizes: NDArray[np.int32]
    forms: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    """Container c of set s begins at offsets[c + s] and ends at offsets[c + s + 1], in bytes of its file."""
    masks: NDArray[np.uint8]
    """By set and plane: the bits of its members."""
    cursors: NDArray[np.int64]
    ends: NDArray[np.int64]
    shifts: NDArray[np.int64]
    """By set: the difference between the offset in the file and the offset in `octets`."""
    numbers: NDArray[np.uint16]
    octets: NDArray[np.uint8]
    """The bytes that were read, and the same as 16-bit numbers."""


class Sheet(NamedTuple):
    """Working memory for one /16, and the states found in it."""

    planes: NDArray[np.uint8]
    groups: NDArray[np.uint64]
    """The planes, eight cells at a time."""
    row: NDArray[np.uint64]
    """The states of one /24, shape (words, 256)."""
    cells: NDArray[np.uint16]
    """Cells with a state, ascending."""
    shown: NDArray[np.uint8]
    """The view of each of them, shape (65536, bytes of a view)."""
    progress: NDArray[np.int64]
    """The next row to count, or `IDLE`, and the number of cells with a state so far."""


class Request(NamedTuple):
    """Parameters of a pass over a run, and its counts other than states; empty arrays if not wanted."""

    outside_first: NDArray[np.uint32]
    outside_last: NDArray[np.uint32]
    """Intervals of addresses that do not count, ascending."""
    view_masks: NDArray[np.uint64]
    prefixes24: NDArray[np.int64]
    """/24s by the set of families that found them."""
    alive24: NDArray[np.uint16]
    """By /24, the number of addresses that any family found."""
    slice_first: NDArray[np.uint32]
    slice_label: NDArray[np.int32]
    slice_counts: NDArray[np.int64]
    """By label and column (`slicing.py`)."""


@kernel
def add_container(
    containers: Containers, begin: int, stop: int, size: int, form: int, mask: int, sheet: Sheet, plane: int
) -> None:
    """OR `mask` into the cells of one container, at bytes `begin` up to `stop`, in one plane."""
    cells = sheet.planes[plane]
    numbers = containers.numbers
    if form == ARRAY:
        for i in range(begin // 2, begin // 2 + size):
            cells[numbers[i]] |= mask
    elif form == BITMAP:
        octets = containers.octets[begin:stop]
        groups = sheet.groups[plane]
        # Eight cells at once: each byte of the bitmap is expanded to eight bytes of all ones or zeros.
        repeated = uint64(mask) * uint64(0x0101010101010101)
        for i in range(CELLS // EIGHT):
            groups[i] |= EXPANDED[octets[i]] & repeated
    else:
        # A run container begins with the number of runs, followed by pairs of first member and length - 1.
        for i in range(begin // 2 + 1, stop // 2, 2):
            first = int64(numbers[i])
            for cell in range(first, min(first + int64(numbers[i + 1]) + 1, CELLS)):
                cells[cell] |= mask


@kernel
def add_containers(key: int, containers: Containers, sheet: Sheet) -> bool:
    """Expand the containers of a /16 of all sets and advance the cursors; return whether there is any."""
    found = False
    for number in range(len(containers.cursors)):
        at = containers.cursors[number]
        if at >= containers.ends[number] or int64(containers.keys[at]) != key:
            continue
        containers.cursors[number] = at + 1
        found = True
        begin = containers.offsets[at + number] + containers.shifts[number]
        stop = containers.offsets[at + number + 1] + containers.shifts[number]
        size, form = int64(containers.sizes[at]), int64(containers.forms[at])
        for plane in range(len(sheet.planes)):
            mask = containers.masks[number, plane]
            if mask:
                add_container(containers, begin, stop, size, form, mask, sheet, plane)
    return found


@kernel
def clear_outside(key: int, first: NDArray[np.uint32], last: NDArray[np.uint32], planes: NDArray[np.uint8]) -> None:
    """Clear the cells of a /16 in the intervals first[i] to last[i], inclusive and ascending."""
    base = key << 16
    low, high = 0, len(first)
    while low < high:  # find the first interval that does not end before this /16
        middle = (low + high) // 2
        if int64(last[middle]) < base:
            low = middle + 1
        else:
            high = middle
    while low < len(first) and int64(first[low]) < base + CELLS:
        begin, stop = max(int64(first[low]) - base, 0), min(int64(last[low]) - base + 1, CELLS)
        planes[:, begin:stop] = 0
        low += 1


@kernel
def take_states(planes: NDArray[np.uint8], begin: int, row: NDArray[np.uint64], place: int, first: int) -> None:
    """Move up to eight planes of a /24, from `first` on, into one word of the row's states."""
    states = row[place]
    states[:] = 0
    for plane in range(first, min(first + EIGHT, len(planes))):
        part = planes[plane, begin : begin + ROW]
        shift = uint64(EIGHT * (plane - first))
        for i in range(ROW):
            states[i] |= uint64(part[i]) << shift
        part[:] = 0


@kernel
def masks_matched(row: NDArray[np.uint64], masks: NDArray[np.uint64]) -> int:
    """Return the masks that any state of a row meets, as a bit for each."""
    matched = 0
    for word in range(len(row)):
        states = row[word]
        fold = uint64(0)
        for i in range(ROW):
            fold |= states[i]
        for bit in range(len(masks)):
            if fold & masks[bit, word]:
                matched |= 1 << bit
    return matched


@kernel
def count_rows(  # noqa: C901 - the innermost loops, kept in one function
    sheet: Sheet, table: Table, view_masks: NDArray[np.uint64], prefixes24: NDArray[np.int64]
) -> bool:
    """Count the states of a /16 row by row, and clear it; return False if the table is too full for the next row.

    `prefixes24` counts /24s by the set of those of the first three masks that any of their cells meets.
    """
    slots, views, taken, used = table
    planes, groups, row, cells, shown, progress = sheet
    fold_masks = view_masks[:3]
    octets = views.shape[1]
    any_word = row[0]
    found = progress[1]
    for begin in range(progress[0] * ROW, CELLS, ROW):
        # Leave before a row that might fill the table beyond half; progress lets the caller resume at this row.
        if 2 * (used[0] + ROW) > len(slots):
            progress[0], progress[1] = begin // ROW, found
            return False
        # Most /24s are empty: test whole words before moving states.
        combined = uint64(0)
        for plane in range(len(planes)):
            group = groups[plane, begin // EIGHT : (begin + ROW) // EIGHT]
            for i in range(ROW // EIGHT):
                combined |= group[i]
        if not combined:
            continue
        for word in range(len(row)):
            take_states(planes, begin, row, word, EIGHT * word)
        prefixes24[masks_matched(row, fold_masks)] += 1
        first = found
        for i in range(ROW):
            combined = any_word[i]
            for word in range(1, len(row)):
                combined |= row[word, i]
            # Without a branch: the cell is written in any case, and kept only if its state is not empty.
            cells[found] = begin + i
            found += combined != 0
        for i in range(first, found):
            cell = int64(cells[i]) - begin
            at = place_of(slots, row, cell)
            if slots[at, 0] == 0:
                for word in range(len(row)):
                    slots[at, 1 + word] = row[word, cell]
                write_view(slots, at, view_masks, views)
                taken[used[0]] = at
                used[0] += 1
            slots[at, 0] += uint64(1)
            for octet in range(octets):
                shown[i, octet] = views[at, octet]
    progress[1] = found
    return True


@kernel
def write_view(slots: NDArray[np.uint64], slot: int, view_masks: NDArray[np.uint64], views: NDArray[np.uint8]) -> None:
    """Write the view of a state: a bit for each mask that it meets, eight per byte."""
    for octet in range(views.shape[1]):
        shown = 0
        for bit in range(EIGHT):
            for word in range(slots.shape[1] - 1):
                if slots[slot, 1 + word] & view_masks[octet * EIGHT + bit, word]:
                    shown |= 1 << bit
        views[slot, octet] = shown


@kernel
def count_keys(  # noqa: C901 - optional counts are skipped
    key: int,
    stop: int,
    containers: Containers,
    sheet: Sheet,
    table: Table,
    request: Request,
    seen: NDArray[np.uint8],
) -> int:
    """Count the states of the /16s from `key` up to `stop`; return `stop`, or the /16 at which the table was too full.

    `seen` has the shape (/16s, bytes of a view, 65536), or is empty; the views of all addresses are written to it,
    those of the last /16 at the end.
    """
    for current in range(key, stop):
        if sheet.progress[0] == IDLE:
            if len(seen):
                seen[len(seen) - stop + current] = 0
            if not add_containers(current, containers, sheet):
                continue
            if len(request.outside_first):
                clear_outside(current, request.outside_first, request.outside_last, sheet.planes)
            sheet.progress[:] = 0
        if not count_rows(sheet, table, request.view_masks, request.prefixes24):
            return current
        sheet.progress[0] = IDLE
        found = sheet.progress[1]
        if len(request.alive24):
            for i in range(found):
                if int64(sheet.shown[i, 0]) & FAMILY_BITS:
                    request.alive24[(current << EIGHT) + (int64(sheet.cells[i]) >> EIGHT)] += 1
        if len(request.slice_first):
            slice_key(
                current, found, sheet.cells, sheet.shown, request.slice_first, request.slice_label, request.slice_counts
            )
        if len(seen):
            copy_views(sheet.cells, sheet.shown, found, seen[len(seen) - stop + current])
    return stop


@kernel
def copy_views(cells: NDArray[np.uint16], shown: NDArray[np.uint8], found: int, seen: NDArray[np.uint8]) -> None:
    """Write the view of each address of a /16 to `seen`."""
    for octet in range(shown.shape[1]):
        part = seen[octet]
        for i in range(found):
            part[cells[i]] = shown[i, octet]
