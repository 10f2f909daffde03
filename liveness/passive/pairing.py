"""Pairing: which flows are two-way, which are answered negatively, and which are a remote's contacts.

A flow is two-way if its key has the opposite direction in the same interval or a neighbour. Flags are united over the
three intervals; a flow's own begin and number count in its interval alone.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.flows.record import PROTOCOL_TCP
from liveness.kernel import int64, kernel, uint64
from liveness.passive.aggregate import Part, find
from liveness.passive.records import (
    CONTACT,
    FORWARD_IN,
    INBOUND,
    KIND_ERROR,
    KIND_OTHER,
    NEVER,
    OUTBOUND,
    QUOTED_IN,
    QUOTED_OUT,
    REFUSED,
    TURNED_AWAY,
    TWO_WAY,
    Row,
    Rows,
)
from liveness.passive.tables import add_to_set, fill_set, mixed, size_for

FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
ACK: Final = 0x10
_FLAGS: Final = 0x3F
"""The flags that say what a flow is: without those of explicit congestion notification."""


@kernel
def only_reset(flags: int) -> bool:
    """Return whether TCP flags are RST alone, with or without ACK."""
    return flags & _FLAGS & ~ACK == RST


@kernel
def is_answer(flags: int) -> bool:
    """Return whether TCP flags are those of answers to SYNs: SYN-ACK, RST, RST-ACK, or a mixture of them."""
    flags &= _FLAGS
    return flags in (SYN | ACK, RST, RST | ACK, SYN | RST | ACK)


@kernel
def pair_key(row: Row) -> int:
    """Return local and remote address as one number; never 0, as one of both is an address."""
    return int64(row["local"]) << 32 | int64(row["remote"])


@kernel
def client_digest(row: Row) -> int:
    """Return a digest of service (local address, port, protocol) and remote; never 0."""
    digest = mixed(pair_key(row), int64(row["lport"]) << 8 | int64(row["protocol"]))
    return int64(digest | uint64(1))


@kernel
def client_slot(clients: NDArray[np.uint64], client_rows: NDArray[np.int32], rows: Rows, row: Row) -> int:
    """Return the place of a row's service and remote in a table of clients, or the free one where they belong."""
    digest = uint64(client_digest(row))
    mask = uint64(len(clients) - 1)
    slot = (digest >> uint64(1)) & mask
    while clients[slot] != uint64(0):
        if clients[slot] == digest:
            other = rows[client_rows[slot]]
            if (
                pair_key(other) == pair_key(row)
                and other["lport"] == row["lport"]
                and other["protocol"] == row["protocol"]
            ):
                break
        slot = (slot + uint64(1)) & mask
    return int64(slot)


@kernel
def pair(  # noqa: C901, PLR0912 - one row's way through its neighbours
    rows: Rows,
    before: Rows,
    before_table: NDArray[np.int32],
    after: Rows,
    after_table: NDArray[np.int32],
    pairs: NDArray[np.uint64],
    clients: NDArray[np.uint64],
    client_rows: NDArray[np.int32],
) -> None:
    """Set the state of an interval's rows by those of its neighbours; collect pairs and clients that succeed."""
    for at in range(len(rows)):
        row = rows[at]
        here = int64(row["marks"])
        row["state"] = 0
        if here & (INBOUND | OUTBOUND) == 0 or row["kind"] in (KIND_ERROR, KIND_OTHER):
            continue
        marks = here
        in_flags, out_flags = int64(row["in_flags"]), int64(row["out_flags"])
        in_start, out_start = int64(row["in_start"]), int64(row["out_start"])
        for neighbour in range(2):
            other_rows = after if neighbour else before
            place = (
                after_table[find(after_table, after, row)]
                if neighbour
                else before_table[find(before_table, before, row)]
            )
            if place >= 0:
                other = other_rows[place]
                marks |= int64(other["marks"])
                in_flags |= int64(other["in_flags"])
                out_flags |= int64(other["out_flags"])
                in_start = min(in_start, int64(other["in_start"]))
                out_start = min(out_start, int64(other["out_start"]))
        answered = here & INBOUND and marks & (OUTBOUND | QUOTED_OUT)
        answers = here & OUTBOUND and marks & (INBOUND | QUOTED_IN)
        state = 0
        tcp = int64(row["protocol"]) == PROTOCOL_TCP
        if answered or answers:
            state = TWO_WAY
            turned_away = marks & QUOTED_OUT != 0
            refused = marks & QUOTED_IN != 0
            if tcp:
                turned_away = turned_away or (marks & OUTBOUND != 0 and only_reset(out_flags))
                refused = refused or (marks & INBOUND != 0 and only_reset(in_flags))
            if turned_away:
                state |= REFUSED | TURNED_AWAY
            elif refused:
                state |= REFUSED
            else:
                add_to_set(pairs, pair_key(row))
                slot = client_slot(clients, client_rows, rows, row)
                if clients[slot] == uint64(0):
                    clients[slot] = uint64(client_digest(row))
                    client_rows[slot] = at
        if here & INBOUND and not (tcp and is_answer(int64(row["in_flags"]))):
            begun = in_start < out_start or (in_start == out_start and here & FORWARD_IN != 0)
            if out_start == NEVER or begun:
                state |= CONTACT
        row["state"] = state
    # ICMP errors and other types are contacts at most, and pair with nothing
    for at in range(len(rows)):
        row = rows[at]
        if int64(row["kind"]) == KIND_OTHER and int64(row["marks"]) & INBOUND:
            row["state"] = CONTACT


@kernel
def _move_clients(
    clients: NDArray[np.uint64],
    client_rows: NDArray[np.int32],
    new_clients: NDArray[np.uint64],
    new_rows: NDArray[np.int32],
) -> None:
    """Move clients to an empty table of another length; no two of them are the same."""
    mask = uint64(len(new_clients) - 1)
    for at in range(len(clients)):
        if clients[at] != uint64(0):
            slot = (clients[at] >> uint64(1)) & mask
            while new_clients[slot] != uint64(0):
                slot = (slot + uint64(1)) & mask
            new_clients[slot] = clients[at]
            new_rows[slot] = client_rows[at]


def pair_part(part: Part, before: Part, after: Part) -> None:
    """Pair the rows of a part with its neighbours in time."""
    size = size_for(len(part.rows))
    pairs, clients = np.zeros(size, np.uint64), np.zeros(size, np.uint64)
    client_rows = np.full(size, -1, np.int32)
    pair(part.rows, before.rows, before.table, after.rows, after.table, pairs, clients, client_rows)
    # most rows are one-way or alike: what is kept for two further intervals has the room that it needs
    part.pairs = np.zeros(size_for(int(np.count_nonzero(pairs))), np.uint64)
    fill_set(part.pairs, pairs)
    size = size_for(int(np.count_nonzero(clients)))
    part.clients, part.client_rows = np.zeros(size, np.uint64), np.full(size, -1, np.int32)
    _move_clients(clients, client_rows, part.clients, part.client_rows)
