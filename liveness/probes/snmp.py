"""The SNMP probe (RFC 1901, RFC 3416): a version 2c GET of sysDescr.0 for community public, and what a valid answer is.

The request id carries 30 bits of the cookie. Its two upper bits are 0 and 1, so that four bytes are the shortest
encoding of every request id, and agents return the bytes as they came.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scapy.layers.inet import UDP
from scapy.packet import Raw

from liveness.kernel import int64, kernel
from liveness.packets import cookie
from liveness.packets import headers as hdr
from liveness.packets import parse as p
from liveness.packets.bytes import set_be16
from liveness.packets.checksum import udp_checksum
from liveness.probes.probe import Description
from liveness.probes.template import TRANSPORT_AT, FrameOptions, LinkAddresses, build_frame
from liveness.replies import Kind

PORT: Final = 161
VERSION_2C: Final = 1
INTEGER: Final = 0x02
OCTET_STRING: Final = 0x04
OBJECT_IDENTIFIER: Final = 0x06
SEQUENCE: Final = 0x30
FIRST_PDU: Final = 0xA0  # GetRequest
RESPONSE: Final = 0xA2
LAST_PDU: Final = 0xA8  # Report
_LONG: Final = 0x80
_MOST_LENGTH_BYTES: Final = 4
_MOST_INTEGER_BYTES: Final = 5

_REQUEST: Final = bytes.fromhex(
    "3029"  # the message
    "020101"  # version 2c
    "0406 7075626c6963"  # community: public
    "a01c"  # GetRequest
    "02 00 00000000 00"  # request id: `fill` writes its length, its value, and the tag behind it
    "0100 020100"  # error status and index: 0
    "300e 300c 0608 2b06010201010100 0500"  # sysDescr.0 = 1.3.6.1.2.1.1.1.0, no value
)
REQUEST_ID_AT: Final = 17
"""Where the value of the request id begins in the request: at an odd byte, hence three words to write."""

DESCRIPTION: Final = Description(
    protocol=hdr.PROTOCOL_UDP,
    port=PORT,
    fields="request id (30 bits), source port (attempt and offset), IP ID (16 bits)",
    payload="version 2c GetRequest of sysDescr.0, community public",
    replies={
        Kind.ANSWER: "right ports, a well-formed version 2c response with our request id",
        Kind.PAYLOAD: "right ports, anything else (weak when its request id is wrong); other ports: right request id",
        Kind.ERROR: "quotes destination and ports (weak when neither UDP checksum nor IP ID is right)",
    },
)


def template(link: LinkAddresses, options: FrameOptions, port: int) -> bytes:
    """Return the constant bytes of the request."""
    return build_frame(link, options.ttl, UDP(sport=0, dport=port, chksum=0) / Raw(_REQUEST))


@kernel
def request_id(hashed: int) -> int:
    """Return the request id of a hash: its upper 30 bits behind the bits 0 and 1."""
    return cookie.sequence(hashed) >> 2 | 1 << 30


@kernel
def _first_word(number: int) -> int:
    return 4 << 8 | number >> 24  # the length of the integer, and its first byte


@kernel
def _last_word(number: int) -> int:
    return (number & 0xFF) << 8 | INTEGER  # the last byte, and the tag of the error status


@kernel
def datagram_checksum(address_sum: int, constant_sum: int, hashed: int, port: int) -> int:
    """Return the UDP checksum of a request; sums as in `tcp.fill`."""
    number = request_id(hashed)
    varying = _first_word(number) + (number >> 8 & 0xFFFF) + _last_word(number)
    return udp_checksum(constant_sum + address_sum + port + varying)


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
    """Write source port, request id and checksum into the frame at words[frame]."""
    at, number = TRANSPORT_AT + hdr.UDP_LENGTH + REQUEST_ID_AT, request_id(hashed)
    set_be16(words, frame, TRANSPORT_AT, port)
    set_be16(words, frame, at - 1, _first_word(number))
    set_be16(words, frame, at + 1, number >> 8 & 0xFFFF)
    set_be16(words, frame, at + 3, _last_word(number))
    set_be16(words, frame, TRANSPORT_AT + hdr.UDP_CHECKSUM, datagram_checksum(address_sum, constant_sum, hashed, port))


@kernel
def _content(frame: NDArray[np.uint8], at: int, end: int) -> tuple[int, int]:
    """Return where the content of the element at frame[at] begins and ends; (-1, -1) if it does not fit before `end`.

    Lengths have the definite form (RFC 3417, section 8).
    """
    if end - at < 2:  # noqa: PLR2004 - tag and length
        return -1, -1
    length, begin = int64(frame[at + 1]), at + 2
    if length & _LONG:
        count = length & ~_LONG
        if count == 0 or count > _MOST_LENGTH_BYTES or begin + count > end:
            return -1, -1
        length = 0
        for i in range(begin, begin + count):
            length = length << 8 | int64(frame[i])
        begin += count
    if length > end - begin:
        return -1, -1
    return begin, begin + length


@kernel
def _element(frame: NDArray[np.uint8], at: int, end: int, tag: int) -> tuple[int, int]:
    """Return where the content of an element with this tag begins and ends; (-1, -1) if there is another or none."""
    if at < 0 or at >= end or int64(frame[at]) != tag:
        return -1, -1
    return _content(frame, at, end)


@kernel
def _integer(frame: NDArray[np.uint8], begin: int, end: int) -> int:
    """Return the value of an integer that is not negative and no longer than 32 bits take; -1 for any other."""
    if begin < 0 or not 1 <= end - begin <= _MOST_INTEGER_BYTES or int64(frame[begin]) & _LONG:
        return -1
    value = 0
    for i in range(begin, end):
        value = value << 8 | int64(frame[i])
    return value


@kernel
def _pdu(frame: NDArray[np.uint8], row: NDArray[np.int64]) -> tuple[int, int]:
    """Return where the PDU of a message lies, and where the message ends; (-1, -1) for what is none."""
    begin, end = _element(frame, row[p.PAYLOAD_AT], row[p.PAYLOAD_AT] + row[p.PAYLOAD_LENGTH], SEQUENCE)
    _, version_end = _element(frame, begin, end, INTEGER)
    _, at = _element(frame, version_end, end, OCTET_STRING)
    if at < 0 or at >= end or not FIRST_PDU <= int64(frame[at]) <= LAST_PDU:
        return -1, -1
    return at, end


@kernel
def carries_cookie(frame: NDArray[np.uint8], row: NDArray[np.int64], hashed: int) -> bool:
    """Return whether a payload is a message, of any version and kind, with the request id of this hash."""
    at, end = _pdu(frame, row)
    if at < 0:
        return False
    begin, pdu_end = _content(frame, at, end)
    number_at, number_end = _element(frame, begin, pdu_end, INTEGER)
    return _integer(frame, number_at, number_end) == request_id(hashed)


@kernel
def _are_bindings(frame: NDArray[np.uint8], at: int, end: int) -> bool:
    """Return whether frame[at:end] are variable bindings: sequences of a name and one value each."""
    while at < end:
        begin, binding_end = _element(frame, at, end, SEQUENCE)
        _, value_at = _element(frame, begin, binding_end, OBJECT_IDENTIFIER)
        if value_at < 0:
            return False
        _, value_end = _content(frame, value_at, binding_end)
        if value_end != binding_end:
            return False
        at = binding_end
    return True


@kernel
def is_answer(frame: NDArray[np.uint8], row: NDArray[np.int64]) -> bool:
    """Return whether a payload is a well-formed version 2c response; the request id is checked apart.

    A response with an error status is one, too: an agent is there.
    """
    at, end = _pdu(frame, row)
    if at < 0 or int64(frame[at]) != RESPONSE or end != row[p.PAYLOAD_AT] + row[p.PAYLOAD_LENGTH]:
        return False
    message_begin, _ = _content(frame, row[p.PAYLOAD_AT], end)
    version_at, version_end = _content(frame, message_begin, end)
    if _integer(frame, version_at, version_end) != VERSION_2C:
        return False
    begin, pdu_end = _content(frame, at, end)
    _, status_at = _element(frame, begin, pdu_end, INTEGER)
    _, index_at = _element(frame, status_at, pdu_end, INTEGER)
    _, list_at = _element(frame, index_at, pdu_end, INTEGER)
    bindings_at, bindings_end = _element(frame, list_at, pdu_end, SEQUENCE)
    if bindings_at < 0 or pdu_end != end or bindings_end != pdu_end:
        return False
    return _are_bindings(frame, bindings_at, bindings_end)
