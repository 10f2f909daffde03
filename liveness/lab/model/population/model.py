"""The population file: sites, profiles and all other parts of a model Internet, checked before use."""

from typing import Annotated

from msgspec import Meta, Struct

from liveness.lab.model.change.section import TimeSection
from liveness.lab.model.origin.section import VantageSection
from liveness.lab.model.services.section import ServiceSection

Share = Annotated[float, Meta(ge=0, le=1)]
Weight = Annotated[float, Meta(gt=0, le=1e9)]
FAMILIES = ("icmp", "tcp", "udp")


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all sections: an unknown field is an error."""


class Slash8(Section, frozen=True, kw_only=True):
    """A class of /8s: their `share`, and the parts of /24s in use of their /16s, each with a weight."""

    name: str
    share: Weight
    in_use: Annotated[tuple[tuple[Share, Weight], ...], Meta(min_length=1)]


class Profile(Section, frozen=True, kw_only=True):
    """Hosts that answer alike: `weight` is their part of all used addresses; `no_echo` of them ignore echo requests.

    `answers` are nine words in the order of the probes: icmp, the five ports, dns, ntp, any other TCP port.
    """

    name: str
    kind: str
    weight: Weight
    answers: str
    no_echo: Share = 0.0


class Site(Section, frozen=True, kw_only=True):
    """A kind of /24: `share` of those in use, and mean numbers of `hosts` with their weights.

    `families` are those to which any address of the site answers; `favours` multiplies the weights of kinds of hosts;
    `gateways` is the share of these /24s with a gateway that answers for unused addresses.
    """

    name: str
    share: Weight
    hosts: Annotated[tuple[tuple[Annotated[float, Meta(ge=0, le=256)], Weight], ...], Meta(min_length=1)]
    families: Annotated[tuple[str, ...], Meta(min_length=1)] = FAMILIES
    favours: dict[str, Weight] = {}
    gateways: Share = 0.0


class Gap(Section, frozen=True, kw_only=True):
    """The errors that a gateway sends about unused addresses of its /24."""

    weight: Weight
    answers: str


class Router(Section, frozen=True, kw_only=True):
    """The answers of a gateway that is itself probed."""

    name: str
    weight: Weight
    answers: str


class Tarpit(Section, frozen=True, kw_only=True):
    """One way in which tarpits answer."""

    weight: Weight
    answers: str


class Tarpits(Section, frozen=True, kw_only=True):
    """Prefixes whose addresses accept every connection: `share` of those of length `prefix` in ordinary sites."""

    prefix: Annotated[int, Meta(ge=25, le=32)]
    share: Share
    answers: Annotated[list[Tarpit], Meta(min_length=1)]


class Gateways(Section, frozen=True, kw_only=True):
    """Routers that answer for unused addresses: their position in the /24, their own answers, and their errors."""

    last_host: Share
    routers: Annotated[list[Router], Meta(min_length=1)]
    gaps: Annotated[list[Gap], Meta(min_length=1)]


class Model(Section, frozen=True, kw_only=True):
    """A whole population file."""

    name: str
    seed: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
    network: object = None
    """The network between scanner and population, as read by `responder/conditions.py`."""
    time: TimeSection | None = None
    """What changes with time; without it nothing does."""
    vantages: VantageSection | None = None
    """From which places it is scanned, and what each does not see; without it all see the same."""
    services: ServiceSection | None = None
    """What open TCP ports do after the handshake; without it all speak their protocol."""
    slash8s: Annotated[list[Slash8], Meta(min_length=1, max_length=200)]
    sites: Annotated[list[Site], Meta(min_length=1, max_length=200)]
    gateways: Gateways
    tarpits: Tarpits
    profiles: Annotated[list[Profile], Meta(min_length=1, max_length=4000)]
