"""The NTP probe (RFC 5905): a version 4 client packet, and what a valid answer to it is."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scapy.layers.inet import UDP
from scapy.packet import Raw

from liveness.kernel import kernel
from liveness.packets import cookie
from liveness.packets import headers as hdr
from liveness.packets import parse as p
from liveness.packets.bytes import read_be32, set_be16, set_be32
from liveness.packets.checksum import u32_sum, udp_checksum
from liveness.probes.probe import Description
from liveness.probes.template import TRANSPORT_AT, FrameOptions, LinkAddresses, build_frame
from liveness.replies import Kind

PORT: Final = 123
PACKET_LENGTH: Final = 48
ORIGINATE_AT: Final = 24
TRANSMIT_AT: Final = 40
MODE_MASK: Final = 7
MODE_SERVER: Final = 4
_CLIENT_PACKET: Final = bytes([0b00_100_011]) + bytes(PACKET_LENGTH - 1)  # no leap warning, version 4, mode 3 (client)


DESCRIPTION: Final = Description(
    protocol=hdr.PROTOCOL_UDP,
    port=PORT,
    fields="transmit timestamp (64 bits), source port (attempt and offset), IP ID (16 bits)",
    payload="version 4 client packet, 48 bytes",
    replies={
        Kind.ANSWER: "right ports, mode 4, originate timestamp equal to our transmit timestamp",
        Kind.PAYLOAD: "right ports, anything else (weak when its timestamp is wrong); other ports: right timestamp",
        Kind.ERROR: "quotes destination and ports (weak when neither UDP checksum nor IP ID is right)",
    },
)


def template(link: LinkAddresses, options: FrameOptions, port: int) -> bytes:
    """Return the constant bytes of the client packet."""
    return build_frame(link, options.ttl, UDP(sport=0, dport=port, chksum=0) / Raw(_CLIENT_PACKET))


@kernel
def datagram_checksum(address_sum: int, constant_sum: int, hashed: int, port: int) -> int:
    """Return the UDP checksum of a client packet; sums as in `tcp.fill`."""
    cookie_sum = u32_sum(cookie.sequence(hashed)) + u32_sum(cookie.low_half(hashed))
    return udp_checksum(constant_sum + address_sum + port + cookie_sum)


@kernel
def fill(
    words: NDArray[np.uint16],
    frame: int,
    _target: int,
    address_sum: int,
    constant_sum: int,
    hashed: int,
    port: int,
    _attempt: int,
    _now_ns: int,
) -> None:
    """Write source port, transmit timestamp and checksum into the frame at words[frame]."""
    at = TRANSPORT_AT + hdr.UDP_LENGTH + TRANSMIT_AT
    set_be16(words, frame, TRANSPORT_AT, port)
    set_be32(words, frame, at, cookie.sequence(hashed))
    set_be32(words, frame, at + 4, cookie.low_half(hashed))
    set_be16(words, frame, TRANSPORT_AT + hdr.UDP_CHECKSUM, datagram_checksum(address_sum, constant_sum, hashed, port))


@kernel
def carries_cookie(frame: NDArray[np.uint8], row: NDArray[np.int64], hashed: int) -> bool:
    """Return whether a payload's originate timestamp is the transmit timestamp of this hash."""
    if row[p.PAYLOAD_LENGTH] < PACKET_LENGTH:
        return False
    at = row[p.PAYLOAD_AT] + ORIGINATE_AT
    return read_be32(frame, at) == cookie.sequence(hashed) and read_be32(frame, at + 4) == cookie.low_half(hashed)


@kernel
def is_answer(frame: NDArray[np.uint8], row: NDArray[np.int64]) -> bool:
    """Return whether a payload is a server's packet; the originate timestamp is checked apart."""
    return row[p.PAYLOAD_LENGTH] >= PACKET_LENGTH and int(frame[row[p.PAYLOAD_AT]]) & MODE_MASK == MODE_SERVER
