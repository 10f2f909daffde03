"""The conversation: packets from one address to another and what comes back, with the purpose of who began it.

Times are whole milliseconds, since nfcapd files and NetFlow v5 have nothing finer: a flow lies in the same interval
whatever format it came through.
"""

from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liveness.flows.record import PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP

ICMP: Final = PROTOCOL_ICMP
TCP: Final = PROTOCOL_TCP
UDP: Final = PROTOCOL_UDP

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
"""TCP flags (RFC 9293)."""

CONVERSATION_DTYPE: Final = np.dtype(
    [
        ("start_ms", np.int64),  # since the epoch; of the first packet
        ("duration_ms", np.int64),  # from the first packet of a direction to its last
        ("delay_ms", np.int64),  # from the first packet to the first of the answer
        ("src", np.uint32),  # host order; the address that begins
        ("dst", np.uint32),
        ("packets", np.uint32),
        ("answer_packets", np.uint32),
        ("sport", np.uint16),
        ("dport", np.uint16),  # ICMP: type * 256 + code
        ("size", np.uint16),  # bytes of each IP packet
        ("answer_size", np.uint16),
        ("protocol", np.uint8),
        ("flags", np.uint8),  # TCP flags of all packets united
        ("answer_flags", np.uint8),
        ("answer", np.uint8),  # Answer
        ("label", np.uint8),  # Label
        ("actor", np.uint8),  # index into traffic.actors.ACTORS
    ]
)
Conversations = NDArray[np.void]
"""An array of CONVERSATION_DTYPE."""


class Answer(IntEnum):
    """What comes back."""

    NONE = 0
    REPLY = 1
    RESET = 2
    """A TCP RST with ACK."""
    ERROR = 3
    """An ICMP error, port unreachable, that quotes the first packet."""


class Label(IntEnum):
    """The purpose of a conversation: what a classifier of its inbound one-way flows has to find."""

    ORDINARY = 0
    """Outbound traffic, and inbound traffic that is answered."""
    SCAN = 1
    BACKSCATTER = 2
    UNREACHABLE = 3
    """A client of a local service that gets no answer."""
    PEER = 4
    BENIGN = 5
    """One-way by its application, between hosts that also talk with each other."""
    BOGON = 6
    OWN = 7
    """Probes of our own censuses: a gate counts them."""
    EXCLUDED = 8
    """One-way by its protocol: a gate counts it."""


def conversations(count: int, **columns: Any) -> Conversations:  # noqa: ANN401 - numbers or arrays of them
    """Return `count` conversations with these columns; others are zero, but for one packet of 40 bytes each way."""
    made = np.zeros(count, CONVERSATION_DTYPE)
    made["packets"], made["size"], made["answer_size"] = 1, 40, 40
    for name, values in columns.items():
        made[name] = values
    return made
