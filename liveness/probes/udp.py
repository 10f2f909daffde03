"""Matching of UDP probes: a datagram, or an ICMP error that quotes one, against what every UDP probe's file defines."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel
from liveness.packets import cookie
from liveness.packets import headers as hdr
from liveness.packets import parse as p
from liveness.packets.bytes import read_be16
from liveness.packets.checksum import u32_sum
from liveness.probes import dispatch
from liveness.probes.template import attempt_or_unknown, hash_of, proven_attempt
from liveness.replies import Kind, Rejection, Tier

_ANSWER: Final = int(Kind.ANSWER)
_PAYLOAD: Final = int(Kind.PAYLOAD)
_ERROR: Final = int(Kind.ERROR)
_WEAK: Final = int(Tier.WEAK)
_STRONG: Final = int(Tier.STRONG)
_BAD_PORT: Final = int(Rejection.BAD_PORT)


@kernel
def match_datagram(frame: NDArray[np.uint8], row: NDArray[np.int64], numbers: np.void, reply: np.void) -> int:
    """Match a datagram from the port that this probe goes to against the hash of its source address.

    The port it comes to is the evidence, and the cookie in its payload where answers return one.
    """
    hashed = hash_of(numbers, row[p.SOURCE])
    attempt = proven_attempt(row[p.DESTINATION_PORT], hashed, numbers)
    if attempt < 0:
        return _BAD_PORT
    method = numbers["method"]
    proven = dispatch.carries_cookie(method, frame, row, hashed)
    valid = (proven or not numbers["echoes_cookie"]) and dispatch.is_answer(method, frame, row)
    reply["kind"] = _ANSWER if valid else _PAYLOAD
    reply["tier"] = _STRONG if proven else _WEAK
    reply["attempt"] = attempt
    return p.ACCEPTED


@kernel
def match_from_another_port(
    frame: NDArray[np.uint8], row: NDArray[np.int64], numbers: NDArray[np.void], rejection: int, reply: np.void
) -> int:
    """Match a datagram from a port other than the probed one by what it carries; return `rejection` if it fails.

    Forwarders and NATs answer so. No client would take it for an answer: with the right cookie it is a payload,
    whatever it says. Of a protocol whose servers answer from any port, a valid answer is one from any port.
    """
    for probe in range(len(numbers)):
        record = numbers[probe]
        if not record["is_udp"]:
            continue
        hashed = hash_of(record, row[p.SOURCE])
        attempt = proven_attempt(row[p.DESTINATION_PORT], hashed, record)
        if attempt < 0:
            continue
        proven = dispatch.carries_cookie(record["method"], frame, row, hashed)
        valid = False
        if record["any_port"]:
            valid = (proven or not record["echoes_cookie"]) and dispatch.is_answer(record["method"], frame, row)
        if proven or valid:
            reply["probe"] = probe
            reply["kind"] = _ANSWER if valid else _PAYLOAD
            reply["tier"] = _STRONG if proven else _WEAK
            reply["attempt"] = attempt
            return p.ACCEPTED
    return rejection


@kernel
def match_quote(frame: NDArray[np.uint8], row: NDArray[np.int64], hashed: int, numbers: np.void, reply: np.void) -> int:
    """Match the quoted start of a datagram against the hash of the quoted destination.

    Three fields carry the cookie: the source port, the datagram's checksum (it covers what the datagram carries; a
    NAT that rewrites address or port corrects it, so it is compared with that of the quoted ones) and the IP ID. NATs
    rewrite any of them: two of the three are strong evidence, the port alone is weak, anything else proves nothing.
    """
    at = row[p.QUOTED_AT]
    port = read_be16(frame, at)
    address_sum = u32_sum(row[p.QUOTED_SOURCE]) + u32_sum(row[p.QUOTED_DESTINATION])
    sent_checksum = dispatch.datagram_checksum(numbers["method"], address_sum, numbers["transport_sum"], hashed, port)
    attempt = proven_attempt(port, hashed, numbers)
    same_checksum = read_be16(frame, at + hdr.UDP_CHECKSUM) == sent_checksum
    same_id = row[p.QUOTED_IP_ID] == cookie.ip_id(hashed)
    if attempt < 0 and not (same_checksum and same_id):
        return _BAD_PORT
    reply["kind"] = _ERROR
    reply["attempt"] = attempt_or_unknown(attempt, numbers)
    reply["tier"] = _STRONG if same_checksum or same_id else _WEAK
    return p.ACCEPTED
