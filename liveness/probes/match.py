"""Matching: from a received frame to the probe, target and attempt it answers, or the reason it answers none."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel, uint64
from liveness.probes import dns, icmp, ntp, tcp, udp
from liveness.probes.kit import Kit
from liveness.probes.probe import Method
from liveness.types import Kind, Rejection, Tier
from liveness.wire import cookie
from liveness.wire import headers as hdr
from liveness.wire import parse as p
from liveness.wire.checksum import read_u16, u32_sum

_DNS: Final = int(Method.DNS)
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
def _is_ours(address: int, kit: Kit) -> bool:
    for i in range(len(kit.sources)):  # noqa: SIM110 - a plain loop compiles
        if int(kit.sources[i]) == address:
            return True
    return False


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
def _hash(kit: Kit, probe: int, target: int) -> int:
    return cookie.cookie(uint64(target), kit.codes[probe], kit.key0, kit.key1)


@kernel
def _match_udp(frame: NDArray[np.uint8], row: NDArray[np.int64], kit: Kit, probe: int, reply: NDArray[np.void]) -> int:
    hashed = _hash(kit, probe, row[p.SOURCE])
    attempt = cookie.attempt_of_port(row[p.DESTINATION_PORT], hashed, kit.port_first, kit.port_stride, kit.attempts)
    if attempt < 0:
        return _BAD_PORT
    if kit.methods[probe] == _DNS:
        proven = dns.has_transaction(frame, row, hashed)
        valid = proven and dns.is_answer(frame, row, kit.question)
    else:
        proven = ntp.has_originate(frame, row, hashed)
        valid = proven and ntp.is_answer(frame, row)
    reply["kind"] = _ANSWER if valid else _PAYLOAD
    reply["tier"] = _STRONG if proven else _WEAK
    reply["attempt"] = attempt
    return p.ACCEPTED


@kernel
def _match_echo(
    frame: NDArray[np.uint8], row: NDArray[np.int64], kit: Kit, time_ns: int, reply: NDArray[np.void]
) -> int:
    probe = int(kit.icmp_probe)
    target = icmp.payload_target(frame, row)
    proven = False
    hashed = uint64(0)
    if target >= 0:
        hashed = _hash(kit, probe, target)
        proven = icmp.payload_proves(frame, row, hashed)
    if not proven:  # a payload cut short or altered: only the sender's address is left to name the target
        target = row[p.SOURCE]
        hashed = _hash(kit, probe, target)
    status = icmp.match_reply(row, hashed, kit.attempts, reply)
    if status == p.ACCEPTED:
        reply["target"] = target
        if proven:
            rtt_ns = time_ns - icmp.send_time_ns(frame, row)
            if 0 <= rtt_ns < icmp.MAX_RTT_NS:
                reply["rtt_ns"] = rtt_ns
    return status


@kernel
def _quoted_probe(frame: NDArray[np.uint8], row: NDArray[np.int64], kit: Kit) -> int:
    """Return the index of the probe that a quoted packet is, or -1."""
    protocol = row[p.QUOTED_PROTOCOL]
    if protocol == hdr.PROTOCOL_ICMP:
        return int(kit.icmp_probe)
    port = read_u16(frame, row[p.QUOTED_AT] + 2)
    if protocol == hdr.PROTOCOL_TCP:
        return int(kit.tcp_probes[port])
    if protocol == hdr.PROTOCOL_UDP:
        return int(kit.udp_probes[port])
    return -1


@kernel
def _match_error(
    frame: NDArray[np.uint8], row: NDArray[np.int64], kit: Kit, probe: int, reply: NDArray[np.void]
) -> int:
    target = row[p.QUOTED_DESTINATION]
    reply["target"] = target
    reply["icmp_type"] = row[p.ICMP_TYPE]
    reply["icmp_code"] = row[p.ICMP_CODE]
    hashed = _hash(kit, probe, target)
    at = row[p.QUOTED_AT]
    protocol = row[p.QUOTED_PROTOCOL]
    if protocol == hdr.PROTOCOL_ICMP:
        return icmp.match_quote(frame, at, hashed, kit.attempts, reply)
    if protocol == hdr.PROTOCOL_TCP:
        return tcp.match_quote(frame, at, hashed, kit.port_first, kit.port_stride, kit.attempts, reply)
    address_sum = u32_sum(row[p.QUOTED_SOURCE]) + u32_sum(target)
    port = read_u16(frame, at)
    if kit.methods[probe] == _DNS:
        sent_checksum = dns.datagram_checksum(address_sum, kit.transport_sums[probe], hashed, port)
    else:
        sent_checksum = ntp.datagram_checksum(address_sum, kit.transport_sums[probe], hashed, port)
    return udp.match_quote(frame, row, hashed, sent_checksum, kit.port_first, kit.port_stride, kit.attempts, reply)


@kernel
def _match_parsed(  # noqa: PLR0911 - a dispatch: each branch leaves with its own result
    frame: NDArray[np.uint8], row: NDArray[np.int64], kit: Kit, time_ns: int, reply: NDArray[np.void]
) -> int:
    protocol = row[p.PROTOCOL]
    reply["target"] = row[p.SOURCE]
    if protocol == hdr.PROTOCOL_ICMP:
        if row[p.ICMP_TYPE] == hdr.ICMP_ECHO_REPLY:
            if kit.icmp_probe < 0:
                return _UNPROBED_PORT
            reply["probe"] = kit.icmp_probe
            return _match_echo(frame, row, kit, time_ns, reply)
        probe = _quoted_probe(frame, row, kit)
        if probe < 0:
            return _BAD_QUOTE
        reply["probe"] = probe
        return _match_error(frame, row, kit, probe, reply)
    if protocol == hdr.PROTOCOL_TCP:
        probe = int(kit.tcp_probes[row[p.SOURCE_PORT]])
        if probe < 0:
            return _UNPROBED_PORT
        reply["probe"] = probe
        hashed = _hash(kit, probe, row[p.SOURCE])
        return tcp.match_reply(row, hashed, kit.port_first, kit.port_stride, kit.attempts, reply)
    probe = int(kit.udp_probes[row[p.SOURCE_PORT]])
    if probe < 0:
        return _UNPROBED_PORT
    reply["probe"] = probe
    return _match_udp(frame, row, kit, probe, reply)


@kernel
def match_frame(
    frame: NDArray[np.uint8],
    start: int,
    length: int,
    time_ns: int,
    check_ip: bool,
    check_transport: bool,
    kit: Kit,
    first: NDArray[np.uint32],
    last: NDArray[np.uint32],
    row: NDArray[np.int64],
    reply: NDArray[np.void],
) -> int:
    """Match the Ethernet frame at frame[start:start + length], captured at `time_ns`.

    `first` and `last` are the intervals of the run's targets, `row` is scratch space of FIELDS int64. Fills `reply`
    (one REPLY_DTYPE) and returns ACCEPTED, or returns a Rejection with `reply` in no defined state.
    """
    status = p.parse_frame(frame, start, length, check_ip, check_transport, row)
    if status != p.ACCEPTED:
        return status
    if not _is_ours(row[p.DESTINATION], kit):
        return _NOT_OUR_ADDRESS
    reply["time_ns"] = time_ns
    reply["rtt_ns"] = -1
    reply["source"] = row[p.SOURCE]
    reply["icmp_type"] = 0
    reply["icmp_code"] = 0
    status = _match_parsed(frame, row, kit, time_ns, reply)
    if status == p.ACCEPTED and not is_member(int(reply["target"]), first, last):
        return _UNPROBED_ADDRESS
    return status
