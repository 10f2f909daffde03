"""Frames of any link type as the Ethernet frames that the kernel would have shown of them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.packets import headers as hdr
from liveness.packets.bytes import copy_bytes, put_be16, read_be16

LINK_NAMES: Final = {
    1: "Ethernet",
    12: "raw IP",
    101: "raw IP",
    113: "Linux cooked",
    228: "raw IPv4",
    276: "Linux cooked v2",
}
"""Link types (LINKTYPE_ of tcpdump.org) that are read, with their names."""
ETHERNET: Final = 1
RAW_IP: Final = 101
UNREAD: Final = -1
"""Stands for a link type that is not read."""

PLAIN: Final = 0
MPLS: Final = 1
PPPOE: Final = 2
LLC: Final = 3
"""What an Ethernet frame carries its IPv4 packet in."""
CARRIER_NAMES: Final = {MPLS: "MPLS", PPPOE: "PPPoE", LLC: "LLC"}

_COOKED: Final = 113
_COOKED_2: Final = 276
_COOKED_BYTES: Final = 16
_COOKED_2_BYTES: Final = 20
_COOKED_TYPE: Final = 14
_COOKED_2_TYPE: Final = 0
_COOKED_2_PACKET_TYPE: Final = 10
_OUTGOING: Final = 4
"""Packet type of what this host sent, in both cooked headers."""
_MOST_TAGS: Final = 4
_TYPE_FIRST: Final = 1536
"""A smaller number in the field of the EtherType is a length, and LLC follows (IEEE 802.3)."""
_ETHERTYPE_MPLS: Final = 0x8847
_ETHERTYPE_MPLS_MULTICAST: Final = 0x8848
_ETHERTYPE_PPPOE: Final = 0x8864
_PPPOE_BYTES: Final = 6
_PPP_IPV4: Final = 0x0021
_SNAP_BYTES: Final = 8
_SNAP: Final = 0xAAAA
_MPLS_LABEL_BYTES: Final = 4


@kernel
def _is_tag(ethertype: int) -> bool:
    return ethertype in (hdr.ETHERTYPE_VLAN, hdr.ETHERTYPE_QINQ)


@kernel
def _is_ipv4(data: NDArray[np.uint8], at: int) -> bool:
    """Return whether the byte at `at` can begin an IPv4 header."""
    return int64(data[at]) >> 4 == hdr.IPV4_VERSION


@kernel
def ethertype_at(data: NDArray[np.uint8], at: int, captured: int) -> int:
    """Return where in an Ethernet frame the EtherType behind all VLAN tags lies, from the frame's first byte."""
    place = hdr.ETHERTYPE_OFFSET
    for _ in range(_MOST_TAGS):
        if place + hdr.VLAN_TAG_LENGTH + 2 > captured:
            break
        if not _is_tag(read_be16(data, at + place)):
            break
        place += hdr.VLAN_TAG_LENGTH
    return place


@kernel
def carrier_of(data: NDArray[np.uint8], at: int, captured: int) -> tuple[int, int]:
    """Return what carries the IPv4 packet of an Ethernet frame, and where that packet begins.

    The carrier is PLAIN where neither MPLS nor PPPoE nor LLC follows the Ethernet header; the place is 0 for PLAIN and
    where the carrier holds no IPv4 packet.
    """
    place = ethertype_at(data, at, captured)
    if place + 2 > captured:
        return PLAIN, 0
    ethertype = read_be16(data, at + place)
    inner = place + 2
    if ethertype in (_ETHERTYPE_MPLS, _ETHERTYPE_MPLS_MULTICAST):
        # Labels follow each other until one has the bit that marks the bottom of the stack. Nothing names the protocol
        # behind it; the version in the first byte does.
        bottom = False
        while not bottom and inner + _MPLS_LABEL_BYTES <= captured:
            bottom = int64(data[at + inner + 2]) & 1 == 1
            inner += _MPLS_LABEL_BYTES
        return MPLS, inner if bottom and inner < captured and _is_ipv4(data, at + inner) else 0
    if ethertype == _ETHERTYPE_PPPOE:
        inner += _PPPOE_BYTES + 2  # the PPP protocol ends the header
        is_ipv4 = inner <= captured and read_be16(data, at + inner - 2) == _PPP_IPV4
        return PPPOE, inner if is_ipv4 else 0
    if ethertype < _TYPE_FIRST:
        inner += _SNAP_BYTES  # LLC and SNAP headers; the EtherType ends them
        is_ipv4 = (
            inner <= captured
            and read_be16(data, at + place + 2) == _SNAP
            and read_be16(data, at + inner - 2) == hdr.ETHERTYPE_IPV4
        )
        return LLC, inner if is_ipv4 else 0
    return PLAIN, 0


@kernel
def _put_ethernet(data: NDArray[np.uint8], at: int, captured: int, block: NDArray[np.uint8], to: int) -> int:
    """Write a captured Ethernet frame; return how many bytes it grew.

    The kernel takes the outermost VLAN tag out of every frame that it receives, so it goes here too. An IPv4 packet
    within MPLS, PPPoE or LLC is written as if it had come right behind the Ethernet header.
    """
    _, inner = carrier_of(data, at, captured)
    if inner > 0:
        copy_bytes(data, at, hdr.ETHERTYPE_OFFSET, block, to)
        put_be16(block, to + hdr.ETHERTYPE_OFFSET, hdr.ETHERTYPE_IPV4)
        copy_bytes(data, at + inner, captured - inner, block, to + hdr.ETHERNET_LENGTH)
        return hdr.ETHERNET_LENGTH - inner
    is_tagged = captured >= hdr.ETHERNET_LENGTH + hdr.VLAN_TAG_LENGTH and _is_tag(
        read_be16(data, at + hdr.ETHERTYPE_OFFSET)
    )
    if not is_tagged:
        copy_bytes(data, at, captured, block, to)
        return 0
    copy_bytes(data, at, hdr.ETHERTYPE_OFFSET, block, to)
    end = hdr.ETHERTYPE_OFFSET + hdr.VLAN_TAG_LENGTH
    copy_bytes(data, at + end, captured - end, block, to + hdr.ETHERTYPE_OFFSET)
    return -hdr.VLAN_TAG_LENGTH


@kernel
def put_frame(data: NDArray[np.uint8], at: int, captured: int, link: int, block: NDArray[np.uint8], to: int) -> int:
    """Write a captured packet as the Ethernet frame that the kernel would have shown; return how many bytes it grew.

    Returns -`captured` - 1 or less, and writes nothing, for what this host sent, for what is too short for its link
    type, and for a link type that is not read.
    """
    none = -captured - 1
    if link == UNREAD:
        return none
    if link == ETHERNET:
        return _put_ethernet(data, at, captured, block, to)
    if link == _COOKED:
        skipped = _COOKED_BYTES
        if captured < skipped or read_be16(data, at) == _OUTGOING:
            return none
        ethertype = read_be16(data, at + _COOKED_TYPE)
    elif link == _COOKED_2:
        skipped = _COOKED_2_BYTES
        if captured < skipped or int64(data[at + _COOKED_2_PACKET_TYPE]) == _OUTGOING:
            return none
        ethertype = read_be16(data, at + _COOKED_2_TYPE)
    else:  # raw IP of either version
        skipped = 0
        if captured < 1:
            return none
        ethertype = hdr.ETHERTYPE_IPV6 if int64(data[at]) >> 4 == hdr.IPV6_VERSION else hdr.ETHERTYPE_IPV4
    for i in range(hdr.ETHERTYPE_OFFSET):
        block[to + i] = 0
    put_be16(block, to + hdr.ETHERTYPE_OFFSET, ethertype)
    copy_bytes(data, at + skipped, captured - skipped, block, to + hdr.ETHERNET_LENGTH)
    return hdr.ETHERNET_LENGTH - skipped
