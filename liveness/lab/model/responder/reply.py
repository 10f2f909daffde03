"""Kernels that write the reply of a host or router to a probe as a complete frame.

Every kernel takes the buffer and offset of the reply, the buffer and offset of the probe's frame, and the row that
`inspect` wrote about it, and returns the index after the end of the reply.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.lab.model.responder.bytes import copy
from liveness.lab.model.responder.inspection import END as PROBE_END
from liveness.lab.model.responder.inspection import NUMBER, TARGET, TRANSPORT_AT
from liveness.lab.model.responder.numbers import initial_sequence
from liveness.lab.twins import dispatch
from liveness.mixing import mix64
from liveness.packets import headers as hdr
from liveness.packets.bytes import put_be16, put_be32, read_be16, read_be32
from liveness.packets.checksum import checksum, udp_checksum, words_sum

IP_AT: Final = hdr.ETHERNET_LENGTH
REPLY_AT: Final = IP_AT + hdr.IPV4_MIN_LENGTH
"""Offset of a reply's transport header: replies have no IP options."""

QUOTE_LIMIT: Final = 548
"""Most quoted bytes: an error has at most 576 bytes in all (RFC 1812 4.3.2.3)."""
_SHORT_QUOTE: Final = hdr.IPV4_MIN_LENGTH + hdr.QUOTE_MIN_LENGTH
_DONT_FRAGMENT: Final = 0x4000
_MOST_HOPS: Final = 24
_MTU: Final = 1400
_CODE_TOO_BIG: Final = 4
"""Code of unreachable: fragmentation needed; the message contains the next hop's MTU (RFC 1191)."""

_MSS: Final = np.frombuffer(bytes.fromhex("020405b4"), np.uint8)


@kernel
def hops_to(address: int) -> int:
    """Return the number of routers before an address, 4 or more."""
    return 4 + int64(mix64(uint64(address)) & uint64(0xFFFF)) % (_MOST_HOPS - 4)


@kernel
def _initial_ttl(address: int) -> int:
    """Return the initial TTL of a host's IP stack: Linux and BSD 64, Windows 128, routers 255."""
    kind = int64(mix64(uint64(address)) >> uint64(60))
    return 64 if kind < 9 else 128 if kind < 13 else 255  # noqa: PLR2004 - sixteenths


@kernel
def put_ip(
    out: NDArray[np.uint8],
    at: int,
    frame: NDArray[np.uint8],
    start: int,
    source: int,
    protocol: int,
    fragment: int,
    identification: int,
    end: int,
) -> None:
    """Write Ethernet and IP headers of a packet to the sender of the probe that ends at out[end]."""
    copy(out, at, frame, start + 6, start + 12)
    copy(out, at + 6, frame, start, start + 6)
    put_be16(out, at + hdr.ETHERTYPE_OFFSET, hdr.ETHERTYPE_IPV4)
    ip = at + IP_AT
    out[ip] = hdr.IPV4_VERSION << 4 | hdr.IPV4_MIN_LENGTH // 4
    out[ip + 1] = 0
    put_be16(out, ip + hdr.IPV4_TOTAL_LENGTH, end - ip)
    put_be16(out, ip + hdr.IPV4_ID, identification)
    put_be16(out, ip + hdr.IPV4_FRAGMENT, fragment)
    out[ip + hdr.IPV4_TTL] = _initial_ttl(source) - hops_to(source)
    out[ip + hdr.IPV4_PROTOCOL] = protocol
    put_be16(out, ip + hdr.IPV4_CHECKSUM, 0)
    put_be32(out, ip + hdr.IPV4_SOURCE, source)
    begin = start + IP_AT + hdr.IPV4_SOURCE
    copy(out, ip + hdr.IPV4_DESTINATION, frame, begin, begin + 4)
    put_be16(out, ip + hdr.IPV4_CHECKSUM, checksum(words_sum(out, ip, ip + hdr.IPV4_MIN_LENGTH)))


@kernel
def pseudo_sum(out: NDArray[np.uint8], at: int, protocol: int, end: int) -> int:
    """Return the sum of pseudo header and segment of a reply whose checksum field is zero."""
    addresses = words_sum(out, at + IP_AT + hdr.IPV4_SOURCE, at + REPLY_AT)
    return addresses + protocol + end - at - REPLY_AT + words_sum(out, at + REPLY_AT, end)


@kernel
def echo_reply(
    out: NDArray[np.uint8], at: int, frame: NDArray[np.uint8], start: int, row: NDArray[np.int64], number: int
) -> int:
    """Write an echo reply with identifier, sequence number and data of the request (RFC 792)."""
    begin = at + REPLY_AT
    end = copy(out, begin, frame, row[TRANSPORT_AT], row[PROBE_END])
    out[begin] = hdr.ICMP_ECHO_REPLY
    put_be16(out, begin + hdr.ICMP_CHECKSUM, 0)
    put_be16(out, begin + hdr.ICMP_CHECKSUM, checksum(words_sum(out, begin, end)))
    put_ip(out, at, frame, start, row[TARGET], hdr.PROTOCOL_ICMP, 0, number, end)
    return end


@kernel
def segment(
    out: NDArray[np.uint8],
    at: int,
    frame: NDArray[np.uint8],
    start: int,
    row: NDArray[np.int64],
    flags: int,
    window: int,
    after_syn: bool,
    number: int,
) -> int:
    """Write a SYN-ACK with an MSS and a window, or a reset with ACK.

    A reset of a closed port has sequence number 0 and acknowledges the SYN (RFC 9293 3.10.7.1); a reset after a SYN-ACK
    (`after_syn`) has the next sequence number after it.
    """
    begin, probe = at + REPLY_AT, row[TRANSPORT_AT]
    sent = read_be32(frame, probe + hdr.TCP_SEQUENCE)
    initial = initial_sequence(sent, row[TARGET])
    is_syn = flags & hdr.TCP_FLAG_SYN != 0
    sequence = initial if is_syn else (initial + 1) & 0xFFFFFFFF if after_syn else 0
    put_be16(out, begin, read_be16(frame, probe + 2))
    put_be16(out, begin + 2, read_be16(frame, probe))
    put_be32(out, begin + hdr.TCP_SEQUENCE, sequence)
    put_be32(out, begin + hdr.TCP_ACKNOWLEDGMENT, (sent + 1) & 0xFFFFFFFF)
    length = hdr.TCP_MIN_LENGTH + (len(_MSS) if is_syn else 0)
    out[begin + hdr.TCP_DATA_OFFSET] = length << 2
    out[begin + hdr.TCP_FLAGS] = flags
    put_be16(out, begin + hdr.TCP_WINDOW, window)
    put_be32(out, begin + hdr.TCP_CHECKSUM, 0)  # the urgent pointer too
    if is_syn:
        copy(out, begin + hdr.TCP_MIN_LENGTH, _MSS, 0, len(_MSS))
    end = begin + length
    put_ip(out, at, frame, start, row[TARGET], hdr.PROTOCOL_TCP, _DONT_FRAGMENT, 0 if not is_syn else number, end)
    put_be16(out, begin + hdr.TCP_CHECKSUM, checksum(pseudo_sum(out, at, hdr.PROTOCOL_TCP, end)))
    return end


@kernel
def _finish_datagram(
    out: NDArray[np.uint8],
    at: int,
    frame: NDArray[np.uint8],
    start: int,
    row: NDArray[np.int64],
    number: int,
    end: int,
) -> int:
    """Write the headers of a datagram whose data ends at out[end]; return `end`."""
    begin, probe = at + REPLY_AT, row[TRANSPORT_AT]
    put_be16(out, begin, read_be16(frame, probe + 2))
    put_be16(out, begin + 2, read_be16(frame, probe))
    put_be16(out, begin + hdr.UDP_LENGTH_FIELD, end - begin)
    put_be16(out, begin + hdr.UDP_CHECKSUM, 0)
    put_ip(out, at, frame, start, row[TARGET], hdr.PROTOCOL_UDP, 0, number, end)
    put_be16(out, begin + hdr.UDP_CHECKSUM, udp_checksum(pseudo_sum(out, at, hdr.PROTOCOL_UDP, end)))
    return end


@kernel
def datagram(
    out: NDArray[np.uint8], at: int, frame: NDArray[np.uint8], start: int, row: NDArray[np.int64], number: int
) -> int:
    """Write a valid answer by the twin of the probe."""
    data, request = at + REPLY_AT + hdr.UDP_LENGTH, row[TRANSPORT_AT] + hdr.UDP_LENGTH
    end = dispatch.answer(row[NUMBER], out, data, frame, request, row[PROBE_END])
    return int64(_finish_datagram(out, at, frame, start, row, number, end))


@kernel
def wrong_payload(
    out: NDArray[np.uint8], at: int, frame: NDArray[np.uint8], start: int, row: NDArray[np.int64], number: int
) -> int:
    """Write a payload that is not a valid answer by the twin of the probe."""
    data, request = at + REPLY_AT + hdr.UDP_LENGTH, row[TRANSPORT_AT] + hdr.UDP_LENGTH
    end = dispatch.nonsense(row[NUMBER], out, data, frame, request, row[PROBE_END], row[TARGET])
    return int64(_finish_datagram(out, at, frame, start, row, number, end))


@kernel
def error(
    out: NDArray[np.uint8],
    at: int,
    frame: NDArray[np.uint8],
    start: int,
    row: NDArray[np.int64],
    source: int,
    icmp_type: int,
    icmp_code: int,
    number: int,
) -> int:
    """Write an ICMP error from `source` that quotes the probe as it arrived there: with its TTL reduced by the hops.

    Half of the sources quote the IP header and eight bytes (RFC 792), half as much as fits (RFC 1812 4.3.2.3).
    """
    begin = at + REPLY_AT
    out[begin] = icmp_type
    out[begin + 1] = icmp_code
    put_be16(out, begin + hdr.ICMP_CHECKSUM, 0)
    put_be32(out, begin + 4, 0)
    if icmp_type == hdr.ICMP_REDIRECT:
        put_be32(out, begin + 4, source ^ 1)  # the better gateway
    elif icmp_type == hdr.ICMP_UNREACHABLE and icmp_code == _CODE_TOO_BIG:
        put_be16(out, begin + 6, _MTU)
    quote, probe = begin + hdr.ICMP_LENGTH, start + IP_AT
    limit = _SHORT_QUOTE if mix64(uint64(source)) & uint64(2) == uint64(0) else QUOTE_LIMIT
    end = copy(out, quote, frame, probe, min(row[PROBE_END], probe + limit))
    sent_ttl = int64(frame[probe + hdr.IPV4_TTL])
    out[quote + hdr.IPV4_TTL] = 1 if icmp_type == hdr.ICMP_TIME_EXCEEDED else max(1, sent_ttl - hops_to(source))
    put_be16(out, quote + hdr.IPV4_CHECKSUM, 0)
    put_be16(out, quote + hdr.IPV4_CHECKSUM, checksum(words_sum(out, quote, quote + hdr.IPV4_MIN_LENGTH)))
    put_be16(out, begin + hdr.ICMP_CHECKSUM, checksum(words_sum(out, begin, end)))
    put_ip(out, at, frame, start, source, hdr.PROTOCOL_ICMP, 0, number, end)
    return end
