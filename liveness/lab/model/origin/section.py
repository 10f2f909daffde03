"""The `vantages` section of a population file: from which places it is scanned, and what each of them does not see."""

import re
from ipaddress import IPv4Network
from itertools import pairwise
from typing import Annotated, Final

from msgspec import Meta, Struct

from liveness.errors import UsageError
from liveness.lab.model.population.answer import IN_WORDS

MOST_PLACES: Final = 16
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")

Share = Annotated[float, Meta(ge=0, le=1)]


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all parts of the section: an unknown field is an error."""


class Drawn(Section, frozen=True, kw_only=True):
    """Networks of one prefix length that drop the probes of a place: a share of them, drawn for each place."""

    prefix: Annotated[int, Meta(ge=8, le=32)]
    share: Share


class Unreliable(Section, frozen=True, kw_only=True):
    """Hosts that answer a place in some runs and not in others, as servers do that limit new connections.

    A share `hosts` of all addresses is such; each does not answer `probes` in a share `missed` of a place's runs. See
    MaxStartups in sshd_config(5).
    """

    probes: tuple[str, ...] = ("tcp/22",)
    hosts: Share
    missed: Share


class Place(Section, frozen=True, kw_only=True):
    """A vantage point: the networks that drop its probes, and fields of `network` that differ for it."""

    name: str
    blocked: tuple[Drawn, ...] = ()
    networks: tuple[str, ...] = ()
    network: dict[str, object] = {}


class VantageSection(Section, frozen=True, kw_only=True):
    """All vantage points. A share `exclusive` of all addresses answers one of them only."""

    exclusive: Share = 0.0
    unreliable: Unreliable | None = None
    places: Annotated[tuple[Place, ...], Meta(min_length=1, max_length=MOST_PLACES)]

    def number(self, name: str, origin: str) -> int:
        """Return the number of a place. UsageError names `origin`, the name, and the places that there are."""
        names = [place.name for place in self.places]
        if name not in names:
            expected = ", ".join(names)
            raise UsageError(f"{origin}: $.vantages.places: no place is named {name!r}: expected one of {expected}")
        return names.index(name)


def bounds_of(prefix: str, place: str) -> tuple[int, int]:
    """Return the first and the last address of a prefix; UsageError begins with `place`."""
    try:
        block = IPv4Network(prefix)
    except ValueError as problem:
        raise UsageError(f"{place}: {prefix!r}: expected a prefix such as 192.0.2.0/24: {problem}") from problem
    return int(block.network_address), int(block.broadcast_address)


def validate(section: VantageSection, origin: str) -> None:
    """Check what types cannot express. UsageError names `origin`, the path and the value."""
    root = f"{origin}: $.vantages"
    for index, place in enumerate(section.places):
        at = f"{root}.places[{index}]"
        if not NAME.fullmatch(place.name):
            raise UsageError(f"{at}.name: {place.name!r}: expected letters, digits, '.', '_' and '-', at most 40")
        for number, prefix in enumerate(place.networks):
            bounds_of(prefix, f"{at}.networks[{number}]")
    for one, other in pairwise(sorted(place.name for place in section.places)):
        if one == other:
            raise UsageError(f"{root}.places: {one!r}: two have this name")
    for probe in section.unreliable.probes if section.unreliable is not None else ():
        if probe not in IN_WORDS:
            raise UsageError(f"{root}.unreliable.probes: {probe!r}: expected some of {', '.join(IN_WORDS)}")
