"""Constants of packet sockets (linux/if_packet.h): options, addresses, and slots of a transmit ring.

The layout of a receive ring is in `packets.block`. The kernel's packet_mmap.rst describes both.
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

ETH_P_ALL = 0x0003
ETH_P_IP = 0x0800
ETH_P_ARP = 0x0806

# struct tpacket2_hdr, at the start of every slot of a transmit ring; fields are uint32 in the machine's byte order
TX_STATUS = 0
TX_LENGTH = 4
TX_DATA = 32
"""Offset of the frame in a slot: TPACKET2_HDRLEN - sizeof(struct sockaddr_ll) = 52 - 20."""

TP_STATUS_AVAILABLE = 0
TP_STATUS_SEND_REQUEST = 1
TP_STATUS_SENDING = 2
TP_STATUS_WRONG_FORMAT = 4


def socket_address(index: int, protocol: int) -> bytes:
    """Return a struct sockaddr_ll for an interface index and an EtherType in host order (0 receives nothing)."""
    return struct.pack("=HHiHBB8x", socket.AF_PACKET, socket.htons(protocol), index, 0, 0, 0)
