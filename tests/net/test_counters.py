"""The counters of devices and of their queues, against what tc and ip say and what was really sent."""

import json
import socket
import subprocess
import time

import pytest
from pyroute2 import IPRoute

from liveness.errors import LivenessError
from liveness.net.counters import CounterReader
from tests.net.support import cable, in_private_network

pytestmark = pytest.mark.lab

FRAME = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x88\xb5" + bytes(86)


def sh(command: str) -> str:
    return subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True).stdout


def send(interface: str, frames: int) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as handle:
        handle.bind((interface, 0))
        for _ in range(frames):
            try:
                handle.send(FRAME)
            except OSError:
                continue


@in_private_network
def test_a_device_counts_what_ip_says_it_does() -> None:
    with cable(), CounterReader() as reader:
        sh("ip -6 addr flush dev v0; ip link set v0 addrgenmode none; echo 1 > /proc/sys/net/ipv6/conf/v0/disable_ipv6")
        index = reader.index_of("v0")
        before = reader.device(index)
        send("v0", 321)
        after = reader.device(index)
        assert after.tx_packets - before.tx_packets == 321
        assert (after.name, after.kind, after.parent) == ("v0", "veth", None)  # its peer is in another namespace
        (shown,) = json.loads(sh("ip -s -j link show v0"))
        assert after.tx_packets == shown["stats64"]["tx"]["packets"]
        assert reader.lower_devices(index) == []
        assert reader.queue_drops(index) == 0


@in_private_network
def test_a_peer_in_the_same_namespace_is_no_lower_device() -> None:
    with IPRoute() as netlink, CounterReader() as reader:
        netlink.link("add", ifname="a0", kind="veth", peer={"ifname": "a1"})
        assert reader.lower_devices(reader.index_of("a0")) == []


@in_private_network
def test_a_shaped_port_of_a_bridge_is_below_it_and_its_queue_shows_what_it_dropped() -> None:
    with cable(), CounterReader() as reader:
        sh("ip link add name br0 type bridge; ip link set v0 master br0; ip link set br0 up")
        sh("tc qdisc add dev v0 root tbf rate 200kbit burst 2000 limit 3000")
        sh("ip link add link br0 name m0 type macvlan; ip link set m0 up")
        sh("echo 1 > /proc/sys/net/ipv6/conf/br0/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/m0/disable_ipv6")
        bridge, stacked = reader.index_of("br0"), reader.index_of("m0")
        assert [device.name for device in reader.lower_devices(bridge)] == ["v0"]
        assert [device.name for device in reader.lower_devices(stacked)] == ["br0"]
        deadline = time.monotonic() + 10
        while "forwarding" not in sh("ip -d link show v0") and time.monotonic() < deadline:
            time.sleep(0.05)
        port = reader.index_of("v0")
        sent_before = reader.device(bridge).tx_packets
        drops_before = reader.queue_drops(port)
        send("br0", 1000)
        taken = reader.device(bridge).tx_packets - sent_before
        assert 1000 <= taken <= 1003, (
            taken
        )  # the bridge takes them all for sent; it says a word of its own now and then
        dropped = reader.queue_drops(port) - drops_before
        (shown,) = json.loads(sh("tc -s -j qdisc show dev v0"))
        assert dropped == shown["drops"] - drops_before > 500


@in_private_network
def test_the_slave_of_a_bond_is_below_it() -> None:
    with cable(), CounterReader() as reader:
        try:
            sh("ip link add name bond0 type bond mode active-backup; ip link set v0 down; ip link set v0 master bond0")
        except subprocess.CalledProcessError:  # a kernel without bonding: a team or a bridge stands for it
            sh("ip link add name bond0 type bridge; ip link set v0 master bond0")
        assert [device.name for device in reader.lower_devices(reader.index_of("bond0"))] == ["v0"]


@in_private_network
def test_a_device_that_is_gone_is_reported() -> None:
    with CounterReader() as reader:
        with pytest.raises(LivenessError, match="interface nothere is gone"):
            reader.index_of("nothere")
        with pytest.raises(LivenessError, match="No such device"):
            reader.device(4711)
        assert reader.queue_drops(4711) == 0
