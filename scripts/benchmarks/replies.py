"""Replies to send at a receiver: kernels that turn probe frames, as our own fill kernel makes them, into answers."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.packets import headers as hdr
from liveness.packets.bytes import put_be16, put_be32, read_be32
from liveness.packets.checksum import checksum, fold, udp_checksum, words_sum
from liveness.probes.fill import fill_frames, flat_words, hash_targets
from liveness.probes.run_constants import RunConstants
from liveness.probes.template import TRANSPORT_AT
from liveness.scan.plan import Plan

SLOT_BYTES: Final = 128
"""Room for each reply: the longest quotes a whole NTP packet and has 118 bytes."""
CHUNK: Final = 1 << 16
WRONG_SHARE: Final = 0.01
"""Replies that prove no cookie."""
TTL: Final = 57

ECHO_REPLY, SYN_ACK, RST, DNS_ANSWER, NTP_ANSWER = 0, 1, 2, 3, 4
PORT_UNREACHABLE, HOST_UNREACHABLE = 5, 6  # quoting all of the probe
PORT_UNREACHABLE_28, HOST_UNREACHABLE_28 = 7, 8  # quoting its IP header and eight bytes

MIX: Final[dict[str, dict[int, float]]] = {
    "icmp": {ECHO_REPLY: 0.9, HOST_UNREACHABLE: 0.05, HOST_UNREACHABLE_28: 0.05},
    "tcp": {SYN_ACK: 0.35, RST: 0.55, HOST_UNREACHABLE_28: 0.05, PORT_UNREACHABLE: 0.05},
    "dns": {DNS_ANSWER: 0.3, PORT_UNREACHABLE: 0.4, PORT_UNREACHABLE_28: 0.2, HOST_UNREACHABLE_28: 0.1},
    "ntp": {NTP_ANSWER: 0.3, PORT_UNREACHABLE: 0.4, PORT_UNREACHABLE_28: 0.2, HOST_UNREACHABLE_28: 0.1},
}
"""What answers a probe, as shares: much of everything that a receiver has to know, rather than what the net holds."""

_TCP: Final = hdr.PROTOCOL_TCP
_UDP: Final = hdr.PROTOCOL_UDP
_ICMP: Final = hdr.PROTOCOL_ICMP
_DNS_RECORD: Final = np.frombuffer(bytes.fromhex("c00c00010001000000ff00048efab64e"), np.uint8)
"""An A record whose name points to the question (RFC 1035)."""
_NTP_HEAD: Final = np.frombuffer(bytes.fromhex("240206e7000000480000003cc0a80001"), np.uint8)
"""No leap warning, version 4, mode 4 (server), stratum 2; delay, dispersion, reference."""
_MSS: Final = np.frombuffer(bytes.fromhex("020405b4"), np.uint8)


@dataclass(frozen=True, slots=True)
class Pool:
    """Replies ready to be sent: frames (n, SLOT_BYTES), their lengths in bytes, and which of them prove no cookie."""

    frames: NDArray[np.uint8]
    lengths: NDArray[np.uint16]
    wrong: NDArray[np.bool_]


def make_pool(plan: Plan, constants: RunConstants, count: int, seed: int = 1) -> Pool:
    """Return `count` replies of distinct targets: the first of the plan's order, each to one of its probes."""
    random = np.random.default_rng(seed)
    targets = plan.first_addresses(count)
    pool = Pool(
        np.zeros((len(targets), SLOT_BYTES), np.uint8),
        np.zeros(len(targets), np.uint16),
        random.random(len(targets)) < WRONG_SHARE,
    )
    probes = random.integers(0, len(plan.probes), len(targets))
    for begin in range(0, len(targets), CHUNK):
        for probe in range(len(plan.probes)):
            rows = begin + np.flatnonzero(probes[begin : begin + CHUNK] == probe)
            mix = MIX[plan.probes[probe].method]
            shapes = random.choice(np.array(list(mix)), size=len(rows), p=list(mix.values()))
            attempt = (begin // CHUNK) % plan.attempts
            sent = probe_frames(constants, probe, attempt, targets[rows])
            make_replies(sent, int(constants.lengths[probe]), shapes, rows, pool.wrong, pool.frames, pool.lengths)
    return pool


def probe_frames(constants: RunConstants, probe: int, attempt: int, targets: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Return the frames of one probe to many targets, a row each."""
    frames = np.repeat(constants.templates[probe : probe + 1].view(np.uint8), len(targets), axis=0)
    if len(targets) == 0:
        return frames
    words, step = flat_words(frames)
    hashes = np.zeros(len(targets), np.uint64)
    hash_targets(targets, constants.numbers[probe], hashes)
    fill_frames(words, 0, step, constants.numbers[probe], constants.sources, attempt, targets, hashes, 1)
    return frames


@kernel
def put(frame: NDArray[np.uint8], at: int, source: NDArray[np.uint8], begin: int, end: int) -> int:
    """Copy source[begin:end] to frame[at:] and return where it ends there."""
    for i in range(begin, end):
        frame[at + i - begin] = source[i]
    return at + end - begin


@kernel
def swap_ports(reply: NDArray[np.uint8], probe: NDArray[np.uint8]) -> None:
    """Write the ports of a probe, the other way round."""
    put(reply, TRANSPORT_AT, probe, TRANSPORT_AT + 2, TRANSPORT_AT + 4)
    put(reply, TRANSPORT_AT + 2, probe, TRANSPORT_AT, TRANSPORT_AT + 2)


@kernel
def _put_segment(reply: NDArray[np.uint8], probe: NDArray[np.uint8], shape: int) -> int:
    """Write a SYN-ACK with an MSS, or an RST with ACK; return where it ends."""
    at = TRANSPORT_AT
    sequence = read_be32(probe, at + hdr.TCP_SEQUENCE)
    swap_ports(reply, probe)
    put_be32(reply, at + hdr.TCP_SEQUENCE, sequence ^ 0x5BD1E995 if shape == SYN_ACK else 0)
    put_be32(reply, at + hdr.TCP_ACKNOWLEDGMENT, (sequence + 1) & 0xFFFFFFFF)
    options = len(_MSS) if shape == SYN_ACK else 0
    reply[at + hdr.TCP_DATA_OFFSET] = (hdr.TCP_MIN_LENGTH + options) << 2
    reply[at + hdr.TCP_FLAGS] = hdr.TCP_FLAG_ACK | (hdr.TCP_FLAG_SYN if shape == SYN_ACK else hdr.TCP_FLAG_RST)
    return put(reply, at + hdr.TCP_MIN_LENGTH, _MSS, 0, options)


@kernel
def _put_datagram(reply: NDArray[np.uint8], probe: NDArray[np.uint8], length: int, shape: int) -> int:
    """Write an answer with one record, or a time server's; return where it ends."""
    swap_ports(reply, probe)
    at = TRANSPORT_AT + hdr.UDP_LENGTH
    if shape == DNS_ANSWER:
        end = put(reply, at, probe, at, length)
        put_be16(reply, at + 2, 0x8180)  # a response, recursion desired and available
        put_be16(reply, at + 6, 1)  # one answer
        end = put(reply, end, _DNS_RECORD, 0, len(_DNS_RECORD))
    else:
        put(reply, at, _NTP_HEAD, 0, len(_NTP_HEAD))
        put(reply, at + 24, probe, at + 40, at + 48)  # their originate timestamp is our transmit timestamp
        end = at + 48
    put_be16(reply, TRANSPORT_AT + hdr.UDP_LENGTH_FIELD, end - TRANSPORT_AT)
    return end


@kernel
def _put_error(reply: NDArray[np.uint8], probe: NDArray[np.uint8], length: int, shape: int) -> int:
    """Write a port or host unreachable that quotes the probe; return where it ends."""
    reply[TRANSPORT_AT] = hdr.ICMP_UNREACHABLE
    reply[TRANSPORT_AT + 1] = 3 if shape in (PORT_UNREACHABLE, PORT_UNREACHABLE_28) else 1
    whole = shape in (PORT_UNREACHABLE, HOST_UNREACHABLE)
    quoted = length if whole else TRANSPORT_AT + hdr.QUOTE_MIN_LENGTH
    return put(reply, TRANSPORT_AT + hdr.ICMP_LENGTH, probe, hdr.ETHERNET_LENGTH, quoted)


@kernel
def finish(reply: NDArray[np.uint8], probe: NDArray[np.uint8], protocol: int, end: int) -> None:
    """Write Ethernet and IP headers back to who sent the probe, and the checksums of a reply that ends at `end`."""
    put(reply, 0, probe, 6, 12)
    put(reply, 6, probe, 0, 6)
    put_be16(reply, hdr.ETHERTYPE_OFFSET, hdr.ETHERTYPE_IPV4)
    ip = hdr.ETHERNET_LENGTH
    reply[ip] = hdr.IPV4_VERSION << 4 | hdr.IPV4_MIN_LENGTH // 4
    put_be16(reply, ip + hdr.IPV4_TOTAL_LENGTH, end - ip)
    reply[ip + hdr.IPV4_TTL] = TTL
    reply[ip + hdr.IPV4_PROTOCOL] = protocol
    put(reply, ip + hdr.IPV4_SOURCE, probe, ip + hdr.IPV4_DESTINATION, ip + hdr.IPV4_DESTINATION + 4)
    put(reply, ip + hdr.IPV4_DESTINATION, probe, ip + hdr.IPV4_SOURCE, ip + hdr.IPV4_SOURCE + 4)
    put_be16(reply, ip + hdr.IPV4_CHECKSUM, checksum(words_sum(reply, ip, TRANSPORT_AT)))
    total = words_sum(reply, TRANSPORT_AT, end)
    if protocol == _ICMP:
        put_be16(reply, TRANSPORT_AT + hdr.ICMP_CHECKSUM, checksum(total))
        return
    total += words_sum(reply, ip + hdr.IPV4_SOURCE, TRANSPORT_AT) + protocol + end - TRANSPORT_AT
    if protocol == _TCP:
        put_be16(reply, TRANSPORT_AT + hdr.TCP_CHECKSUM, checksum(total))
    else:
        put_be16(reply, TRANSPORT_AT + hdr.UDP_CHECKSUM, udp_checksum(fold(total)))


@kernel
def _forget_cookie(probe: NDArray[np.uint8], protocol: int, length: int) -> None:
    """Change every field of a probe that carries a part of the hash, so that no reply to it proves anything."""
    _change(probe, hdr.ETHERNET_LENGTH + hdr.IPV4_ID)
    if protocol == _ICMP:
        _change(probe, TRANSPORT_AT + hdr.ICMP_ID)
        _change(probe, TRANSPORT_AT + hdr.ICMP_LENGTH)  # the payload begins with the hash
        return
    _change(probe, TRANSPORT_AT)
    if protocol == _TCP:
        _change(probe, TRANSPORT_AT + hdr.TCP_SEQUENCE + 2)
        return
    _change(probe, TRANSPORT_AT + hdr.UDP_CHECKSUM)
    _change(probe, TRANSPORT_AT + hdr.UDP_LENGTH)  # the DNS transaction
    _change(probe, length - 2)  # the end of the NTP transmit timestamp


@kernel
def _change(probe: NDArray[np.uint8], at: int) -> None:
    """Change the last bit of the 16-bit number at byte `at`."""
    probe[at + 1] = int64(probe[at + 1]) ^ 1


@kernel
def make_replies(
    probes: NDArray[np.uint8],
    length: int,
    shapes: NDArray[np.int64],
    rows: NDArray[np.int64],
    wrong: NDArray[np.bool_],
    frames: NDArray[np.uint8],
    lengths: NDArray[np.uint16],
) -> None:
    """Answer probe frames, a row each and all `length` bytes long.

    `shapes` says how each is answered, `rows` to which row of `frames` and `lengths` each reply goes, and `wrong`, by
    the same rows, which replies prove nothing. `frames` hold zeros.
    """
    for i in range(len(probes)):
        probe, row, shape = probes[i], rows[i], shapes[i]
        reply = frames[row]
        protocol = int64(probe[hdr.ETHERNET_LENGTH + hdr.IPV4_PROTOCOL])
        if wrong[row]:
            _forget_cookie(probe, protocol, length)
        if shape == ECHO_REPLY:
            end = put(reply, TRANSPORT_AT, probe, TRANSPORT_AT, length)
            reply[TRANSPORT_AT] = hdr.ICMP_ECHO_REPLY
            put_be16(reply, TRANSPORT_AT + hdr.ICMP_CHECKSUM, 0)
        elif shape in (SYN_ACK, RST):
            end = _put_segment(reply, probe, shape)
        elif shape in (DNS_ANSWER, NTP_ANSWER):
            end = _put_datagram(reply, probe, length, shape)
        else:
            end = _put_error(reply, probe, length, shape)
            protocol = _ICMP
        finish(reply, probe, protocol, end)
        lengths[row] = end
