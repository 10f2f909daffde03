"""Validation of a lab file, before anything is built: what its types cannot express."""

import re
from ipaddress import IPv4Network
from itertools import pairwise

from liveness.errors import UsageError
from liveness.lab.hosts.document import (
    MAX_PORT,
    OWN_FIELDS,
    WIRING,
    Action,
    Daemon,
    Host,
    Internet,
    Network,
    Rule,
    Service,
)
from liveness.lab.hosts.wiring import MOST_SCANNERS
from liveness.lab.services.behaviours import BY_FILTERS, BY_SOCKETS, LABELS, PROBES
from liveness.lab.twins.registry import TWINS, twin_named

UNUSABLE = tuple(IPv4Network(prefix) for prefix in ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"))
"""Prefixes from which no Linux host answers: 0.0.0.0/8, loopback, multicast and reserved space."""

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
MATCH = re.compile(r"any|icmp|tcp|udp|(tcp|udp)/([1-9][0-9]{0,4})")


def validate(internet: Internet, origin: str) -> None:
    """Check what types cannot express.

    Raises UsageError naming `origin` (the file), the path inside it and the value.
    """
    seen: set[str] = set()
    for index, network in enumerate(internet.networks):
        at = f"{origin}: $.networks[{index}]"
        if not NAME.fullmatch(network.name):
            raise UsageError(f"{at}.name: {network.name!r}: a name has lower-case letters, digits and dashes")
        if network.name in seen:
            raise UsageError(f"{at}.name: {network.name!r}: another network has this name")
        seen.add(network.name)
        _validate_prefixes(network, at)
        if isinstance(network, Host):
            _validate_host(network, at)
    _validate_vantages(internet, seen, origin)
    # Sorted by address, shorter prefixes first: if any two prefixes overlap, then two neighbours do.
    placed = sorted((block, network.name) for network in internet.networks for block in network.blocks)
    for (block, owner), (other, taker) in pairwise(placed):
        if block.overlaps(other):
            raise UsageError(f"{origin}: $.networks: {other} of {taker!r} overlaps {block} of {owner!r}")


def _validate_vantages(internet: Internet, networks: set[str], origin: str) -> None:
    """Check that vantage points have names of their own, and that the networks exist that block them."""
    if len(internet.vantages) > MOST_SCANNERS:
        raise UsageError(f"{origin}: $.vantages: {len(internet.vantages)} vantage points: at most {MOST_SCANNERS}")
    names = [vantage.name for vantage in internet.vantages]
    for index, vantage in enumerate(internet.vantages):
        at = f"{origin}: $.vantages[{index}]"
        if not NAME.fullmatch(vantage.name):
            raise UsageError(f"{at}.name: {vantage.name!r}: a name has lower-case letters, digits and dashes")
        if names.index(vantage.name) != index:
            raise UsageError(f"{at}.name: {vantage.name!r}: another vantage point has this name")
        for name in vantage.blocked:
            if name not in networks:
                raise UsageError(f"{at}.blocked: {name!r}: no network has this name")


def _validate_prefixes(network: Network, at: str) -> None:
    """Check that every prefix is valid, usable in a lab, and not too large for its kind."""
    shortest, why = network.limit
    for index, prefix in enumerate(network.prefixes):
        place = f"{at}.prefixes[{index}]: {prefix!r}"
        block = _block(prefix, place)
        if block.overlaps(WIRING):
            raise UsageError(f"{place}: {WIRING} is the lab's own wiring: take another prefix")
        for space in UNUSABLE:
            if block.overlaps(space):
                raise UsageError(f"{place}: no host can have addresses of {space}: take another prefix")
        if block.prefixlen < shortest:
            raise UsageError(f"{place}: a {network.kind} prefix has length {shortest} or longer: {why}")


def _validate_host(host: Host, at: str) -> None:
    """Check that services, rules and daemons fit the host."""
    _validate_services(host, at)
    _validate_talks(host, at)
    for field, rules in (("rules", host.rules), ("firewall", host.firewall)):
        for index, rule in enumerate(rules):
            _validate_rule(host, rule, f"{at}.{field}[{index}]", at_host=field == "rules")
    for daemon in host.daemons:
        place = f"{at}.daemons: {str(daemon)!r}"
        if daemon in (Daemon.DNSMASQ, Daemon.UNBOUND) and host.dns is not Service.ANSWER:
            raise UsageError(f"{place}: it serves DNS: this network needs dns: answer")
        if daemon is Daemon.CHRONYD and host.ntp is not Service.ANSWER:
            raise UsageError(f"{place}: it serves NTP: this network needs ntp: answer")
        if daemon is Daemon.SSHD and 22 not in host.listen:  # noqa: PLR2004 - the port of SSH
            raise UsageError(f"{place}: it serves port 22: this network needs 22 in listen")
        if daemon is Daemon.NGINX and not set(host.listen) - {22}:
            raise UsageError(f"{place}: it serves the ports of listen (22 apart), and there is none")
    if {Daemon.DNSMASQ, Daemon.UNBOUND} <= set(host.daemons) or len(set(host.daemons)) < len(host.daemons):
        raise UsageError(f"{at}.daemons: {[str(daemon) for daemon in host.daemons]}: two want the same port")


def _validate_services(host: Host, at: str) -> None:
    """Check that every service is known and has no field of its own."""
    for name, service in host.services.items():
        place = f"{at}.services: {name!r}"
        if name in OWN_FIELDS:
            raise UsageError(f"{place}: it has a field of its own: write {name}: {service}")
        if twin_named(name) is None:
            expected = ", ".join(twin.name for twin in TWINS if twin.name not in OWN_FIELDS)
            raise UsageError(f"{place}: expected one of {expected}")
        if service not in set(Service):
            raise UsageError(f"{at}.services.{name}: {service!r}: expected one of {', '.join(Service)}")


def _validate_talks(host: Host, at: str) -> None:
    """Check that a real host can behave so, on an open port that no daemon serves."""
    possible = [label for label, behaviour in LABELS.items() if behaviour in BY_SOCKETS | BY_FILTERS]
    for probe, label in host.talks.items():
        place = f"{at}.talks: {probe!r}"
        if probe not in PROBES:
            raise UsageError(f"{place}: expected one of {', '.join(PROBES)}")
        port = int(probe.partition("/")[2])
        if port not in host.listen:
            raise UsageError(f"{place}: the port is not open: this network needs {port} in listen")
        if port in host.daemon_ports:
            raise UsageError(f"{place}: a daemon serves this port: leave out one of the two")
        if label not in possible:
            raise UsageError(f"{at}.talks.{probe}: {label!r}: expected one of {', '.join(possible)}")


def _validate_rule(host: Host, rule: Rule, at: str, *, at_host: bool) -> None:
    """Check one rule: its match, its prefix, and whether its action is possible for that match at that place."""
    match = MATCH.fullmatch(rule.match)
    if match is None or (match[2] and int(match[2]) > MAX_PORT):
        raise UsageError(f"{at}.match: {rule.match!r}: expected any, icmp, tcp, udp, tcp/PORT or udp/PORT")
    if rule.do in (Action.TCP_RESET, Action.REDIRECT) and rule.protocol != "tcp":
        raise UsageError(f"{at}.do: {str(rule.do)!r}: only TCP can be treated so: match tcp or tcp/PORT")
    if rule.do is Action.REDIRECT and not at_host:
        raise UsageError(f"{at}.do: {str(rule.do)!r}: a host redirects to its own listener: move this line to rules")
    if rule.to is not None:
        place = f"{at}.to: {rule.to!r}"
        block = _block(rule.to, place)
        if not any(block.subnet_of(prefix) for prefix in host.blocks):
            raise UsageError(f"{place}: outside the prefixes of {host.name!r}: {', '.join(host.prefixes)}")


def _block(prefix: str, place: str) -> IPv4Network:
    """Parse a prefix; UsageError names `place` and, if host bits are set, the prefix that was probably meant."""
    try:
        return IPv4Network(prefix)
    except ValueError as problem:
        try:
            meant = f": host bits are set: {IPv4Network(prefix, strict=False)}?"
        except ValueError:
            meant = ""
        raise UsageError(f"{place}: not an IPv4 prefix{meant}") from problem
