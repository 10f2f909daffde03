"""The actors of a scene: a function for each draws its conversations across the border, labelled with its purpose.

The shares of the classes are not those of any real network: every actor is there in numbers that a classifier can be
judged by.
"""

from collections.abc import Callable
from typing import Final

from numpy.random import Generator

from liveness.lab.traffic.conversation import Conversations
from liveness.lab.traffic.network import Network
from liveness.lab.traffic.unwanted import backscatter, bogons, own_probes, scanners
from liveness.lab.traffic.wanted import announcements, clients, peers, streams, users

ACTORS: Final[tuple[Callable[[Generator, Network], Conversations], ...]] = (
    clients, users, scanners, backscatter, peers, streams, bogons, own_probes, announcements,
)  # fmt: skip
"""Every actor; a new one is a function and its name here."""
