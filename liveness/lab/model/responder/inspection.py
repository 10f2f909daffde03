"""The strict receiver: checks every field of a frame that a scanner sent, and returns the first fault."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.lab.model.population.answer import CONTROL_TCP, ICMP
from liveness.lab.model.responder.numbers import initial_sequence
from liveness.lab.model.responder.verdict import Verdict
from liveness.lab.services.requests import is_request
from liveness.lab.twins import dispatch
from liveness.packets import headers as hdr
from liveness.packets.bytes import read_be16, read_be32
from liveness.packets.checksum import WORD, fold, words_sum

NUMBER: Final = 0
TARGET: Final = 1
TRANSPORT_AT: Final = 2
END: Final = 3
FIELDS: Final = 4
"""Length of the row that `inspect` writes: probe number, target (host order), and offsets of transport and end."""

MIN_ETHERNET: Final = 60

_PROBE: Final = int(Verdict.PROBE)
_OWN_RESET: Final = int(Verdict.OWN_RESET)
_OWN_ERROR: Final = int(Verdict.OWN_ERROR)
_TRUNCATED: Final = int(Verdict.TRUNCATED)
_NOT_IPV4: Final = int(Verdict.NOT_IPV4)
_TRIAL: Final = int(Verdict.TRIAL)
_EXPERIMENT: Final = 0x88B5
_IP_HEADER: Final = int(Verdict.IP_HEADER)
_IP_LENGTH: Final = int(Verdict.IP_LENGTH)
_IP_CHECKSUM: Final = int(Verdict.IP_CHECKSUM)
_FRAGMENT: Final = int(Verdict.FRAGMENT)
_SOURCE_ADDRESS: Final = int(Verdict.SOURCE_ADDRESS)
_PROTOCOL: Final = int(Verdict.PROTOCOL)
_TCP_HEADER: Final = int(Verdict.TCP_HEADER)
_TCP_CHECKSUM: Final = int(Verdict.TCP_CHECKSUM)
_TCP_FLAGS: Final = int(Verdict.TCP_FLAGS)
_TCP_FIELDS: Final = int(Verdict.TCP_FIELDS)
_TCP_OPTIONS: Final = int(Verdict.TCP_OPTIONS)
_UDP_LENGTH: Final = int(Verdict.UDP_LENGTH)
_UDP_CHECKSUM: Final = int(Verdict.UDP_CHECKSUM)
_UDP_PORT: Final = int(Verdict.UDP_PORT)
_ICMP_CHECKSUM: Final = int(Verdict.ICMP_CHECKSUM)
_ICMP_TYPE: Final = int(Verdict.ICMP_TYPE)

_TALK: Final = int(Verdict.TALK)
_TALK_NUMBERS: Final = int(Verdict.TALK_NUMBERS)
_TALK_REQUEST: Final = int(Verdict.TALK_REQUEST)

_RESERVED_BITS: Final = 0x0F
_URGENT: Final = 18
_WIDE: Final = 0xFFFFFFFF
_DONT_FRAGMENT: Final = 0x4000


@kernel
def _transport_sum(frame: NDArray[np.uint8], ip: int, at: int, end: int, protocol: int) -> int:
    """Return the folded sum of pseudo header and segment: WORD if its checksum is right."""
    addresses = words_sum(frame, ip + hdr.IPV4_SOURCE, ip + hdr.IPV4_MIN_LENGTH)
    return int64(fold(addresses + protocol + end - at + words_sum(frame, at, end)))


@kernel
def _options_wrong(frame: NDArray[np.uint8], at: int, end: int) -> bool:
    """Return whether the TCP options in frame[at:end] are malformed, or not allowed in a SYN."""
    while at < end:
        kind = int64(frame[at])
        if kind == 0:  # end of the option list; only zeros may follow
            for rest in range(at, end):  # noqa: SIM110 - a plain loop compiles
                if frame[rest] != 0:
                    return True
            return False
        if kind == 1:  # no operation
            at += 1
            continue
        if at + 1 >= end:
            return True
        length = int64(frame[at + 1])
        expected = 4 if kind == 2 else 3 if kind == 3 else 2 if kind == 4 else 10 if kind == 8 else 0  # noqa: PLR2004 - MSS, window scale, SACK permitted, timestamps
        if length != expected or at + length > end:
            return True
        at += length
    return False


@kernel
def _talk(frame: NDArray[np.uint8], ip: int, at: int, data: int, end: int) -> int:
    """Return the verdict on a segment that follows a SYN-ACK: a well-formed part of a talk, or its first fault."""
    if read_be16(frame, at + hdr.TCP_WINDOW) == 0 or read_be16(frame, at + _URGENT) != 0:
        return _TCP_FIELDS
    if data != at + hdr.TCP_MIN_LENGTH:
        return _TCP_OPTIONS
    target = read_be32(frame, ip + hdr.IPV4_DESTINATION)
    # The far end keeps no connections. Its first number is a hash of the SYN's, which is one before this segment's.
    syn = (read_be32(frame, at + hdr.TCP_SEQUENCE) - 1) & _WIDE
    if read_be32(frame, at + hdr.TCP_ACKNOWLEDGMENT) != (initial_sequence(syn, target) + 1) & _WIDE:
        return _TALK_NUMBERS
    return _TALK if is_request(read_be16(frame, at + 2), frame, data, end, target) else _TALK_REQUEST


@kernel
def _tcp(frame: NDArray[np.uint8], ip: int, at: int, end: int) -> int:  # noqa: PLR0911 - as `inspect`
    """Return the verdict on a segment: a SYN that opens a connection, part of a talk, a reset, or its first fault."""
    if end - at < hdr.TCP_MIN_LENGTH:
        return _TCP_HEADER
    length = (int64(frame[at + hdr.TCP_DATA_OFFSET]) >> 4) * 4
    reserved = int64(frame[at + hdr.TCP_DATA_OFFSET]) & _RESERVED_BITS
    ports = read_be16(frame, at) != 0 and read_be16(frame, at + 2) != 0
    if length < hdr.TCP_MIN_LENGTH or at + length > end or reserved != 0 or not ports:
        return _TCP_HEADER
    if _transport_sum(frame, ip, at, end, hdr.PROTOCOL_TCP) != WORD:
        return _TCP_CHECKSUM
    flags = int64(frame[at + hdr.TCP_FLAGS])
    if flags & ~hdr.TCP_FLAG_ACK == hdr.TCP_FLAG_RST:
        return _OWN_RESET
    if flags & ~hdr.TCP_FLAG_PSH == hdr.TCP_FLAG_ACK:
        return _talk(frame, ip, at, at + length, end)
    if flags != hdr.TCP_FLAG_SYN:
        return _TCP_FLAGS
    quiet = read_be32(frame, at + hdr.TCP_ACKNOWLEDGMENT) == 0 and read_be16(frame, at + _URGENT) == 0
    if not quiet or read_be16(frame, at + hdr.TCP_WINDOW) == 0 or at + length != end:
        return _TCP_FIELDS
    return _TCP_OPTIONS if _options_wrong(frame, at + hdr.TCP_MIN_LENGTH, at + length) else _PROBE


@kernel
def _udp(frame: NDArray[np.uint8], ip: int, at: int, end: int) -> int:
    """Return the verdict on a datagram: the request of a UDP probe, or its first fault."""
    if end - at < hdr.UDP_LENGTH or read_be16(frame, at + hdr.UDP_LENGTH_FIELD) != end - at:
        return _UDP_LENGTH
    no_checksum = read_be16(frame, at + hdr.UDP_CHECKSUM) == 0
    if no_checksum or _transport_sum(frame, ip, at, end, hdr.PROTOCOL_UDP) != WORD:
        return _UDP_CHECKSUM
    port, data = read_be16(frame, at + 2), at + hdr.UDP_LENGTH
    if read_be16(frame, at) == 0:
        return _UDP_PORT
    number = dispatch.number_of_port(port)
    if number == dispatch.NO_PROBE:
        return _UDP_PORT
    return _PROBE if dispatch.is_request(number, frame, data, end) else int64(dispatch.verdict_of(number))


@kernel
def _icmp(frame: NDArray[np.uint8], at: int, end: int) -> int:
    """Return the verdict on a message: an echo request, an error of the scanner's own kernel, or its first fault."""
    if end - at < hdr.ICMP_LENGTH or fold(words_sum(frame, at, end)) != WORD:
        return _ICMP_CHECKSUM
    if int64(frame[at]) == hdr.ICMP_UNREACHABLE:
        return _OWN_ERROR
    return _PROBE if int64(frame[at]) == hdr.ICMP_ECHO_REQUEST and frame[at + 1] == 0 else _ICMP_TYPE


@kernel
def _tcp_number(port: int) -> int:
    """Return the number of the TCP probe to a port: its index in PROBES, or that of the control probe."""
    if port == 22:  # noqa: PLR2004 - as in PROBES of the population
        return 1
    if port == 23:  # noqa: PLR2004
        return 2
    if port == 80:  # noqa: PLR2004
        return 3
    if port == 443:  # noqa: PLR2004
        return 4
    if port == 7547:  # noqa: PLR2004
        return 5
    return CONTROL_TCP


@kernel
def inspect(  # noqa: C901, PLR0911, PLR0912 - one check after the other, each with its own reason to leave
    frame: NDArray[np.uint8], start: int, captured: int, length: int, row: NDArray[np.int64]
) -> int:
    """Inspect the Ethernet frame in frame[start:start + captured], `length` bytes long on the wire; return a Verdict.

    For a probe and a part of a talk, number of the probe, target and offsets are written to `row` (int64, FIELDS long).
    """
    ip = start + hdr.ETHERNET_LENGTH
    at = ip + hdr.IPV4_MIN_LENGTH
    if captured < length or captured < hdr.ETHERNET_LENGTH + hdr.IPV4_MIN_LENGTH:
        return _TRUNCATED
    ethertype = read_be16(frame, start + hdr.ETHERTYPE_OFFSET)
    if ethertype != hdr.ETHERTYPE_IPV4:
        return _TRIAL if ethertype == _EXPERIMENT else _NOT_IPV4
    if int64(frame[ip]) != hdr.IPV4_VERSION << 4 | hdr.IPV4_MIN_LENGTH // 4 or frame[ip + hdr.IPV4_TTL] == 0:
        return _IP_HEADER
    end = ip + read_be16(frame, ip + hdr.IPV4_TOTAL_LENGTH)
    # Bytes after the IP packet are allowed only as padding to the minimum length of an Ethernet frame.
    trailer = start + captured - end
    if end < at or trailer < 0 or (trailer > 0 and captured > MIN_ETHERNET):
        return _IP_LENGTH
    if fold(words_sum(frame, ip, at)) != WORD:
        return _IP_CHECKSUM
    if read_be16(frame, ip + hdr.IPV4_FRAGMENT) & ~_DONT_FRAGMENT != 0:
        return _FRAGMENT
    network = int64(frame[ip + hdr.IPV4_SOURCE])
    if network in (0, 127) or network >= 224:  # noqa: PLR2004 - this network, loopback, multicast and reserved
        return _SOURCE_ADDRESS
    protocol = int64(frame[ip + hdr.IPV4_PROTOCOL])
    if protocol == hdr.PROTOCOL_TCP:
        verdict = _tcp(frame, ip, at, end)
    elif protocol == hdr.PROTOCOL_UDP:
        verdict = _udp(frame, ip, at, end)
    elif protocol == hdr.PROTOCOL_ICMP:
        verdict = _icmp(frame, at, end)
    else:
        return _PROTOCOL
    if verdict not in (_PROBE, _TALK):
        return verdict
    if protocol == hdr.PROTOCOL_ICMP:
        row[NUMBER] = ICMP
    elif protocol == hdr.PROTOCOL_UDP:
        row[NUMBER] = dispatch.number_of_port(read_be16(frame, at + 2))
    else:
        row[NUMBER] = _tcp_number(read_be16(frame, at + 2))
    row[TARGET] = read_be32(frame, ip + hdr.IPV4_DESTINATION)
    row[TRANSPORT_AT] = at
    row[END] = end
    return verdict
