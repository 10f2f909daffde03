"""The population file: sites, profiles and everything else a model Internet is made of, checked before it is used."""

from typing import Annotated

from msgspec import Meta, Struct

Share = Annotated[float, Meta(ge=0, le=1)]
Weight = Annotated[float, Meta(gt=0)]
FAMILIES = ("icmp", "tcp", "udp")


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all sections share: a field that does not exist is an error."""


class Slash8(Section, frozen=True, kw_only=True):
    """A class of /8s: `share` of all of them, and for its /16s what part of their /24s is in use, by weight."""

    name: str
    share: Weight
    in_use: Annotated[tuple[tuple[Share, Weight], ...], Meta(min_length=1)]


class Profile(Section, frozen=True, kw_only=True):
    """Hosts that answer alike: `weight` is their part of all addresses in use, `no_echo` of them ignore echo requests.

    `answers` are nine words in the order of the probes: icmp, the five ports, dns, ntp, any other TCP port.
    """

    name: str
    kind: str
    weight: Weight
    answers: str
    no_echo: Share = 0.0


class Site(Section, frozen=True, kw_only=True):
    """A kind of /24: `share` of those in use, mean numbers of `hosts` and their weights, and how the mix bends there.

    `families` are those that anything in it answers to; `favours` multiplies the weights of kinds of hosts.
    """

    name: str
    share: Weight
    hosts: Annotated[tuple[tuple[Annotated[float, Meta(ge=0, le=256)], Weight], ...], Meta(min_length=1)]
    families: Annotated[tuple[str, ...], Meta(min_length=1)] = FAMILIES
    favours: dict[str, Weight] = {}
    gateways: Share = 0.0


class Gap(Section, frozen=True, kw_only=True):
    """What a gateway says about addresses of its /24 that nobody uses."""

    weight: Weight
    answers: str


class Router(Section, frozen=True, kw_only=True):
    """What a gateway answers when it is itself probed."""

    name: str
    weight: Weight
    answers: str


class Tarpit(Section, frozen=True, kw_only=True):
    """One way tarpits answer."""

    weight: Weight
    answers: str


class Tarpits(Section, frozen=True, kw_only=True):
    """Prefixes whose addresses accept every connection: `share` of those of length `prefix` in ordinary sites."""

    prefix: Annotated[int, Meta(ge=25, le=32)]
    share: Share
    answers: Annotated[list[Tarpit], Meta(min_length=1)]


class Gateways(Section, frozen=True, kw_only=True):
    """Routers that speak for unused addresses: where they are, what they are, what they say."""

    last_host: Share
    routers: Annotated[list[Router], Meta(min_length=1)]
    gaps: Annotated[list[Gap], Meta(min_length=1)]


class Model(Section, frozen=True, kw_only=True):
    """A whole population file."""

    name: str
    seed: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
    network: object = None
    """The network between scanner and population, as `responder/conditions.py` reads it."""
    slash8s: Annotated[list[Slash8], Meta(min_length=1, max_length=200)]
    sites: Annotated[list[Site], Meta(min_length=1, max_length=200)]
    gateways: Gateways
    tarpits: Tarpits
    profiles: Annotated[list[Profile], Meta(min_length=1, max_length=4000)]
