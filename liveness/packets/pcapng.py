"""Pcapng files (draft-ietf-opsawg-pcapng): sections, interfaces and how their clocks tick, and the packets' blocks."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.packets.bytes import read_16, read_32
from liveness.packets.link_types import LINK_NAMES, UNREAD
from liveness.packets.packing import DAMAGED, DESCRIPTION, FULL, MAX_CAPTURED, MORE, POSITION, add_packet, has_room

MAGIC: Final = b"\n\r\r\n"
"""The type of a section's header, the same in either byte order, with which every file begins."""
BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
SECTION_BYTES: Final = 28
INTERFACE_BYTES: Final = 20
MAX_INTERFACES: Final = 1 << 16
FIRST_ROWS: Final = 16
MOST_NOTES: Final = 16
BLOCK_OVERHEAD: Final = 12
"""Type, total length and total length again."""
MAX_BLOCK_BYTES: Final = 16 << 20

# types of blocks
_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_OLD_PACKET: Final = 2
_SIMPLE_PACKET: Final = 3
_PACKET: Final = 6

# options of an interface
_END_OF_OPTIONS: Final = 0
_TIME_RESOLUTION: Final = 9
_TIME_OFFSET: Final = 14
_MICROSECONDS: Final = 6
_MOST_DIGITS: Final = 18
_MOST_BITS: Final = 33
"""Finer clocks than these would not fit the arithmetic; there are none."""

LINK: Final = 0
SNAPLEN: Final = 1
MULTIPLIER: Final = 2
DIVISOR: Final = 3
SHIFT: Final = 4
OFFSET_NS: Final = 5
INTERFACE_FIELDS: Final = 6
"""Places in the row of an interface. ns = ((stamp >> shift) · multiplier + fraction) / divisor + offset."""


@kernel
def _time_ns(high: int, low: int, interface: NDArray[np.int64]) -> int:
    stamp = (high & 0x7FFFFFFF) << 32 | low
    shift = interface[SHIFT]
    whole = stamp >> shift
    fraction = ((stamp - (whole << shift)) * interface[MULTIPLIER]) >> shift
    return int64((whole * interface[MULTIPLIER] + fraction) // interface[DIVISOR] + interface[OFFSET_NS])


@kernel
def _packet_at(
    data: NDArray[np.uint8], at: int, total: int, kind: int, big: bool, interfaces: NDArray[np.int64]
) -> tuple[int, int, int, int, int]:
    """Return (interface, time in ns, where the packet begins, bytes captured, bytes on the wire) of a packet block.

    The interface is -1 if the block cannot be what it says.
    """
    none = (-1, 0, 0, 0, 0)
    if kind == _SIMPLE_PACKET:
        if total < BLOCK_OVERHEAD + 4 or len(interfaces) == 0:
            return none
        length = read_32(data, at + 8, big)
        captured = min(length, total - BLOCK_OVERHEAD - 4)
        if interfaces[0, SNAPLEN] > 0:
            captured = min(captured, int64(interfaces[0, SNAPLEN]))
        return (0, 0, at + 12, captured, length) if captured <= MAX_CAPTURED else none
    if total < BLOCK_OVERHEAD + 20:
        return none
    number = read_32(data, at + 8, big) if kind == _PACKET else read_16(data, at + 8, big)
    captured = read_32(data, at + 20, big)
    if number >= len(interfaces) or captured > min(total - BLOCK_OVERHEAD - 20, MAX_CAPTURED):
        return none
    time_ns = _time_ns(read_32(data, at + 12, big), read_32(data, at + 16, big), interfaces[number])
    return number, time_ns, at + 28, captured, read_32(data, at + 24, big)


@kernel
def take_blocks(  # noqa: C901, PLR0911 - one check after the other, each with its own reason to leave
    data: NDArray[np.uint8],
    end: int,
    big: bool,
    interfaces: NDArray[np.int64],
    program: NDArray[np.int64],
    block: NDArray[np.uint8],
    state: NDArray[np.int64],
) -> int:
    """Pack the packets of pcapng blocks in data[state[POSITION]:end] into a receive block.

    `interfaces` has a row of INTERFACE_FIELDS for each one described so far. Returns MORE, FULL, DAMAGED or, before a
    block that only describes, DESCRIPTION.
    """
    while True:
        at = state[POSITION]
        if end - at < BLOCK_OVERHEAD:
            return MORE
        kind = read_32(data, at, big)
        if kind == _SECTION:
            return DESCRIPTION
        total = read_32(data, at + 4, big)
        if total < BLOCK_OVERHEAD or total % 4 != 0 or total > MAX_BLOCK_BYTES:
            return DAMAGED
        if end - at < total:
            return MORE
        if read_32(data, at + total - 4, big) != total:
            return DAMAGED
        if kind == _INTERFACE:
            return DESCRIPTION
        if kind in (_PACKET, _SIMPLE_PACKET, _OLD_PACKET):
            if not has_room(block, state):
                return FULL
            number, time_ns, packet, captured, length = _packet_at(data, at, total, kind, big, interfaces)
            if number < 0:
                return DAMAGED
            link = interfaces[number, LINK]
            add_packet(data, packet, captured, length, time_ns, link, program, block, state)
        state[POSITION] = at + total


class Section:
    """The current section of a pcapng file; each begins with a byte order and no interfaces."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        """What of the sections so far is not read."""
        self._big = False
        self._rows: NDArray[np.int64] = np.zeros((FIRST_ROWS, INTERFACE_FIELDS), np.int64)
        self._count = 0
        self._left_out = 0

    def take(
        self,
        data: NDArray[np.uint8],
        end: int,
        program: NDArray[np.int64],
        block: NDArray[np.uint8],
        state: NDArray[np.int64],
    ) -> int:
        """Pack packets of data[state[POSITION]:end] into a receive block; return MORE, FULL or DAMAGED."""
        while True:
            rows = self._rows[: self._count]
            status = take_blocks(data, end, self._big, rows, program, block, state)
            if status != DESCRIPTION:
                return status
            at = int(state[POSITION])
            status = self._section(data, at, end) if self._is_section(data, at) else self._interface(data, at)
            if status <= 0:
                return MORE if status == 0 else DAMAGED
            state[POSITION] = at + status

    def _is_section(self, data: NDArray[np.uint8], at: int) -> bool:
        return read_32(data, at, self._big) == _SECTION

    def _section(self, data: NDArray[np.uint8], at: int, end: int) -> int:
        """Begin a section; return the length of its header, 0 if it is not all there, -1 if it is damaged."""
        orders = [big for big in (False, True) if read_32(data, at + 8, big) == BYTE_ORDER_MAGIC]
        if not orders:
            return -1
        total = read_32(data, at + 4, orders[0])
        if total < SECTION_BYTES or total % 4 or total > MAX_BLOCK_BYTES:
            return -1
        if end - at < total:
            return 0
        if read_32(data, at + total - 4, orders[0]) != total or read_16(data, at + 12, orders[0]) != 1:
            return -1
        self._big = orders[0]
        self._count = 0
        return int(total)

    def _interface(self, data: NDArray[np.uint8], at: int) -> int:
        """Add an interface, whose block is all there; return the block's length, -1 if it is damaged."""
        total = int(read_32(data, at + 4, self._big))
        if total < INTERFACE_BYTES or self._count >= MAX_INTERFACES:
            return -1
        link = int(read_16(data, at + 8, self._big))
        row = np.zeros(INTERFACE_FIELDS, np.int64)
        row[LINK] = link
        row[SNAPLEN] = read_32(data, at + 12, self._big)
        resolution, offset_s = self._clock(data, at + 16, at + total - 4)
        row[OFFSET_NS] = offset_s * 1_000_000_000
        binary, exponent = bool(resolution & 0x80), resolution & 0x7F
        if link not in LINK_NAMES:
            self._leave_out(row, f"link type {link}")
        elif exponent > (_MOST_BITS if binary else _MOST_DIGITS):
            self._leave_out(row, f"a clock of {'2' if binary else '10'}^-{exponent} s")
        elif binary:
            row[SHIFT], row[MULTIPLIER], row[DIVISOR] = exponent, 1_000_000_000, 1
        else:
            row[MULTIPLIER], row[DIVISOR] = 10 ** max(9 - exponent, 0), 10 ** max(exponent - 9, 0)
        if self._count == len(self._rows):
            self._rows = np.concatenate((self._rows, np.zeros_like(self._rows)))
        self._rows[self._count] = row
        self._count += 1
        return total

    def _leave_out(self, row: NDArray[np.int64], why: str) -> None:
        row[LINK] = UNREAD
        row[MULTIPLIER] = row[DIVISOR] = 1
        self._left_out += 1
        if self._left_out < MOST_NOTES:
            self.notes.append(f"interface {self._count} with {why} is not read")
        elif self._left_out == MOST_NOTES:
            self.notes.append("more interfaces are not read for such reasons")

    def _clock(self, data: NDArray[np.uint8], at: int, end: int) -> tuple[int, int]:
        """Return an interface's resolution (if_tsresol) and offset in seconds (if_tsoffset), as its options say."""
        resolution, offset_s = _MICROSECONDS, 0
        while at + 4 <= end:
            option, length = read_16(data, at, self._big), read_16(data, at + 2, self._big)
            if option == _END_OF_OPTIONS or at + 4 + length > end:
                break
            if option == _TIME_RESOLUTION and length >= 1:
                resolution = int(data[at + 4])
            if option == _TIME_OFFSET and length >= 8:  # noqa: PLR2004 - a 64-bit number
                whole = bytes(data[at + 4 : at + 12])
                offset_s = int.from_bytes(whole, "big" if self._big else "little", signed=True)
                offset_s = max(-(1 << 32), min(offset_s, 1 << 32))
            at += 4 + (length + 3) // 4 * 4
        return resolution, offset_s
