"""The TCP SYN probe and what a valid reply to it is: a SYN-ACK, any RST, or an ICMP error that quotes it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scapy.layers.inet import TCP

from liveness.applications.judging import is_answer
from liveness.kernel import int64, kernel
from liveness.packets import cookie
from liveness.packets import headers as hdr
from liveness.packets import parse as p
from liveness.packets.bytes import read_be16, read_be32, set_be16, set_be32
from liveness.packets.checksum import checksum, u32_sum
from liveness.probes.probe import Description
from liveness.probes.template import (
    TRANSPORT_AT,
    FrameOptions,
    LinkAddresses,
    attempt_or_unknown,
    build_frame,
    hash_of,
    proven_attempt,
)
from liveness.replies import Kind, Rejection, Tier

OPTIONS: Final[dict[str, list[tuple[str, object]]]] = {
    # What a present-day Windows or Linux sends: stacks and middleboxes exist that ignore a SYN without options.
    "windows": [("MSS", 1460), ("NOP", None), ("WScale", 8), ("NOP", None), ("NOP", None), ("SAckOK", b"")],
    "linux": [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)],
    "mss": [("MSS", 1460)],
    "none": [],
}
_WINDOWS: Final = {"windows": 64240, "linux": 64240, "mss": 65535, "none": 65535}

_SYN_ACK: Final = int(Kind.SYN_ACK)
_RST: Final = int(Kind.RST)
_ERROR: Final = int(Kind.ERROR)
_ANSWER: Final = int(Kind.ANSWER)
_PAYLOAD: Final = int(Kind.PAYLOAD)
_CLOSED: Final = int(Kind.CLOSED)
_ACKED: Final = int(Kind.ACKED)
_WEAK: Final = int(Tier.WEAK)
_STRONG: Final = int(Tier.STRONG)
_CHALLENGE_ACK: Final = int(Rejection.CHALLENGE_ACK)
_OTHER_TCP_FLAGS: Final = int(Rejection.OTHER_TCP_FLAGS)
_BAD_PORT: Final = int(Rejection.BAD_PORT)
_BAD_COOKIE: Final = int(Rejection.BAD_COOKIE)


DESCRIPTION: Final = Description(
    protocol=hdr.PROTOCOL_TCP,
    port=None,
    fields="sequence number (32 bits), source port (attempt and offset), IP ID (16 bits)",
    payload="none; options MSS, window scale, SACK permitted as Windows sends them (tcp_options)",
    replies={
        Kind.SYN_ACK: "SYN and ACK set, any other flag but RST; right ports, acknowledges sequence + 1",
        Kind.RST: "RST set; right ports; with ACK: acknowledges sequence or sequence + 1; without: weak",
        Kind.ERROR: "quotes destination, destination port and sequence number (the source port proves the attempt)",
    },
)


def template(link: LinkAddresses, options: FrameOptions, port: int) -> bytes:
    """Return the constant bytes of a SYN to `port`."""
    wanted = options.tcp_options
    segment = TCP(sport=0, dport=port, seq=0, flags="S", window=_WINDOWS[wanted], chksum=0, options=OPTIONS[wanted])
    return build_frame(link, options.ttl, segment)


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
    """Write source port, sequence number and checksum into the frame at words[frame].

    `address_sum` is the sum of the words of both addresses, `constant_sum` that of the template's segment and pseudo
    header.
    """
    sequence = cookie.sequence(hashed)
    set_be16(words, frame, TRANSPORT_AT, port)
    set_be32(words, frame, TRANSPORT_AT + hdr.TCP_SEQUENCE, sequence)
    total = constant_sum + address_sum + port + u32_sum(sequence)
    set_be16(words, frame, TRANSPORT_AT + hdr.TCP_CHECKSUM, checksum(total))


@kernel
def request_length(numbers: np.void, target: int) -> int:
    """Return the bytes of the request to a target; `numbers` is the probe's record."""
    length = int64(numbers["request_bytes"])
    if numbers["names_target"]:
        length += 7  # three dots and a digit of each octet
        for shift in range(0, 32, 8):
            octet = (target >> shift) & 0xFF
            length += int64(octet > 9) + int64(octet > 99)  # noqa: PLR2004 - more digits
    return length


@kernel
def _match_talk(frame: NDArray[np.uint8], row: NDArray[np.int64], hashed: int, numbers: np.void, reply: np.void) -> int:
    """Match a later segment of a connection that we talk on: it acknowledges the SYN and at most the whole request."""
    attempt = proven_attempt(row[p.DESTINATION_PORT], hashed, numbers)
    if attempt < 0:
        return _BAD_PORT
    request = request_length(numbers, row[p.SOURCE])
    distance = (row[p.TCP_ACKNOWLEDGMENT] - cookie.sequence(hashed)) & 0xFFFFFFFF
    if not 1 <= distance <= 1 + request:
        return _BAD_COOKIE
    reply["attempt"] = attempt
    reply["tier"] = _STRONG
    if row[p.TCP_FLAGS] & hdr.TCP_FLAG_RST != 0:
        reply["kind"] = _CLOSED
    elif row[p.PAYLOAD_LENGTH] > 0:
        answers = is_answer(numbers["application"], frame, row[p.PAYLOAD_AT], row[p.PAYLOAD_LENGTH])
        reply["kind"] = _ANSWER if answers else _PAYLOAD
    elif row[p.TCP_FLAGS] & hdr.TCP_FLAG_FIN != 0:
        reply["kind"] = _CLOSED
    elif request > 0 and distance == 1 + request:
        reply["kind"] = _ACKED
    else:
        return _CHALLENGE_ACK
    return p.ACCEPTED


@kernel
def match_reply(  # noqa: PLR0911 - one check after the other, each with its own reason to leave
    frame: NDArray[np.uint8],
    row: NDArray[np.int64],
    _time_ns: int,
    numbers: np.void,
    reply: np.void,
) -> int:
    """Match a TCP segment against the hash of its source address; fill kind, attempt and tier of `reply`."""
    hashed = hash_of(numbers, row[p.SOURCE])
    flags = row[p.TCP_FLAGS]
    is_rst = flags & hdr.TCP_FLAG_RST != 0
    has_ack = flags & hdr.TCP_FLAG_ACK != 0
    if not is_rst and flags & hdr.TCP_FLAG_SYN == 0:
        if has_ack and numbers["application"] >= 0:
            return _match_talk(frame, row, hashed, numbers, reply)
        # An ACK alone is a challenge (RFC 5961): a connection of somebody else's on the same ports, not an answer.
        return _CHALLENGE_ACK if has_ack else _OTHER_TCP_FLAGS
    if not is_rst and not has_ack:
        return _OTHER_TCP_FLAGS
    attempt = proven_attempt(row[p.DESTINATION_PORT], hashed, numbers)
    if attempt < 0:
        return _BAD_PORT
    reply["tier"] = _STRONG
    if has_ack:
        distance = (row[p.TCP_ACKNOWLEDGMENT] - cookie.sequence(hashed)) & 0xFFFFFFFF
        if distance != 1 and not (is_rst and distance == 0):
            if is_rst and numbers["application"] >= 0:
                return _match_talk(frame, row, hashed, numbers, reply)
            return _BAD_COOKIE
    else:
        reply["tier"] = _WEAK
    reply["kind"] = _RST if is_rst else _SYN_ACK
    reply["attempt"] = attempt
    return p.ACCEPTED


@kernel
def match_quote(
    frame: NDArray[np.uint8],
    row: NDArray[np.int64],
    hashed: int,
    numbers: np.void,
    reply: np.void,
) -> int:
    """Match the quoted start of a segment, at least 8 bytes, against the hash of the quoted destination.

    The sequence number is proof enough. A source port that some NAT has rewritten only hides the attempt.
    """
    at = row[p.QUOTED_AT]
    if read_be32(frame, at + hdr.TCP_SEQUENCE) != cookie.sequence(hashed):
        return _BAD_COOKIE
    attempt = proven_attempt(read_be16(frame, at), hashed, numbers)
    reply["kind"] = _ERROR
    reply["attempt"] = attempt_or_unknown(attempt, numbers)
    reply["tier"] = _STRONG
    return p.ACCEPTED
