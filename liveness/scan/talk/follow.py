"""Kernel that follows connections in a receive block: it tells resets of talks from resets of probes, and notes events.

It runs after matching, on blocks of scans that talk, and finds the packet of each accepted reply again.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64, unowned
from liveness.packets import cookie
from liveness.packets import headers as hdr
from liveness.packets import parse as p
from liveness.packets.block import (
    capture_time_ns,
    captured_length,
    first_packet,
    frame_start,
    next_packet,
    packet_count,
)
from liveness.packets.siphash import siphash24
from liveness.probes.run_constants import RunConstants
from liveness.probes.tcp import request_length
from liveness.probes.template import hash_of, proven_attempt
from liveness.replies import NO_DATA, Kind
from liveness.scan.talk import shared as talk
from liveness.scan.talk.data import judge_data
from liveness.scan.talk.shared import ACKNOWLEDGED, ENDED, OPENED, RESET, SHUT, SPOKE

_SYN_ACK: Final = int(Kind.SYN_ACK)
_RST: Final = int(Kind.RST)
_ACKED: Final = int(Kind.ACKED)
_ANSWER: Final = int(Kind.ANSWER)
_PAYLOAD: Final = int(Kind.PAYLOAD)
_CLOSED: Final = int(Kind.CLOSED)
_ZERO_WINDOW: Final = int(Kind.ZERO_WINDOW)
_DOMAIN: Final = 0xFFFE0000
"""With the place of the probe added, takes the place of the probe code in the hash input. No probe has such a code, so
that the hash reveals no cookie."""
PLACES: Final = 1 << 15
"""Places of the table of open connections, a power of two."""
WAYS: Final = 8
"""Connections per place; the oldest one is replaced. The table holds 15 seconds of 10,000 SYN-ACKs a second."""


def open_connections(places: int = PLACES) -> NDArray[np.int64]:
    """Return an empty table of the connections that were opened lately: (places, WAYS, 2), key and time."""
    return np.zeros((places, WAYS, 2), np.int64)


@kernel
def _place_of(target: int, probe: int, key: NDArray[np.uint64], places: int) -> int:
    """Return the place of a service by a keyed hash: an attacker cannot choose targets that share a place."""
    hashed = siphash24(uint64(target) | (uint64(_DOMAIN + probe) << uint64(32)), key[0], key[1])
    return int64(hashed & uint64(places - 1))


@kernel
def _remember(entries: NDArray[np.int64], connection: int, time_ns: int) -> None:
    """Note when a connection was opened, in place of the oldest one; a repeated SYN-ACK keeps the first time."""
    oldest = 0
    for way in range(len(entries)):
        if entries[way, 0] == connection:
            return
        if entries[way, 1] < entries[oldest, 1]:
            oldest = way
    entries[oldest, 0] = connection
    entries[oldest, 1] = time_ns


@kernel
def _was_opened(entries: NDArray[np.int64], connection: int, since_ns: int) -> bool:
    for way in range(len(entries)):  # noqa: SIM110 - a kernel: Numba compiles no generator expressions
        if entries[way, 0] == connection and entries[way, 1] >= since_ns:
            return True
    return False


@kernel
def _proves(row: NDArray[np.int64], numbers: np.void, kind: int, attempt: int) -> bool:
    """Return whether a segment has the port of an attempt and, if it acknowledges anything, a number of ours."""
    hashed = hash_of(numbers, row[p.SOURCE])
    if proven_attempt(row[p.DESTINATION_PORT], hashed, numbers) != attempt:
        return False
    if row[p.TCP_FLAGS] & hdr.TCP_FLAG_ACK == 0:
        return True
    distance = (row[p.TCP_ACKNOWLEDGMENT] - cookie.sequence(hashed)) & 0xFFFFFFFF
    if kind == _SYN_ACK:
        return bool(distance == 1)
    return bool(distance <= 1 + request_length(numbers, row[p.SOURCE]))


@kernel
def _is_of(reply: np.void, row: NDArray[np.int64], time_ns: int, constants: RunConstants) -> bool:
    """Return whether a packet is the one that an accepted reply was made of, and no forged one that looks like it."""
    if (
        int64(reply["time_ns"]) != time_ns
        or int64(reply["source"]) != row[p.SOURCE]
        or int64(reply["length"]) != row[p.IP_LENGTH]
        or int64(reply["ip_id"]) != row[p.IP_ID]
        or int64(reply["reply_ttl"]) != row[p.TTL]
    ):
        return False
    if row[p.PROTOCOL] != hdr.PROTOCOL_TCP:
        return True
    if int64(reply["tcp_flags"]) != row[p.TCP_FLAGS] or int64(reply["tcp_window"]) != row[p.TCP_WINDOW]:
        return False
    return _proves(row, constants.numbers[int64(reply["probe"])], int64(reply["kind"]), int64(reply["attempt"]))


@kernel
def _event_of(kind: int, flags: int, window: int) -> int:
    if kind == _SYN_ACK:
        return SHUT if window == 0 else OPENED
    if kind == _CLOSED:
        return RESET if flags & hdr.TCP_FLAG_RST != 0 else ENDED
    return ACKNOWLEDGED if kind == _ACKED else SPOKE


@kernel
def _note(event: NDArray[np.int64], kind: int, reply: np.void, row: NDArray[np.int64], time_ns: int) -> None:
    """Write the event of a packet, captured at `time_ns`, that was accepted as a reply of this kind."""
    flags = row[p.TCP_FLAGS]
    taken = row[p.PAYLOAD_LENGTH] + (1 if flags & (hdr.TCP_FLAG_SYN | hdr.TCP_FLAG_FIN) != 0 else 0)
    event[talk.EVENT] = _event_of(kind, flags, row[p.TCP_WINDOW])
    event[talk.TARGET] = int64(reply["target"])
    event[talk.PROBE] = int64(reply["probe"])
    event[talk.ATTEMPT] = int64(reply["attempt"])
    event[talk.OURS] = row[p.DESTINATION]
    event[talk.SEQUENCE] = (row[p.TCP_SEQUENCE] + taken) & 0xFFFFFFFF
    event[talk.ACKNOWLEDGMENT] = row[p.TCP_ACKNOWLEDGMENT]
    event[talk.ARRIVED] = time_ns


@kernel
def _clear(replies: int, protocols: NDArray[np.uint8], lengths: NDArray[np.uint16]) -> None:
    """Note no data for so many replies; an assignment to a slice would take a second more to compile."""
    for i in range(replies):
        protocols[i] = NO_DATA
        lengths[i] = 0


@kernel
def follow_block(
    block: NDArray[np.uint8],
    replies: NDArray[np.void],
    constants: RunConstants,
    key: NDArray[np.uint64],
    opened: NDArray[np.int64],
    longest_ns: int,
    events: NDArray[np.int64],
    shut: NDArray[np.void],
    row: NDArray[np.int64],
    protocols: NDArray[np.uint8],
    lengths: NDArray[np.uint16],
    data: NDArray[np.uint8],
) -> tuple[int, int]:
    """Follow the connections of a block; return the number of events and of SYN-ACKs with a window of zero.

    `replies` are the accepted replies of the block (REPLY_DTYPE, modified): a reset of a connection that was opened at
    most `longest_ns` before becomes CLOSED, and an answer in which a fingerprint finds another protocol PAYLOAD.
    `opened` is the table of `open_connections` (modified), `events` and `shut` (REPLY_DTYPE, kind ZERO_WINDOW) take
    what is found, and are as long as `replies`. `row` is scratch space of FIELDS int64. `protocols` takes the number of
    the protocol of each reply, NO_DATA without data, `lengths` and `data` (rows of any width) its first bytes.
    """
    block, replies, constants, key = unowned(block), unowned(replies), unowned(constants), unowned(key)
    opened, events, shut, row = unowned(opened), unowned(events), unowned(shut), unowned(row)
    protocols, lengths, data = unowned(protocols), unowned(lengths), unowned(data)
    _clear(len(replies), protocols, lengths)
    at, at_reply, noted, closed_windows = first_packet(block), 0, 0, 0
    for _ in range(packet_count(block)):
        if at_reply == len(replies):
            break
        start, captured = frame_start(block, at), captured_length(block, at)
        time_ns = capture_time_ns(block, at)
        at = next_packet(block, at)
        parsed = p.parse_frame(block, start, captured, False, False, row) == p.ACCEPTED
        if not parsed or not _is_of(replies[at_reply], row, time_ns, constants):
            continue
        reply = replies[at_reply]
        at_reply += 1
        probe = int64(reply["probe"])
        if row[p.PROTOCOL] != hdr.PROTOCOL_TCP or constants.numbers[probe]["application"] < 0:
            continue
        target, attempt, kind = int64(reply["target"]), int64(reply["attempt"]), int64(reply["kind"])
        entries = opened[_place_of(target, probe, key, len(opened))]
        connection = target << 16 | probe << 8 | attempt | 1 << 48  # never 0, which is an empty entry
        window = row[p.TCP_WINDOW]
        if kind == _SYN_ACK and window == 0:
            shut[closed_windows] = reply
            shut[closed_windows]["kind"] = _ZERO_WINDOW
            closed_windows += 1
        elif kind == _SYN_ACK:
            _remember(entries, connection, int64(reply["time_ns"]))
        elif kind == _RST:
            if not _was_opened(entries, connection, int64(reply["time_ns"]) - longest_ns):
                continue  # the answer to a probe
            kind = _CLOSED
            reply["kind"] = kind
        elif kind in (_ANSWER, _PAYLOAD):
            kind = judge_data(block, row, constants.numbers[probe], reply, at_reply - 1, protocols, lengths, data)
        _note(events[noted], kind, reply, row, time_ns)
        noted += 1
    return noted, closed_windows
