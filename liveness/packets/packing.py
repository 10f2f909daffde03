"""From captured packets to receive blocks: every packet as an Ethernet frame, filtered, packed as TPACKET_V3 packs."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.packets import headers as hdr
from liveness.packets import tpacket
from liveness.packets.bpf_machine import passes
from liveness.packets.checksum import read_u16
from liveness.packets.pcap import MAX_CAPTURED, copy_bytes, put_u16_wire, put_u32

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
CUT: Final = 5
MPLS: Final = 6
PPPOE: Final = 7
LLC: Final = 8
STATE_FIELDS: Final = 9
"""Places in the state of packing: bytes of the block used, packets in it, packets read, IPv4 ones, bytes consumed,
packets cut by the snap length, and those within MPLS, PPPoE and LLC."""

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
_MOST_TAGS: Final = 4
_TYPE_FIRST: Final = 1536
"""Below it the field of the type is a length, and LLC follows (IEEE 802.3)."""
_ETHERTYPE_MPLS: Final = 0x8847
_ETHERTYPE_MPLS_MULTICAST: Final = 0x8848
_ETHERTYPE_PPPOE: Final = 0x8864
_PPPOE_BYTES: Final = 6
_PPP_IPV4: Final = 0x0021
_SNAP_BYTES: Final = 8
_SNAP: Final = 0xAAAA
_MPLS_LABEL_BYTES: Final = 4


@kernel
def type_at(data: NDArray[np.uint8], at: int, captured: int) -> int:
    """Return where in an Ethernet frame its type stands behind all VLAN tags, counted from the frame's first byte."""
    place = _MACS
    for _ in range(_MOST_TAGS):
        if place + hdr.VLAN_TAG_LENGTH + 2 > captured:
            break
        if read_u16(data, at + place) not in (hdr.ETHERTYPE_VLAN, hdr.ETHERTYPE_QINQ):
            break
        place += hdr.VLAN_TAG_LENGTH
    return place


@kernel
def within(data: NDArray[np.uint8], at: int, captured: int) -> tuple[int, int]:
    """Return what an Ethernet frame's IPv4 packet lies within, `MPLS`, `PPPOE` or `LLC`, and where that packet begins.

    The first is 0 for anything else, the second 0 where no IPv4 packet is in it.
    """
    place = type_at(data, at, captured)
    if place + 2 > captured:
        return 0, 0
    kind = read_u16(data, at + place)
    inner = place + 2
    if kind in (_ETHERTYPE_MPLS, _ETHERTYPE_MPLS_MULTICAST):
        bottom = False
        while not bottom and inner + _MPLS_LABEL_BYTES <= captured:
            bottom = int64(data[at + inner + 2]) & 1 == 1
            inner += _MPLS_LABEL_BYTES
        is_ipv4 = bottom and inner < captured and int64(data[at + inner]) >> 4 == 4  # noqa: PLR2004 - the version
        return MPLS, inner if is_ipv4 else 0
    if kind == _ETHERTYPE_PPPOE:
        inner += _PPPOE_BYTES + 2
        is_ipv4 = inner <= captured and read_u16(data, at + inner - 2) == _PPP_IPV4
        return PPPOE, inner if is_ipv4 else 0
    if kind < _TYPE_FIRST:
        inner += _SNAP_BYTES
        is_ipv4 = (
            inner <= captured
            and read_u16(data, at + place + 2) == _SNAP
            and read_u16(data, at + inner - 2) == hdr.ETHERTYPE_IPV4
        )
        return LLC, inner if is_ipv4 else 0
    return 0, 0


@kernel
def put_ethernet(data: NDArray[np.uint8], at: int, captured: int, block: NDArray[np.uint8], to: int) -> int:
    """Write a captured Ethernet frame without its outermost VLAN tag, or the IPv4 packet within MPLS, PPPoE or LLC."""
    _, inner = within(data, at, captured)
    if inner > 0:  # it is shown as if it had come alone
        copy_bytes(data, at, _MACS, block, to)
        put_u16_wire(block, to + _MACS, hdr.ETHERTYPE_IPV4)
        copy_bytes(data, at + inner, captured - inner, block, to + hdr.ETHERNET_LENGTH)
        return hdr.ETHERNET_LENGTH - inner
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


@kernel
def put_frame(data: NDArray[np.uint8], at: int, captured: int, link: int, block: NDArray[np.uint8], to: int) -> int:
    """Write a captured packet as the Ethernet frame that the kernel would have shown; return how many bytes it grew.

    The outermost VLAN tag goes, which the kernel takes out of every frame it receives. Returns minus `captured` - 1
    or less for what this host sent, and for what is too short for its link type.
    """
    none = -captured - 1
    if link == UNREAD_LINK:
        return none
    if link == _ETHERNET:
        return put_ethernet(data, at, captured, block, to)
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
    if captured < length:
        state[CUT] += 1
    if link == _ETHERNET:
        around, _ = within(data, at, captured)
        if around > 0:
            state[around] += 1
    grown = put_frame(data, at, captured, link, block, frame)
    size = captured + grown
    if size < hdr.ETHERNET_LENGTH:
        return
    if read_u16(block, frame + type_at(block, frame, size)) == hdr.ETHERTYPE_IPV4:
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
