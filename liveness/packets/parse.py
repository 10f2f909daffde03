"""The parser of received frames: checks lengths and checksums, and reads every field that matching needs into a row.

The row is flat int64, indexed by the constants below. Offsets in it are absolute positions in the buffer parsed.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.packets import headers as hdr
from liveness.packets.bytes import read_be16, read_be32
from liveness.packets.checksum import sums_to_ones, u32_sum
from liveness.replies import ERROR_TYPES, Rejection

PROTOCOL: Final = 0
SOURCE: Final = 1
DESTINATION: Final = 2
SOURCE_PORT: Final = 3
DESTINATION_PORT: Final = 4
TCP_SEQUENCE: Final = 5
TCP_ACKNOWLEDGMENT: Final = 6
TCP_FLAGS: Final = 7
ICMP_TYPE: Final = 8
ICMP_CODE: Final = 9
ECHO_ID: Final = 10
ECHO_SEQUENCE: Final = 11
PAYLOAD_AT: Final = 12  # first byte behind the transport header
PAYLOAD_LENGTH: Final = 13
QUOTED_PROTOCOL: Final = 14
QUOTED_SOURCE: Final = 15
QUOTED_DESTINATION: Final = 16
QUOTED_IP_ID: Final = 17
QUOTED_AT: Final = 18  # first byte behind the quoted IP header
QUOTED_LENGTH: Final = 19
QUOTED_TTL: Final = 20
TTL: Final = 21
IP_ID: Final = 22
IP_LENGTH: Final = 23
TCP_WINDOW: Final = 24
FIELDS: Final = 25
"""How many fields a parsed row has."""

ACCEPTED: Final = -1
"""What kernels return for a packet that was accepted; a Rejection otherwise."""

_TRUNCATED: Final = int(Rejection.TRUNCATED)
_NOT_IPV4: Final = int(Rejection.NOT_IPV4)
_FRAGMENT: Final = int(Rejection.FRAGMENT)
_BAD_LENGTH: Final = int(Rejection.BAD_LENGTH)
_BAD_IP_CHECKSUM: Final = int(Rejection.BAD_IP_CHECKSUM)
_BAD_TCP_CHECKSUM: Final = int(Rejection.BAD_TCP_CHECKSUM)
_BAD_UDP_CHECKSUM: Final = int(Rejection.BAD_UDP_CHECKSUM)
_BAD_ICMP_CHECKSUM: Final = int(Rejection.BAD_ICMP_CHECKSUM)
_OTHER_PROTOCOL: Final = int(Rejection.OTHER_PROTOCOL)
_OTHER_ICMP_TYPE: Final = int(Rejection.OTHER_ICMP_TYPE)
_BAD_QUOTE: Final = int(Rejection.BAD_QUOTE)


@kernel
def _pseudo_header_sum(row: NDArray[np.int64], length: int) -> int:
    return int64(u32_sum(row[SOURCE]) + u32_sum(row[DESTINATION]) + row[PROTOCOL] + length)


@kernel
def _parse_tcp(frame: NDArray[np.uint8], at: int, end: int, row: NDArray[np.int64]) -> int:
    if end - at < hdr.TCP_MIN_LENGTH:
        return _BAD_LENGTH
    header_length = (int64(frame[at + hdr.TCP_DATA_OFFSET]) >> 4) * 4
    if header_length < hdr.TCP_MIN_LENGTH or at + header_length > end:
        return _BAD_LENGTH
    row[SOURCE_PORT] = read_be16(frame, at)
    row[DESTINATION_PORT] = read_be16(frame, at + 2)
    row[TCP_SEQUENCE] = read_be32(frame, at + hdr.TCP_SEQUENCE)
    row[TCP_ACKNOWLEDGMENT] = read_be32(frame, at + hdr.TCP_ACKNOWLEDGMENT)
    row[TCP_FLAGS] = int64(frame[at + hdr.TCP_FLAGS])
    row[TCP_WINDOW] = read_be16(frame, at + hdr.TCP_WINDOW)
    row[PAYLOAD_AT] = at + header_length
    row[PAYLOAD_LENGTH] = end - at - header_length
    return ACCEPTED


@kernel
def _parse_udp(frame: NDArray[np.uint8], at: int, end: int, whole: bool, row: NDArray[np.int64]) -> int:
    if end - at < hdr.UDP_LENGTH:
        return _BAD_LENGTH
    length = read_be16(frame, at + hdr.UDP_LENGTH_FIELD)
    if length < hdr.UDP_LENGTH or (whole and at + length > end):
        return _BAD_LENGTH
    row[SOURCE_PORT] = read_be16(frame, at)
    row[DESTINATION_PORT] = read_be16(frame, at + 2)
    row[PAYLOAD_AT] = at + hdr.UDP_LENGTH
    row[PAYLOAD_LENGTH] = min(at + length, end) - at - hdr.UDP_LENGTH
    return ACCEPTED


@kernel
def _parse_quote(frame: NDArray[np.uint8], at: int, end: int, row: NDArray[np.int64]) -> int:
    """Read the IP header that an ICMP error quotes, and find what it quotes of the transport header.

    Length, fragment and checksum of the quoted header are not looked at, its TTL is taken as it is: BSD stacks and
    middleboxes mangle them.
    """
    if end - at < hdr.IPV4_MIN_LENGTH or int64(frame[at]) >> 4 != hdr.IPV4_VERSION:
        return _BAD_QUOTE
    header_length = (int64(frame[at]) & 15) * 4
    if header_length < hdr.IPV4_MIN_LENGTH or end - at < header_length + hdr.QUOTE_MIN_LENGTH:
        return _BAD_QUOTE
    row[QUOTED_PROTOCOL] = int64(frame[at + hdr.IPV4_PROTOCOL])
    row[QUOTED_SOURCE] = read_be32(frame, at + hdr.IPV4_SOURCE)
    row[QUOTED_DESTINATION] = read_be32(frame, at + hdr.IPV4_DESTINATION)
    row[QUOTED_IP_ID] = read_be16(frame, at + hdr.IPV4_ID)
    row[QUOTED_TTL] = int64(frame[at + hdr.IPV4_TTL])
    row[QUOTED_AT] = at + header_length
    row[QUOTED_LENGTH] = end - at - header_length
    return ACCEPTED


@kernel
def _parse_icmp(frame: NDArray[np.uint8], at: int, end: int, row: NDArray[np.int64]) -> int:
    if end - at < hdr.ICMP_LENGTH:
        return _BAD_LENGTH
    icmp_type = int64(frame[at])
    row[ICMP_TYPE] = icmp_type
    row[ICMP_CODE] = int64(frame[at + 1])
    row[PAYLOAD_AT] = at + hdr.ICMP_LENGTH
    row[PAYLOAD_LENGTH] = end - at - hdr.ICMP_LENGTH
    if icmp_type == hdr.ICMP_ECHO_REPLY:
        row[ECHO_ID] = read_be16(frame, at + hdr.ICMP_ID)
        row[ECHO_SEQUENCE] = read_be16(frame, at + hdr.ICMP_SEQUENCE)
        return ACCEPTED
    if icmp_type in ERROR_TYPES:
        return _parse_quote(frame, at + hdr.ICMP_LENGTH, end, row)
    return _OTHER_ICMP_TYPE


@kernel
def _transport_checksum(frame: NDArray[np.uint8], at: int, end: int, row: NDArray[np.int64]) -> int:
    """Return ACCEPTED or the rejection for a wrong checksum of a transport segment that is all there."""
    protocol = row[PROTOCOL]
    if protocol == hdr.PROTOCOL_TCP:
        right = sums_to_ones(frame, at, end, _pseudo_header_sum(row, end - at))
        return ACCEPTED if right else _BAD_TCP_CHECKSUM
    if protocol == hdr.PROTOCOL_UDP:
        length = read_be16(frame, at + hdr.UDP_LENGTH_FIELD)
        if read_be16(frame, at + hdr.UDP_CHECKSUM) == 0:  # the sender computed none (RFC 768)
            return ACCEPTED
        right = sums_to_ones(frame, at, at + length, _pseudo_header_sum(row, length))
        return ACCEPTED if right else _BAD_UDP_CHECKSUM
    return ACCEPTED if sums_to_ones(frame, at, end, 0) else _BAD_ICMP_CHECKSUM


@kernel
def ipv4_start(frame: NDArray[np.uint8], start: int, length: int) -> int:
    """Return where the IP header begins behind Ethernet and up to two 802.1Q tags, or a rejection as -1 - reason."""
    ip = start + hdr.ETHERNET_LENGTH
    end = start + length
    for _ in range(hdr.MAX_VLAN_TAGS + 1):
        if ip > end:
            return -1 - _TRUNCATED
        ethertype = read_be16(frame, ip - 2)
        if ethertype == hdr.ETHERTYPE_IPV4:
            return ip
        if ethertype not in (hdr.ETHERTYPE_VLAN, hdr.ETHERTYPE_QINQ):
            return -1 - _NOT_IPV4
        ip += hdr.VLAN_TAG_LENGTH
    return -1 - _NOT_IPV4


@kernel
def parse_frame(  # noqa: C901, PLR0911 - one check after the other, each with its own reason to leave
    frame: NDArray[np.uint8],
    start: int,
    length: int,
    check_ip: bool,
    check_transport: bool,
    row: NDArray[np.int64],
) -> int:
    """Parse the Ethernet frame in frame[start:start + length] into `row` (int64, FIELDS long).

    `check_ip` and `check_transport` say whether checksums are verified. Returns ACCEPTED or a Rejection. Reads nothing
    outside the frame. A first fragment is parsed as far as it goes; its transport checksum covers bytes that are
    elsewhere.
    """
    ip = ipv4_start(frame, start, length)
    if ip < 0:
        return -1 - ip
    frame_end = start + length
    if frame_end - ip < hdr.IPV4_MIN_LENGTH:
        return _TRUNCATED
    if int64(frame[ip]) >> 4 != hdr.IPV4_VERSION:
        return _NOT_IPV4
    header_length = (int64(frame[ip]) & 15) * 4
    end = ip + read_be16(frame, ip + hdr.IPV4_TOTAL_LENGTH)  # what lies behind is Ethernet padding
    transport = ip + header_length
    if header_length < hdr.IPV4_MIN_LENGTH or transport > end or end > frame_end:
        return _BAD_LENGTH
    if check_ip and not sums_to_ones(frame, ip, transport, 0):
        return _BAD_IP_CHECKSUM
    fragment = read_be16(frame, ip + hdr.IPV4_FRAGMENT)
    if fragment & hdr.IPV4_OFFSET_MASK != 0:
        return _FRAGMENT
    whole = fragment & hdr.IPV4_MORE_FRAGMENTS == 0
    protocol = int64(frame[ip + hdr.IPV4_PROTOCOL])
    row[PROTOCOL] = protocol
    row[TTL] = int64(frame[ip + hdr.IPV4_TTL])
    row[IP_ID] = read_be16(frame, ip + hdr.IPV4_ID)
    row[IP_LENGTH] = end - ip
    row[SOURCE] = read_be32(frame, ip + hdr.IPV4_SOURCE)
    row[DESTINATION] = read_be32(frame, ip + hdr.IPV4_DESTINATION)
    if protocol == hdr.PROTOCOL_TCP:
        status = _parse_tcp(frame, transport, end, row)
    elif protocol == hdr.PROTOCOL_UDP:
        status = _parse_udp(frame, transport, end, whole, row)
    elif protocol == hdr.PROTOCOL_ICMP:
        status = _parse_icmp(frame, transport, end, row)
    else:
        return _OTHER_PROTOCOL
    if status == ACCEPTED and check_transport and whole:
        return _transport_checksum(frame, transport, end, row)
    return status
