"""The sections of pcapng files: byte order, interfaces, and how their clocks tick (draft-ietf-opsawg-pcapng)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.packets import capture_records as records
from liveness.packets.capture_records import DAMAGED, DESCRIPTION, MORE, u16, u32
from liveness.packets.packing import LINK_NAMES, POSITION, UNREAD_LINK

BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
SECTION_BYTES: Final = 28
INTERFACE_BYTES: Final = 20
MAX_INTERFACES: Final = 1 << 16
FIRST_ROWS: Final = 16
MOST_NOTES: Final = 16

_END_OF_OPTIONS: Final = 0
_TIME_RESOLUTION: Final = 9
_TIME_OFFSET: Final = 14
_MICROSECONDS: Final = 6
_MOST_DIGITS: Final = 18
_MOST_BITS: Final = 33
"""Finer clocks than these would not fit the arithmetic; there are none."""


class Section:
    """The current section of a pcapng file; each begins with a byte order and no interfaces."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        """What of the sections so far is not read."""
        self._big = False
        self._rows: NDArray[np.int64] = np.zeros((FIRST_ROWS, records.INTERFACE_FIELDS), np.int64)
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
            status = records.take_blocks(data, end, self._big, rows, program, block, state)
            if status != DESCRIPTION:
                return status
            at = int(state[POSITION])
            status = self._section(data, at, end) if self._is_section(data, at) else self._interface(data, at)
            if status <= 0:
                return MORE if status == 0 else DAMAGED
            state[POSITION] = at + status

    def _is_section(self, data: NDArray[np.uint8], at: int) -> bool:
        return u32(data, at, self._big) == records.SECTION

    def _section(self, data: NDArray[np.uint8], at: int, end: int) -> int:
        """Begin a section; return the length of its header, 0 if it is not all there, -1 if it is damaged."""
        orders = [big for big in (False, True) if u32(data, at + 8, big) == BYTE_ORDER_MAGIC]
        if not orders:
            return -1
        total = u32(data, at + 4, orders[0])
        if total < SECTION_BYTES or total % 4 or total > records.MAX_BLOCK_BYTES:
            return -1
        if end - at < total:
            return 0
        if u32(data, at + total - 4, orders[0]) != total or u16(data, at + 12, orders[0]) != 1:
            return -1
        self._big = orders[0]
        self._count = 0
        return int(total)

    def _interface(self, data: NDArray[np.uint8], at: int) -> int:
        """Add an interface, whose block is all there; return the block's length, -1 if it is damaged."""
        total = int(u32(data, at + 4, self._big))
        if total < INTERFACE_BYTES or self._count >= MAX_INTERFACES:
            return -1
        link = int(u16(data, at + 8, self._big))
        row = np.zeros(records.INTERFACE_FIELDS, np.int64)
        row[records.LINK] = link
        row[records.SNAPLEN] = u32(data, at + 12, self._big)
        resolution, offset_s = self._clock(data, at + 16, at + total - 4)
        row[records.OFFSET_NS] = offset_s * 1_000_000_000
        binary, exponent = bool(resolution & 0x80), resolution & 0x7F
        if link not in LINK_NAMES:
            self._leave_out(row, f"link type {link}")
        elif exponent > (_MOST_BITS if binary else _MOST_DIGITS):
            self._leave_out(row, f"a clock of {'2' if binary else '10'}^-{exponent} s")
        elif binary:
            row[records.SHIFT], row[records.MULTIPLIER], row[records.DIVISOR] = exponent, 1_000_000_000, 1
        else:
            row[records.MULTIPLIER], row[records.DIVISOR] = 10 ** max(9 - exponent, 0), 10 ** max(exponent - 9, 0)
        if self._count == len(self._rows):
            self._rows = np.concatenate((self._rows, np.zeros_like(self._rows)))
        self._rows[self._count] = row
        self._count += 1
        return total

    def _leave_out(self, row: NDArray[np.int64], why: str) -> None:
        row[records.LINK] = UNREAD_LINK
        row[records.MULTIPLIER] = row[records.DIVISOR] = 1
        self._left_out += 1
        if self._left_out < MOST_NOTES:
            self.notes.append(f"interface {self._count} with {why} is not read")
        elif self._left_out == MOST_NOTES:
            self.notes.append("more interfaces are not read for such reasons")

    def _clock(self, data: NDArray[np.uint8], at: int, end: int) -> tuple[int, int]:
        """Return an interface's resolution (if_tsresol) and offset in seconds (if_tsoffset), as its options say."""
        resolution, offset_s = _MICROSECONDS, 0
        while at + 4 <= end:
            option, length = u16(data, at, self._big), u16(data, at + 2, self._big)
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
