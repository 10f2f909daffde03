"""Spoofed noise: well-formed replies to no probe, without a valid cookie."""

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.lab.model.responder.bytes import copy
from liveness.lab.model.responder.draws import draw
from liveness.lab.model.responder.inspection import TARGET, TRANSPORT_AT
from liveness.lab.model.responder.reply import IP_AT, REPLY_AT, put_ip
from liveness.packets import headers as hdr
from liveness.packets.bytes import put_be16, put_be32, read_be16
from liveness.packets.checksum import checksum, words_sum

LOWEST_SOURCE = 0x01000000
SOURCES = 0xDF000000 - LOWEST_SOURCE
QUOTED_LENGTH = hdr.IPV4_MIN_LENGTH + hdr.QUOTE_MIN_LENGTH


@kernel
def noise(
    out: NDArray[np.uint8],
    at: int,
    frame: NDArray[np.uint8],
    start: int,
    row: NDArray[np.int64],
    stream: NDArray[np.uint64],
) -> int:
    """Write a packet whose sender knows the scanner's address but no cookie; return the index after its end.

    Shapes: a SYN-ACK and a reset that acknowledge a random number, an echo reply to no request, an error about a
    segment
    that was never sent. Source addresses are random.
    """
    word = draw(stream)
    shape, first, second = (
        int64(word >> uint64(62)),
        int64(draw(stream) >> uint64(32)),
        int64(draw(stream) >> uint64(32)),
    )
    source = LOWEST_SOURCE + int64((word & uint64(0xFFFFFFFF)) % uint64(SOURCES))
    begin = at + REPLY_AT
    if shape <= 1:  # from a probed port to a source port in use
        put_be16(out, begin, 80)
        put_be16(out, begin + 2, read_be16(frame, row[TRANSPORT_AT]) | 1)
        put_be32(out, begin + hdr.TCP_SEQUENCE, first)
        put_be32(out, begin + hdr.TCP_ACKNOWLEDGMENT, second)
        out[begin + hdr.TCP_DATA_OFFSET] = hdr.TCP_MIN_LENGTH << 2
        out[begin + hdr.TCP_FLAGS] = hdr.TCP_FLAG_ACK | (hdr.TCP_FLAG_SYN if shape == 0 else hdr.TCP_FLAG_RST)
        put_be16(out, begin + hdr.TCP_WINDOW, 0)
        put_be32(out, begin + hdr.TCP_CHECKSUM, 0)
        end = begin + hdr.TCP_MIN_LENGTH
        put_ip(out, at, frame, start, source, hdr.PROTOCOL_TCP, 0, first & 0xFFFF, end)
        total = words_sum(out, at + IP_AT + hdr.IPV4_SOURCE, end) + hdr.PROTOCOL_TCP + hdr.TCP_MIN_LENGTH
        put_be16(out, begin + hdr.TCP_CHECKSUM, checksum(total))
        return end
    put_be32(out, begin, 0)
    put_be32(out, begin + 4, first if shape == 2 else 0)  # noqa: PLR2004 - an echo reply's identifier and number
    if shape == 2:  # noqa: PLR2004
        end = begin + hdr.ICMP_LENGTH
    else:
        out[begin] = hdr.ICMP_UNREACHABLE
        out[begin + 1] = 1
        quote = begin + hdr.ICMP_LENGTH
        end = copy(out, quote, frame, start + IP_AT, start + IP_AT + QUOTED_LENGTH)
        out[quote + hdr.IPV4_PROTOCOL] = hdr.PROTOCOL_TCP
        put_be16(out, quote + hdr.IPV4_ID, second)
        put_be32(out, quote + hdr.IPV4_DESTINATION, (row[TARGET] + 1) & 0xFFFFFFFF)
        put_be16(out, quote + hdr.IPV4_MIN_LENGTH + 2, 80)
        put_be32(out, quote + hdr.IPV4_MIN_LENGTH + hdr.TCP_SEQUENCE, first)
    put_be16(out, begin + hdr.ICMP_CHECKSUM, checksum(words_sum(out, begin, end)))
    put_ip(out, at, frame, start, source, hdr.PROTOCOL_ICMP, 0, second & 0xFFFF, end)
    return end
