"""Conditions on the first data of a service, of which fingerprints are made. Each looks at a bounded stretch."""

from dataclasses import dataclass
from typing import Final, Literal

SEARCHED: Final = 256
"""Bytes at the beginning of the data in which a condition searches for text."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """The data has these bytes at `at`."""

    at: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Text:
    """The data has this text at `at`, in upper or lower case."""

    at: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Holds:
    """The data has this text within its first SEARCHED bytes, in upper or lower case."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Among:
    """The byte at `at` is from `low` to `high`."""

    at: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Counts:
    """The number of `size` bytes at `at` plus `more` is the length of the data, or at most that length."""

    at: int
    size: int
    more: int = 0
    order: Literal["big", "little"] = "big"
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Length:
    """The data has exactly `low` to `high` bytes."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Printable:
    """The first `size` bytes are printable ASCII, tabs or ends of lines; fewer if the data is shorter."""

    size: int


Condition = Bytes | Text | Holds | Among | Counts | Length | Printable

Pattern = tuple[Condition, ...]
"""Conditions that all hold."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A protocol: its name, where its first bytes are specified, and patterns of which one holds."""

    name: str
    source: str
    patterns: tuple[Pattern, ...]


def line(code: bytes, *, holds: bytes) -> Pattern:
    """Return the pattern of a reply of a three-digit code, whose first SEARCHED bytes hold a word."""
    return Text(0, code), Among(len(code), 0x20, 0x2D), Holds(holds)


def begins(*texts: bytes) -> tuple[Pattern, ...]:
    """Return patterns of data that begins with any of these texts."""
    return tuple((Bytes(0, text),) for text in texts)
