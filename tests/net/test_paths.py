"""Links, routes and neighbours against real namespaces: what is found, and what each wrong input says."""

import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from pyroute2 import IPRoute
from scapy.layers.l2 import ARP, Ether

from liveness.errors import LivenessError, UsageError
from liveness.net import neighbours
from liveness.net.arp import arp_reply_mac, arp_request
from liveness.net.links import LAB_MARKER, find_link, in_lab, interface_counters
from liveness.net.neighbours import known_mac
from liveness.net.path.finding import find_path, parse_mac
from liveness.net.sockets import open_packet_socket
from liveness.space.intervals import Intervals
from tests.net.support import cable, in_private_network

HERE = int(IPv4Address("10.9.0.1"))
GATEWAY = int(IPv4Address("10.9.0.2"))
TARGET = int(IPv4Address("10.7.0.1"))
ONE = Intervals.from_bounds([TARGET], [TARGET])
PEER_MAC = bytes.fromhex("020000000002")


def single(address: int) -> Intervals:
    return Intervals.from_bounds([address], [address])


def add_route(**route: str | int) -> None:
    with IPRoute() as netlink:
        netlink.route("add", **route)


def change_link(name: str, **change: str | int) -> None:
    with IPRoute() as netlink:
        netlink.link("set", index=netlink.link_lookup(ifname=name)[0], **change)


def descriptors() -> set[str]:
    return {str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists()}


@pytest.mark.lab
@pytest.mark.parametrize("interface", ["auto", "v0"])
@in_private_network
def test_the_path_is_found_with_a_cold_neighbour_table(interface: str) -> None:
    with cable():
        add_route(dst="default", gateway="10.9.0.2")
        link = find_link("v0")
        assert known_mac(link, GATEWAY) is None
        before = descriptors()
        path = find_path(interface, ONE, (), "auto")
        assert descriptors() == before
        assert (path.interface, path.ifindex, path.mtu) == ("v0", link.index, 1500)
        assert (path.mac, path.source) == (bytes.fromhex("020000000001"), HERE)
        assert (path.gateway, path.gateway_mac) == (GATEWAY, PEER_MAC)
        assert find_path(interface, ONE, (0x0A090063,), "auto", foreign_sources=True).source == 0x0A090063


@pytest.mark.lab
@in_private_network
def test_a_confirmed_neighbour_is_believed_and_a_stale_one_asked() -> None:
    with cable() as peer:
        add_route(dst="default", gateway="10.9.0.2")
        link = find_link("v0")
        with IPRoute() as netlink:
            entry = {"dst": "10.9.0.2", "ifindex": link.index, "lladdr": "02:00:00:00:00:99"}
            netlink.neigh("add", state="permanent", **entry)
            assert find_path("auto", ONE, (), "auto").gateway_mac == bytes.fromhex("020000000099")
            netlink.neigh("replace", state="stale", **entry)
        assert known_mac(link, GATEWAY) is None
        assert find_path("auto", ONE, (), "auto").gateway_mac == PEER_MAC
        assert peer.run(lambda: interface_counters("v1").rx_packets) >= 1


@pytest.mark.lab
@in_private_network
def test_a_gateway_that_does_not_answer_is_an_error_after_three_tries() -> None:
    with cable() as peer:
        add_route(dst="default", gateway="10.9.0.77")
        neighbours.TRY_S = 0.1
        begun = time.monotonic()
        with pytest.raises(LivenessError, match=r"gateway 10\.9\.0\.77 answers no ARP request on v0: .*gateway_mac"):
            find_path("auto", ONE, (), "auto")
        assert 0.3 <= time.monotonic() - begun < 1
        peer.run(lambda: change_link("v1", state="down"))
        with pytest.raises(UsageError, match="interface v0 has no carrier"):
            find_path("auto", ONE, (), "auto")


@pytest.mark.lab
@in_private_network
def test_a_given_mac_needs_no_gateway_and_no_route() -> None:
    with cable():
        path = find_path("v0", ONE, (), "02:00:00:00:00:AA")
        assert (path.gateway, path.gateway_mac, path.source) == (None, bytes.fromhex("0200000000aa"), HERE)
        add_route(dst="default", gateway="10.9.0.2")
        assert find_path("auto", ONE, (), "02:00:00:00:00:aa").gateway == GATEWAY
        with pytest.raises(UsageError, match="gateway_mac: '02:00' is not a MAC address"):
            find_path("auto", ONE, (), "02:00")


@pytest.mark.lab
@in_private_network
def test_each_obstacle_names_itself_and_the_remedy() -> None:
    with cable():
        cases = [
            ("eth9", TARGET, r"no interface 'eth9' here: name one of .*v0"),
            ("lo", TARGET, "interface lo takes neither Ethernet frames nor IP packets"),
            ("auto", TARGET, r"no route to 10\.7\.0\.1: .*ip route add default.*network\.gateway_mac"),
            ("v0", TARGET, r"no route to 10\.7\.0\.1: .*ip route add default.*network\.gateway_mac"),
            ("auto", HERE, r"10\.9\.0\.1 is an address of this machine"),
        ]
        for interface, target, message in cases:
            with pytest.raises(UsageError, match=message) as caught:
                find_path(interface, single(target), (), "auto")
            assert "\n" not in str(caught.value)
        for kind in ("blackhole", "unreachable", "prohibit"):
            add_route(dst="10.7.0.0/16", type=kind)
            with pytest.raises(UsageError, match=r"no route to 10\.7\.0\.1"):
                find_path("auto", ONE, (), "auto")
            with IPRoute() as netlink:
                netlink.route("del", dst="10.7.0.0/16", type=kind)
        with IPRoute() as netlink:
            netlink.flush_addr(index=find_link("v0").index)
        with pytest.raises(UsageError, match=r"interface v0 has no IPv4 address: set network\.source_addresses"):
            find_path("v0", ONE, (), "02:00:00:00:00:aa")
        change_link("v0", state="down")
        with pytest.raises(UsageError, match=r"interface v0 is down: .*ip link set v0 up"):
            find_path("v0", ONE, (), "auto")


@pytest.mark.lab
@in_private_network
def test_counters_are_those_of_this_namespace() -> None:
    with cable() as peer:
        before = interface_counters("v0")
        there = peer.run(lambda: interface_counters("v1"))
        with open_packet_socket() as sender:
            sender.bind(("v0", 0))
            for _ in range(10):
                sender.send(arp_request(bytes(6), 0, 0))
        after = interface_counters("v0")
        assert after.tx_packets - before.tx_packets >= 10
        assert peer.run(lambda: interface_counters("v1")).rx_packets - there.rx_packets >= 10
        assert after.tx_errors == after.rx_missed == 0
        with pytest.raises(UsageError, match="no interface 'v1'"):
            interface_counters("v1")


@pytest.mark.lab
@in_private_network
def test_the_marker_makes_a_lab() -> None:
    with cable():
        assert not in_lab()
        change_link("v0", state="down")
        change_link("v0", ifname=LAB_MARKER)
        assert in_lab()


def test_arp_frames_read_as_such() -> None:
    mac = bytes.fromhex("020000000001")
    request = Ether(arp_request(mac, HERE, GATEWAY))
    assert (request.dst, request.src, request.type) == ("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:01", 0x0806)
    assert (request[ARP].op, request[ARP].psrc, request[ARP].pdst) == (1, "10.9.0.1", "10.9.0.2")
    assert (request[ARP].hwsrc, request[ARP].hwdst) == ("02:00:00:00:00:01", "00:00:00:00:00:00")
    reply = bytes(Ether() / ARP(op=2, psrc="10.9.0.2", hwsrc="02:00:00:00:00:02", pdst="10.9.0.1")) + bytes(18)
    assert arp_reply_mac(reply, GATEWAY) == PEER_MAC
    assert arp_reply_mac(reply, HERE) is None
    assert arp_reply_mac(bytes(request), HERE) is None
    assert arp_reply_mac(reply[:41], GATEWAY) is None


def test_mac_addresses_are_read_strictly() -> None:
    assert parse_mac("aa:BB:00:11:22:33") == bytes.fromhex("aabb00112233")
    for text in ("aa:bb:cc:dd:ee", "aa-bb-cc-dd-ee-ff", "aa:bb:cc:dd:ee:ff:00", "", "gg:bb:cc:dd:ee:ff"):
        with pytest.raises(UsageError, match="is not a MAC address"):
            parse_mac(text)


@pytest.mark.lab
@in_private_network
def test_one_link_is_asked_for_however_many_there_are() -> None:
    with cable(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(IPRoute, "get_links", None, raising=False)  # the list of all
        assert interface_counters("v0").tx_errors == 0
        assert find_link("v0").name == "v0"
        with pytest.raises(UsageError, match="no interface 'v9'"):
            find_link("v9")
