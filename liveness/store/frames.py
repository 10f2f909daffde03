"""From captured packets to receive blocks: every packet as an Ethernet frame, filtered, packed as TPACKET_V3 packs."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.net import tpacket
from liveness.net.bpf_machine import passes
from liveness.store.pcap import MAX_CAPTURED, copy_bytes, put_u16_wire, put_u32
from liveness.wire import headers as hdr
from liveness.wire.checksum import read_u16

LINK_NAMES: Final = {
    1: "Ethernet",
    12: "raw IP",
    101: "raw IP",
    113: "Linux cooked",
    228: "raw IPv4",
    276: "Linux cooked v2",
}
"""Link types (LINKTYPE_ of tcpdump.org) that are read, with their names."""

UNREAD_LINK: Final = -1
"""Stands for a link type that is not read."""
BLOCK_BYTES: Final = 4 << 20
FRAME_AT: Final = 50
"""Where a frame begins behind its packet's header, so that its IP header lies at a multiple of 16."""
SPARE_BYTES: Final = MAX_CAPTURED + FRAME_AT + hdr.ETHERNET_LENGTH + 8
"""With less than this left a block is full."""

USED: Final = 0
COUNT: Final = 1
PACKETS: Final = 2
IPV4: Final = 3
POSITION: Final = 4
STATE_FIELDS: Final = 5
"""Places in the state of packing: bytes of the block used, packets in it, packets read, IPv4 ones, bytes consumed."""

_ETHERNET: Final = 1
_COOKED: Final = 113
_COOKED_2: Final = 276
_COOKED_BYTES: Final = 16
_COOKED_2_BYTES: Final = 20
_COOKED_2_TYPE: Final = 10
_OUTGOING: Final = 4
_IPV6: Final = 6
_ETHERTYPE_IPV6: Final = 0x86DD
_MACS: Final = 12


@kernel
def put_frame(  # noqa: PLR0911 - each link type leaves by itself
    data: NDArray[np.uint8], at: int, captured: int, link: int, block: NDArray[np.uint8], to: int
) -> int:
    """Write a captured packet as the Ethernet frame that the kernel would have shown; return how many bytes it grew.

    The outermost VLAN tag goes, which the kernel takes out of every frame it receives. Returns minus `captured` - 1
    or less for what this host sent, and for what is too short for its link type.
    """
    none = -captured - 1
    if link == UNREAD_LINK:
        return none
    if link == _ETHERNET:
        tagged = captured >= hdr.ETHERNET_LENGTH + hdr.VLAN_TAG_LENGTH and (
            read_u16(data, at + _MACS) in (hdr.ETHERTYPE_VLAN, hdr.ETHERTYPE_QINQ)
        )
        if not tagged:
            copy_bytes(data, at, captured, block, to)
            return 0
        copy_bytes(data, at, _MACS, block, to)
        behind = _MACS + hdr.VLAN_TAG_LENGTH
        copy_bytes(data, at + behind, captured - behind, block, to + _MACS)
        return -hdr.VLAN_TAG_LENGTH
    if link == _COOKED:
        skipped = _COOKED_BYTES
        if captured < skipped or read_u16(data, at) == _OUTGOING:
            return none
        ethertype = read_u16(data, at + 14)
    elif link == _COOKED_2:
        skipped = _COOKED_2_BYTES
        if captured < skipped or int64(data[at + _COOKED_2_TYPE]) == _OUTGOING:
            return none
        ethertype = read_u16(data, at)
    else:
        skipped = 0
        if captured < 1:
            return none
        ethertype = _ETHERTYPE_IPV6 if int64(data[at]) >> 4 == _IPV6 else hdr.ETHERTYPE_IPV4
    for i in range(_MACS):
        block[to + i] = 0
    put_u16_wire(block, to + _MACS, ethertype)
    copy_bytes(data, at + skipped, captured - skipped, block, to + hdr.ETHERNET_LENGTH)
    return hdr.ETHERNET_LENGTH - skipped


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
    """Add the packet in data[at:at + captured], `length` bytes on the wire, to a block if the filter lets it pass."""
    used = state[USED]
    frame = used + FRAME_AT
    state[PACKETS] += 1
    grown = put_frame(data, at, captured, link, block, frame)
    size = captured + grown
    if size < hdr.ETHERNET_LENGTH:
        return
    if read_u16(block, frame + _MACS) == hdr.ETHERTYPE_IPV4:
        state[IPV4] += 1
    if not passes(program, block, frame, frame + size):
        return
    step = (FRAME_AT + size + 7) // 8 * 8
    put_u32(block, used + tpacket.PACKET_NEXT, step)
    put_u32(block, used + tpacket.PACKET_SEC, time_ns // 1_000_000_000)
    put_u32(block, used + tpacket.PACKET_NSEC, time_ns % 1_000_000_000)
    put_u32(block, used + tpacket.PACKET_SNAPLEN, size)
    put_u32(block, used + tpacket.PACKET_LENGTH, max(length, captured) + grown)
    put_u32(block, used + tpacket.PACKET_STATUS, tpacket.TP_STATUS_USER)
    block[used + tpacket.PACKET_MAC] = FRAME_AT
    block[used + tpacket.PACKET_MAC + 1] = 0
    block[used + tpacket.PACKET_NET] = FRAME_AT + hdr.ETHERNET_LENGTH
    block[used + tpacket.PACKET_NET + 1] = 0
    state[USED] = used + step
    state[COUNT] += 1


def begin_block(block: NDArray[np.uint8], state: NDArray[np.int64]) -> None:
    """Begin an empty block."""
    block[: tpacket.BLOCK_HEADER_BYTES] = 0
    state[USED], state[COUNT] = tpacket.BLOCK_HEADER_BYTES, 0


def end_block(block: NDArray[np.uint8], state: NDArray[np.int64]) -> None:
    """Write a block's header."""
    words = block[: tpacket.BLOCK_HEADER_BYTES].view(np.uint32)
    words[tpacket.BLOCK_VERSION // 4] = tpacket.TPACKET_V3
    words[tpacket.BLOCK_STATUS // 4] = tpacket.TP_STATUS_USER
    words[tpacket.BLOCK_PACKETS // 4] = state[COUNT]
    words[tpacket.BLOCK_FIRST // 4] = tpacket.BLOCK_HEADER_BYTES
    words[tpacket.BLOCK_LENGTH // 4] = state[USED]
