"""Description of a lab: one line for each network, and the sets that a perfect census finds."""

from dataclasses import dataclass

import numpy as np
from pyroaring import BitMap

from liveness.lab.hosts.document import (
    Host,
    Internet,
    Loop,
    Network,
    NoHost,
    Prohibit,
    Rule,
    Service,
    Silent,
    Throw,
    Unreachable,
)
from liveness.lab.hosts.truth import PROBES, expected_sets
from liveness.lab.twins.registry import TWINS
from liveness.replies import SetKey
from liveness.space.intervals import Intervals

CONTROL_PORT = 49999
"""Used in place of the control probe's random port: high, and open on tarpits only."""

DEFAULT_TTL = 64

SENTENCES: dict[type[Network], str] = {
    Silent: "silence",
    Unreachable: "the router says host unreachable (3/1)",
    Prohibit: "the router says administratively prohibited (3/13)",
    Throw: "the router says net unreachable (3/0)",
    NoHost: "nobody answers ARP: the router says host unreachable (3/1) after 3 s",
    Loop: "two routers point at each other: time exceeded (11/0)",
}


@dataclass(frozen=True, slots=True)
class NetworkLine:
    """One network as `liveness lab describe` lists it."""

    name: str
    kind: str
    prefixes: list[str]
    addresses: int
    does: str


def network_lines(internet: Internet) -> list[NetworkLine]:
    """Return a description of every network, in the order of the file."""
    return [
        NetworkLine(network.name, network.kind, network.prefixes, network.addresses, sentence(network))
        for network in internet.networks
    ]


def sentence(network: Network) -> str:
    """Return a sentence that says what a network does."""
    does = _host_sentence(network) if isinstance(network, Host) else SENTENCES[type(network)]
    return f"{network.note}: {does}" if network.note else does


def _host_sentence(host: Host) -> str:
    parts = ["echo" if host.echo else "no echo"]
    if host.listen:
        parts.append("TCP " + ", ".join(map(str, host.listen)))
    parts += [f"{probe} {label}" for probe, label in host.talks.items()]
    parts += [f"{twin.name} {host.service(twin)}" for twin in TWINS if host.service(twin) is not Service.CLOSED]
    if host.daemons:
        parts.append("by " + ", ".join(host.daemons))
    for where, rules in (("firewall", host.firewall), ("filter", host.rules)):
        if rules:
            parts.append(f"{where}: " + ", ".join(dict.fromkeys(_rule(rule) for rule in rules)))
    return "; ".join(parts)


def _rule(rule: Rule) -> str:
    return f"{rule.match} {rule.do}"


def all_targets(internet: Internet) -> Intervals:
    """Return every address that any network lists."""
    blocks = [block for network in internet.networks for block in network.blocks]
    first = np.array([int(block.network_address) for block in blocks], np.uint64)
    return Intervals.from_bounds(first, first + np.array([block.num_addresses - 1 for block in blocks], np.uint64))


def ground_truth(internet: Internet) -> dict[SetKey, BitMap]:
    """Return the sets of a perfect census of every listed address with the paper's probes and the control probe."""
    return expected_sets(internet, all_targets(internet), PROBES, CONTROL_PORT, DEFAULT_TTL)
