"""Nanosecond pcap files: the packets of a receive block as records, each as it was on the wire.

The format is that of pcap(5) (draft-ietf-opsawg-pcap) with magic a1b23c4d, little-endian; the link type is Ethernet, or
raw IP for an interface without Ethernet headers.
"""

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.packets import headers as hdr
from liveness.packets import tpacket
from liveness.packets.checksum import WORD, checksum, read_u16, udp_checksum, words_sum

SUFFIX: Final = ".pcap"
NANOSECOND_MAGIC: Final = 0xA1B23C4D
MAX_CAPTURED: Final = 1 << 18
"""More of one packet than this nobody captures (tcpdump's own limit); a record that says so is damaged."""
ETHERNET: Final = 1
RAW_IP: Final = 101
"""Link types (LINKTYPE_ of tcpdump.org)."""
HEADER_BYTES: Final = 24
RECORD_BYTES: Final = 16
HEADER: Final = struct.pack("<IHHiIII", NANOSECOND_MAGIC, 2, 4, 0, 0, MAX_CAPTURED, ETHERNET)
RAW_HEADER: Final = struct.pack("<IHHiIII", NANOSECOND_MAGIC, 2, 4, 0, 0, MAX_CAPTURED, RAW_IP)
"""What files of Ethernet frames and of IP packets begin with."""

_MACS: Final = 12


@kernel
def native_u32(data: NDArray[np.uint8], at: int) -> int:
    """Return the little-endian 32-bit number at byte `at`."""
    return int64(data[at]) | int64(data[at + 1]) << 8 | int64(data[at + 2]) << 16 | int64(data[at + 3]) << 24


@kernel
def native_u16(data: NDArray[np.uint8], at: int) -> int:
    """Return the little-endian 16-bit number at byte `at`."""
    return int64(data[at]) | int64(data[at + 1]) << 8


@kernel
def put_u32(data: NDArray[np.uint8], at: int, value: int) -> None:
    """Write a 32-bit number at byte `at`, little-endian."""
    data[at] = value & 255
    data[at + 1] = (value >> 8) & 255
    data[at + 2] = (value >> 16) & 255
    data[at + 3] = (value >> 24) & 255


@kernel
def put_u16_wire(data: NDArray[np.uint8], at: int, value: int) -> None:
    """Write a 16-bit number at byte `at`, big-endian."""
    data[at] = value >> 8
    data[at + 1] = value & 255


@kernel
def copy_bytes(source: NDArray[np.uint8], at: int, count: int, target: NDArray[np.uint8], to: int) -> None:
    """Copy `count` bytes from one array to another."""
    for i in range(count):
        target[to + i] = source[at + i]


@kernel
def _finish_checksum(data: NDArray[np.uint8], start: int, length: int, ethernet: bool) -> None:
    """Write the transport checksum that the kernel had left to hardware into a whole IPv4 packet."""
    ip = start + (hdr.ETHERNET_LENGTH if ethernet else 0)
    if start + length < ip + hdr.IPV4_MIN_LENGTH or (ethernet and read_u16(data, ip - 2) != hdr.ETHERTYPE_IPV4):
        return
    at = ip + (int64(data[ip]) & 15) * 4
    end = ip + read_u16(data, ip + hdr.IPV4_TOTAL_LENGTH)
    protocol = int64(data[ip + hdr.IPV4_PROTOCOL])
    field = hdr.TCP_CHECKSUM if protocol == hdr.PROTOCOL_TCP else hdr.UDP_CHECKSUM
    if protocol not in (hdr.PROTOCOL_TCP, hdr.PROTOCOL_UDP) or at + field + 2 > end or end > start + length:
        return
    put_u16_wire(data, at + field, 0)
    addresses = words_sum(data, ip + hdr.IPV4_SOURCE, ip + hdr.IPV4_MIN_LENGTH)
    total = addresses + protocol + end - at + words_sum(data, at, end)
    put_u16_wire(data, at + field, checksum(total) if protocol == hdr.PROTOCOL_TCP else udp_checksum(total))


@kernel
def pack_records(block: NDArray[np.uint8], records: NDArray[np.uint8], ethernet: bool) -> int:
    """Write every packet of a TPACKET_V3 block to `records`, which is as long as the block; return the bytes used.

    A VLAN tag that the kernel has taken out is put back, and a checksum left to hardware is finished, as both were or
    would have been on the wire. Without `ethernet` the Ethernet headers, which were made up, are left out.
    """
    skipped = 0 if ethernet else hdr.ETHERNET_LENGTH
    at = native_u32(block, tpacket.BLOCK_FIRST)
    used = 0
    for _ in range(native_u32(block, tpacket.BLOCK_PACKETS)):
        captured = native_u32(block, at + tpacket.PACKET_SNAPLEN) - skipped
        length = native_u32(block, at + tpacket.PACKET_LENGTH) - skipped
        status = native_u32(block, at + tpacket.PACKET_STATUS)
        start = at + native_u16(block, at + tpacket.PACKET_MAC) + skipped
        frame = used + RECORD_BYTES
        tag = hdr.VLAN_TAG_LENGTH if status & tpacket.TP_STATUS_VLAN_VALID != 0 and captured >= _MACS else 0
        macs = min(captured, _MACS)
        copy_bytes(block, start, macs, records, frame)
        copy_bytes(block, start + macs, captured - macs, records, frame + macs + tag)
        if tag > 0:
            known = status & tpacket.TP_STATUS_VLAN_TPID_VALID != 0
            tpid = native_u16(block, at + tpacket.PACKET_VLAN_TPID) if known else hdr.ETHERTYPE_VLAN
            put_u16_wire(records, frame + macs, tpid)
            put_u16_wire(records, frame + macs + 2, native_u32(block, at + tpacket.PACKET_VLAN_TCI) & WORD)
        if status & tpacket.TP_STATUS_CSUMNOTREADY != 0 and captured == length:
            _finish_checksum(records, frame + tag, captured, ethernet)
        put_u32(records, used, native_u32(block, at + tpacket.PACKET_SEC))
        put_u32(records, used + 4, native_u32(block, at + tpacket.PACKET_NSEC))
        put_u32(records, used + 8, captured + tag)
        put_u32(records, used + 12, length + tag)
        used = frame + captured + tag
        at += native_u32(block, at + tpacket.PACKET_NEXT)
    return used
