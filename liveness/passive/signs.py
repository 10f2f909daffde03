"""Signs of inbound one-way flows, and an interval's sums: the last kernel of an interval, a part at a time."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liveness.flows.record import PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP
from liveness.kernel import int64, kernel, uint64
from liveness.passive.gates import within
from liveness.passive.history import BENIGN, HIGH_PORT, HIGH_TCP, HIGH_UDP, SCANNER, remote_slot
from liveness.passive.locals import local_slot
from liveness.passive.pair_table import find_pair, state_at
from liveness.passive.pairing import ACK, client_slot, is_answer, pair_key
from liveness.passive.records import INBOUND, OUTBOUND, REFUSED, TURNED_AWAY, TWO_WAY, Row, Rows
from liveness.passive.rules import PATTERNS, SIGNS
from liveness.passive.services import can_be_service, is_known, service_key
from liveness.passive.tables import is_in

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


@kernel
def finalise(  # noqa: C901, PLR0912, PLR0915 - one row's way through all signs
    rows: Rows,
    clients: NDArray[np.uint64],
    client_rows: NDArray[np.int32],
    rows_before: Rows,
    clients_before: NDArray[np.uint64],
    client_rows_before: NDArray[np.int32],
    rows_after: Rows,
    clients_after: NDArray[np.uint64],
    client_rows_after: NDArray[np.int32],
    pairs: NDArray[np.uint64],
    pairs_before: NDArray[np.uint64],
    pairs_after: NDArray[np.uint64],
    history_low: NDArray[np.uint32],
    history_high: NDArray[Any],
    local_bits: int,
    remotes: NDArray[np.void],
    locals_: NDArray[np.void],
    peers: NDArray[np.uint64],
    listed: NDArray[np.uint64],
    service_keys: NDArray[np.uint64],
    service_last: NDArray[np.int64],
    service_ports: NDArray[np.bool_],
    p2p_ports: NDArray[np.bool_],
    special_first: NDArray[np.uint32],
    special_last: NDArray[np.uint32],
    interval: int,
    oldest_sent: int,
    oldest_client: int,
    targets: int,
    totals: NDArray[np.int64],
    patterns: NDArray[np.int64],
    ports: NDArray[np.int64],
    symmetry: NDArray[np.int64],
    events: NDArray[np.void],
) -> int:
    """Give each inbound one-way row of a part its signs, and add all rows to the sums; return how many events."""
    count = 0
    for at in range(len(rows)):
        row = rows[at]
        marks, state = int64(row["marks"]), int64(row["state"])
        inbound, outbound = marks & INBOUND != 0, marks & OUTBOUND != 0
        if not (inbound or outbound):
            continue
        tcp = int64(row["protocol"]) == PROTOCOL_TCP
        if inbound and tcp and int64(row["in_flags"]) & ACK:
            symmetry[INBOUND_ACK] += 1
            if not state & TWO_WAY:
                symmetry[UNANSWERED_ACK] += 1
        in_packets, in_bytes = int64(row["in_packets"]), int64(row["in_bytes"])
        out_packets, out_bytes = int64(row["out_packets"]), int64(row["out_bytes"])
        if state & TWO_WAY:
            _add(totals, TWO_WAY_SUM, in_packets + out_packets, in_bytes + out_bytes)
        elif inbound:
            _add(totals, ONE_WAY_SUM, in_packets, in_bytes)
            if outbound:  # ICMP of kinds that pair with nothing
                _add(totals, ONE_WAY_OUT_SUM, out_packets, out_bytes)
        else:
            _add(totals, ONE_WAY_OUT_SUM, out_packets, out_bytes)
        remote = remotes[remote_slot(remotes, int64(row["remote"]))]
        of_remote = _signs_of_remote(remote, targets)
        if can_be_service(row, listed):
            outcome = 0
            if state & (TWO_WAY | REFUSED) == TWO_WAY:
                outcome = OK
            elif (
                inbound
                and (not state & TWO_WAY or state & TURNED_AWAY)
                and not (
                    _has_client(clients, client_rows, rows, row)
                    or _has_client(clients_before, client_rows_before, rows_before, row)
                    or _has_client(clients_after, client_rows_after, rows_after, row)
                )
            ):
                outcome = LEFT_OUT if of_remote & (TRW_SCAN | HC_SCAN) else FAIL
            if outcome:
                event = events[count]
                event["service"] = uint64(service_key(row))
                event["remote"] = row["remote"]
                event["interval"] = interval
                event["outcome"] = outcome
                count += 1
        if state & TWO_WAY or not inbound:
            continue
        key = pair_key(row)
        local = locals_[local_slot(locals_, int64(row["local"]))]
        pair_bits = 0
        if remote["used"]:  # by any remote in the history; others have no pairs either
            in_history = int64(remote["id"]) << local_bits | int64(local["id"])
            pair_bits = state_at(history_high, find_pair(history_low, history_high, in_history))
        pattern = of_remote | _signs_of_flow(row, service_ports, p2p_ports, peers, pair_bits)
        if int64(local["sent"]) < oldest_sent:
            pattern |= GREY_IP
        if is_in(pairs, key) or is_in(pairs_before, key) or is_in(pairs_after, key):
            pattern |= POT_OK
        if within(int64(row["remote"]), special_first, special_last):
            pattern |= BOGON
        if not pattern & IS_ICMP and is_known(service_key(row), oldest_client, listed, service_keys, service_last):
            pattern |= UNREACH
        row["pattern"] = pattern
        _add(patterns, pattern, in_packets, in_bytes)
        if pattern & (IS_TCP | IS_UDP):
            ports[1 if pattern & IS_UDP else 0, int64(row["lport"])] += 1
    return count
