"""The receive block (TPACKET_V3): the one place that knows how the kernel lays out captured packets in memory.

A block is a header, then one entry a packet: a header of its own, a gap, and the frame. A kernel walks a block like
this::

    at = first_packet(block)
    for _ in range(packet_count(block)):
        ... frame_start(block, at), captured_length(block, at), capture_time_ns(block, at) ...
        at = next_packet(block, at)

Offsets are in bytes. Fields are uint32 in the machine's byte order, which is little-endian on every machine that this
package runs on, unless their description says otherwise (linux/if_packet.h; packet_mmap.rst of the kernel).
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel
from liveness.packets import headers as hdr
from liveness.packets.bytes import put_be16, put_le16, put_le32, read_le16, read_le32

TPACKET_V3: Final = 2

# struct tpacket_block_desc, at the start of a block
BLOCK_VERSION: Final = 0
BLOCK_STATUS: Final = 8
BLOCK_PACKETS: Final = 12
BLOCK_FIRST: Final = 16
"""Offset in the block of the first packet's header."""
BLOCK_LENGTH: Final = 20
"""Bytes of the block in use, header included."""
BLOCK_HEADER_BYTES: Final = 48

TP_STATUS_KERNEL: Final = 0
TP_STATUS_USER: Final = 1

# struct tpacket3_hdr, at the start of every packet's entry
PACKET_NEXT: Final = 0
"""Offset of the next packet's header from this one; 0 in the last packet of a block."""
PACKET_SEC: Final = 4
PACKET_NSEC: Final = 8
PACKET_SNAPLEN: Final = 12
"""Bytes captured."""
PACKET_LENGTH: Final = 16
"""Bytes of the packet on the wire."""
PACKET_STATUS: Final = 20
PACKET_MAC: Final = 24
"""uint16: offset of the Ethernet header from this header."""
PACKET_NET: Final = 26
"""uint16: offset of the IP header from this header."""
PACKET_VLAN_TCI: Final = 32
"""The tag that the kernel took out of the frame; its lower 16 bits count."""
PACKET_VLAN_TPID: Final = 36
"""uint16: the EtherType that announced that tag."""
PACKET_HEADER_BYTES: Final = 48

TP_STATUS_CSUMNOTREADY: Final = 1 << 3
"""The packet's checksums are not finished: it comes from this host, with transmit checksum offload on."""
TP_STATUS_VLAN_VALID: Final = 1 << 4
TP_STATUS_VLAN_TPID_VALID: Final = 1 << 6

NETWORK_AT: Final = 96
"""Where the kernel puts the IP header of an Ethernet frame, from the packet's header: a multiple of 16."""
FRAME_AT: Final = NETWORK_AT - hdr.ETHERNET_LENGTH
"""Where the kernel puts the Ethernet header of a frame, from the packet's header."""
ALIGNMENT: Final = 8
"""Packets' headers lie at multiples of this, from the first one."""
NS_PER_S: Final = 1_000_000_000


@kernel
def packet_count(block: NDArray[np.uint8]) -> int:
    """Return how many packets a block holds."""
    return read_le32(block, BLOCK_PACKETS)


@kernel
def first_packet(block: NDArray[np.uint8]) -> int:
    """Return where the header of the first packet lies."""
    return read_le32(block, BLOCK_FIRST)


@kernel
def next_packet(block: NDArray[np.uint8], at: int) -> int:
    """Return where the header of the packet after the one at `at` lies."""
    return at + read_le32(block, at + PACKET_NEXT)


@kernel
def frame_start(block: NDArray[np.uint8], at: int) -> int:
    """Return where in the block the frame of a packet begins."""
    return at + read_le16(block, at + PACKET_MAC)


@kernel
def captured_length(block: NDArray[np.uint8], at: int) -> int:
    """Return how many bytes of a frame were captured."""
    return read_le32(block, at + PACKET_SNAPLEN)


@kernel
def wire_length(block: NDArray[np.uint8], at: int) -> int:
    """Return how many bytes a frame had on the wire."""
    return read_le32(block, at + PACKET_LENGTH)


@kernel
def capture_time_ns(block: NDArray[np.uint8], at: int) -> int:
    """Return when a packet was captured, in ns since 1970."""
    return read_le32(block, at + PACKET_SEC) * NS_PER_S + read_le32(block, at + PACKET_NSEC)


@kernel
def packet_status(block: NDArray[np.uint8], at: int) -> int:
    """Return the status bits (TP_STATUS_*) of a packet."""
    return read_le32(block, at + PACKET_STATUS)


@kernel
def put_packet(block: NDArray[np.uint8], at: int, frame_at: int, time_ns: int, captured: int, length: int) -> int:
    """Write the header of a packet whose frame lies `frame_at` bytes behind it; return where the next header belongs.

    `captured` bytes of the frame are there, `length` were on the wire.
    """
    step = (frame_at + captured + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
    put_le32(block, at + PACKET_NEXT, step)
    put_le32(block, at + PACKET_SEC, time_ns // NS_PER_S)
    put_le32(block, at + PACKET_NSEC, time_ns % NS_PER_S)
    put_le32(block, at + PACKET_SNAPLEN, captured)
    put_le32(block, at + PACKET_LENGTH, length)
    put_le32(block, at + PACKET_STATUS, TP_STATUS_USER)
    put_le16(block, at + PACKET_MAC, frame_at)
    put_le16(block, at + PACKET_NET, frame_at + hdr.ETHERNET_LENGTH)
    # Fields that are not written here describe a VLAN tag, and count only where the status says so.
    return at + step


@kernel
def seal_block(block: NDArray[np.uint8], packets: int, last: int, end: int) -> None:
    """Write the header of a block of `packets`, the last of them at `last`, which uses its bytes up to `end`."""
    if packets > 0:
        put_le32(block, last + PACKET_NEXT, 0)
    put_le32(block, BLOCK_VERSION, TPACKET_V3)
    put_le32(block, BLOCK_STATUS, TP_STATUS_USER)
    put_le32(block, BLOCK_PACKETS, packets)
    put_le32(block, BLOCK_FIRST, BLOCK_HEADER_BYTES)
    put_le32(block, BLOCK_LENGTH, end)


@kernel
def add_ethernet(block: NDArray[np.uint8]) -> None:
    """Give every packet of a block that begins with its IPv4 header an Ethernet header without addresses.

    A SOCK_DGRAM socket, as on an interface without Ethernet, shows packets from their IP header on; everything above
    the rings sees Ethernet frames. The kernel leaves at least 16 bytes between a packet's own header and its IP header
    (TPACKET_ALIGN(tp_hdrlen) + 16, af_packet.c), which is room for the missing 14. A packet that has an Ethernet header
    is left alone.
    """
    at = first_packet(block)
    for _ in range(packet_count(block)):
        network = read_le16(block, at + PACKET_NET)
        # Both offsets are equal where the kernel shows no Ethernet header.
        if read_le16(block, at + PACKET_MAC) == network and network >= PACKET_HEADER_BYTES + hdr.ETHERNET_LENGTH:
            frame = network - hdr.ETHERNET_LENGTH
            for i in range(hdr.ETHERTYPE_OFFSET):
                block[at + frame + i] = 0
            put_be16(block, at + frame + hdr.ETHERTYPE_OFFSET, hdr.ETHERTYPE_IPV4)
            put_le16(block, at + PACKET_MAC, frame)
            put_le32(block, at + PACKET_SNAPLEN, captured_length(block, at) + hdr.ETHERNET_LENGTH)
            put_le32(block, at + PACKET_LENGTH, wire_length(block, at) + hdr.ETHERNET_LENGTH)
        at = next_packet(block, at)


def pack_block(frames: Sequence[tuple[int, bytes]], block_bytes: int | None = None) -> NDArray[np.uint8]:
    """Return a block that holds `frames`, pairs of (time in ns since 1970, Ethernet frame).

    The block is `block_bytes` long, or as long as needed. ValueError if the frames do not fit.
    """
    steps = [-(-(FRAME_AT + len(frame)) // ALIGNMENT) * ALIGNMENT for _, frame in frames]
    length = BLOCK_HEADER_BYTES + sum(steps)
    size = length if block_bytes is None else block_bytes
    if length > size:
        raise ValueError(f"{len(frames)} frames need {length} bytes, the block has {size}")
    block = np.zeros(size, np.uint8)
    at = last = BLOCK_HEADER_BYTES
    for time_ns, frame in frames:
        last = at
        block[at + FRAME_AT : at + FRAME_AT + len(frame)] = np.frombuffer(frame, np.uint8)
        at = put_packet(block, at, FRAME_AT, time_ns, len(frame), len(frame))
    seal_block(block, len(frames), last, length)
    return block


def unpack_block(block: NDArray[np.uint8]) -> Iterator[tuple[int, bytes]]:
    """Yield (time in ns since 1970, captured bytes) of each packet of a block: the inverse of `pack_block`."""
    at = first_packet(block)
    for _ in range(packet_count(block)):
        start = frame_start(block, at)
        yield int(capture_time_ns(block, at)), block[start : start + captured_length(block, at)].tobytes()
        at = next_packet(block, at)
