"""Captured packets packed into receive blocks: what a capture holds, as a scan's ring would have shown it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel
from liveness.packets import headers as hdr
from liveness.packets.block import BLOCK_HEADER_BYTES, put_packet, seal_block
from liveness.packets.bpf_machine import passes
from liveness.packets.bytes import read_be16
from liveness.packets.link_types import CARRIER_NAMES, ETHERNET, carrier_of, ethertype_at, put_frame

MAX_CAPTURED: Final = 1 << 18
"""Most bytes that anybody captures of one packet (tcpdump's own limit); a record that claims more is damaged."""
BLOCK_BYTES: Final = 4 << 20
_FRAME_AT: Final = 50
"""Where a frame begins, from its packet's header: right behind it, its IP header at a multiple of 16."""
SPARE_BYTES: Final = MAX_CAPTURED + _FRAME_AT + hdr.ETHERNET_LENGTH + 8
"""A block with less than this left is full: the largest packet may not fit."""

MORE: Final = 0
"""The next record is not there, or not whole."""
FULL: Final = 1
"""The receive block is full."""
DAMAGED: Final = 2
"""What lies at the position is no record."""
DESCRIPTION: Final = 3
"""A pcapng block that describes a section or an interface lies at the position."""

USED: Final = 0
COUNT: Final = 1
LAST: Final = 2
PACKETS: Final = 3
IPV4: Final = 4
POSITION: Final = 5
CUT: Final = 6
CARRIERS: Final = 7
STATE_FIELDS: Final = CARRIERS + 1 + max(CARRIER_NAMES)
"""Places in the state of packing. Of the block: bytes used, packets in it, where the last one's header lies. Of the
capture: packets read, IPv4 ones, bytes consumed, packets cut by the snap length, and from CARRIERS on the Ethernet
frames by carrier (`link_types`)."""


@kernel
def has_room(block: NDArray[np.uint8], state: NDArray[np.int64]) -> bool:
    """Return whether any packet fits into the rest of a block."""
    return bool(len(block) - state[USED] >= SPARE_BYTES)


@kernel
def add_packet(
    data: NDArray[np.uint8],
    at: int,
    captured: int,
    length: int,
    time_ns: int,
    link: int,
    program: NDArray[np.int64],
    block: NDArray[np.uint8],
    state: NDArray[np.int64],
) -> None:
    """Count the packet in data[at:at + captured], and add it to a block if the filter lets it pass.

    It had `length` bytes on the wire. The block must have room (`has_room`).
    """
    used = state[USED]
    frame = used + _FRAME_AT
    state[PACKETS] += 1
    if captured < length:
        state[CUT] += 1
    if link == ETHERNET:
        carrier, _ = carrier_of(data, at, captured)
        state[CARRIERS + carrier] += 1
    # The filter judges what the kernel would have judged, so the frame is written first. It stays unused, and is
    # overwritten by the next one, if the filter drops it.
    grown = put_frame(data, at, captured, link, block, frame)
    size = captured + grown
    if size < hdr.ETHERNET_LENGTH:
        return
    if read_be16(block, frame + ethertype_at(block, frame, size)) == hdr.ETHERTYPE_IPV4:
        state[IPV4] += 1
    if not passes(program, block, frame, frame + size):
        return
    state[USED] = put_packet(block, used, _FRAME_AT, time_ns, size, max(length, captured) + grown)
    state[LAST] = used
    state[COUNT] += 1


def begin_block(state: NDArray[np.int64]) -> None:
    """Begin an empty block."""
    state[USED] = state[LAST] = BLOCK_HEADER_BYTES
    state[COUNT] = 0


def end_block(block: NDArray[np.uint8], state: NDArray[np.int64]) -> None:
    """Write a block's header."""
    seal_block(block, int(state[COUNT]), int(state[LAST]), int(state[USED]))
