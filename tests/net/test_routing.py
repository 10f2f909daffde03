"""The decision for every target against the kernel's own answers for single addresses, with real tables."""

import random
import subprocess
from contextlib import suppress
from ipaddress import IPv4Address

import numpy as np
import pytest
from pyroute2 import IPRoute, NetlinkError

from liveness.errors import UsageError
from liveness.net.links import find_link
from liveness.net.path.cells import changes, source_classes
from liveness.net.path.finding import find_path
from liveness.net.path.netlink import Netlink
from liveness.net.path.routing import Decision, RouteType, decide
from liveness.space.addresses import format_address, parse_address
from liveness.space.intervals import ADDRESS_SPACE, Intervals
from liveness.space.prefixes import parse_lines
from tests.net.support import cable, in_private_network

KINDS = ("blackhole", "unreachable", "prohibit", "throw")
ERRORS = {22: RouteType.BLACKHOLE, 113: RouteType.UNREACHABLE, 13: RouteType.PROHIBITED, 101: RouteType.NONE}
TYPES = {1: RouteType.ROUTED, 2: RouteType.LOCAL, 3: RouteType.BROADCAST}
SECOND_SOURCE = "10.8.0.1"


def everything_in(*texts: str) -> Intervals:
    return parse_lines(texts)


def second_uplink() -> None:
    """Add an interface with a network of its own, in which there is nobody."""
    with IPRoute() as netlink:
        netlink.link("add", ifname="d0", kind="veth", peer={"ifname": "d1"})
        netlink.link("set", index=netlink.link_lookup(ifname="d1")[0], state="up")
        index = netlink.link_lookup(ifname="d0")[0]
        netlink.link("set", index=index, state="up")
        netlink.addr("add", index=index, address=SECOND_SOURCE, prefixlen=24)


def kernel_says(netlink: IPRoute, address: int, source: str | None) -> tuple[RouteType, int, bytes | None]:
    """Return fate, interface and gateway of one address, as `ip route get` tells them."""
    options = {} if source is None else {"src": source}
    try:
        answer = next(iter(netlink.route("get", dst=format_address(address), **options)))
    except NetlinkError as error:
        return ERRORS[error.code], 0, None
    kind = TYPES[answer["type"]]
    if kind is not RouteType.ROUTED:
        return kind, 0, None
    gateway = answer.get_attr("RTA_GATEWAY")
    return kind, answer.get_attr("RTA_OIF"), None if gateway is None else IPv4Address(gateway).packed


def random_tables(draw: random.Random) -> None:
    """Fill three tables with nested routes of every kind, and rules that lead to them."""
    with IPRoute() as netlink:
        uplinks = [(netlink.link_lookup(ifname="v0")[0], "10.9.0."), (netlink.link_lookup(ifname="d0")[0], "10.8.0.")]
        for _ in range(60):
            length = draw.choice((0, 8, 9, 12, 15, 16, 17, 20, 24, 30, 32))
            base = draw.getrandbits(32) & 0x0F0F0703 | 0x10000000
            base = base >> (32 - length) << (32 - length) if length else 0
            route = {"dst": f"{format_address(base)}/{length}", "table": draw.choice((254, 254, 100, 200))}
            if draw.random() < 0.3:
                route["type"] = draw.choice(KINDS)
            else:
                index, network = draw.choice(uplinks)
                route |= {"gateway": f"{network}{draw.randrange(2, 4)}", "oif": index}
            with suppress(NetlinkError):  # it is there already
                netlink.route("add", **route)
        netlink.rule("add", priority=50, table=100, dst="16.0.0.0", dst_len=6)
        netlink.rule("add", priority=60, table=200, src=SECOND_SOURCE, src_len=32)


@pytest.mark.lab
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("source", [None, SECOND_SOURCE])
@in_private_network
def test_every_decision_is_the_kernels(seed: int, source: str | None) -> None:
    draw = random.Random(seed)
    with cable():
        second_uplink()
        random_tables(draw)
        targets = everything_in("10.0.0.0/12", "16.0.0.0/4", "31.1.2.3/32", "127.0.0.1/32")
        asked = Netlink()
        found = decide(asked, targets, None if source is None else parse_address(source), None)
        whole = Intervals.empty()
        for part in found.values():
            assert whole.intersection(part).count == 0, "each target has one decision"
            whole = whole.union(part)
        assert whole == targets
        edges = np.concatenate([part.first for part in found.values()] + [part.last for part in found.values()])
        samples = {int(edge) + step for edge in edges.tolist() for step in (-1, 0, 1)}
        samples |= {draw.randrange(0x10000000, 0x20000000) & 0xFF0F070F for _ in range(500)}
        with IPRoute() as netlink:
            for address in sorted(samples):
                if not targets.contains([address])[0]:
                    continue
                (decision,) = [decision for decision, part in found.items() if part.contains([address])[0]]
                found_way = (decision.kind, decision.index, decision.gateway)
                assert found_way == kernel_says(netlink, address, source), address
        assert len({decision.kind for decision in found}) >= 4
        asked.close()


def test_a_prefix_that_leads_where_its_surroundings_lead_cuts_nothing() -> None:
    default = {(0, 0): "a"}
    assert changes(default | {(16 << 24, 8): "a", (17 << 24, 8): "a"}) == {0}
    assert changes(default | {(16 << 24, 8): "b", (16 << 24, 16): "b", (16 << 24 | 1 << 16, 16): "a"}) == {
        0,
        16 << 24,
        16 << 24 | 1 << 16,
        16 << 24 | 2 << 16,
        17 << 24,
    }
    assert changes({(255 << 24, 8): "a"}) == {255 << 24}
    assert changes({}) == set()


@pytest.mark.parametrize("seed", range(20))
def test_changes_are_those_of_the_longest_match(seed: int) -> None:
    draw = random.Random(seed)
    entries = {}
    for _ in range(30):
        length = draw.randrange(9)
        entries[draw.getrandbits(8) >> (8 - length) << (32 - length) if length else 0, length] = draw.choice("ab")

    def leads(address: int) -> object:
        held = [(length, to) for (base, length), to in entries.items() if not (address ^ base) >> (32 - length)]
        return max(held, default=(0, None))[1]

    every = range(0, ADDRESS_SPACE, 1 << 24)
    expected = {at for at in every if leads(at) != (leads(at - 1) if at else None)}
    assert changes(entries) == expected


@pytest.mark.lab
@in_private_network
def test_a_rule_that_suppresses_short_prefixes_is_followed() -> None:
    """As WireGuard's tools set up: the main table, but not its default, then another table."""
    with cable():
        second_uplink()
        with IPRoute() as netlink:
            here, there = (netlink.link_lookup(ifname=name)[0] for name in ("v0", "d0"))
            netlink.route("add", dst="default", gateway="10.9.0.2", oif=here)
            netlink.route("add", dst="16.0.0.0/8", gateway="10.9.0.2", oif=here)
            netlink.route("add", dst="default", gateway="10.8.0.2", oif=there, table=300)
            netlink.rule("add", priority=10, table=254, FRA_SUPPRESS_PREFIXLEN=0)
            netlink.rule("add", priority=20, table=300)
        asked = Netlink()
        found = decide(asked, everything_in("16.0.0.0/7"), None, None)
        assert {part.prefixes()[0]: decision.index for decision, part in found.items()} == {
            "16.0.0.0/8": here,
            "17.0.0.0/8": there,
        }
        asked.close()


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def add_routes(*routes: dict[str, object]) -> None:
    with IPRoute() as netlink:
        for route in routes:
            netlink.route("add", **route)


@pytest.mark.lab
@in_private_network
def test_null_routes_and_own_addresses_are_left_out() -> None:
    with cable():
        add_routes(
            {"dst": "default", "gateway": "10.9.0.2"},
            {"dst": "16.0.0.0/16", "type": "blackhole"},
            {"dst": "16.1.0.0/16", "type": "unreachable"},
            {"dst": "16.2.0.0/24", "type": "prohibit"},
        )
        for interface in ("auto", "v0"):
            path = find_path(interface, everything_in("16.0.0.0/8", "10.9.0.1/32", "10.9.0.255/32"), (), "auto")
            assert {left.reason: (left.targets.count, left.targets.prefixes()) for left in path.left_out} == {
                "a blackhole route": (1 << 16, ["16.0.0.0/16"]),
                "an unreachable route": (1 << 16, ["16.1.0.0/16"]),
                "a prohibit route": (256, ["16.2.0.0/24"]),
                "an address of this host": (1, ["10.9.0.1/32"]),
                "a broadcast address of a link": (1, ["10.9.0.255/32"]),
            }
            assert path.hops[0].targets.count == (1 << 24) - (2 << 16) - 256
            assert str(path.left_out[0]).startswith("65,536 targets left out, ")


@pytest.mark.lab
@in_private_network
def test_a_throw_route_without_another_is_no_route() -> None:
    with cable():
        add_routes({"dst": "16.0.0.0/8", "gateway": "10.9.0.2"}, {"dst": "16.3.0.0/16", "type": "throw"})
        path = find_path("auto", everything_in("16.0.0.0/7"), (), "auto")
        assert [(left.reason, left.targets.prefixes()) for left in path.left_out] == [
            ("no route", ["16.3.0.0/16", "17.0.0.0/8"])
        ]


@pytest.mark.lab
@in_private_network
def test_a_second_uplink_is_refused_by_name_and_may_be_chosen() -> None:
    with cable():
        second_uplink()
        add_routes({"dst": "default", "gateway": "10.9.0.2"}, {"dst": "16.7.0.0/16", "gateway": "10.8.0.9"})
        targets = everything_in("16.0.0.0/8")
        with pytest.raises(UsageError, match=r"by v0 \(16\.0\.0\.0/14.*65,536 by d0 \(16\.7\.0\.0/16\).*\.interface"):
            find_path("auto", targets, (), "auto")
        path = find_path("v0", targets, (), "auto")
        assert (path.interface, path.hops[0].targets) == ("v0", targets)


@pytest.mark.lab
@in_private_network
def test_own_link_inside_the_targets_is_distinguished_from_what_lies_behind_the_router() -> None:
    with cable():
        add_routes({"dst": "default", "gateway": "10.9.0.2"})
        path = find_path("auto", everything_in("10.8.0.0/15"), (), "auto")
        link = everything_in("10.9.0.0/24")
        (hop,) = path.hops
        assert hop.name == "10.9.0.2"
        assert path.near.union(path.left_out[0].targets).union(path.left_out[1].targets) == link
        assert path.near.count == 254
        assert not len(hop.targets.intersection(link))
        alone = find_path("auto", everything_in("10.9.0.0/25"), (), "auto")
        assert (alone.hops[0].name, alone.hops[0].targets, alone.gateway) == ("the link itself", alone.near, None)
        given = find_path("auto", everything_in("10.9.0.0/25"), (), "02:00:00:00:00:aa")
        assert (len(given.near), given.gateway_mac) == (0, bytes.fromhex("0200000000aa"))


@pytest.mark.lab
@in_private_network
def test_the_source_chooses_the_route() -> None:
    with cable():
        second_uplink()
        add_routes(
            {"dst": "default", "gateway": "10.9.0.2"},
            {"dst": "default", "gateway": "10.8.0.9", "oif": find_link("d0").index, "table": 200},
        )
        with IPRoute() as netlink:
            netlink.rule("add", priority=60, table=200, src=SECOND_SOURCE, src_len=32)
            netlink.neigh(
                "add", dst="10.8.0.9", lladdr="02:00:00:00:00:99", ifindex=find_link("d0").index, state="permanent"
            )
        targets = everything_in("16.0.0.0/8")
        second = parse_address(SECOND_SOURCE)
        path = find_path("auto", targets, (second,), "auto")
        assert (path.interface, path.source, path.gateway_mac) == ("d0", second, bytes.fromhex("020000000099"))
        assert find_path("auto", targets, (), "auto").interface == "v0"
        with pytest.raises(UsageError, match=r"16,777,216 targets .*10\.9\.0\.1 than from 10\.8\.0\.1 \(ip rule\)"):
            find_path("auto", targets, (parse_address("10.9.0.1"), second), "auto")
        asked = Netlink()
        assert source_classes(asked, [second - 1, second, second + 1, second + 2]) == [second - 1, second, second + 1]
        asked.close()


@pytest.mark.lab
@in_private_network
def test_a_source_of_another_host_is_refused_unless_allowed() -> None:
    with cable():
        add_routes({"dst": "default", "gateway": "10.9.0.2"})
        foreign = parse_address("10.9.0.99")
        with pytest.raises(UsageError, match=r"10\.9\.0\.99: not an address of this host.*foreign_sources: true"):
            find_path("auto", everything_in("16.0.0.0/8"), (foreign,), "auto")
        path = find_path("auto", everything_in("16.0.0.0/8"), (foreign,), "auto", foreign_sources=True)
        assert path.source == foreign
        assert "not this host's" in path.notes[0]
        ip("route", "add", "local", "10.9.0.99/32", "dev", "lo")
        assert find_path("auto", everything_in("16.0.0.0/8"), (foreign,), "auto").notes == ()


@pytest.mark.lab
@in_private_network
def test_several_next_hops_are_each_used() -> None:
    with cable() as peer:
        peer.run(lambda: add_address("v1", "10.9.0.3"))
        add_routes({"dst": "default", "gateway": "10.9.0.2"}, {"dst": "16.7.0.0/16", "gateway": "10.9.0.3"})
        path = find_path("auto", everything_in("16.0.0.0/8"), (), "auto")
        assert [(hop.name, hop.targets.count) for hop in path.hops] == [
            ("10.9.0.2", (1 << 24) - (1 << 16)),
            ("10.9.0.3", 1 << 16),
        ]


@pytest.mark.lab
@in_private_network
def test_a_spread_route_goes_to_its_first_usable_hop_and_says_so() -> None:
    with cable():
        ip("route", "add", "default", "nexthop", "via", "10.9.0.2", "nexthop", "via", "10.9.0.7")
        path = find_path("auto", everything_in("16.0.0.0/8"), (), "auto")
        assert [hop.name for hop in path.hops] == ["10.9.0.2"]
        assert "16,777,216 targets have routes with several next hops" in path.notes[0]


@pytest.mark.lab
@in_private_network
def test_an_ipv6_next_hop_is_resolved() -> None:
    with cable() as peer:
        with IPRoute() as netlink:
            netlink.addr("add", index=find_link("v0").index, address="fd00::1", prefixlen=64, flags=0x02)
        peer.run(lambda: add_address("v1", "fd00::2", 64))
        ip("-4", "route", "add", "default", "via", "inet6", "fd00::2", "dev", "v0")
        path = find_path("auto", everything_in("16.0.0.0/8"), (), "auto")
        assert (path.hops[0].name, path.gateway_mac, path.gateway) == ("fd00::2", bytes.fromhex("020000000002"), None)


def add_address(name: str, address: str, prefixlen: int = 24) -> None:
    with IPRoute() as netlink:
        options = {"flags": 0x02} if ":" in address else {}  # no search for duplicates
        netlink.addr("add", index=netlink.link_lookup(ifname=name)[0], address=address, prefixlen=prefixlen, **options)


def test_decisions_can_be_keys() -> None:
    assert len({Decision(RouteType.NONE), Decision(RouteType.NONE), Decision(RouteType.ROUTED, 1)}) == 2
