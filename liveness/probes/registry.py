"""The registry: an explicit table from probe names to probes."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from liveness.errors import UsageError
from liveness.probes import dns, icmp, ntp, tcp
from liveness.probes.probe import Probe

REGISTRY: Final[dict[str, Callable[[], Probe]]] = {"icmp": icmp.probe, "dns": dns.probe, "ntp": ntp.probe}
"""Probes with a name of their own; ``tcp/<port>`` is made for any port."""

_TCP_NAME = re.compile(r"tcp/([1-9][0-9]{0,4})")


def probe_named(name: str) -> Probe:
    """Return the probe of a config's name; UsageError if there is none."""
    if name in REGISTRY:
        return REGISTRY[name]()
    match = _TCP_NAME.fullmatch(name)
    if match and int(match[1]) <= 65535:  # noqa: PLR2004 - the last TCP port
        return tcp.probe(int(match[1]))
    raise UsageError(f"probe {name!r}: expected one of {', '.join(REGISTRY)} or tcp/<port>")


def probes_of_run(names: Sequence[str], control_port: int | None) -> tuple[Probe, ...]:
    """Return a run's probes in the order of the config; the tarpit control, where there is one, comes last."""
    probes = [probe_named(name) for name in names]
    if control_port is not None:
        probes.append(tcp.control(control_port))
    return tuple(probes)


def listed_probes() -> tuple[Probe, ...]:
    """Return one of each kind for a listing: the named ones, ``tcp/<port>`` for any port, and the control."""
    any_port = replace(tcp.probe(0), name="tcp/<port>")
    return (icmp.probe(), any_port, dns.probe(), ntp.probe(), tcp.control(0))
