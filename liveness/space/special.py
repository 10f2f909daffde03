"""IANA's special-purpose IPv4 space, which is never probed outside a lab: a packaged list with its date."""

import csv
import functools
from dataclasses import dataclass
from importlib import resources

from liveness.space.addresses import parse_entry
from liveness.space.intervals import Intervals

LIST = "iana-special-purpose.csv"
DATE_LABEL = "# Registry last updated: "


@dataclass(frozen=True, slots=True)
class SpecialPrefix:
    """One entry of the registry; `first` and `last` are its inclusive bounds."""

    prefix: str
    name: str
    rfc: str
    first: int
    last: int


@functools.cache
def registry() -> tuple[SpecialPrefix, ...]:
    """Return the entries in ascending order, an enclosing prefix before those inside it."""
    rows = csv.DictReader(line for line in packaged_list().splitlines() if not line.startswith("#"))
    return tuple(SpecialPrefix(row["prefix"], row["name"], row["rfc"], *parse_entry(row["prefix"])) for row in rows)


@functools.cache
def registry_date() -> str:
    """Return the day of the registry's state that is packaged, as ``2025-10-09``."""
    lines = packaged_list().splitlines()
    return next(line.removeprefix(DATE_LABEL) for line in lines if line.startswith(DATE_LABEL))


@functools.cache
def special_purpose() -> Intervals:
    """Return all special-purpose addresses: not globally reachable (RFC 6890), or multicast."""
    return Intervals.from_bounds([entry.first for entry in registry()], [entry.last for entry in registry()])


def special_prefix(address: int) -> SpecialPrefix | None:
    """Return the most specific entry that holds an address (host byte order), None for an ordinary address."""
    holding = [entry for entry in registry() if entry.first <= address <= entry.last]
    return holding[-1] if holding else None


def packaged_list() -> str:
    """Return the text of the packaged list."""
    return (resources.files("liveness.space") / LIST).read_text(encoding="utf-8")
