"""The records of pcap and pcapng files: kernels that walk them in memory and pack their packets into receive blocks."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.packets.checksum import read_u16, read_u32
from liveness.packets.packing import POSITION, SPARE_BYTES, USED, add_packet
from liveness.packets.pcap import MAX_CAPTURED, RECORD_BYTES, native_u32

MORE: Final = 0
"""The next record is not there, or not whole."""
FULL: Final = 1
"""The receive block is full."""
DAMAGED: Final = 2
"""What stands at the position is no record."""
DESCRIPTION: Final = 3
"""A pcapng block that describes a section or an interface stands at the position."""

SECTION: Final = 0x0A0D0D0A
INTERFACE: Final = 1
_OLD_PACKET: Final = 2
_SIMPLE_PACKET: Final = 3
_PACKET: Final = 6
BLOCK_OVERHEAD: Final = 12
"""Type, total length and total length again."""
MAX_BLOCK_BYTES: Final = 16 << 20

LINK: Final = 0
SNAPLEN: Final = 1
MULTIPLIER: Final = 2
DIVISOR: Final = 3
SHIFT: Final = 4
OFFSET_NS: Final = 5
INTERFACE_FIELDS: Final = 6
"""Places in the row of an interface. ns = ((stamp >> shift) · multiplier + fraction) / divisor + offset."""


@kernel
def u32(data: NDArray[np.uint8], at: int, big: bool) -> int:
    """Return the 32-bit number at byte `at`, big- or little-endian."""
    return read_u32(data, at) if big else native_u32(data, at)


@kernel
def u16(data: NDArray[np.uint8], at: int, big: bool) -> int:
    """Return the 16-bit number at byte `at`, big- or little-endian."""
    return read_u16(data, at) if big else int64(data[at]) | int64(data[at + 1]) << 8


@kernel
def take_records(
    data: NDArray[np.uint8],
    end: int,
    big: bool,
    unit_ns: int,
    link: int,
    program: NDArray[np.int64],
    block: NDArray[np.uint8],
    state: NDArray[np.int64],
) -> int:
    """Pack the packets of pcap records in data[state[POSITION]:end] into a block; return MORE, FULL or DAMAGED.

    `unit_ns` is what a record's fraction of a second counts in. The position moves past every record taken.
    """
    while True:
        at = state[POSITION]
        if end - at < RECORD_BYTES:
            return MORE
        captured = u32(data, at + 8, big)
        if captured > MAX_CAPTURED:
            return DAMAGED
        if end - at - RECORD_BYTES < captured:
            return MORE
        if len(block) - state[USED] < SPARE_BYTES:
            return FULL
        time_ns = u32(data, at, big) * 1_000_000_000 + u32(data, at + 4, big) * unit_ns
        add_packet(data, at + RECORD_BYTES, captured, u32(data, at + 12, big), time_ns, link, program, block, state)
        state[POSITION] = at + RECORD_BYTES + captured


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
        length = u32(data, at + 8, big)
        captured = min(length, total - BLOCK_OVERHEAD - 4)
        if interfaces[0, SNAPLEN] > 0:
            captured = min(captured, int64(interfaces[0, SNAPLEN]))
        return (0, 0, at + 12, captured, length) if captured <= MAX_CAPTURED else none
    if total < BLOCK_OVERHEAD + 20:
        return none
    number = u32(data, at + 8, big) if kind == _PACKET else u16(data, at + 8, big)
    captured = u32(data, at + 20, big)
    if number >= len(interfaces) or captured > min(total - BLOCK_OVERHEAD - 20, MAX_CAPTURED):
        return none
    time_ns = _time_ns(u32(data, at + 12, big), u32(data, at + 16, big), interfaces[number])
    return number, time_ns, at + 28, captured, u32(data, at + 24, big)


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
        kind = u32(data, at, big)
        if kind == SECTION:
            return DESCRIPTION
        total = u32(data, at + 4, big)
        if total < BLOCK_OVERHEAD or total % 4 != 0 or total > MAX_BLOCK_BYTES:
            return DAMAGED
        if end - at < total:
            return MORE
        if u32(data, at + total - 4, big) != total:
            return DAMAGED
        if kind == INTERFACE:
            return DESCRIPTION
        if kind in (_PACKET, _SIMPLE_PACKET, _OLD_PACKET):
            if len(block) - state[USED] < SPARE_BYTES:
                return FULL
            number, time_ns, packet, captured, length = _packet_at(data, at, total, kind, big, interfaces)
            if number < 0:
                return DAMAGED
            link = interfaces[number, LINK]
            add_packet(data, packet, captured, length, time_ns, link, program, block, state)
        state[POSITION] = at + total
