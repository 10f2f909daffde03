"""The `services` section of a population file: what open ports do after the handshake, by port and kind of host."""

from collections.abc import Collection, Mapping
from typing import Annotated, Final

from msgspec import Meta, Struct

from liveness.errors import UsageError
from liveness.lab.services.behaviours import LABELS, PROBES

EVERY: Final = "tcp"
"""Stands for every port that has no line of its own."""

Share = Annotated[float, Meta(ge=0, le=1)]
Mix = dict[str, Annotated[float, Meta(ge=0, le=1e9)]]
"""Weights by behaviour."""
Ports = dict[str, Mix]


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all parts of the section: an unknown field is an error."""


class Middlebox(Section, frozen=True, kw_only=True):
    """Firewalls that talk in place of the hosts behind them: a share of all prefixes of one length."""

    prefix: Annotated[int, Meta(ge=8, le=32)]
    share: Share
    does: str


class ServiceSection(Section, frozen=True, kw_only=True):
    """What open ports do: of any host, and of hosts of some kinds instead. A port that is not given speaks."""

    ports: Ports = {}
    hosts: dict[str, Ports] = {}
    middleboxes: Annotated[tuple[Middlebox, ...], Meta(max_length=16)] = ()


def mix_of(probe: str, *levels: Mapping[str, Mix]) -> Mix:
    """Return the weights for a port: the first level that gives them counts, and in it the port's own line."""
    for ports in levels:
        for name in (probe, EVERY):
            if name in ports:
                return ports[name]
    return {"speaks": 1.0}


def validate(section: ServiceSection, kinds: Collection[str], origin: str) -> None:
    """Check what types cannot express; hosts have `kinds`. UsageError names `origin`, the path and the value."""
    root = f"{origin}: $.services"
    _validate_ports(section.ports, f"{root}.ports")
    for kind, ports in section.hosts.items():
        if kind not in kinds:
            raise UsageError(f"{root}.hosts: {kind!r}: no profile is of this kind: expected {', '.join(sorted(kinds))}")
        _validate_ports(ports, f"{root}.hosts.{kind}")
    for index, box in enumerate(section.middleboxes):
        _validate_behaviour(box.does, f"{root}.middleboxes[{index}].does")


def _validate_ports(ports: Ports, place: str) -> None:
    for port, mix in ports.items():
        if port not in (EVERY, *PROBES):
            raise UsageError(f"{place}: {port!r}: expected one of {', '.join((EVERY, *PROBES))}")
        for behaviour in mix:
            _validate_behaviour(behaviour, f"{place}.{port}")
        if not any(mix.values()):
            raise UsageError(f"{place}.{port}: no weight is above 0")


def _validate_behaviour(label: str, place: str) -> None:
    if label not in LABELS:
        raise UsageError(f"{place}: {label!r}: expected one of {', '.join(LABELS)}")
