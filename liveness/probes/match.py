"""Matching: from a received frame to the probe, target and attempt it answers, or the reason it answers none."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.packets import cookie
from liveness.packets import headers as hdr
from liveness.packets import parse as p
from liveness.packets.bytes import read_be16
from liveness.packets.checksum import u32_sum
from liveness.probes import dns, icmp, ntp, tcp, udp
from liveness.probes.probe import Method
from liveness.probes.run_constants import BY_ICMP, BY_TCP, BY_UDP, NO_PROBE, RunConstants
from liveness.probes.template import proven_attempt
from liveness.replies import Kind, Rejection, Tier

_DNS: Final = int(Method.DNS)
_NTP: Final = int(Method.NTP)
_ANSWER: Final = int(Kind.ANSWER)
_PAYLOAD: Final = int(Kind.PAYLOAD)
_WEAK: Final = int(Tier.WEAK)
_STRONG: Final = int(Tier.STRONG)
_NOT_OUR_ADDRESS: Final = int(Rejection.NOT_OUR_ADDRESS)
_BAD_QUOTE: Final = int(Rejection.BAD_QUOTE)
_UNPROBED_PORT: Final = int(Rejection.UNPROBED_PORT)
_UNPROBED_ADDRESS: Final = int(Rejection.UNPROBED_ADDRESS)
_BAD_PORT: Final = int(Rejection.BAD_PORT)
_BAD_COOKIE: Final = int(Rejection.BAD_COOKIE)


@kernel
def is_member(address: int, first: NDArray[np.uint32], last: NDArray[np.uint32]) -> bool:
    """Return whether an address lies in one of the sorted, disjoint intervals first[i]..last[i]."""
    low, high = 0, len(first)
    while low < high:
        middle = (low + high) // 2
        if int(last[middle]) < address:
            low = middle + 1
        else:
            high = middle
    return low < len(first) and int(first[low]) <= address


@kernel
def _hash(numbers: np.void, target: int) -> int:
    return cookie.cookie(uint64(target), numbers["code"], numbers["key0"], numbers["key1"])


@kernel
def _carries_cookie(frame: NDArray[np.uint8], row: NDArray[np.int64], numbers: np.void, hashed: int) -> bool:
    """Return whether a UDP payload has the transaction id or originate timestamp of this hash."""
    if numbers["method"] == _DNS:
        return dns.has_transaction(frame, row, hashed)
    return ntp.has_originate(frame, row, hashed)


@kernel
def _match_udp(
    frame: NDArray[np.uint8],
    row: NDArray[np.int64],
    numbers: np.void,
    question: NDArray[np.uint8],
    reply: np.void,
) -> int:
    hashed = _hash(numbers, row[p.SOURCE])
    attempt = proven_attempt(row[p.DESTINATION_PORT], hashed, numbers)
    if attempt < 0:
        return _BAD_PORT
    proven = _carries_cookie(frame, row, numbers, hashed)
    if numbers["method"] == _DNS:
        valid = proven and dns.is_answer(frame, row, question)
    else:
        valid = proven and ntp.is_answer(frame, row)
    reply["kind"] = _ANSWER if valid else _PAYLOAD
    reply["tier"] = _STRONG if proven else _WEAK
    reply["attempt"] = attempt
    return p.ACCEPTED


@kernel
def _match_udp_of_any_port(
    frame: NDArray[np.uint8], row: NDArray[np.int64], numbers: NDArray[np.void], rejection: int, reply: np.void
) -> int:
    """Match a datagram from a port other than the probed one by what it carries; return `rejection` if it fails.

    Forwarders and NATs answer so. No client would take it for an answer: it is a payload, whatever it says.
    """
    for probe in range(len(numbers)):
        method = numbers[probe]["method"]
        if method not in (_DNS, _NTP):
            continue
        hashed = _hash(numbers[probe], row[p.SOURCE])
        attempt = proven_attempt(row[p.DESTINATION_PORT], hashed, numbers[probe])
        if attempt >= 0 and _carries_cookie(frame, row, numbers[probe], hashed):
            reply["probe"] = probe
            reply["kind"] = _PAYLOAD
            reply["tier"] = _STRONG
            reply["attempt"] = attempt
            return p.ACCEPTED
    return rejection


@kernel
def _match_echo(
    frame: NDArray[np.uint8], row: NDArray[np.int64], numbers: np.void, time_ns: int, reply: np.void
) -> int:
    target = icmp.payload_target(frame, row)
    proven = False
    hashed = uint64(0)
    if target >= 0:
        hashed = _hash(numbers, target)
        proven = icmp.payload_proves(frame, row, hashed)
    if not proven:  # a payload cut short or altered: only the sender's address is left to name the target
        target = row[p.SOURCE]
        hashed = _hash(numbers, target)
    status = icmp.match_reply(row, hashed, numbers, reply)
    if status == p.ACCEPTED:
        reply["target"] = target
        if proven:
            sent_ns = icmp.send_time_ns(frame, row)
            rtt_ns = time_ns - sent_ns
            if sent_ns >= 0 and 0 <= rtt_ns < icmp.MAX_RTT_NS:
                reply["rtt_ns"] = rtt_ns
    return status


@kernel
def _match_error(frame: NDArray[np.uint8], row: NDArray[np.int64], numbers: np.void, reply: np.void) -> int:
    target = row[p.QUOTED_DESTINATION]
    reply["target"] = target
    hashed = _hash(numbers, target)
    at = row[p.QUOTED_AT]
    protocol = row[p.QUOTED_PROTOCOL]
    if protocol == hdr.PROTOCOL_ICMP:
        return icmp.match_quote(frame, row, hashed, numbers, reply)
    if protocol == hdr.PROTOCOL_TCP:
        return tcp.match_quote(frame, at, hashed, numbers, reply)
    address_sum = u32_sum(row[p.QUOTED_SOURCE]) + u32_sum(target)
    port = read_be16(frame, at)
    if numbers["method"] == _DNS:
        sent_checksum = dns.datagram_checksum(address_sum, numbers["transport_sum"], hashed, port)
    else:
        sent_checksum = ntp.datagram_checksum(address_sum, numbers["transport_sum"], hashed, port)
    return udp.match_quote(frame, row, hashed, sent_checksum, numbers, reply)


@kernel
def _probe_of(frame: NDArray[np.uint8], row: NDArray[np.int64], by_port: NDArray[np.int16]) -> int:
    """Return the index of the probe that a packet answers by its ports, or quotes; NO_PROBE if none."""
    protocol, port = row[p.PROTOCOL], row[p.SOURCE_PORT]
    if protocol == hdr.PROTOCOL_ICMP:
        if row[p.ICMP_TYPE] == hdr.ICMP_ECHO_REPLY:
            return int64(by_port[BY_ICMP, 0])
        protocol = row[p.QUOTED_PROTOCOL]
        if protocol == hdr.PROTOCOL_ICMP:
            return int64(by_port[BY_ICMP, 0])
        port = read_be16(frame, row[p.QUOTED_AT] + 2)
    if protocol == hdr.PROTOCOL_TCP:
        return int64(by_port[BY_TCP, port])
    if protocol == hdr.PROTOCOL_UDP:
        return int64(by_port[BY_UDP, port])
    return NO_PROBE


@kernel
def _describe(row: NDArray[np.int64], is_error: bool, reply: np.void) -> None:
    """Fill the fields of `reply` that the headers tell whatever it answers, as if its source were its target."""
    is_tcp = row[p.PROTOCOL] == hdr.PROTOCOL_TCP
    reply["rtt_ns"] = -1
    reply["source"] = row[p.SOURCE]
    reply["target"] = row[p.SOURCE]
    reply["ip_id"] = row[p.IP_ID]
    reply["length"] = row[p.IP_LENGTH]
    reply["tcp_window"] = row[p.TCP_WINDOW] if is_tcp else 0
    reply["tcp_flags"] = row[p.TCP_FLAGS] if is_tcp else 0
    reply["reply_ttl"] = row[p.TTL]
    reply["quoted_ttl"] = row[p.QUOTED_TTL] if is_error else 0
    reply["icmp_type"] = row[p.ICMP_TYPE] if is_error else 0
    reply["icmp_code"] = row[p.ICMP_CODE] if is_error else 0


@kernel
def match_frame(
    frame: NDArray[np.uint8],
    start: int,
    length: int,
    time_ns: int,
    check_ip: bool,
    check_transport: bool,
    constants: RunConstants,
    first: NDArray[np.uint32],
    last: NDArray[np.uint32],
    row: NDArray[np.int64],
    reply: np.void,
) -> int:
    """Match the Ethernet frame at frame[start:start + length], captured at `time_ns`.

    `first` and `last` are the intervals of the run's targets, `row` is scratch space of FIELDS int64. Fills `reply`
    (one REPLY_DTYPE) and returns ACCEPTED, or returns a Rejection with `reply` in no defined state.
    """
    status = p.parse_frame(frame, start, length, check_ip, check_transport, row)
    if status != p.ACCEPTED:
        return status
    if not is_member(row[p.DESTINATION], constants.sources, constants.sources):
        return _NOT_OUR_ADDRESS
    numbers, protocol = constants.numbers, row[p.PROTOCOL]
    is_error = protocol == hdr.PROTOCOL_ICMP and row[p.ICMP_TYPE] != hdr.ICMP_ECHO_REPLY
    probe = _probe_of(frame, row, constants.by_port)
    if probe < 0 and protocol != hdr.PROTOCOL_UDP:
        return _BAD_QUOTE if is_error else _UNPROBED_PORT
    reply["time_ns"] = time_ns
    reply["probe"] = max(probe, 0)  # a datagram from a port that no probe has may still name one
    _describe(row, is_error, reply)
    if is_error:
        status = _match_error(frame, row, numbers[probe], reply)
    elif protocol == hdr.PROTOCOL_ICMP:
        status = _match_echo(frame, row, numbers[probe], time_ns, reply)
    elif protocol == hdr.PROTOCOL_TCP:
        status = tcp.match_reply(row, _hash(numbers[probe], row[p.SOURCE]), numbers[probe], reply)
    else:
        status = _UNPROBED_PORT
        if probe >= 0:
            status = _match_udp(frame, row, numbers[probe], constants.question, reply)
        if status != p.ACCEPTED:
            status = _match_udp_of_any_port(frame, row, numbers, status, reply)
    if status == p.ACCEPTED and not is_member(int(reply["target"]), first, last):
        return _UNPROBED_ADDRESS
    return status
