"""The lab file: the networks of a lab and their behaviour, checked before anything is built."""

import re
from enum import StrEnum
from ipaddress import IPv4Network
from itertools import pairwise
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from liveness.errors import UsageError
from liveness.lab.twins.registry import TWINS, Twin, twin_named

WIRING = IPv4Network("10.255.0.0/16")
"""Addresses of the lab's own links; no network of a lab file may use them."""

UNUSABLE = tuple(IPv4Network(prefix) for prefix in ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"))
"""Prefixes from which no Linux host answers: 0.0.0.0/8, loopback, multicast and reserved space."""

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
MATCH = re.compile(r"any|icmp|tcp|udp|(tcp|udp)/([1-9][0-9]{0,4})")
MAX_PORT = 65535
REDIRECT_PORT = 65535
"""Port on which a redirecting host listens. It is a listener, so the port is also open to direct probes."""

OWN_FIELDS = ("dns", "ntp")
"""Services for which a host has a field; others are in `services`, by the name of their probe."""

Port = Annotated[int, Meta(ge=1, le=MAX_PORT)]


class Service(StrEnum):
    """Behaviour of a UDP port that receives a datagram."""

    ANSWER = "answer"
    PAYLOAD = "payload"  # replies with bytes that are not a valid answer
    SILENT = "silent"  # accepts the datagram and does not reply
    CLOSED = "closed"  # no socket: the kernel sends port unreachable (3/3)


class Action(StrEnum):
    """What a rule does with a packet; all actions but accept and drop send a reply to the sender."""

    ACCEPT = "accept"
    DROP = "drop"
    NET_UNREACHABLE = "net-unreachable"
    HOST_UNREACHABLE = "host-unreachable"
    PROT_UNREACHABLE = "prot-unreachable"
    PORT_UNREACHABLE = "port-unreachable"
    NET_PROHIBITED = "net-prohibited"
    HOST_PROHIBITED = "host-prohibited"
    ADMIN_PROHIBITED = "admin-prohibited"
    TCP_RESET = "tcp-reset"
    REDIRECT = "redirect"  # to one listener: every TCP port appears open (tarpit)


REJECT_CODES: dict[Action, int] = {
    Action.NET_UNREACHABLE: 0,
    Action.HOST_UNREACHABLE: 1,
    Action.PROT_UNREACHABLE: 2,
    Action.PORT_UNREACHABLE: 3,
    Action.NET_PROHIBITED: 9,
    Action.HOST_PROHIBITED: 10,
    Action.ADMIN_PROHIBITED: 13,
}
"""Codes of ICMP type 3 with which nft can reject (RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1)."""


class Daemon(StrEnum):
    """A real server that a network runs if it is installed; otherwise a server in Python takes its place."""

    DNSMASQ = "dnsmasq"
    UNBOUND = "unbound"
    CHRONYD = "chronyd"
    NGINX = "nginx"
    SSHD = "sshd"


class Rule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One line of a packet filter; the first rule that matches decides."""

    match: str
    do: Action
    to: str | None = None

    @property
    def protocol(self) -> str | None:
        """The protocol that the rule matches, None for any."""
        return None if self.match == "any" else self.match.partition("/")[0]

    @property
    def port(self) -> int | None:
        """The destination port that the rule matches, None for any."""
        _, _, port = self.match.partition("/")
        return int(port) if port else None

    @property
    def block(self) -> IPv4Network | None:
        """The part of the network that the rule matches, None for all of it."""
        return None if self.to is None else IPv4Network(self.to)


class Network(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """Prefixes that behave alike. The subclass (`kind` in the file) defines the behaviour."""

    name: str
    prefixes: Annotated[list[str], Meta(min_length=1)]
    note: str = ""

    limit: ClassVar[tuple[int, str]] = (8, "shorter ones are larger than any lab needs")
    """The shortest prefix length that this kind may have, and the reason."""

    @property
    def kind(self) -> str:
        """The name of the kind in the file."""
        return str(self.__struct_config__.tag)

    @property
    def blocks(self) -> list[IPv4Network]:
        """The prefixes as networks."""
        return [IPv4Network(prefix) for prefix in self.prefixes]

    @property
    def addresses(self) -> int:
        """The number of addresses."""
        return sum(block.num_addresses for block in self.blocks)

    @property
    def needs_nft(self) -> bool:
        """Whether the network cannot be built without nft."""
        return False


class Host(Network, frozen=True, kw_only=True, tag="host"):
    """A Linux host whose kernel owns every address of the prefixes.

    `listen` are open TCP ports, `services` UDP services by the name of their probe, `rules` the filter of the host
    itself, `firewall` the filter of a router in front of it.
    """

    echo: bool = True
    listen: list[Port] = []
    dns: Service = Service.CLOSED
    ntp: Service = Service.CLOSED
    services: dict[str, str] = {}
    daemons: list[Daemon] = []
    rules: list[Rule] = []
    firewall: list[Rule] = []

    @property
    def needs_nft(self) -> bool:
        """Whether the host cannot be built without nft."""
        return bool(self.rules or self.firewall)

    @property
    def open_ports(self) -> list[int]:
        """Open TCP ports, ascending; a host that answers DNS does so over TCP as well (RFC 7766)."""
        ports = set(self.listen)
        ports |= {twin.port for twin in TWINS if twin.tcp and self.service(twin) is Service.ANSWER}
        if self.redirects:
            ports.add(REDIRECT_PORT)
        return sorted(ports)

    def service(self, twin: Twin) -> Service:
        """Return the host's service for the probe of a twin: `dns` and `ntp` have fields of their own."""
        return Service(getattr(self, twin.name) if twin.name in OWN_FIELDS else self.services.get(twin.name, "closed"))

    @property
    def redirects(self) -> bool:
        """Whether any of the host's rules redirects."""
        return any(rule.do is Action.REDIRECT for rule in self.rules)


class Silent(Network, frozen=True, kw_only=True, tag="silent"):
    """A blackhole route: packets are discarded without a reply."""


THROTTLED = (
    32,
    "the kernel refuses at most 5 packets at once, and one a second then: single addresses get routers of their own",
)


class Unreachable(Network, frozen=True, kw_only=True, tag="unreachable"):
    """An unreachable route: the router sends host unreachable (3/1)."""

    limit: ClassVar[tuple[int, str]] = THROTTLED


class Prohibit(Network, frozen=True, kw_only=True, tag="prohibit"):
    """A prohibit route: the router sends communication administratively prohibited (3/13)."""

    limit: ClassVar[tuple[int, str]] = THROTTLED


class Throw(Network, frozen=True, kw_only=True, tag="throw"):
    """A throw route without another table to consult: the router sends net unreachable (3/0)."""

    limit: ClassVar[tuple[int, str]] = THROTTLED


class NoHost(Network, frozen=True, kw_only=True, tag="no-host"):
    """A link on which no host answers ARP: the router sends host unreachable (3/1) three seconds later."""

    limit: ClassVar[tuple[int, str]] = (
        29,
        "the kernel drops all but about 159 ICMP errors made in one timer tick, and here up to 18 an address fall due",
    )


class Loop(Network, frozen=True, kw_only=True, tag="loop"):
    """Two routers that forward to each other; the one at which the TTL expires sends time exceeded (11/0)."""

    limit: ClassVar[tuple[int, str]] = (24, "every probe into a loop is forwarded some sixty times")


AnyNetwork = Host | Silent | Unreachable | Prohibit | Throw | NoHost | Loop


class Internet(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole lab file."""

    name: str
    networks: Annotated[list[AnyNetwork], Meta(min_length=1)]

    def without_nft(self) -> "Internet":
        """Return the networks that can be built without nft."""
        return Internet(name=self.name, networks=[network for network in self.networks if not network.needs_nft])


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
    # Sorted by address, shorter prefixes first: if any two prefixes overlap, then two neighbours do.
    placed = sorted((block, network.name) for network in internet.networks for block in network.blocks)
    for (block, owner), (other, taker) in pairwise(placed):
        if block.overlaps(other):
            raise UsageError(f"{origin}: $.networks: {other} of {taker!r} overlaps {block} of {owner!r}")


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
