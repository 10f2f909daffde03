"""Neighbours among the targets, found on a real bridge: who is there, who is not, at which rate, and by whose table."""

import os
import struct
import subprocess
import time
from collections.abc import Callable

import numpy as np
import pytest
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from liveness.net.lan import Neighbours, find_neighbours, kernel_neighbours
from liveness.net.links import find_link
from liveness.net.rx_packet import PacketRxRing
from liveness.packets.block import unpack_block
from liveness.space.addresses import format_address, parse_address
from liveness.space.intervals import Intervals
from liveness.system.bpf import ACCEPT, RETURN, Instruction, assemble
from liveness.system.child import fork
from liveness.system.namespace import Namespace
from tests.net.lan import SCANNER, ip, lan, mac_of
from tests.net.support import in_private_network

HOSTS = ["10.0.1.10", "10.0.1.11", "10.0.1.77", "10.0.1.200"]
FAST = 2_000.0


def network(prefix: str, size: int) -> Intervals:
    first = parse_address(prefix)
    return Intervals.from_bounds([first], [first + size - 1])


def found(neighbours: Neighbours) -> dict[str, bytes]:
    pairs = zip(neighbours.addresses.tolist(), neighbours.macs, strict=True)
    return {format_address(address): mac.tobytes() for address, mac in pairs}


def kernel_table() -> str:
    return subprocess.run(["ip", "neigh", "show", "dev", "s0"], check=True, capture_output=True, text=True).stdout


@pytest.mark.lab
@in_private_network
def test_present_neighbours_are_found_and_absent_ones_reported() -> None:
    with lan(HOSTS):
        wanted = network("10.0.1.4", 190)
        neighbours = find_neighbours(find_link("s0"), wanted, parse_address(SCANNER), FAST)
        there = {address: mac_of(number) for number, address in enumerate(HOSTS, 1) if address != HOSTS[3]}
        assert found(neighbours) == there  # the last is outside what was wanted
        absent = wanted.difference(Intervals.from_bounds(neighbours.addresses, neighbours.addresses))
        assert neighbours.unresolved == absent
        assert neighbours.unresolved.count == 187
        assert kernel_table() == ""  # whose table has not been filled


@pytest.mark.lab
@in_private_network
def test_what_the_kernel_knows_is_not_asked_for() -> None:
    """Two entries that nobody on the link would confirm, one of them stale: that one is asked for."""
    with lan(HOSTS):
        ip("neigh", "add", "10.0.1.50", "lladdr", "02:aa:00:00:00:01", "dev", "s0", "nud", "permanent")
        ip("neigh", "add", "10.0.1.10", "lladdr", "02:aa:00:00:00:02", "dev", "s0", "nud", "stale")
        ip("neigh", "add", "10.0.1.51", "lladdr", "02:aa:00:00:00:03", "dev", "s0", "nud", "reachable")
        link = find_link("s0")
        assert set(kernel_neighbours(link, network("10.0.1.0", 51))) == {parse_address("10.0.1.50")}
        neighbours = find_neighbours(link, network("10.0.1.0", 64), parse_address(SCANNER), FAST)
        assert found(neighbours)["10.0.1.50"] == bytes.fromhex("02aa00000001")
        assert found(neighbours)["10.0.1.51"] == bytes.fromhex("02aa00000003")
        assert found(neighbours)["10.0.1.10"] == mac_of(1)


@pytest.mark.lab
@in_private_network
def test_three_requests_to_the_silent_one_to_others_and_never_faster_than_asked() -> None:
    """What is on the link, by a capture at one of the hosts: every request is a broadcast."""
    with lan(HOSTS[:2]) as (host, _):
        link, rate = find_link("s0"), 200.0

        def ask() -> None:
            find_neighbours(link, network("10.0.1.10", 40), parse_address(SCANNER), rate)

        requests = captured_requests(host, ask)
        asked = [str(request[ARP].pdst) for _, request in requests]
        assert {address: asked.count(address) for address in set(asked)} == {
            f"10.0.1.{last}": 1 if last in (10, 11) else 3 for last in range(10, 50)
        }
        for _, request in requests:
            assert (request.dst, request[ARP].op, request[ARP].psrc) == ("ff:ff:ff:ff:ff:ff", 1, SCANNER)
        times = [time_ns for time_ns, _ in requests]
        first_try = times[:40]
        assert first_try[-1] - first_try[0] >= 0.9e9 * 39 / rate
        assert times[40] - times[39] >= 0.9e9  # a second's patience with those who answer late


def captured_requests(host: Namespace, act: Callable[[], None]) -> list[tuple[int, Packet]]:
    """Return the ARP requests (time in ns, frame) that a host sees while something is done here."""
    reader, writer = os.pipe()
    ready, say_ready = os.pipe()
    pid = fork()
    if pid == 0:
        try:
            host.enter()
            everything = assemble([Instruction(RETURN, ACCEPT)])
            ring = PacketRxRing("h1", everything, ring_mib=32)
            os.write(say_ready, b"1")
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                block = ring.blocks(0.1)
                if block is not None:
                    for time_ns, frame in unpack_block(block):
                        os.write(writer, struct.pack("QH", time_ns, len(frame)) + frame)
                    ring.release()
        finally:
            os._exit(1)
    os.close(writer)
    assert os.read(ready, 1) == b"1"
    act()
    time.sleep(0.3)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    with os.fdopen(reader, "rb") as stream:
        data = stream.read()
    requests: list[tuple[int, Packet]] = []
    at = 0
    while at < len(data):
        time_ns, length = struct.unpack_from("QH", data, at)
        packet: Packet = Ether(data[at + 10 : at + 10 + length])
        request = packet.getlayer(ARP)
        if request is not None and request.op == 1 and request.psrc == SCANNER:
            requests.append((time_ns, packet))
        at += 10 + length
    return requests


def test_no_neighbours_are_requested() -> None:
    assert len(Neighbours()) == 0
    assert np.array_equal(Neighbours().macs, np.empty((0, 6), np.uint8))
