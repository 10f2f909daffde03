"""A probe that is added to a temporary copy of the package: UDP echo (RFC 862), whose servers send requests back."""

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

LENGTH: Final = 4
DESCRIPTION: Final = Description(
    protocol=hdr.PROTOCOL_UDP,
    port=7,
    fields="payload (32 bits), source port (attempt and offset), IP ID (16 bits)",
    payload="4 bytes",
    replies={
        Kind.ANSWER: "right ports, our four bytes and no more",
        Kind.PAYLOAD: "right ports, anything else (weak when it does not begin with our bytes)",
        Kind.ERROR: "quotes destination and ports (weak when neither UDP checksum nor IP ID is right)",
    },
)


def template(link: LinkAddresses, options: FrameOptions, port: int) -> bytes:
    """Return the constant bytes of the datagram."""
    return build_frame(link, options.ttl, UDP(sport=0, dport=port, chksum=0) / Raw(bytes(LENGTH)))


@kernel
def datagram_checksum(address_sum: int, constant_sum: int, hashed: int, port: int) -> int:
    """Return the UDP checksum of a datagram."""
    return udp_checksum(constant_sum + address_sum + port + u32_sum(cookie.sequence(hashed)))


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
    """Write source port, payload and checksum into the frame at words[frame]."""
    set_be16(words, frame, TRANSPORT_AT, port)
    set_be32(words, frame, TRANSPORT_AT + hdr.UDP_LENGTH, cookie.sequence(hashed))
    set_be16(words, frame, TRANSPORT_AT + hdr.UDP_CHECKSUM, datagram_checksum(address_sum, constant_sum, hashed, port))


@kernel
def carries_cookie(frame: NDArray[np.uint8], row: NDArray[np.int64], hashed: int) -> bool:
    """Return whether a payload begins with the four bytes of this hash."""
    return bool(row[p.PAYLOAD_LENGTH] >= LENGTH and read_be32(frame, row[p.PAYLOAD_AT]) == cookie.sequence(hashed))


@kernel
def is_answer(_frame: NDArray[np.uint8], row: NDArray[np.int64]) -> bool:
    """Return whether a payload is as long as ours; its bytes are checked apart."""
    return bool(row[p.PAYLOAD_LENGTH] == LENGTH)
