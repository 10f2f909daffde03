"""The words every floor shares: reply kinds, roles, and the key of a set."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

ERROR_TYPES: tuple[int, ...] = (3, 4, 5, 11, 12)
"""ICMP error types that count as replies: unreachable, source quench, redirect, time exceeded, parameter problem (RFC 792)."""


class Kind(IntEnum):
    """What a reply is. The number is its place in kernels and arrays, the label its name in files and JSON."""

    ECHO_REPLY = 0
    SYN_ACK = 1
    RST = 2
    ANSWER = 3
    PAYLOAD = 4
    ERROR = 5

    @property
    def label(self) -> str:
        """The name in manifests and file names, e.g. ``syn-ack``."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def from_label(cls, label: str) -> "Kind":
        """Return the kind of a label; ValueError if there is none."""
        for kind in cls:
            if kind.label == label:
                return kind
        raise ValueError(f"no reply kind {label!r}")


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
