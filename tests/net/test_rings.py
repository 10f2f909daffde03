"""The kernel's rings, end to end over veth: every frame byte for byte, back pressure, drops, and lost interfaces."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pyroute2 import IPRoute
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether

from liveness.errors import InterfaceDownError, InterfaceGoneError, LivenessError, UnsupportedError, UsageError
from liveness.net.ring import RxRing, RxStatistics, TxRing
from liveness.net.rx_packet import PacketRxRing
from liveness.net.sockets import open_packet_socket
from liveness.net.tx_packet import PacketTxRing
from liveness.net.tx_xdp import XdpTxRing
from liveness.packets.block import unpack_block
from liveness.packets.reply_filter import reply_filter
from liveness.system import seccomp
from liveness.system.child import fork, libc, run_in_child
from liveness.system.namespace import CLONE_NEWNET, Namespace
from tests.net.support import TEST_ETHERTYPE, cable, ethertype_filter, in_private_network, set_link

HEADER = bytes.fromhex("020000000002020000000001") + TEST_ETHERTYPE.to_bytes(2, "big")


@contextmanager
def inside(peer: Namespace) -> Iterator[None]:
    """Open sockets at the other end: a socket stays in the namespace it was opened in."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    peer.enter()
    try:
        yield
    finally:
        assert libc.setns(home, CLONE_NEWNET) == 0
        os.close(home)


def write_frames(ring: TxRing, first: int, count: int, number: int, lengths: NDArray[np.uint16]) -> list[bytes]:
    """Fill slots with frames whose every byte depends on the frame's number; return them."""
    numbers = np.arange(number, number + count, dtype=np.uint32)
    longest = int(lengths.max())
    rows = np.empty((count, longest), np.uint8)
    rows[:, :14] = np.frombuffer(HEADER, np.uint8)
    rows[:, 14:18] = numbers.astype(">u4")[:, None].view(np.uint8)
    rows[:, 18:] = (numbers[:, None] * 31 + np.arange(longest - 18, dtype=np.uint32)) % 251
    ring.frames[first : first + count, :longest] = rows
    return [row[: lengths[first + i]].tobytes() for i, row in enumerate(rows)]


def drain(ring: RxRing, timeout_s: float) -> list[bytes]:
    frames = []
    while (block := ring.blocks(timeout_s)) is not None:
        frames += [frame for _, frame in unpack_block(block)]
        ring.release()
    return frames


def send_and_capture(
    tx: TxRing, rx: RxRing, total: int, batch: int, pause_s: float = 0
) -> tuple[list[bytes], list[bytes]]:
    slots = len(tx.frames)
    lengths = (18 + np.arange(slots) % 100).astype(np.uint16)  # every length from 18 to 117, odd ones too
    sent: list[bytes] = []
    received: list[bytes] = []
    while len(sent) < total:
        first, count = tx.reserve(min(batch, total - len(sent)))
        if not count:
            tx.wait(0.1)
            continue
        sent += write_frames(tx, first, count, len(sent), lengths)
        tx.commit(count, lengths)
        tx.kick()
        received += drain(rx, 0)
        if pause_s:
            time.sleep(pause_s)
    assert tx.flush(5) == 0
    return sent, received + drain(rx, 0.3)


@pytest.mark.lab
@pytest.mark.parametrize("pause_s", [0.01, 0])
@in_private_network
def test_every_frame_arrives_byte_for_byte_round_the_ring(pause_s: float) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # veth keeps the order of one CPU only
    with cable() as peer:
        with inside(peer):
            rx = PacketRxRing("v1", ethertype_filter(TEST_ETHERTYPE), ring_mib=16)
        tx = PacketTxRing("v0", longest_frame=120, multiple_of=9)
        assert len(tx.frames) >= 4096
        assert len(tx.frames) % 9 == 0
        total = 3 * len(tx.frames) + 1000
        sent, received = send_and_capture(tx, rx, total, batch=300, pause_s=pause_s)
        assert received == sent
        assert (tx.completed, tx.errors) == (total, 0)
        statistics = rx.statistics()
        assert (statistics.packets, statistics.drops) == (total, 0)
        assert rx.statistics() == statistics  # read twice, counted once
        tx.close()
        rx.close()
        tx.close()
        rx.close()


@pytest.mark.lab
@in_private_network
def test_rings_in_parallel_share_the_flows_and_lose_none() -> None:
    """Packets with many ports: each arrives at one of three rings, those of a flow at the same one."""
    with cable() as peer:
        with inside(peer):
            rings = [PacketRxRing("v1", ethertype_filter(0x0800), ring_mib=4)]
            for _ in range(2):
                rings.append(PacketRxRing("v1", ethertype_filter(0x0800), ring_mib=4, shared_with=rings[0]))
        sender = open_packet_socket()
        sender.bind(("v0", 0))
        frames = [
            bytes(
                Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
                / IP(src="10.9.0.1", dst="10.9.0.9")
                / UDP(sport=port, dport=53)
                / b"12"
            )
            for port in range(1000, 1090)
        ]
        for frame in frames * 2:
            sender.send(frame)
        taken = [drain(ring, 0.3) for ring in rings]
        assert sorted(frame for frames_of_ring in taken for frame in frames_of_ring) == sorted(frames * 2)
        assert all(set(taken[i]).isdisjoint(taken[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
        assert min(map(len, taken)) > 0
        for ring in rings:
            ring.close()
        sender.close()


@pytest.mark.lab
@in_private_network
def test_a_finished_slot_may_be_rewritten_while_its_packet_waits_elsewhere() -> None:
    """The peer keeps packets for a host that answers no ARP, then quotes them: they must be as they were sent."""
    with cable() as peer:

        def route_to_nobody() -> None:
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            with IPRoute() as netlink:
                netlink.link("add", ifname="w0", kind="veth", peer="w1")
                for name in ("w0", "w1"):
                    netlink.link("set", index=netlink.link_lookup(ifname=name)[0], state="up")
                netlink.addr("add", index=netlink.link_lookup(ifname="w0")[0], address="10.8.0.1", prefixlen=24)
            Path("/proc/sys/net/ipv4/neigh/w0/retrans_time_ms").write_text("100")

        peer.run(route_to_nobody)
        rx = PacketRxRing("v0", reply_filter([0x0A090001], 1, 65535, (3,)), ring_mib=4)
        tx = PacketTxRing("v0", longest_frame=120, minimum_slots=256)
        packet = IP(src="10.9.0.1", dst="10.8.0.2", id=7) / UDP(sport=1000, dport=2000) / (b"as it was sent" * 4)
        frame = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet)
        first, count = tx.reserve(1)
        tx.frames[first, : len(frame)] = np.frombuffer(frame, np.uint8)
        tx.commit(count, np.full(len(tx.frames), len(frame), np.uint16))
        assert tx.flush(2) == 0
        assert tx.completed == 1
        tx.frames[:] = 0xFF
        (error,) = drain(rx, 2)
        assert Ether(error)[ICMP].code == 1
        assert bytes(Ether(error)[ICMP].payload)[20:] == frame[34:]
        tx.close()
        rx.close()


@pytest.mark.lab
@in_private_network
def test_a_slow_queue_is_back_pressure_and_loses_nothing() -> None:
    with cable() as peer:
        with IPRoute() as netlink:  # 8 Mbit/s with room for few frames: the queue is full most of the time
            index = netlink.link_lookup(ifname="v0")[0]
            netlink.tc("add", "tbf", index, handle="1:", rate="8mbit", burst=4000, limit=8000)
        with inside(peer):
            rx = PacketRxRing("v1", ethertype_filter(TEST_ETHERTYPE), ring_mib=4)
        tx = PacketTxRing("v0", longest_frame=120, minimum_slots=512)
        sent, received = send_and_capture(tx, rx, 2000, batch=512)
        assert sorted(received) == sent  # the queue's timer may run on another CPU, and veth has a backlog for each
        assert tx.completed == 2000
        lengths = np.full(len(tx.frames), 100, np.uint16)
        first, count = tx.reserve(400)
        write_frames(tx, first, count, 0, lengths)
        tx.commit(count, lengths)
        left = tx.flush(0)  # no time: what has not left is told
        assert left > 0
        unsent = tx.unsent().tolist()  # the queue keeps emptying, so these are the last of those that were left
        assert unsent == list(range(first, first + count))[count - len(unsent) :]
        assert len(unsent) <= left
        assert tx.flush(5) == 0
        assert tx.unsent().size == 0
        tx.close()
        rx.close()


@pytest.mark.lab
@in_private_network
def test_reserve_never_wraps_and_commit_checks() -> None:
    with cable():
        tx = PacketTxRing("v0", longest_frame=200, multiple_of=5, minimum_slots=512)
        slots = len(tx.frames)
        assert slots % 5 == 0
        lengths = np.full(slots, 60, np.uint16)
        tx.frames[:, :14] = np.frombuffer(HEADER, np.uint8)
        assert tx.reserve(slots - 10) == (0, slots - 10) == tx.reserve(slots - 10)
        tx.commit(slots - 10, lengths)
        assert tx.reserve(50) == (slots - 10, 10)
        with pytest.raises(ValueError, match="11 slots, 10 are reserved"):
            tx.commit(11, lengths)
        tx.commit(10, lengths)
        assert tx.reserve(5) == (0, 0)  # committed, not kicked: full
        assert tx.flush(2) == 0
        assert tx.reserve(5) == (0, 5)
        for wrong in (13, tx.frames.shape[1] + 1):
            with pytest.raises(ValueError, match="out of bounds"):
                tx.commit(5, np.full(slots, wrong, np.uint16))
        tx.close()


@pytest.mark.lab
@in_private_network
def test_a_frame_longer_than_the_mtu_is_reported() -> None:
    with cable(mtu=500):
        tx = PacketTxRing("v0", longest_frame=1000, minimum_slots=64)
        lengths = np.full(len(tx.frames), 900, np.uint16)
        first, count = tx.reserve(3)
        write_frames(tx, first, count, 0, lengths)
        tx.commit(count, lengths)
        with pytest.raises(LivenessError, match=r"interface v0 refuses a frame of 900 bytes.*MTU"):
            tx.kick()
        assert (tx.completed, tx.errors) == (0, 1)
        tx.close()


OpenTxRing = Callable[[str, int], TxRing]
TX_RINGS: list[OpenTxRing] = [XdpTxRing, PacketTxRing]


def commit_frames(tx: TxRing, wanted: int, number: int = 0) -> list[bytes]:
    """Commit so many frames of 60 bytes, numbered from `number`."""
    lengths = np.full(len(tx.frames), 60, np.uint16)
    first, count = tx.reserve(wanted)
    assert count == wanted
    frames = write_frames(tx, first, count, number, lengths)
    tx.commit(count, lengths)
    return frames


@pytest.mark.lab
@pytest.mark.parametrize("open_ring", TX_RINGS)
@in_private_network
def test_an_interface_that_is_removed_in_mid_run_is_gone(open_ring: OpenTxRing) -> None:
    with cable():
        tx = open_ring("v0", 100)
        rx = PacketRxRing("v0", ethertype_filter(TEST_ETHERTYPE), ring_mib=4)
        with IPRoute() as netlink:
            netlink.link("del", index=netlink.link_lookup(ifname="v0")[0])
        commit_frames(tx, 3)
        with pytest.raises(InterfaceGoneError, match=r"interface v0: .*it was removed"):
            tx.kick()
        assert tx.unsent().tolist() == [0, 1, 2]
        with pytest.raises(InterfaceGoneError, match=r"interface v0: .*it was removed"):
            rx.blocks(0.1)
        tx.close()
        rx.close()


@pytest.mark.lab
@pytest.mark.parametrize("open_ring", TX_RINGS)
@in_private_network
def test_an_interface_that_is_down_is_a_pause(open_ring: OpenTxRing) -> None:
    """Frames committed meanwhile keep their slots; they leave, and the receive ring fills, when it is up again."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with cable() as peer:
        with inside(peer):
            far_tx = PacketTxRing("v1", 100)
            far_rx = PacketRxRing("v1", ethertype_filter(TEST_ETHERTYPE), ring_mib=4)
        tx = open_ring("v0", 100)
        rx = PacketRxRing("v0", ethertype_filter(TEST_ETHERTYPE), ring_mib=4)
        sent = commit_frames(tx, 5)
        tx.kick()
        for flap in (1, 2):
            set_link("v0", "down")
            sent += commit_frames(tx, 10, number=len(sent))
            for _ in range(2):
                with pytest.raises(InterfaceDownError, match=r"interface v0: Network is down: .*ip link set v0 up"):
                    tx.kick()
            assert tx.unsent().tolist() == list(range(len(sent) - 10, len(sent)))
            assert rx.blocks(0.05) is None
            set_link("v0", "up")
            assert tx.flush(2) == 0
            assert (tx.completed, tx.errors) == (len(sent), 0)
            back = commit_frames(far_tx, 3, number=flap)
            assert far_tx.flush(2) == 0
            assert drain(rx, 0.3) == back
        assert drain(far_rx, 0.3) == sent
        for ring in (tx, rx, far_tx, far_rx):
            ring.close()


@pytest.mark.lab
@in_private_network
def test_the_receive_ring_filters_and_counts_drops() -> None:
    with cable() as peer:
        with inside(peer):
            rx = PacketRxRing("v1", ethertype_filter(TEST_ETHERTYPE), ring_mib=1)
        assert rx.blocks(0) is None
        with pytest.raises(ValueError, match="no block"):
            rx.release()
        with open_packet_socket() as sender:
            sender.bind(("v0", 0))
            frame = HEADER + bytes(1400)
            other = frame[:12] + b"\x88\xb6" + bytes(1400)
            for _ in range(900):  # 900 * 1.4 kB into 1 MiB that nobody empties
                sender.send(frame)
                sender.send(other)
        assert rx.blocks(1) is not None
        statistics = rx.statistics()
        assert statistics.packets == 900
        assert 100 < statistics.drops < 900
        assert statistics.freezes == 1
        assert len(drain(rx, 0.1)) == statistics.packets - statistics.drops
        rx.close()


@pytest.mark.lab
@in_private_network
def test_what_came_while_nobody_read_can_be_forgotten() -> None:
    """Neither the frames in filled blocks nor those that had no room are seen or counted afterwards."""
    with cable() as peer:
        with inside(peer):
            rx = PacketRxRing("v1", ethertype_filter(TEST_ETHERTYPE), ring_mib=1)
        frame = HEADER + bytes(1400)
        with open_packet_socket() as sender:
            sender.bind(("v0", 0))
            for _ in range(900):
                sender.send(frame)
            assert rx.blocks(5) is not None
            rx.forget()
            assert rx.statistics() == RxStatistics(0, 0, 0)
            for _ in range(7):
                sender.send(frame)
        received: list[bytes] = []
        while len(received) < 7:
            received += drain(rx, 1)
        assert len(received) == 7
        statistics = rx.statistics()  # a ring of one block freezes whenever the block is filled
        assert (statistics.packets, statistics.drops) == (7, 0)
        rx.close()


@pytest.mark.lab
@in_private_network
def test_a_packet_has_its_time_of_arrival_in_every_ring() -> None:
    """Two rings get each packet one after the other; its time is of neither of those moments."""
    with cable() as peer:
        with inside(peer):
            rings = [PacketRxRing("v1", ethertype_filter(TEST_ETHERTYPE), ring_mib=2) for _ in range(2)]
        sender = open_packet_socket()
        sender.bind(("v0", 0))
        before_ns = time.time_ns()
        for number in range(100):
            sender.send(bytes(12) + TEST_ETHERTYPE.to_bytes(2, "big") + number.to_bytes(46, "big"))
        after_ns = time.time_ns()
        times = []
        for ring in rings:
            seen: list[int] = []
            while (block := ring.blocks(0.3)) is not None:
                seen += [time_ns for time_ns, _ in unpack_block(block)]
                ring.release()
            times.append(seen)
            ring.close()
        sender.close()
        assert len(times[0]) == 100
        assert times[0] == times[1] == sorted(times[0])
        assert before_ns <= times[0][0] <= times[0][-1] <= after_ns


@pytest.mark.lab
@in_private_network
def test_our_own_frames_do_not_come_back() -> None:
    with cable():
        rx = PacketRxRing("v0", ethertype_filter(TEST_ETHERTYPE), ring_mib=4)
        with open_packet_socket() as sender:
            sender.bind(("v0", 0))
            sender.send(HEADER + bytes(50))
        assert rx.blocks(0.2) is None
        assert rx.statistics().packets == 0
        rx.close()


@pytest.mark.lab
@in_private_network
def test_unknown_interfaces_are_named_with_those_that_exist() -> None:
    with pytest.raises(UsageError, match="no interface 'eth7' here: name one of lo"):
        PacketTxRing("eth7", longest_frame=100)
    with pytest.raises(UsageError, match="no interface 'eth7' here: name one of lo"):
        PacketRxRing("eth7", ethertype_filter(TEST_ETHERTYPE), ring_mib=4)


@pytest.mark.lab
def test_without_privilege_the_remedy_is_named() -> None:
    def unprivileged() -> socket.socket:
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 65534)
        return open_packet_socket()

    with pytest.raises(UnsupportedError, match=r"raw sockets need CAP_NET_RAW: .*setcap cap_net_raw\+ep"):
        run_in_child(unprivileged)


@pytest.mark.lab
@in_private_network
def test_a_confined_receiver_knows_a_down_interface_from_one_that_was_removed() -> None:
    """It may open no socket to ask: the one that it has says which interface it is bound to."""

    def receive(ring: PacketRxRing, writer: int) -> None:
        libc.prctl(38, 1, 0, 0, 0)  # no_new_privs
        seccomp.confine([ring.fileno()])
        try:
            while True:
                assert ring.blocks(0.1) is None
                os.write(writer, b".")
        except InterfaceGoneError:
            os.write(writer, b"gone")

    with cable() as peer:
        ring = PacketRxRing("v0", ethertype_filter(TEST_ETHERTYPE), ring_mib=1)
        reader, writer = os.pipe()
        pid = fork()
        if pid == 0:
            try:
                receive(ring, writer)
            finally:
                os._exit(0)
        os.close(writer)
        set_link("v0", "down")
        for _ in range(10):
            assert os.read(reader, 1) == b"."
        del peer
        with IPRoute() as netlink:
            netlink.link("del", index=netlink.link_lookup(ifname="v0")[0])
        with os.fdopen(reader, "rb") as stream:
            assert stream.read().lstrip(b".") == b"gone"
        os.waitpid(pid, 0)
