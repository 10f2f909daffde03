"""Matching: from a received frame to the probe, target and attempt it answers, or the reason it answers none."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.packets import headers as hdr
from liveness.packets import parse as p
from liveness.packets.bytes import read_be16
from liveness.probes import dispatch, udp
from liveness.probes.run_constants import BY_ICMP, BY_TCP, BY_UDP, NO_PROBE, RunConstants
from liveness.probes.template import hash_of
from liveness.replies import Rejection
from liveness.space.lookup import is_within

_NOT_OUR_ADDRESS: Final = int(Rejection.NOT_OUR_ADDRESS)
_BAD_QUOTE: Final = int(Rejection.BAD_QUOTE)
_UNPROBED_PORT: Final = int(Rejection.UNPROBED_PORT)
_UNPROBED_ADDRESS: Final = int(Rejection.UNPROBED_ADDRESS)


@kernel
def _match_error(frame: NDArray[np.uint8], row: NDArray[np.int64], numbers: np.void, reply: np.void) -> int:
    """Match an ICMP error by the probe that it quotes, against the hash of the quoted destination."""
    target = row[p.QUOTED_DESTINATION]
    reply["target"] = target
    hashed = hash_of(numbers, target)
    if row[p.QUOTED_PROTOCOL] == hdr.PROTOCOL_UDP:
        return udp.match_quote(frame, row, hashed, numbers, reply)
    return int64(dispatch.match_quote(numbers["method"], frame, row, hashed, numbers, reply))


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
    """Fill the fields of `reply` that follow from the headers alone, as if its source were its target."""
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
    if not is_within(row[p.DESTINATION], constants.sources, constants.sources):
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
    elif protocol != hdr.PROTOCOL_UDP:
        status = dispatch.match_reply(numbers[probe]["method"], frame, row, time_ns, numbers[probe], reply)
    else:
        status = _UNPROBED_PORT
        if probe >= 0:
            status = udp.match_datagram(frame, row, numbers[probe], reply)
        if status != p.ACCEPTED:
            status = udp.match_from_another_port(frame, row, numbers, status, reply)
    if status == p.ACCEPTED and not is_within(int(reply["target"]), first, last):
        return _UNPROBED_ADDRESS
    return status
