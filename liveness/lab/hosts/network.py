"""Construction of a lab's network: namespaces of routers and hosts, links, addresses, routes and filters."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from types import TracebackType
from typing import Any, Self

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from liveness.errors import LivenessError, UnsupportedError
from liveness.lab.hosts import filters
from liveness.lab.hosts.document import Host, Internet, Loop, NoHost, Prohibit, Silent, Throw, Unreachable
from liveness.lab.hosts.wiring import (
    MARKER,
    PATHS,
    SCANNER_INTERFACE,
    SCANNER_PREFIX_LENGTH,
    Link,
    Site,
    scanner_link,
    wire,
)
from liveness.lab.kernel_settings import Space, await_running, finish_checksums, new_space, set_sysctls, this_space
from liveness.lab.tools import Tools

LOOPBACK = 1  # ifindex of lo, in every namespace
LOCAL_TABLE = 255
FIRST_TABLE = 1000
UPLINK = "up0"
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17}
EVERYTHING = "0.0.0.0/0"


@dataclass(frozen=True, slots=True)
class Built:
    """A built network: the namespace of the core router, and those of the hosts in which services must be started."""

    core: Space
    hosts: list[tuple[Host, Space]]


class Network:
    """Namespaces of a lab during construction."""

    def __init__(self, tools: Tools, others: Sequence[Space] = ()) -> None:
        self.tools = tools
        self.hosts: list[tuple[Host, Space]] = []
        self._scanner = this_space("the scanner")
        self._others = others
        self._routers: dict[str, IPRoute] = {}
        self._tables = FIRST_TABLE
        self._downlinks = 0
        self.core = new_space("the core router", forward=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the netlink sockets; descriptors of this process keep the namespaces alive."""
        for router in self._routers.values():
            router.close()

    def build(self, internet: Internet) -> None:
        """Build all networks. Leaves this process in the scanner's namespace."""
        self._join_scanners()
        self._block(internet)
        for site in wire(internet):
            with _named(site.network.name):
                self._build_site(site)
        self._scanner.enter()
        await_running(SCANNER_INTERFACE)

    def _build_site(self, site: Site) -> None:
        match site.network:
            case Host() as host:
                self._build_host(host, site)
            case Silent() as network:
                for block in network.blocks:
                    self._route(self.core, block, type="blackhole")
            case Unreachable() | Prohibit() | Throw() as network:
                for index, block in enumerate(network.blocks):
                    self._build_throttled(block, network.kind, site.throttled_links(index), network.name)
            case NoHost() as network:
                self._build_empty_link(network, site.links[0])
            case Loop() as network:
                self._build_loop(network, site)
            case network:
                raise TypeError(f"cannot build a {type(network).__name__}")

    def _join_scanners(self) -> None:
        """Link each scanner to the core router, and mark its namespace as that of a lab."""
        core = self._netlink(self.core)
        for number, scanner in enumerate([self._scanner, *self._others]):
            self.core.enter()
            ends = f"marker{number or ''}", f"scanner{number or ''}"
            # Not every kernel has dummy links. One end of a veth pair that stays down marks the namespace as well.
            core.link("add", ifname=ends[0], kind="veth", peer={"ifname": MARKER, "net_ns_fd": scanner.fd})
            link = scanner_link(number)
            self._join(self.core, ends[1], scanner, SCANNER_INTERFACE, link, SCANNER_PREFIX_LENGTH)
        # Addresses that no network lists are silent. Without this route the core would send net unreachable, rate
        # limited.
        self._route(self.core, IPv4Network(EVERYTHING), type="blackhole")

    def _block(self, internet: Internet) -> None:
        """Make the core router drop what vantage points send to the networks that block them."""
        core = self._netlink(self.core)
        blocks = {network.name: network.blocks for network in internet.networks}
        for number, vantage in enumerate(internet.vantages):
            for block in [block for name in vantage.blocked for block in blocks.get(name, [])]:
                core.rule(
                    "add",
                    action="blackhole",
                    priority=FIRST_TABLE - 1,  # before the rules that choose routers
                    src=str(scanner_link(number).far),
                    src_len=32,
                    dst=str(block.network_address),
                    dst_len=block.prefixlen,
                )

    def _build_host(self, host: Host, site: Site) -> None:
        link = site.links[-1]
        upstream = self.core
        if host.firewall:
            upstream = self._router(f"{host.name}'s firewall", site.links[0])
            for block in host.blocks:
                self._route(self.core, block, gateway=str(site.links[0].far))
            filters.load_ruleset(self._nft, filters.firewall_ruleset(host), host.name)
        space = self._router(host.name, link, upstream, forward=False)
        for block in host.blocks:
            self._route(upstream, block, gateway=str(link.far))
            self._route(space, block, type="local", scope="host", table=LOCAL_TABLE, oif=LOOPBACK)
        space.enter()
        set_sysctls({"ipv4/icmp_echo_ignore_all": int(not host.echo)})
        if host.rules or host.filtered_ports:
            filters.load_ruleset(self._nft, filters.host_ruleset(host), host.name)
        self.hosts.append((host, space))

    def _build_throttled(self, block: IPv4Network, kind: str, links: tuple[Link, ...], name: str) -> None:
        """Give each class of packets to this address a router of its own that refuses them."""
        core = self._netlink(self.core)
        for path, link in zip(PATHS, links, strict=True):
            router = self._router(f"{name}'s router for {path}", link)
            self._route(router, block, type=kind)
            if path is None:
                self._route(self.core, block, gateway=str(link.far))
                continue
            self._tables += 1
            self._route(self.core, block, gateway=str(link.far), table=self._tables)
            protocol, port = path
            ports = {"dport_range": f"{port}:{port}"} if port else {}
            core.rule(
                "add",
                table=self._tables,
                priority=self._tables,
                dst=str(block.network_address),
                dst_len=block.prefixlen,
                ip_proto=PROTOCOLS[protocol],
                **ports,
            )

    def _build_empty_link(self, network: NoHost, link: Link) -> None:
        """Make the router search for the prefixes on a link whose other end has no address to answer ARP with."""
        router = self._router(network.name, link)
        netlink = self._netlink(router)
        netlink.link("add", ifname="lan", kind="veth", peer="nobody")
        for name in ("lan", "nobody"):
            netlink.link("set", index=self._index(netlink, name), state="up")
        for block in network.blocks:
            self._route(router, block, scope="link", oif=self._index(netlink, "lan"))
            self._route(self.core, block, gateway=str(link.far))

    def _build_loop(self, network: Loop, site: Site) -> None:
        entry, between = site.links
        first = self._router(f"{network.name}'s first router", entry)
        self._router(f"{network.name}'s second router", between, first)
        for block in network.blocks:
            self._route(self.core, block, gateway=str(entry.far))
            self._route(first, block, gateway=str(between.far))

    def _router(self, name: str, link: Link, upstream: Space | None = None, *, forward: bool = True) -> Space:
        """Make a namespace linked to `upstream` (the core if None) by `link`; its default route leads to `upstream`."""
        upstream = self.core if upstream is None else upstream
        space = new_space(name, forward=forward)
        self._downlinks += 1
        self._join(upstream, f"down{self._downlinks}", space, UPLINK, link, 31)
        return space

    def _join(self, inner: Space, inner_name: str, outer: Space, outer_name: str, link: Link, length: int) -> None:
        """Link two namespaces by veth, and give the outer one a default route through the inner one.

        Ends inside the outer.
        """
        netlink = self._netlink(inner)
        netlink.link("add", ifname=inner_name, kind="veth", peer={"ifname": outer_name, "net_ns_fd": outer.fd})
        for space, name, address in ((inner, inner_name, link.near), (outer, outer_name, link.far)):
            self._address(space, name, address, length)
        self._route(outer, IPv4Network(EVERYTHING), gateway=str(link.near))

    def _address(self, space: Space, interface: str, address: IPv4Address, length: int) -> None:
        space.enter()
        finish_checksums(interface)
        netlink = self._netlink(space)
        index = self._index(netlink, interface)
        netlink.addr("add", index=index, address=str(address), prefixlen=length)
        netlink.link("set", index=index, state="up")

    def _route(self, space: Space, block: IPv4Network, **how: Any) -> None:  # noqa: ANN401 - pyroute2's keywords
        self._netlink(space).route("add", dst=str(block), **how)

    def _netlink(self, space: Space) -> Any:  # noqa: ANN401 - pyroute2 has no types
        """Return the netlink socket of a namespace, opened once: a socket stays in the namespace that made it."""
        if space.name not in self._routers:
            space.enter()
            self._routers[space.name] = IPRoute()
        return self._routers[space.name]

    @staticmethod
    def _index(netlink: Any, name: str) -> int:  # noqa: ANN401 - pyroute2 has no types
        return int(netlink.link_lookup(ifname=name)[0])

    @property
    def _nft(self) -> str:
        assert self.tools.nft is not None  # noqa: S101 - Tools.fit removed networks that need it
        return self.tools.nft


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Convert an error of netlink into one line that names the network."""
    try:
        yield
    except NetlinkError as problem:
        raise LivenessError(f"the lab's network {name!r}: the kernel refuses: {_reason(problem)}") from None


def build_network(internet: Internet, tools: Tools, others: Sequence[Space] = ()) -> Built:
    """Build a lab around the current namespace, which becomes the first scanner's; `others` are further scanners.

    The process must be root of that namespace; it keeps the namespaces of the lab alive. Raises UnsupportedError if the
    kernel lacks veth, LivenessError if it refuses a request.
    """
    try:
        with Network(tools, others) as network:
            network.build(tools.fit(internet))
            return Built(network.core, network.hosts)
    except NetlinkError as problem:
        raise UnsupportedError(f"the lab cannot make a veth pair (kernel module veth): {_reason(problem)}") from None


def _reason(problem: NetlinkError) -> str:
    """Return errno and text of a netlink error."""
    return " ".join(str(part) for part in problem.args)
