"""What a reply is: its kind, the sets that it goes into, the evidence it carries, and its record in arrays."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final, Literal, get_args

import numpy as np

CONTROL: Final = "tcp/control"
"""The name of the tarpit control: a TCP SYN to a random high port of the run (Bano et al. 2018, section 4.2)."""

ERROR_TYPES: tuple[int, ...] = (3, 4, 5, 11, 12)
"""ICMP errors that count as replies (RFC 792): unreachable, quench, redirect, time exceeded, parameter problem."""


class Kind(IntEnum):
    """What a reply is. The number is its place in kernels and arrays, the label its name in files and JSON."""

    ECHO_REPLY = 0
    SYN_ACK = 1
    RST = 2
    ANSWER = 3
    PAYLOAD = 4
    ERROR = 5
    CLOSED = 6
    ACKED = 7
    MUTE = 8
    ZERO_WINDOW = 9

    @property
    def label(self) -> str:
        """The name in manifests and file names, e.g. ``syn-ack``."""
        return self.name.lower().replace("_", "-")

    @property
    def sign(self) -> "Sign":
        """What a reply of this kind says about its target."""
        if self in POSITIVE:
            return "positive"
        return "error" if self is Kind.ERROR else "negative"

    @classmethod
    def from_label(cls, label: str) -> "Kind":
        """Return the kind of a label; ValueError if there is none."""
        for kind in cls:
            if kind.label == label:
                return kind
        raise ValueError(f"no reply kind {label!r}")


POSITIVE: Final = (Kind.ECHO_REPLY, Kind.SYN_ACK, Kind.ANSWER)
"""Kinds of replies that say: the service is there."""

TALK: Final = (Kind.ANSWER, Kind.PAYLOAD, Kind.CLOSED, Kind.ACKED, Kind.MUTE)
"""Outcomes of a talk with a TCP service. Of several, the first one here counts: an address has one for each probe."""

VERDICTS: Final = (Kind.MUTE, Kind.ZERO_WINDOW)
"""Kinds that no packet of their own shows: silence after our request, and a SYN-ACK that allows no request."""

Sign = Literal["positive", "negative", "error"]
"""negative: the target answered, but not with the service: RST, or a UDP payload that is no valid answer."""

SIGNS: Final[tuple[Sign, ...]] = get_args(Sign)


class Role(StrEnum):
    """Whose address a set holds: who sent the reply, who was probed, or who replied for itself."""

    SOURCE = "source"
    TARGET = "target"
    DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class ReplyKey:
    """One class of replies: the probe they answer, their kind and, for errors only, ICMP type and code."""

    probe: str
    kind: Kind
    icmp_type: int | None = None
    icmp_code: int | None = None

    @property
    def label(self) -> str:
        """The kind as messages are counted by: ``syn-ack``, or ``error-3-13``."""
        return self.kind.label if self.icmp_type is None else f"{self.kind.label}-{self.icmp_type}-{self.icmp_code}"

    @property
    def of_talk(self) -> bool:
        """Whether it is the outcome of a talk with a TCP service; UDP has answers and payloads of its own."""
        return self.probe.startswith("tcp/") and self.kind in (*TALK, Kind.ZERO_WINDOW)


@dataclass(frozen=True, slots=True)
class SetKey:
    """One IP set of a run: a class of replies and the role of the addresses."""

    reply: ReplyKey
    role: Role

    @property
    def file(self) -> str:
        """The path of the set below its run directory."""
        return f"sets/{self.reply.probe.replace('/', '-')}.{self.reply.label}.{self.role}.roaring"


def roles_of(kind: Kind) -> tuple[Role, ...]:
    """Return the roles a kind is kept in: ``direct`` only where somebody else may reply for the target."""
    if kind in (Kind.ERROR, Kind.ECHO_REPLY):
        return (Role.SOURCE, Role.TARGET, Role.DIRECT)
    return (Role.SOURCE, Role.TARGET)


class Tier(IntEnum):
    """How much of the cookie a reply proves: strong is 32 bits of checked fields or more, weak is less."""

    WEAK = 0
    STRONG = 1


UNKNOWN_ATTEMPT: Final = 255
"""The attempt of a reply whose cookie is proven while the source port, which proves the attempt, was rewritten."""


NO_DATA: Final = 255
"""The number of the protocol of a reply without data of a TCP service; 0 is data of no known protocol."""

MOST_FIRST_BYTES: Final = 256
"""Bytes of a reply's data that a log keeps at most."""


class Rejection(IntEnum):
    """Why a packet was not accepted as a reply. The number is its place in counters, the label its name in files."""

    TRUNCATED = 0
    NOT_IPV4 = 1
    FRAGMENT = 2
    BAD_LENGTH = 3
    BAD_IP_CHECKSUM = 4
    BAD_TCP_CHECKSUM = 5
    BAD_UDP_CHECKSUM = 6
    BAD_ICMP_CHECKSUM = 7
    OTHER_PROTOCOL = 8
    NOT_OUR_ADDRESS = 9
    OTHER_ICMP_TYPE = 10
    BAD_QUOTE = 11
    CHALLENGE_ACK = 12
    OTHER_TCP_FLAGS = 13
    UNPROBED_PORT = 14
    BAD_PORT = 15
    BAD_COOKIE = 16
    UNPROBED_ADDRESS = 17

    @property
    def label(self) -> str:
        """The name in manifests, e.g. ``bad-cookie``."""
        return self.name.lower().replace("_", "-")


REPLY_DTYPE: np.dtype[np.void] = np.dtype(
    [
        ("time_ns", np.int64),  # capture time, Unix epoch
        ("rtt_ns", np.int64),  # since the send time that an echo payload carries; -1 where unknown
        ("source", np.uint32),  # who sent the reply
        ("target", np.uint32),  # who was probed
        ("ip_id", np.uint16),  # identification in the reply's IP header
        ("length", np.uint16),  # total length of its IP packet, bytes
        ("tcp_window", np.uint16),  # as it is in the header, unscaled; 0 where the reply is not TCP
        ("tcp_flags", np.uint8),  # CWR to FIN; 0 where the reply is not TCP
        ("reply_ttl", np.uint8),  # TTL with which the reply came in
        ("quoted_ttl", np.uint8),  # TTL in the IP header that an error quotes; 0 where there is none
        ("probe", np.uint8),  # index into the run's probes
        ("kind", np.uint8),  # Kind
        ("icmp_type", np.uint8),  # of errors; 0 elsewhere
        ("icmp_code", np.uint8),
        ("attempt", np.uint8),  # which attempt the reply proves, or UNKNOWN_ATTEMPT
        ("tier", np.uint8),  # Tier
    ]
)
"""One accepted reply, as kernels write it: packed, addresses in host order, every field filled for every reply."""
