"""Behaviours of an open TCP port after the handshake, by name."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

PORTS: Final = {"ssh": 22, "telnet": 23, "http": 80, "tls": 443, "cwmp": 7547}
"""The ports on which applications are spoken, by the name of the application."""
PROBES: Final = tuple(f"tcp/{port}" for port in PORTS.values())
SERVER_FIRST: Final = (22, 23)
"""Ports on which the server speaks first, so that the client sends no data."""


class Behaviour(IntEnum):
    """What an open port does. The number is its place in tables, the label its name in files."""

    SPEAKS = 0  # the port's protocol
    OTHER = 1  # another protocol
    ACKS = 2  # acknowledges the data, and says nothing
    TARPIT = 3  # offers ten bytes of window, acknowledges these, and lets nothing follow
    SWALLOWS = 4  # completes the handshake, and never acknowledges data
    IGNORES = 5  # never completes the handshake: sends its SYN-ACK seven times more
    CLOSES = 6  # sends a FIN at once
    CLOSES_LATER = 7  # sends a FIN after the request has come
    RESETS = 8  # sends an RST at once
    RESETS_LATER = 9  # sends an RST after the request has come
    ZERO_WINDOW = 10  # sends a SYN-ACK that allows no data
    ENDLESS = 11  # the port's protocol, and then more data than a client takes
    SPLIT = 12  # the port's protocol, of which the first byte comes alone
    PUSHED = 13  # the port's protocol, once a segment with PSH has come
    REPEATS = 14  # sends its SYN-ACK again before it speaks
    REFUSES = 15  # has reset the connection after its SYN-ACK (`both` of a population), and resets what follows

    @property
    def label(self) -> str:
        """The name in files, e.g. ``zero-window``."""
        return self.name.lower().replace("_", "-")


LABELS: Final = {behaviour.label: behaviour for behaviour in Behaviour if behaviour is not Behaviour.REFUSES}
"""Behaviours that a file may name."""

BY_SOCKETS: Final = frozenset(
    {
        Behaviour.SPEAKS,
        Behaviour.OTHER,
        Behaviour.SPLIT,
        Behaviour.ENDLESS,
        Behaviour.ACKS,
        Behaviour.CLOSES,
        Behaviour.CLOSES_LATER,
        Behaviour.RESETS,
        Behaviour.RESETS_LATER,
    }
)
"""Behaviours of programs on a real host."""
BY_FILTERS: Final = frozenset({Behaviour.SWALLOWS, Behaviour.IGNORES, Behaviour.ZERO_WINDOW})
"""Behaviours that a packet filter gives to a real host."""


def talked_probes(applications: Sequence[str]) -> list[str]:
    """Return the probes whose open ports are talked to by applications, given by their names."""
    return [f"tcp/{PORTS[name]}" for name in applications]
