"""The interface of every format, a pair of functions, and the choices of a user within a format."""

from dataclasses import dataclass
from typing import BinaryIO, Protocol

from pyroaring import BitMap

from liveness.ipsets.source import Source
from liveness.space.prefixes import Skipped

DEFAULT_COLUMN = "saddr"
DEFAULT_SET_NAME = "liveness"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which column or member of ZMap's output holds the addresses; a set's name: the one to read, or to write it by."""

    column: str = DEFAULT_COLUMN
    set_name: str | None = None
    ports: frozenset[str] | None = None
    """Of the results of masscan and nmap, the ports that count, as ``tcp/80``; None for all."""
    states: frozenset[str] = frozenset({"open"})
    """Of such results, the states of ports that count."""
    skipped: Skipped | None = None
    """Where lines of IPv6 in a text list are counted; without it they are errors."""


class Codec(Protocol):
    """A module that reads and writes a format."""

    @staticmethod
    def read_from(source: Source, choice: Choice) -> BitMap:
        """Return the set a source holds; UsageError names file, line and value of what is wrong."""

    @staticmethod
    def write_to(out: BinaryIO, addresses: BitMap, style: str, choice: Choice) -> None:
        """Write a set in ascending order, in the named format where a module has several; in bounded memory."""


PLAIN = Choice()
"""No choice made."""
