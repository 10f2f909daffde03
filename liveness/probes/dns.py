"""The DNS probe (RFC 1035): a query for the A record of google.com, and what a valid answer to it is."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import UDP

from liveness.kernel import kernel
from liveness.packets import cookie
from liveness.packets import headers as hdr
from liveness.packets import parse as p
from liveness.packets.bytes import read_be16, set_be16
from liveness.packets.checksum import udp_checksum
from liveness.probes.probe import Description
from liveness.probes.template import TRANSPORT_AT, FrameOptions, LinkAddresses, build_frame
from liveness.replies import Kind

PORT: Final = 53
NAME: Final = "google.com"  # the paper's question
QUESTION: Final = np.frombuffer(bytes(DNSQR(qname=NAME, qtype="A")), np.uint8)
"""The question section, as every query has it."""
HEADER_LENGTH: Final = 12
TRANSACTION_LENGTH: Final = 2
TRANSACTION_AT: Final = TRANSPORT_AT + hdr.UDP_LENGTH


DESCRIPTION: Final = Description(
    protocol=hdr.PROTOCOL_UDP,
    port=PORT,
    fields="transaction id (16 bits), source port (attempt and offset), IP ID (16 bits)",
    payload=f"recursive query: {NAME} A IN",
    replies={
        Kind.ANSWER: "right ports and transaction id, QR set, the same question",
        Kind.PAYLOAD: "right ports, anything else (weak when its id is wrong); other ports: right id",
        Kind.ERROR: "quotes destination and ports (weak when neither UDP checksum nor IP ID is right)",
    },
)


def template(link: LinkAddresses, options: FrameOptions, port: int) -> bytes:
    """Return the constant bytes of the query."""
    query = DNS(id=0, rd=1, qd=DNSQR(qname=NAME, qtype="A"))
    return build_frame(link, options.ttl, UDP(sport=0, dport=port, chksum=0) / query)


@kernel
def datagram_checksum(address_sum: int, constant_sum: int, hashed: int, port: int) -> int:
    """Return the UDP checksum of a query; sums as in `tcp.fill`."""
    return udp_checksum(constant_sum + address_sum + port + cookie.transaction(hashed))


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
    """Write source port, transaction id and checksum into the frame at words[frame]."""
    set_be16(words, frame, TRANSPORT_AT, port)
    set_be16(words, frame, TRANSACTION_AT, cookie.transaction(hashed))
    set_be16(words, frame, TRANSPORT_AT + hdr.UDP_CHECKSUM, datagram_checksum(address_sum, constant_sum, hashed, port))


@kernel
def _lower(character: int) -> int:
    return character + 32 if 65 <= character <= 90 else character  # noqa: PLR2004 - ASCII A to Z


@kernel
def _same_question(frame: NDArray[np.uint8], at: int) -> bool:
    """Compare the question section, names without regard to case (RFC 4343); type and class have no letters in them."""
    for i in range(len(QUESTION)):  # noqa: SIM110 - a plain loop compiles
        if _lower(int(frame[at + i])) != _lower(int(QUESTION[i])):
            return False
    return True


@kernel
def carries_cookie(frame: NDArray[np.uint8], row: NDArray[np.int64], hashed: int) -> bool:
    """Return whether a payload begins with the transaction id of this hash."""
    return row[p.PAYLOAD_LENGTH] >= TRANSACTION_LENGTH and read_be16(frame, row[p.PAYLOAD_AT]) == cookie.transaction(
        hashed
    )


@kernel
def is_answer(frame: NDArray[np.uint8], row: NDArray[np.int64]) -> bool:
    """Return whether a payload is a DNS response (QR set) to our question; the transaction id is checked apart."""
    at = row[p.PAYLOAD_AT]
    if row[p.PAYLOAD_LENGTH] < HEADER_LENGTH + len(QUESTION):
        return False
    is_response = int(frame[at + 2]) & 0x80 != 0
    one_question = read_be16(frame, at + 4) == 1
    return is_response and one_question and _same_question(frame, at + HEADER_LENGTH)
