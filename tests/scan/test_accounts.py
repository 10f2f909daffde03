"""The accounts of sending over real devices: what a far end did not get, and was reported as sent, is found lost."""

import subprocess
import time

import numpy as np
import pytest

from liveness.net.counters import CounterReader
from liveness.net.ring import TxRing
from liveness.net.tx_packet import PacketTxRing
from liveness.net.tx_xdp import XdpTxRing
from liveness.scan.losses.accounts import LASTING_NS, Accounts
from liveness.scan.plan import Plan
from liveness.scan.shared import Shared
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from liveness.system.namespace import Namespace
from tests.net.support import cable, in_private_network
from tests.scan.test_census_in_memory import CONTROL_PORT, FIRST, small_config

pytestmark = pytest.mark.lab

FRAMES = 3_000
BATCH = 100
LENGTH = 100
HEADER = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x88\xb5"
SHAPED = "tc qdisc add dev v0 root tbf rate 2mbit burst 2000 limit 20000"
QUIET = "for d in /proc/sys/net/ipv6/conf/*; do echo 1 > $d/disable_ipv6; done"
LAYOUTS = {
    "plain": ("v0", QUIET),
    "shaped": ("v0", f"{QUIET}; {SHAPED}"),
    "bridge": ("br0", f"ip link add name br0 type bridge; ip link set v0 master br0; ip link set br0 up; {QUIET}"),
    "shaped port": (
        "br0",
        f"ip link add name br0 type bridge; ip link set v0 master br0; ip link set br0 up; {QUIET}; {SHAPED}",
    ),
    "macvlan": ("m0", f"ip link add link v0 name m0 type macvlan; ip link set m0 up; {QUIET}"),
    "macvlan over a shaped device": (
        "m0",
        f"ip link add link v0 name m0 type macvlan; ip link set m0 up; {QUIET}; {SHAPED}",
    ),
}


def sh(command: str) -> str:
    return subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True).stdout


def arrived(peer: Namespace) -> int:
    def count() -> int:
        with CounterReader() as reader:
            return reader.device(reader.index_of("v1")).rx_packets

    return peer.run(count)


def ring_on(interface: str, transport: str) -> TxRing:
    return PacketTxRing(interface, LENGTH) if transport == "af_packet" else XdpTxRing(interface, LENGTH)


def send(ring: TxRing, shared: Shared, accounts: Accounts, frames: int = FRAMES) -> None:
    lengths = np.full(len(ring.frames), LENGTH, np.uint16)
    sent = int(shared.sent.sum())
    until = sent + frames
    while sent < until:
        first, free = ring.reserve(min(BATCH, until - sent))
        if free:
            ring.frames[first : first + free, :14] = np.frombuffer(HEADER, np.uint8)
            ring.commit(free, lengths)
            sent += free
            shared.sent[0, 0, 0] = sent
        ring.kick()
        if not free:
            ring.wait(0.05)
        shared.completed[0], shared.dropped[0] = ring.completed, ring.errors
        accounts.look(time.monotonic_ns())
        time.sleep(0.01)
    ring.flush(20)
    shared.completed[0], shared.dropped[0] = ring.completed, ring.errors


@pytest.mark.parametrize("transport", ["af_packet", "af_xdp"])
@pytest.mark.parametrize("layout", LAYOUTS)
@in_private_network
def test_what_the_far_end_did_not_get_is_found_lost(layout: str, transport: str) -> None:
    interface, commands = LAYOUTS[layout]
    targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + 255]), Intervals.empty(), lab=True)
    shared = Shared(Plan(small_config(senders=1), targets, CONTROL_PORT, bytes(16)))
    with cable() as peer:
        peer.run(lambda: sh(QUIET))
        sh(commands)
        if interface == "br0":  # the far end's address is known to it, so that nothing is flooded
            deadline = time.monotonic() + 10
            while "forwarding" not in sh("ip -d link show v0") and time.monotonic() < deadline:
                time.sleep(0.05)
        ring = ring_on(interface, transport)
        before = arrived(peer)
        accounts = Accounts(interface, shared)
        send(ring, shared, accounts)
        deadline = time.monotonic() + 10
        while (now := arrived(peer)) < before + FRAMES and time.monotonic() < deadline:
            time.sleep(LASTING_NS / 1e9)
            accounts.look(time.monotonic_ns())
            if arrived(peer) == now:
                break
        accounts.look(time.monotonic_ns(), last=True)
        missing = FRAMES - (arrived(peer) - before)
        assert accounts.lost == pytest.approx(missing, rel=0.02, abs=4), (layout, missing, shared.dropped[0])
        if layout == "shaped port":
            assert missing > FRAMES / 10
        ring.close()
        accounts.close()


@in_private_network
def test_frames_that_are_destroyed_for_want_of_a_carrier_are_found_lost() -> None:
    """The ring reports them as completed: only the interface's own counter knows."""
    targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + 255]), Intervals.empty(), lab=True)
    shared = Shared(Plan(small_config(senders=1), targets, CONTROL_PORT, bytes(16)))
    with cable() as peer:
        peer.run(lambda: sh(QUIET))
        sh(QUIET)
        ring = PacketTxRing("v0", LENGTH)
        before = arrived(peer)
        accounts = Accounts("v0", shared)
        send(ring, shared, accounts, 1_000)
        peer.run(lambda: sh("ip link set v1 down"))
        send(ring, shared, accounts, 1_000)
        peer.run(lambda: sh("ip link set v1 up"))
        send(ring, shared, accounts, 1_000)
        gaps = []
        deadline = time.monotonic() + 4 * LASTING_NS / 1e9
        while time.monotonic() < deadline:
            gaps += accounts.look(time.monotonic_ns())
            time.sleep(0.1)
        missing = 3_000 - (arrived(peer) - before)
        assert int(shared.completed[0]) == 3_000
        assert missing >= 1_000
        assert accounts.lost == pytest.approx(missing, rel=0.02, abs=4)
        assert sum(gap.frames for gap in gaps) == accounts.lost
        assert {gap.where for gap in gaps} == {"interface v0"}
        ring.close()
        accounts.close()
