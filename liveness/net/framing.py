"""Ethernet headers for packets that came without: an interface without them fills its ring as all others do.

Everything above the rings sees Ethernet frames. The kernel leaves at least 16 bytes between a packet's own header and
its IP header (TPACKET_ALIGN(tp_hdrlen) + 16, af_packet.c), so that there is room for the 14 bytes that are missing.
"""

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.packets import headers as hdr
from liveness.packets import tpacket


@kernel
def _u32(block: NDArray[np.uint8], at: int) -> int:
    return int64(block[at]) | int64(block[at + 1]) << 8 | int64(block[at + 2]) << 16 | int64(block[at + 3]) << 24


@kernel
def _lengthen(block: NDArray[np.uint8], at: int) -> None:
    """Add the length of an Ethernet header to the number at byte `at`."""
    value = _u32(block, at) + hdr.ETHERNET_LENGTH
    for i in range(4):
        block[at + i] = (value >> (8 * i)) & 255


@kernel
def add_ethernet(block: NDArray[np.uint8]) -> None:
    """Give every IPv4 packet of a TPACKET_V3 block an Ethernet header with no addresses.

    Packets of a SOCK_DGRAM socket, which begin with their IP header; one that has a header of its own is left alone.
    """
    at = _u32(block, tpacket.BLOCK_FIRST)
    for _ in range(_u32(block, tpacket.BLOCK_PACKETS)):
        mac = int64(block[at + tpacket.PACKET_MAC]) | int64(block[at + tpacket.PACKET_MAC + 1]) << 8
        net = int64(block[at + tpacket.PACKET_NET]) | int64(block[at + tpacket.PACKET_NET + 1]) << 8
        if mac == net and mac >= tpacket.PACKET_HEADER_BYTES + hdr.ETHERNET_LENGTH:
            mac = net - hdr.ETHERNET_LENGTH
            for i in range(hdr.ETHERTYPE_OFFSET):
                block[at + mac + i] = 0
            block[at + net - 2] = hdr.ETHERTYPE_IPV4 >> 8
            block[at + net - 1] = hdr.ETHERTYPE_IPV4 & 255
            block[at + tpacket.PACKET_MAC] = mac & 255
            block[at + tpacket.PACKET_MAC + 1] = mac >> 8
            _lengthen(block, at + tpacket.PACKET_SNAPLEN)
            _lengthen(block, at + tpacket.PACKET_LENGTH)
        at += _u32(block, at + tpacket.PACKET_NEXT)
