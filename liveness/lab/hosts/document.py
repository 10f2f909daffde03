"""The lab file: the networks of a lab and their behaviour."""

from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated, ClassVar

from msgspec import Meta, Struct
from msgspec.structs import replace

from liveness.errors import UsageError
from liveness.lab.services.behaviours import BY_FILTERS, LABELS, Behaviour
from liveness.lab.source import place_names
from liveness.lab.twins.registry import TWINS, Twin

WIRING = IPv4Network("10.255.0.0/16")
"""Addresses of the lab's own links; no network of a lab file may use them."""

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


DAEMON_PORTS: dict[int, Behaviour] = {
    22: Behaviour.SPEAKS,
    23: Behaviour.ACKS,
    80: Behaviour.SPEAKS,
    443: Behaviour.OTHER,
    7547: Behaviour.SPEAKS,
}
"""What sshd does on port 22 and nginx on the others: it speaks HTTP, to a ClientHello too, once it is asked."""


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

    `listen` are open TCP ports, `talks` what some of them do after the handshake by the name of their probe, `services`
    UDP services, `rules` the filter of the host itself, `firewall` the filter of a router in front of it.
    """

    echo: bool = True
    listen: list[Port] = []
    talks: dict[str, str] = {}
    dns: Service = Service.CLOSED
    ntp: Service = Service.CLOSED
    services: dict[str, str] = {}
    daemons: list[Daemon] = []
    rules: list[Rule] = []
    firewall: list[Rule] = []

    @property
    def needs_nft(self) -> bool:
        """Whether the host cannot be built without nft."""
        return bool(self.rules or self.firewall or self.filtered_ports)

    def behaviour(self, port: int) -> Behaviour:
        """Return what an open port does after the handshake. One that is not in `talks`, and no daemon's, closes."""
        label = self.talks.get(f"tcp/{port}")
        if label is not None:
            return LABELS[label]
        return DAEMON_PORTS.get(port, Behaviour.CLOSES) if port in self.daemon_ports else Behaviour.CLOSES

    @property
    def daemon_ports(self) -> list[int]:
        """The ports of `listen` that daemons serve, or Python in their place."""
        ports = [22] if Daemon.SSHD in self.daemons else []
        return ports + ([port for port in self.listen if port != 22] if Daemon.NGINX in self.daemons else [])  # noqa: PLR2004 - the port of SSH

    @property
    def filtered_ports(self) -> dict[int, Behaviour]:
        """The ports that behave as they do because of a packet filter."""
        return {port: self.behaviour(port) for port in self.listen if self.behaviour(port) in BY_FILTERS}

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


class Vantage(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A place from which a lab is scanned, and the names of the networks that drop its packets."""

    name: str
    blocked: list[str] = []


class Internet(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole lab file."""

    name: str
    networks: Annotated[list[AnyNetwork], Meta(min_length=1)]
    vantages: list[Vantage] = []
    """Places from which it is scanned; without any there is one, from which nothing is blocked."""

    def without_nft(self) -> "Internet":
        """Return the networks that can be built without nft."""
        return replace(self, networks=[network for network in self.networks if not network.needs_nft])

    def of_vantages(self, count: int, origin: str) -> "Internet":
        """Return the lab with its first `count` vantage points; if it has none, with so many that see all alike.

        UsageError, which names `origin`, if it has fewer.
        """
        if self.vantages and count > len(self.vantages):
            raise UsageError(f"{origin}: $.vantages: {len(self.vantages)} vantage points, not {count}")
        vantages = self.vantages or [Vantage(name=name) for name in place_names(count)]
        return replace(self, vantages=vantages[:count])

    def seen_from(self, name: str) -> "Internet":
        """Return the lab as a vantage point sees it: the networks that block it are silent."""
        (vantage,) = [one for one in self.vantages if one.name == name]
        networks: list[AnyNetwork] = [
            Silent(name=one.name, prefixes=one.prefixes, note=one.note) if one.name in vantage.blocked else one
            for one in self.networks
        ]
        return replace(self, networks=networks)
