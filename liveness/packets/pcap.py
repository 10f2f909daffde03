"""Pcap files (pcap(5), draft-ietf-opsawg-pcap): records of any writer read, records of our own written.

Ours have times in ns (magic a1b23c4d), are little-endian, and hold Ethernet frames, or packets from their IP header on
where an interface has no Ethernet.
"""

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.packets import headers as hdr
from liveness.packets.block import (
    PACKET_NSEC,
    PACKET_SEC,
    PACKET_VLAN_TCI,
    PACKET_VLAN_TPID,
    TP_STATUS_CSUMNOTREADY,
    TP_STATUS_VLAN_TPID_VALID,
    TP_STATUS_VLAN_VALID,
    captured_length,
    first_packet,
    frame_start,
    next_packet,
    packet_count,
    packet_status,
    wire_length,
)
from liveness.packets.bytes import copy_bytes, put_be16, put_le32, read_32, read_be16, read_le16, read_le32
from liveness.packets.checksum import checksum, udp_checksum, words_sum
from liveness.packets.link_types import ETHERNET, RAW_IP
from liveness.packets.packing import DAMAGED, FULL, MAX_CAPTURED, MORE, POSITION, add_packet, has_room

SUFFIX: Final = ".pcap"
HEADER_BYTES: Final = 24
RECORD_BYTES: Final = 16
NANOSECOND_MAGIC: Final = 0xA1B23C4D
MICROSECOND_MAGIC: Final = 0xA1B2C3D4
MAGICS: Final = {
    struct.pack(order + "I", magic): (order, unit_ns)
    for order in "<>"
    for magic, unit_ns in ((MICROSECOND_MAGIC, 1000), (NANOSECOND_MAGIC, 1))
}
"""What a file may begin with: its byte order, and the ns that a record's fraction of a second counts in."""
VERSION: Final = 2
LINK_MASK: Final = 0x03FFFFFF
"""The bits of the link type; the others of its field say whether frames end with their check sequence."""
HEADER: Final = struct.pack("<IHHiIII", NANOSECOND_MAGIC, VERSION, 4, 0, 0, MAX_CAPTURED, ETHERNET)
RAW_HEADER: Final = struct.pack("<IHHiIII", NANOSECOND_MAGIC, VERSION, 4, 0, 0, MAX_CAPTURED, RAW_IP)
"""Headers of files of Ethernet frames and of IP packets."""


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
        captured = read_32(data, at + 8, big)
        if captured > MAX_CAPTURED:
            return DAMAGED
        if end - at - RECORD_BYTES < captured:
            return MORE
        if not has_room(block, state):
            return FULL
        time_ns = read_32(data, at, big) * 1_000_000_000 + read_32(data, at + 4, big) * unit_ns
        length = read_32(data, at + 12, big)
        add_packet(data, at + RECORD_BYTES, captured, length, time_ns, link, program, block, state)
        state[POSITION] = at + RECORD_BYTES + captured


class Records:
    """The records of a pcap file, packed into receive blocks."""

    def __init__(self, order: str, unit_ns: int, link: int) -> None:
        """Take the byte order and the unit of time that the file's magic names, and its link type."""
        self.notes: list[str] = []
        """What of the file is not read: nothing, because a file has one link type."""
        self._format = (order == ">", unit_ns, link)

    def take(
        self,
        data: NDArray[np.uint8],
        end: int,
        program: NDArray[np.int64],
        block: NDArray[np.uint8],
        state: NDArray[np.int64],
    ) -> int:
        """Pack the packets of data[state[POSITION]:end] into a receive block; return MORE, FULL or DAMAGED."""
        return take_records(data, end, *self._format, program, block, state)


@kernel
def _finish_checksum(data: NDArray[np.uint8], start: int, length: int, ethernet: bool) -> None:
    """Write the transport checksum that the kernel had left to hardware into a whole IPv4 packet."""
    ip = start + (hdr.ETHERNET_LENGTH if ethernet else 0)
    if start + length < ip + hdr.IPV4_MIN_LENGTH or (ethernet and read_be16(data, ip - 2) != hdr.ETHERTYPE_IPV4):
        return
    at = ip + (int64(data[ip]) & 15) * 4
    end = ip + read_be16(data, ip + hdr.IPV4_TOTAL_LENGTH)
    protocol = int64(data[ip + hdr.IPV4_PROTOCOL])
    field = hdr.TCP_CHECKSUM if protocol == hdr.PROTOCOL_TCP else hdr.UDP_CHECKSUM
    if protocol not in (hdr.PROTOCOL_TCP, hdr.PROTOCOL_UDP) or at + field + 2 > end or end > start + length:
        return
    put_be16(data, at + field, 0)
    addresses = words_sum(data, ip + hdr.IPV4_SOURCE, ip + hdr.IPV4_MIN_LENGTH)
    total = addresses + protocol + end - at + words_sum(data, at, end)
    put_be16(data, at + field, checksum(total) if protocol == hdr.PROTOCOL_TCP else udp_checksum(total))


@kernel
def pack_records(block: NDArray[np.uint8], records: NDArray[np.uint8], ethernet: bool) -> int:
    """Write every packet of a TPACKET_V3 block to `records`, which is as long as the block; return the bytes used.

    A VLAN tag that the kernel has taken out is put back, and a checksum left to hardware is finished, as both were or
    would have been on the wire. Without `ethernet` the Ethernet headers, which were made up, are left out.
    """
    skipped = 0 if ethernet else hdr.ETHERNET_LENGTH
    at = first_packet(block)
    used = 0
    for _ in range(packet_count(block)):
        captured = captured_length(block, at) - skipped
        length = wire_length(block, at) - skipped
        status = packet_status(block, at)
        start = frame_start(block, at) + skipped
        frame = used + RECORD_BYTES
        tag = hdr.VLAN_TAG_LENGTH if status & TP_STATUS_VLAN_VALID != 0 and captured >= hdr.ETHERTYPE_OFFSET else 0
        macs = min(captured, hdr.ETHERTYPE_OFFSET)
        copy_bytes(block, start, macs, records, frame)
        copy_bytes(block, start + macs, captured - macs, records, frame + macs + tag)
        if tag > 0:
            known = status & TP_STATUS_VLAN_TPID_VALID != 0
            tpid = read_le16(block, at + PACKET_VLAN_TPID) if known else hdr.ETHERTYPE_VLAN
            put_be16(records, frame + macs, tpid)
            put_be16(records, frame + macs + 2, read_le32(block, at + PACKET_VLAN_TCI) & 0xFFFF)
        if status & TP_STATUS_CSUMNOTREADY != 0 and captured == length:
            _finish_checksum(records, frame + tag, captured, ethernet)
        put_le32(records, used, read_le32(block, at + PACKET_SEC))
        put_le32(records, used + 4, read_le32(block, at + PACKET_NSEC))
        put_le32(records, used + 8, captured + tag)
        put_le32(records, used + 12, length + tag)
        used = frame + captured + tag
        at = next_packet(block, at)
    return used
