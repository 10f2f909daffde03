"""The ICMP echo probe (RFC 792) and its valid replies: an echo reply from anyone, or an error that quotes it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scapy.layers.inet import ICMP
from scapy.packet import Raw

from liveness.kernel import kernel, uint64
from liveness.packets import cookie
from liveness.packets import headers as hdr
from liveness.packets import parse as p
from liveness.packets.bytes import read_be16, read_be32, set_be16, set_be32
from liveness.packets.checksum import checksum, u32_sum
from liveness.probes.probe import Description
from liveness.probes.template import TRANSPORT_AT, FrameOptions, LinkAddresses, build_frame, hash_of
from liveness.replies import Kind, Rejection, Tier

PAYLOAD_AT: Final = TRANSPORT_AT + hdr.ICMP_LENGTH
COOKIE_AT: Final = (
    0  # offsets in the payload: hash (8 bytes), target (4), send time in ns since the epoch (8), contact text
)
TARGET_AT: Final = 8
TIME_AT: Final = 12
HEADER_LENGTH: Final = 20
PROOF_LENGTH: Final = TARGET_AT + 4
MAX_RTT_NS: Final = 3_600_000_000_000  # a longer one says that a clock was set, or that the payload lies

_ECHO_REPLY: Final = int(Kind.ECHO_REPLY)
_ERROR: Final = int(Kind.ERROR)
_STRONG: Final = int(Tier.STRONG)
_BAD_COOKIE: Final = int(Rejection.BAD_COOKIE)
_BAD_QUOTE: Final = int(Rejection.BAD_QUOTE)


DESCRIPTION: Final = Description(
    protocol=hdr.PROTOCOL_ICMP,
    port=0,
    fields="identifier and sequence number (32 bits, the attempt added), IP ID (16 bits)",
    payload="hash (64 bits), target, send time, contact text",
    replies={
        Kind.ECHO_REPLY: "right identifier and sequence number, from any address: the payload names the target",
        Kind.ERROR: "quotes destination and sequence number, and the identifier or the IP ID",
    },
)


def template(link: LinkAddresses, options: FrameOptions, _port: int) -> bytes:
    """Return the constant bytes of an echo request whose payload ends with the contact text in UTF-8."""
    payload = bytes(HEADER_LENGTH) + options.contact.encode()
    return build_frame(link, options.ttl, ICMP(type="echo-request", id=0, seq=0, chksum=0) / Raw(payload))


@kernel
def fill(
    words: NDArray[np.uint16],
    frame: int,
    target: int,
    _address_sum: int,
    constant_sum: int,
    hashed: int,
    _port: int,
    attempt: int,
    now_ns: int,
) -> None:
    """Write identifier, sequence number, payload and checksum into the frame at words[frame], sent at `now_ns`."""
    identifier = cookie.echo_id(hashed)
    number = cookie.echo_sequence(hashed, attempt)
    high = cookie.sequence(hashed)  # the upper 32 bits of the hash
    low = cookie.low_half(hashed)
    set_be16(words, frame, TRANSPORT_AT + hdr.ICMP_ID, identifier)
    set_be16(words, frame, TRANSPORT_AT + hdr.ICMP_SEQUENCE, number)
    set_be32(words, frame, PAYLOAD_AT + COOKIE_AT, high)
    set_be32(words, frame, PAYLOAD_AT + COOKIE_AT + 4, low)
    set_be32(words, frame, PAYLOAD_AT + TARGET_AT, target)
    set_be32(words, frame, PAYLOAD_AT + TIME_AT, now_ns >> 32)
    set_be32(words, frame, PAYLOAD_AT + TIME_AT + 4, now_ns & 0xFFFFFFFF)
    total = constant_sum + identifier + number + u32_sum(high) + u32_sum(low) + u32_sum(target)
    total += u32_sum(now_ns >> 32) + u32_sum(now_ns & 0xFFFFFFFF)
    set_be16(words, frame, TRANSPORT_AT + hdr.ICMP_CHECKSUM, checksum(total))


@kernel
def _payload_target(frame: NDArray[np.uint8], row: NDArray[np.int64]) -> int:
    """Return the target that an echo reply's payload names, or -1 if it is too short to name one."""
    if row[p.PAYLOAD_LENGTH] < PROOF_LENGTH:
        return -1
    return read_be32(frame, row[p.PAYLOAD_AT] + TARGET_AT)


@kernel
def _payload_proves(frame: NDArray[np.uint8], row: NDArray[np.int64], hashed: int) -> bool:
    """Return whether the payload carries this hash."""
    at = row[p.PAYLOAD_AT] + COOKIE_AT
    return read_be32(frame, at) == cookie.sequence(hashed) and read_be32(frame, at + 4) == cookie.low_half(hashed)


@kernel
def _send_time_ns(frame: NDArray[np.uint8], row: NDArray[np.int64]) -> int:
    """Return the send time that a payload carries, or -1 if it is too short to carry one."""
    if row[p.PAYLOAD_LENGTH] < HEADER_LENGTH:
        return -1
    at = row[p.PAYLOAD_AT] + TIME_AT
    return (read_be32(frame, at) << 32) | read_be32(frame, at + 4)


@kernel
def match_reply(
    frame: NDArray[np.uint8], row: NDArray[np.int64], time_ns: int, numbers: np.void, reply: np.void
) -> int:
    """Match an echo reply against the hash of its target, which its payload names, or else its source address."""
    target = _payload_target(frame, row)
    proven = False
    hashed = uint64(0)
    if target >= 0:
        hashed = hash_of(numbers, target)
        proven = _payload_proves(frame, row, hashed)
    if not proven:  # a payload cut short or altered: only the sender's address is left to name the target
        target = row[p.SOURCE]
        hashed = hash_of(numbers, target)
    attempt = (row[p.ECHO_SEQUENCE] - cookie.echo_sequence(hashed, 0)) & 0xFFFF
    if row[p.ECHO_ID] != cookie.echo_id(hashed) or attempt >= numbers["attempts"]:
        return _BAD_COOKIE
    reply["kind"] = _ECHO_REPLY
    reply["attempt"] = attempt
    reply["tier"] = _STRONG
    reply["target"] = target
    if proven:
        sent_ns = _send_time_ns(frame, row)
        rtt_ns = time_ns - sent_ns
        if sent_ns >= 0 and 0 <= rtt_ns < MAX_RTT_NS:
            reply["rtt_ns"] = rtt_ns
    return p.ACCEPTED


@kernel
def match_quote(frame: NDArray[np.uint8], row: NDArray[np.int64], hashed: int, numbers: np.void, reply: np.void) -> int:
    """Match the quoted start of an echo request against the hash of the quoted destination.

    The identifier is to a NAT what a port is, and may come back rewritten: the IP ID can stand in for it.
    """
    at = row[p.QUOTED_AT]
    if int(frame[at]) != hdr.ICMP_ECHO_REQUEST:
        return _BAD_QUOTE
    attempt = (read_be16(frame, at + hdr.ICMP_SEQUENCE) - cookie.echo_sequence(hashed, 0)) & 0xFFFF
    same_id = read_be16(frame, at + hdr.ICMP_ID) == cookie.echo_id(hashed)
    if attempt >= numbers["attempts"] or not (same_id or row[p.QUOTED_IP_ID] == cookie.ip_id(hashed)):
        return _BAD_COOKIE
    reply["kind"] = _ERROR
    reply["attempt"] = attempt
    reply["tier"] = _STRONG
    return p.ACCEPTED
