"""What an interface dropped, and that nothing which a run reads again and again lists the links of others."""

import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyroute2 import IPRoute

from liveness.errors import LivenessError
from liveness.net.counters import CounterReader, Device
from liveness.net.links import interface_counters, interface_drops
from liveness.scan.losses.accounts import EVERY_NS, Accounts
from liveness.scan.plan import Plan
from liveness.scan.shared import Shared
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from tests.census.rig import ip
from tests.net.support import TEST_ETHERTYPE, cable, in_private_network
from tests.net.test_watch import watched
from tests.scan.test_census_in_memory import CONTROL_PORT, FIRST, small_config

QUIET = Device(1, "lo", "", None, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("device", "drops"),
    [
        (QUIET, 0),
        (replace(QUIET, rx_packets=2_000, tx_packets=3_000, tx_errors=9), 0),
        (replace(QUIET, rx_dropped=3, rx_missed=1, tx_dropped=10), 14),
    ],
)
def test_both_directions_are_counted(device: Device, drops: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CounterReader, "device", lambda _reader, _index: device)
    assert interface_drops("lo") == drops


def test_an_interface_that_is_not_there_is_named() -> None:
    with pytest.raises(LivenessError, match="interface eth is gone"):
        interface_drops("eth")


@pytest.mark.lab
@in_private_network
def test_it_is_this_namespace_s_interface_and_its_own_file_agrees() -> None:
    """Frames of a protocol that nobody here speaks are dropped."""
    frame = bytes.fromhex("020000000001020000000002") + TEST_ETHERTYPE.to_bytes(2, "big") + bytes(46)

    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sending:
            sending.bind(("v1", 0))
            for _ in range(5):
                sending.send(frame)

    with cable() as peer:
        before = interface_drops("v0")
        peer.run(send)
        counters = interface_counters("v0")
        assert interface_drops("v0") == counters.rx_dropped + counters.rx_missed + counters.tx_dropped
        assert interface_drops("v0") >= before + 5
        lines = Path("/proc/self/net/dev").read_text().splitlines()
        (columns,) = (line.split(":")[1].split() for line in lines if line.strip().startswith("v0:"))
        assert interface_drops("v0") == int(columns[3]) + int(columns[11])


class CountingSocket(socket.socket):
    """A socket that counts what it receives, for all sockets of the process together."""

    received = 0

    def recv(self, *arguments: Any) -> bytes:  # noqa: ANN401 - as socket.recv takes them
        """Receive and count."""
        found = super().recv(*arguments)
        CountingSocket.received += len(found)
        return found

    def recv_into(self, *arguments: Any) -> int:  # noqa: ANN401 - as socket.recv_into takes them
        """Receive and count."""
        found = super().recv_into(*arguments)
        CountingSocket.received += found
        return found


def _read_bytes() -> int:
    """Return how many bytes this process has read: from files, and from sockets."""
    lines = Path("/proc/self/io").read_text().splitlines()
    (from_files,) = (int(line.split()[1]) for line in lines if line.startswith("rchar"))
    return from_files + CountingSocket.received


LINKS = 300
MOST_BYTES = 60 * LINKS
"""Less than a list of LINKS links has, in any form: a name and sixteen counters each."""


@pytest.mark.lab
@in_private_network
def test_a_run_does_not_read_the_links_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host of containers has thousands of them, and these are read several times a second."""
    monkeypatch.setattr(socket, "socket", CountingSocket)
    monkeypatch.setattr(IPRoute, "get_links", None, raising=False)
    targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + 255]), Intervals.empty(), lab=True)
    shared = Shared(Plan(small_config(senders=1), targets, CONTROL_PORT, bytes(16)))
    with cable():
        ip("route", "add", "default", "via", "10.9.0.2")
        pairs = (f"link add name a{number} type veth peer name b{number}\n" for number in range(LINKS // 2))
        subprocess.run(["ip", "-batch", "-"], input="".join(pairs), text=True, check=True)
        with watched() as watch:
            accounts = Accounts("v0", shared)

            def look() -> None:
                assert watch.look().problem is None
                accounts.look(max(time.monotonic_ns(), accounts.looked_ns + EVERY_NS))
                interface_drops("v0")
                interface_counters("v0")

            look()  # the new links are events, which are read once
            before = _read_bytes()
            look()
            read = _read_bytes() - before
            assert 0 < read < MOST_BYTES, read
            Path("/proc/self/net/dev").read_text()
            listed = _read_bytes() - before - read
            assert listed > MOST_BYTES, "a list is counted"
            accounts.close()
