"""The watch over the way, without a scan: each change of a real link, table or neighbour is seen, and nothing else."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Address
from types import SimpleNamespace

import pytest
from pyroute2 import IPRoute

from liveness.net.arp import ARP, BROADCAST, ETHERNET, REPLY, arp_sender
from liveness.net.links import find_link
from liveness.net.neighbours import kernel_entry
from liveness.net.path import route_watch
from liveness.net.path.finding import find_path
from liveness.net.path.netlink import RTM_NEWLINK, Events, Netlink
from liveness.net.path.observation import Observation
from liveness.net.path.watch import PathWatch
from liveness.net.rtnetlink import LINK_HEADER
from liveness.net.sockets import open_packet_socket
from liveness.net.tpacket import ETH_P_ARP, ETH_P_IP
from liveness.space.prefixes import parse_lines
from tests.census.rig import ip
from tests.net.support import cable, in_private_network

pytestmark = pytest.mark.lab

TARGETS = parse_lines(["16.0.0.0/8"])
PATIENCE_S = 20.0
OTHER_MAC = "02:00:00:00:00:77"


@contextmanager
def watched(*sources: str, interface: str = "auto") -> Iterator[PathWatch]:
    """Yield a watch over the way as it is now."""
    addresses = [int(IPv4Address(source)) for source in sources]
    path = find_path(interface, TARGETS, addresses, "auto")
    watch = PathWatch(path, TARGETS, addresses, bound=interface != "auto")
    until(watch, lambda observation: observation.problem is None)
    try:
        yield watch
    finally:
        watch.close()


def until(watch: PathWatch, condition: Callable[[Observation], bool]) -> Observation:
    """Look until an observation fulfils a condition."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition(observation := watch.look()):
        assert time.monotonic() < deadline, observation
        time.sleep(0.02)
    return observation


def second_uplink() -> None:
    ip("link", "add", "d0", "type", "veth", "peer", "name", "d1")
    ip("addr", "add", "10.8.0.1/24", "dev", "d0")
    ip("link", "set", "d0", "up")
    ip("link", "set", "d1", "up")


@pytest.mark.parametrize("forgotten", [False, True])
@in_private_network
def test_a_reset_of_the_card_before_the_first_look_can_be_forgotten(forgotten: bool) -> None:
    with cable():
        ip("route", "add", "default", "via", "10.9.0.2")
        path = find_path("auto", TARGETS, [], "auto")
        watch = PathWatch(path, TARGETS, [])
        down = [(RTM_NEWLINK, LINK_HEADER.pack(socket.AF_UNSPEC, 0, path.ifindex, 0, 0))]
        watch._events.close()
        watch._events = SimpleNamespace(  # type: ignore[assignment]
            read=lambda: ([down.pop()] if down else [], False), close=lambda: None
        )
        if forgotten:
            watch.forget_link()
        assert watch.look().problem == (None if forgotten else "interface v0 was down for a moment")
        watch.close()


@in_private_network
def test_a_rule_that_leads_elsewhere_is_the_end() -> None:
    with cable():
        second_uplink()
        ip("route", "add", "default", "via", "10.9.0.2")
        ip("route", "add", "default", "via", "10.8.0.9", "table", "200")
        with watched("10.9.0.1") as watch:
            ip("rule", "add", "from", "10.8.0.1", "lookup", "200")
            for _ in range(20):
                assert watch.look().gone is None, "of another source"
                time.sleep(0.02)
            ip("rule", "add", "from", "10.9.0.1", "lookup", "200")
            observation = until(watch, lambda observation: observation.gone is not None)
            assert observation.gone == "16,777,216 targets (16.0.0.0/8) are routed by another interface now"


@in_private_network
def test_state_is_read_again_after_a_full_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    with cable():
        ip("route", "add", "default", "via", "10.9.0.2")
        with watched() as watch:
            monkeypatch.setattr(Events, "read", lambda _: ([], False))
            ip("route", "add", "blackhole", "16.7.0.0/16")
            time.sleep(0.5)
            assert watch.look().null == ()
            monkeypatch.setattr(Events, "read", lambda _: ([], True))
            observation = until(watch, lambda observation: bool(observation.null))
            assert [part.targets.prefixes() for part in observation.null] == [["16.7.0.0/16"]]


@in_private_network
def test_a_full_buffer_is_noticed() -> None:
    with cable():
        events = Events()
        events._socket.setsockopt(1, 8, 1)
        for number in range(60):
            ip("route", "add", "blackhole", f"17.0.{number}.0/24")
        _, lost = events.read()
        assert lost
        assert events.read() == ([], False)
        ip("route", "add", "blackhole", "18.0.0.0/24")
        assert len(events.read()[0]) == 1
        events.close()


@in_private_network
def test_neighbours_that_come_and_go_have_no_routes_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with cable():
        ip("route", "add", "default", "via", "10.9.0.2")
        with watched() as watch:
            until(watch, lambda _: not watch.routes.due_ns)
            monkeypatch.setattr(route_watch, "decide", None)
            for number in range(20):
                ip("neigh", "add", f"10.9.0.{number + 50}", "lladdr", OTHER_MAC, "dev", "v0")
                observation = watch.look()
                assert (observation.problem, observation.gone) == (None, None)


@in_private_network
def test_a_new_mac_address_of_an_ipv6_gateway_is_seen() -> None:
    with cable() as peer:
        ip("addr", "add", "fd00::1/64", "dev", "v0", "nodad")
        peer.run(lambda: ip("addr", "add", "fd00::2/64", "dev", "v1", "nodad"))
        ip("-4", "route", "add", "default", "via", "inet6", "fd00::2", "dev", "v0")
        with watched() as watch:
            ip("neigh", "replace", "fd00::2", "lladdr", OTHER_MAC, "dev", "v0", "nud", "reachable")
            observation = until(watch, lambda observation: bool(observation.moved))
            assert [entry.gateway.mac.hex(":") for entry in observation.moved] == [OTHER_MAC]
            assert observation.redirect
            assert watch.hops == [(bytes.fromhex(OTHER_MAC.replace(":", "")), TARGETS)]


@in_private_network
def test_a_permanent_entry_is_known_to_have_been_right_until_it_was_replaced() -> None:
    """Its age grows from when it was set."""
    with cable():
        ip("route", "add", "default", "via", "10.9.0.2")
        ip("neigh", "replace", "10.9.0.2", "lladdr", "02:00:00:00:00:02", "dev", "v0", "nud", "permanent")
        with watched() as watch:
            deadline = time.monotonic() + 3.5
            while time.monotonic() < deadline:
                assert not watch.look().moved
                time.sleep(0.02)
            before_ns = time.monotonic_ns()
            ip("neigh", "replace", "10.9.0.2", "lladdr", OTHER_MAC, "dev", "v0", "nud", "permanent")
            (move,) = until(watch, lambda observation: bool(observation.moved)).moved
            assert move.gateway.mac.hex(":") == OTHER_MAC
            assert 0 <= before_ns - move.since_ns < 2_000_000_000


def claim(mac: str, to: bytes) -> bytes:
    """Return an ARP reply that says that the gateway has a MAC address."""
    there = bytes.fromhex(mac.replace(":", ""))
    body = ARP.pack(1, ETH_P_IP, 6, 4, REPLY, there, bytes([10, 9, 0, 2]), BROADCAST, bytes([10, 9, 0, 2]))
    return ETHERNET.pack(to, there, ETH_P_ARP) + body


@in_private_network
def test_an_unconfirmed_claim_of_the_gateway_address_is_ignored() -> None:
    with cable() as peer:
        ip("route", "add", "default", "via", "10.9.0.2")
        with watched() as watch:

            def lie() -> None:
                with open_packet_socket() as handle:
                    handle.bind(("v1", 0))
                    handle.send(claim(OTHER_MAC, BROADCAST))
                    handle.send(claim(OTHER_MAC, watch.mac))  # of two that answer the first stays

            for _ in range(10):
                peer.run(lie)
                deadline = time.monotonic() + 0.6
                while time.monotonic() < deadline:
                    observation = watch.look()
                    for entry in observation.moved:
                        assert entry.gateway.mac.hex(":") in (OTHER_MAC, "02:00:00:00:00:02")
                    time.sleep(0.05)
            until(watch, lambda _: watch.hops[0][0] == bytes.fromhex("020000000002"))


@in_private_network
def test_a_gateway_is_known_to_have_worked_until_its_last_answer_and_not_until_that_was_read() -> None:
    with cable() as peer:
        ip("route", "add", "default", "via", "10.9.0.2")
        with watched() as watch:
            for _ in range(4):  # an answer lies in the socket when the gateway changes, and is read afterwards
                until(watch, lambda _: watch._gateways is not None and watch._gateways.confirmed_since(0))
                time.sleep(0.6)
                watch.look()  # sends a request
                time.sleep(0.1)
                before_ns = time.monotonic_ns()
                old = watch.hops[0][0]
                mac = bytes([2, 0, 0, 0, 1, old[-1] + 1])
                peer.run(partial(ip, "link", "set", "v1", "address", mac.hex(":")))
                time.sleep(0.2)
                observation = until(watch, lambda observation: bool(observation.moved))
                (move,) = observation.moved
                assert (move.before, move.gateway.mac) == (old, mac)
                assert move.since_ns <= before_ns


@in_private_network
def test_the_kernels_entry_says_how_old_it_is() -> None:
    with cable():
        link = find_link("v0")
        ip("neigh", "replace", "10.9.0.2", "lladdr", "02:00:00:00:00:02", "dev", "v0", "nud", "reachable")
        netlink = Netlink()
        address = IPv4Address("10.9.0.2").packed
        young = kernel_entry(netlink, link.index, address)
        time.sleep(1.0)
        old = kernel_entry(netlink, link.index, address)
        netlink.close()
        assert young is not None
        assert old is not None
        assert old.mac == young.mac == bytes.fromhex("020000000002")
        assert old.age_ns - young.age_ns >= 900_000_000


def test_claims_are_distinguished() -> None:
    spoken = arp_sender(claim(OTHER_MAC, BROADCAST))
    assert spoken is not None
    assert (spoken.address, spoken.mac.hex(":"), spoken.to) == (bytes([10, 9, 0, 2]), OTHER_MAC, None)
    answer = arp_sender(claim(OTHER_MAC, bytes(6)))
    assert answer is not None
    assert answer.to == bytes(6)
    assert arp_sender(claim("01:00:00:00:00:01", bytes(6))) is None, "no station has a group address"
    assert arp_sender(b"") is None


@in_private_network
def test_a_route_that_is_gone_is_noted_and_the_gateway_kept() -> None:
    with cable():
        ip("route", "add", "default", "via", "10.9.0.2")
        with watched() as watch:
            ip("route", "del", "default")
            observation = until(watch, lambda observation: bool(observation.rerouted))
            assert "16,777,216 targets (16.0.0.0/8) have no route any more" in observation.rerouted[0]
            assert (observation.problem, observation.redirect) == (None, False)
            assert watch.hops[0][0] == bytes.fromhex("020000000002")
            ip("route", "add", "default", "via", "10.9.0.2")
            for _ in range(30):
                observation = watch.look()
                assert (observation.problem, observation.gone, observation.redirect) == (None, None, False)
                time.sleep(0.02)


@in_private_network
def test_watching_leaves_no_descriptor_open_and_needs_no_list_of_links(monkeypatch: pytest.MonkeyPatch) -> None:
    with cable():
        ip("route", "add", "default", "via", "10.9.0.2")
        monkeypatch.setattr(IPRoute, "get_links", None, raising=False)
        with watched() as watch:
            assert watch.look().problem is None
        watch.close()
