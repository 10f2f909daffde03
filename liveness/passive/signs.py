"""Signs of inbound one-way flows, and an interval's sums: the last kernel of an interval, a part at a time."""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.flows.record import PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP
from liveness.kernel import int64, kernel, uint64, unowned
from liveness.passive.history import BENIGN, HIGH_PORT, HIGH_TCP, HIGH_UDP, SCANNER, remote_slot
from liveness.passive.locals import local_slot
from liveness.passive.pair_table import find_pair, state_at
from liveness.passive.pairing import ACK, client_slot, is_answer, pair_key
from liveness.passive.records import INBOUND, OUTBOUND, REFUSED, TURNED_AWAY, TWO_WAY, Row, Rows
from liveness.passive.rules import PATTERNS, SIGNS
from liveness.passive.services import can_be_service, is_known, service_key
from liveness.passive.tables import is_in
from liveness.space.lookup import is_within

TRW_SCAN, TRW_NOM, HC_SCAN, GREY_IP, ONE_PACKET, BACKSC, IS_ICMP, POT_OK, BOGON, P2P, UNREACH, LARGE, IS_TCP, IS_UDP = (
    1 << bit for bit in range(len(SIGNS))
)
LARGE_PACKETS: Final = 10
LARGE_BYTES: Final = 10_240

FLOWS, PACKETS, BYTES = range(3)
TWO_WAY_SUM, ONE_WAY_SUM, ONE_WAY_OUT_SUM = range(3)
INBOUND_ACK, UNANSWERED_ACK = range(2)

EVENT_DTYPE: Final = np.dtype(
    [("service", np.uint64), ("remote", np.uint32), ("interval", np.uint32), ("outcome", np.uint8)]
)
"""That a remote succeeded with a service in an interval, failed, or failed as a scanner."""
OK, FAIL, LEFT_OUT = 1, 2, 4


@dataclass(slots=True, eq=False)
class Sums:
    """The sums of one interval."""

    totals: NDArray[np.int64] = field(default_factory=lambda: np.zeros((3, 3), np.int64))
    """Flows, packets and bytes: two-way, one-way inbound, one-way outbound."""
    patterns: NDArray[np.int64] = field(default_factory=lambda: np.zeros((PATTERNS, 3), np.int64))
    """Flows, packets and bytes of inbound one-way flows by combination of signs."""
    ports: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, 1 << 16), np.int64))
    """Inbound one-way flows by local port, TCP and UDP."""
    symmetry: NDArray[np.int64] = field(default_factory=lambda: np.zeros(2, np.int64))


@kernel
def _has_client(clients: NDArray[np.uint64], client_rows: NDArray[np.int32], rows: Rows, row: Row) -> bool:
    found: bool = clients[client_slot(clients, client_rows, rows, row)] != uint64(0)
    return found


@kernel
def _signs_of_flow(
    row: Row, service_ports: NDArray[np.bool_], p2p_ports: NDArray[np.bool_], peers: NDArray[np.uint64], pair_bits: int
) -> int:
    """Return the signs that a flow shows by itself and by its two addresses."""
    pattern = 0
    protocol = int64(row["protocol"])
    lport, rport = int64(row["lport"]), int64(row["rport"])
    if protocol == PROTOCOL_ICMP:
        pattern |= IS_ICMP
    elif protocol in (PROTOCOL_TCP, PROTOCOL_UDP):
        udp = protocol == PROTOCOL_UDP
        pattern |= IS_UDP if udp else IS_TCP
        if service_ports[1 if udp else 0, rport] and lport >= HIGH_PORT and (udp or is_answer(int64(row["in_flags"]))):
            pattern |= BACKSC
        exchanged = pair_bits & HIGH_TCP and pair_bits & HIGH_UDP
        if p2p_ports[lport] or p2p_ports[rport] or exchanged or is_in(peers, service_key(row)):
            pattern |= P2P
    if row["in_packets"] == 1:
        pattern |= ONE_PACKET
    if row["in_packets"] >= LARGE_PACKETS or row["in_bytes"] >= LARGE_BYTES:
        pattern |= LARGE
    return pattern


@kernel
def _signs_of_remote(entry: Row, targets: int) -> int:
    """Return the signs of a remote's contacts."""
    pattern = 0
    if not entry["used"]:
        return pattern
    if entry["verdict"] == SCANNER:
        pattern |= TRW_SCAN
    elif entry["verdict"] == BENIGN:
        pattern |= TRW_NOM
    failures, successes = int64(entry["failures"]), int64(entry["successes"])
    if failures + successes >= targets and failures >= 2 * successes:
        pattern |= HC_SCAN
    return pattern


@kernel
def _add(sums: NDArray[np.int64], place: int, packets: int, size: int) -> None:
    sums[place, FLOWS] += 1
    sums[place, PACKETS] += packets
    sums[place, BYTES] += size


class Found(NamedTuple):
    """What pairing found in a part of one interval: its rows, and the tables of those that succeeded."""

    rows: Rows
    clients: NDArray[np.uint64]
    client_rows: NDArray[np.int32]
    pairs: NDArray[np.uint64]


class Known(NamedTuple):
    """What signs are judged by besides an interval and its neighbours: history, services, lists and bounds."""

    pairs_low: NDArray[np.uint32]
    pairs_high: NDArray[Any]
    local_bits: int
    remotes: NDArray[np.void]
    locals: NDArray[np.void]
    peers: NDArray[np.uint64]
    listed: NDArray[np.uint64]
    service_keys: NDArray[np.uint64]
    service_last: NDArray[np.int64]
    service_ports: NDArray[np.bool_]
    p2p_ports: NDArray[np.bool_]
    special_first: NDArray[np.uint32]
    special_last: NDArray[np.uint32]
    interval: int
    oldest_sent: int  # the first interval in which a local address must have sent something not to be grey
    oldest_client: int  # the first interval whose clients teach a service
    targets: int


@kernel
def _add_to_totals(row: Row, totals: NDArray[np.int64], symmetry: NDArray[np.int64]) -> None:
    """Add a row to the sums of its direction, and to those that show whether a capture is one-sided."""
    inbound, outbound = int64(row["marks"]) & INBOUND != 0, int64(row["marks"]) & OUTBOUND != 0
    two_way = int64(row["state"]) & TWO_WAY != 0
    if inbound and int64(row["protocol"]) == PROTOCOL_TCP and int64(row["in_flags"]) & ACK:
        symmetry[INBOUND_ACK] += 1
        if not two_way:
            symmetry[UNANSWERED_ACK] += 1
    in_packets, in_bytes = int64(row["in_packets"]), int64(row["in_bytes"])
    out_packets, out_bytes = int64(row["out_packets"]), int64(row["out_bytes"])
    if two_way:
        _add(totals, TWO_WAY_SUM, in_packets + out_packets, in_bytes + out_bytes)
        return
    if inbound:
        _add(totals, ONE_WAY_SUM, in_packets, in_bytes)
    if outbound:  # both at once: ICMP of kinds that pair with nothing
        _add(totals, ONE_WAY_OUT_SUM, out_packets, out_bytes)


@kernel
def _outcome(row: Row, of_remote: int, listed: NDArray[np.uint64], here: Found, before: Found, after: Found) -> int:
    """Return what a row says of its remote as a client of a service: OK, FAIL, LEFT_OUT, or 0 for nothing."""
    state = int64(row["state"])
    if not can_be_service(row, listed):
        return 0
    if state & (TWO_WAY | REFUSED) == TWO_WAY:
        return OK
    if not int64(row["marks"]) & INBOUND or (state & TWO_WAY and not state & TURNED_AWAY):
        return 0
    # A client that succeeded in the same or a neighbouring interval did not fail.
    if (
        _has_client(here.clients, here.client_rows, here.rows, row)
        or _has_client(before.clients, before.client_rows, before.rows, row)
        or _has_client(after.clients, after.client_rows, after.rows, row)
    ):
        return 0
    return LEFT_OUT if of_remote & (TRW_SCAN | HC_SCAN) else FAIL


@kernel
def _signs(row: Row, remote: Row, of_remote: int, known: Known, here: Found, before: Found, after: Found) -> int:
    """Return all signs of an inbound one-way row; `remote` is its entry in the history, `of_remote` its signs."""
    key = pair_key(row)
    local = known.locals[local_slot(known.locals, int64(row["local"]))]
    pair_bits = 0
    if remote["used"]:  # by any remote in the history; others have no pairs either
        in_history = int64(remote["id"]) << known.local_bits | int64(local["id"])
        pair_bits = state_at(known.pairs_high, find_pair(known.pairs_low, known.pairs_high, in_history))
    pattern = of_remote | _signs_of_flow(row, known.service_ports, known.p2p_ports, known.peers, pair_bits)
    if int64(local["sent"]) < known.oldest_sent:
        pattern |= GREY_IP
    if is_in(here.pairs, key) or is_in(before.pairs, key) or is_in(after.pairs, key):
        pattern |= POT_OK
    if is_within(int64(row["remote"]), known.special_first, known.special_last):
        pattern |= BOGON
    if not pattern & IS_ICMP and is_known(
        service_key(row), known.oldest_client, known.listed, known.service_keys, known.service_last
    ):
        pattern |= UNREACH
    return pattern


@kernel
def finalise(
    here: Found,
    before: Found,
    after: Found,
    known: Known,
    totals: NDArray[np.int64],
    patterns: NDArray[np.int64],
    ports: NDArray[np.int64],
    symmetry: NDArray[np.int64],
    events: NDArray[np.void],
) -> int:
    """Give each inbound one-way row of a part its signs, and add all rows to the sums; return how many events.

    The four sums are arrays of `Sums`.
    """
    here, before, after, known = unowned(here), unowned(before), unowned(after), unowned(known)
    count = 0
    for at in range(len(here.rows)):
        row = here.rows[at]
        marks, state = int64(row["marks"]), int64(row["state"])
        if not marks & (INBOUND | OUTBOUND):
            continue
        _add_to_totals(row, totals, symmetry)
        remote = known.remotes[remote_slot(known.remotes, int64(row["remote"]))]
        of_remote = _signs_of_remote(remote, known.targets)
        outcome = _outcome(row, of_remote, known.listed, here, before, after)
        if outcome:
            event = events[count]
            event["service"] = uint64(service_key(row))
            event["remote"] = row["remote"]
            event["interval"] = known.interval
            event["outcome"] = outcome
            count += 1
        if state & TWO_WAY or not marks & INBOUND:
            continue
        pattern = _signs(row, remote, of_remote, known, here, before, after)
        row["pattern"] = pattern
        _add(patterns, pattern, int64(row["in_packets"]), int64(row["in_bytes"]))
        if pattern & (IS_TCP | IS_UDP):
            ports[1 if pattern & IS_UDP else 0, int64(row["lport"])] += 1
    return count
