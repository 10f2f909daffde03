"""Owns the numbers of linux/if_packet.h: socket options, status bits, and where each header field lies.

Plain ints, so that compiled kernels can use them. Offsets are in bytes, fields in host byte order, uint32 where nothing
else is said. Documentation/networking/packet_mmap.rst of the kernel describes both rings.
"""

import socket
import struct

SOL_PACKET = 263

PACKET_RX_RING = 5
PACKET_STATISTICS = 6
PACKET_VERSION = 10
PACKET_TX_RING = 13
PACKET_FANOUT = 18
PACKET_FANOUT_HASH = 0
PACKET_FANOUT_FLAG_UNIQUEID = 0x2000
PACKET_IGNORE_OUTGOING = 23

TPACKET_V2 = 1
TPACKET_V3 = 2

ETH_P_ALL = 0x0003
ETH_P_IP = 0x0800
ETH_P_ARP = 0x0806

# struct tpacket2_hdr, which opens every slot of a transmit ring
TX_STATUS = 0
TX_LENGTH = 4
TX_DATA = 32
"""Where the frame begins in a slot: TPACKET2_HDRLEN - sizeof(struct sockaddr_ll) = 52 - 20."""

TP_STATUS_AVAILABLE = 0
TP_STATUS_SEND_REQUEST = 1
TP_STATUS_SENDING = 2
TP_STATUS_WRONG_FORMAT = 4

# struct tpacket_block_desc, which opens every block of a TPACKET_V3 receive ring
BLOCK_VERSION = 0
BLOCK_STATUS = 8
BLOCK_PACKETS = 12
BLOCK_FIRST = 16
"""Offset in the block of the first packet's header."""
BLOCK_LENGTH = 20
"""Bytes of the block in use, header included."""
BLOCK_SEQUENCE = 24
"""uint64."""
BLOCK_HEADER_BYTES = 48

TP_STATUS_KERNEL = 0
TP_STATUS_USER = 1

# struct tpacket3_hdr, which opens every packet of a block
PACKET_NEXT = 0
"""Offset of the next packet's header from this one; 0 in the last packet of a block."""
PACKET_SEC = 4
PACKET_NSEC = 8
PACKET_SNAPLEN = 12
"""Bytes captured."""
PACKET_LENGTH = 16
"""Bytes of the packet on the wire."""
PACKET_STATUS = 20
PACKET_MAC = 24
"""uint16: offset of the Ethernet header from this header."""
PACKET_NET = 26
"""uint16: offset of the IP header from this header."""
PACKET_VLAN_TCI = 32
"""The tag that the kernel took out of the frame; uint16 matter."""
PACKET_VLAN_TPID = 36
"""uint16: the EtherType that announced it."""
PACKET_HEADER_BYTES = 48

TP_STATUS_CSUMNOTREADY = 1 << 3
"""The packet's checksums are not finished: it comes from this host, with transmit checksum offload on."""
TP_STATUS_VLAN_VALID = 1 << 4
TP_STATUS_VLAN_TPID_VALID = 1 << 6
TP_STATUS_CSUM_VALID = 1 << 7


def socket_address(index: int, protocol: int) -> bytes:
    """Return a struct sockaddr_ll: an interface, and an EtherType in host order, 0 to receive nothing."""
    return struct.pack("=HHiHBB8x", socket.AF_PACKET, socket.htons(protocol), index, 0, 0, 0)
