"""Capture by an XDP program: the same packets as a packet socket, exact counts, and what goes on to the stack."""

import ctypes
import os
import signal
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroute2 import IPRoute
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.packet import Packet

from liveness.errors import InterfaceGoneError, LivenessError, UnsupportedError
from liveness.net import capture_layout as layout
from liveness.net import capture_program, rx_xdp, xdp_capture
from liveness.net.links import find_link
from liveness.net.receiving import PACKET, XDP, check_capture, open_receiving
from liveness.net.ring import RxRing, RxStatistics
from liveness.net.rx_packet import PacketRxRing
from liveness.net.rx_xdp import XdpRxRing, open_xdp_rings
from liveness.net.sockets import interface_index, open_packet_socket
from liveness.net.tx_packet import PacketTxRing
from liveness.net.xdp_program import attach_pass_program, program_attached
from liveness.packets import block as blk
from liveness.packets.block import BLOCK_HEADER_BYTES, unpack_block
from liveness.packets.reply_filter import reply_filter
from liveness.system import ebpf
from liveness.system.bpf import Program
from liveness.system.child import fork, libc
from liveness.system.namespace import Namespace
from tests.net.support import TEST_ETHERTYPE, cable, ethertype_filter, in_network_of_root, in_private_network, set_link
from tests.net.test_rings import drain, inside, send_and_capture
from tests.system.test_bpf import FIRST, ICMP_TYPES, LAST, OURS, frames, run, wanted

pytestmark = pytest.mark.lab

HERE, THERE = "10.9.0.1", "10.9.0.2"
REPLIES = reply_filter([0x0A090001], FIRST, LAST, ICMP_TYPES)
TO_HERE = Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01")
PATIENCE_S = 30.0

MIXED: dict[str, Packet] = {
    "SYN-ACK": IP(src=THERE, dst=HERE) / TCP(sport=80, dport=40000, flags="SA", seq=7, ack=9),
    "RST": IP(src=THERE, dst=HERE) / TCP(sport=81, dport=40000, flags="RA"),
    "RST with IP options": IP(src=THERE, dst=HERE, options=b"\x01" * 8) / TCP(sport=82, dport=40000, flags="R"),
    "data": IP(src=THERE, dst=HERE) / TCP(sport=83, dport=40000, flags="PA") / (b"data" * 300),
    "below the ports": IP(src=THERE, dst=HERE) / TCP(sport=80, dport=32767, flags="SA"),
    "above the ports": IP(src=THERE, dst=HERE) / UDP(sport=53, dport=61001),
    "datagram": IP(src=THERE, dst=HERE) / UDP(sport=53, dport=61000) / b"answer",
    "to another": IP(src=THERE, dst="10.9.0.9") / UDP(sport=53, dport=40000),
    "echo reply": IP(src=THERE, dst=HERE) / ICMP(type=0, id=5),
    "echo request": IP(src=THERE, dst=HERE) / ICMP(type=8),
    "unreachable": IP(src=THERE, dst=HERE) / ICMP(type=3, code=4) / IP(src=HERE, dst="10.8.0.1") / UDP(sport=40000),
    "first fragment": IP(src=THERE, dst=HERE, flags="MF") / UDP(sport=53, dport=40000) / bytes(24),
    "second fragment": IP(src=THERE, dst=HERE, frag=5, proto=17) / b"xxxxxxxx",
    "tagged": Dot1Q(vlan=5, prio=3) / IP(src=THERE, dst=HERE) / UDP(sport=53, dport=40001) / b"tagged",
    "tagged with 802.1ad": Dot1AD(vlan=6) / IP(src=THERE, dst=HERE) / ICMP(type=0),
    "tagged twice": Dot1Q(vlan=5) / Dot1Q(vlan=6) / IP(src=THERE, dst=HERE) / UDP(sport=53, dport=40002) / b"twice",
    "tagged three times": Dot1Q(vlan=5) / Dot1Q(vlan=6) / Dot1Q(vlan=7) / IP(src=THERE, dst=HERE) / ICMP(type=0),
    "GRE": IP(src=THERE, dst=HERE, proto=47) / b"xxxxxxxx",
    "largest": IP(src=THERE, dst=HERE) / UDP(sport=53, dport=40003) / bytes(1472),
}


class Seen(NamedTuple):
    """Packet as a ring describes it."""

    frame: bytes
    length: int
    status: int
    tag: bytes
    time_ns: int


def described(ring: RxRing, count: int) -> list[Seen]:
    """Return what a ring says of `count` packets, for which it waits, and of any that come after them."""
    deadline = time.monotonic() + PATIENCE_S
    found: list[Seen] = []
    while True:
        block = ring.blocks(0.2)
        if block is None:
            if len(found) >= count or time.monotonic() > deadline:
                return found
            continue
        at = blk.first_packet(block)
        for time_ns, frame in unpack_block(block):
            status = blk.packet_status(block, at) & (blk.TP_STATUS_VLAN_VALID | blk.TP_STATUS_VLAN_TPID_VALID)
            tag = block[at + blk.PACKET_VLAN_TCI : at + blk.PACKET_VLAN_TPID + 2].tobytes()
            found.append(Seen(frame, blk.wire_length(block, at), status, tag, time_ns))
            at = blk.next_packet(block, at)
        ring.release()


def arrived(ring: RxRing, count: int) -> list[bytes]:
    """Return `count` frames, for which it waits, and any that come after them."""
    return [entry.frame for entry in described(ring, count)]


def await_packets(ring: XdpRxRing, count: int) -> None:
    """Wait until so many packets have passed the filter, read or not."""
    deadline = time.monotonic() + PATIENCE_S
    while ring.statistics().packets < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def send(frames_to_send: Sequence[bytes], interface: str = "v1") -> None:
    """Send frames by a packet socket of this namespace."""
    with open_packet_socket() as sender:
        sender.bind((interface, 0))
        for frame in frames_to_send:
            sender.send(frame)


@contextmanager
def opened(
    program: Program = REPLIES, *, receivers: int = 1, ring_mib: int = 2
) -> Iterator[tuple[list[XdpRxRing], Namespace]]:
    """Yield rings on `v0`, and the other end's namespace."""
    with cable() as peer:
        rings = open_xdp_rings("v0", program, ring_mib, receivers)
        try:
            yield rings, peer
        finally:
            for ring in rings:
                ring.close()
                ring.close()


@in_network_of_root
def test_the_same_packets_as_from_a_packet_socket() -> None:
    """Bytes, order, lengths and VLAN tags; the times are those of the same arrival."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # veth keeps the order of one CPU only
    with opened() as ((ring,), peer):
        socket_ring = PacketRxRing("v0", REPLIES, ring_mib=4)
        sent = [bytes(TO_HERE / packet) for packet in MIXED.values()]
        before_ns = time.time_ns()
        peer.run(lambda: send(sent * 3))
        count = 3 * sum(wanted_on_the_wire(frame) for frame in sent)
        ours, theirs = described(ring, count), described(socket_ring, count)
        after_ns = time.time_ns()
        assert [entry[:-1] for entry in ours] == [entry[:-1] for entry in theirs]
        assert len(ours) == count
        times = [entry.time_ns for entry in ours]
        assert times == sorted(times)
        assert before_ns - 1_000_000 <= times[0]
        assert times[-1] <= after_ns + 1_000_000
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.time_ns <= other.time_ns + 1_000_000  # the driver comes before the socket
        assert ring.statistics() == RxStatistics(count, 0, 0)
        socket_ring.close()


def without_tag(frame: bytes) -> bytes:
    """Return a frame as a packet socket sees it."""
    return frame[:12] + frame[16:] if frame[12:14] in (b"\x81\x00", b"\x88\xa8") else frame


def wanted_on_the_wire(frame: bytes) -> bool:
    """Return whether a frame must be captured, whose outer tag the kernel takes out first."""
    return run(REPLIES, without_tag(frame)) > 0


@in_network_of_root
def test_every_frame_arrives_byte_for_byte_and_in_order_round_the_ring() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with cable() as peer:
        with inside(peer):
            (rx,) = open_xdp_rings("v1", ethertype_filter(TEST_ETHERTYPE), ring_mib=1)
        tx = PacketTxRing("v0", longest_frame=120, multiple_of=9)
        total = 40_000
        sent, received = send_and_capture(tx, rx, total, batch=300)
        assert received == sent
        assert total * 150 > 2 * len(rx.mappings[1])  # twice round the ring at least
        assert rx.statistics() == RxStatistics(total, 0, 0)
        tx.close()
        rx.close()


@in_network_of_root
def test_drops_are_counted_exactly_and_reading_goes_on_afterwards() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with opened(ring_mib=1) as ((ring,), peer):
        frame = bytes(TO_HERE / MIXED["largest"])
        per_block = len(range(BLOCK_HEADER_BYTES, layout.LAST_START + 1, -(-(blk.FRAME_AT + len(frame)) // 8) * 8))
        total = 0
        for round_number, blocks in ((1, xdp_capture.FEWEST_BLOCKS), (2, xdp_capture.FEWEST_BLOCKS - 1)):
            room = per_block * blocks  # in the second round the block before it is still the program's
            sent = [frame[:-4] + number.to_bytes(4, "big") for number in range(room + 100)]
            peer.run(partial(send, sent))
            total += len(sent)
            await_packets(ring, total)
            assert arrived(ring, room) == sent[:room]
            assert ring.statistics() == RxStatistics(total, round_number * 100, round_number)
        send_one = bytes(TO_HERE / MIXED["echo reply"])
        peer.run(lambda: send([send_one]))
        assert arrived(ring, 1) == [send_one]


@in_network_of_root
def test_what_came_before_is_forgotten_and_what_comes_afterwards_is_counted() -> None:
    with opened() as ((ring,), peer):
        frame = bytes(TO_HERE / MIXED["echo reply"])
        peer.run(lambda: send([frame] * 5))
        assert len(arrived(ring, 5)) == 5
        peer.run(lambda: send([frame] * 3))
        await_packets(ring, 8)
        ring.forget()
        assert ring.statistics() == RxStatistics(5, 0, 0)
        peer.run(lambda: send([frame] * 2))
        assert len(arrived(ring, 2)) == 2
        assert ring.statistics() == RxStatistics(7, 0, 0)
        with pytest.raises(ValueError, match="no block"):
            ring.release()


@in_network_of_root
def test_the_stack_sees_every_packet() -> None:
    """A packet socket sees what goes on to the stack. All of it is captured all the same."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with opened() as ((ring,), peer):
        accepted = reply_filter([0x0A090001, 0x0A090009], 1, 65535, (0, 3, 8))
        stack = PacketRxRing("v0", accepted, ring_mib=4)
        sent = {name: bytes(TO_HERE / packet) for name, packet in MIXED.items()}
        peer.run(lambda: send(list(sent.values())))
        count = sum(wanted_on_the_wire(frame) for frame in sent.values())
        assert len(arrived(ring, count)) == count
        expected = [frame for frame in map(without_tag, sent.values()) if run(accepted, frame) > 0]
        assert len(expected) == len(MIXED) - 2  # GRE, and a second tag left in
        assert arrived(stack, len(expected)) == expected
        stack.close()


@in_network_of_root
def test_the_kernel_still_closes_what_answers_a_probe_and_answers_pings() -> None:
    with opened() as ((ring,), peer):
        with inside(peer):
            far = PacketRxRing("v1", ethertype_filter(0x0800), ring_mib=2)
        peer.run(lambda: send([bytes(TO_HERE / MIXED["SYN-ACK"]), bytes(TO_HERE / MIXED["echo request"])]))
        found = [Ether(entry.frame)[IP] for entry in described(far, 2)]
        (reset,) = (packet[TCP] for packet in found if TCP in packet)
        assert (reset.flags, reset.seq, reset.dport) == ("R", 9, 80)
        assert [packet[ICMP].type for packet in found if ICMP in packet] == [0]
        assert len(arrived(ring, 1)) == 1
        far.close()


@in_network_of_root
def test_each_receiver_has_the_packets_of_its_cpus() -> None:
    cpus = sorted(os.sched_getaffinity(0))
    with opened(receivers=3) as (rings, peer):
        frame = bytes(TO_HERE / MIXED["echo reply"])

        def send_from_each() -> None:
            for cpu in cpus:
                os.sched_setaffinity(0, {cpu})  # veth receives on the CPU that sends
                send([frame[:-1] + bytes([cpu])] * (1 + cpu))

        peer.run(send_from_each)
        for number, ring in enumerate(rings):
            await_packets(ring, sum(1 + cpu for cpu in cpus if cpu % 3 == number))
        taken = [drain(ring, 0.2) for ring in rings]
        assert sum(map(len, taken)) == sum(1 + cpu for cpu in cpus)
        assert [ring.statistics().packets for ring in rings] == [len(found) for found in taken]
        for cpu in cpus:
            assert taken[cpu % 3].count(frame[:-1] + bytes([cpu])) == 1 + cpu


@in_network_of_root
def test_packets_on_a_cpu_that_came_online_later_are_counted_as_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) == 1:
        cpus = [0]
    monkeypatch.setattr(xdp_capture, "cpu_count", lambda: cpus[-1])
    if cpus[-1] == 0:
        return
    with opened() as ((ring,), peer):
        frame = bytes(TO_HERE / MIXED["echo reply"])

        def send_from_the_last() -> None:
            os.sched_setaffinity(0, {cpus[-1]})
            send([frame] * 4)

        peer.run(send_from_the_last)
        await_packets(ring, 4)
        assert drain(ring, 0.2) == []
        assert ring.statistics() == RxStatistics(4, 4, 0)


@in_network_of_root
def test_the_program_is_removed_with_the_last_process_that_has_a_ring() -> None:
    with cable() as peer:
        index = interface_index("v0")
        assert not program_attached(index)
        first, second = open_xdp_rings("v0", REPLIES, 2, 2)
        pid = fork()
        if pid == 0:
            time.sleep(PATIENCE_S)
            os._exit(0)
        first.close()
        second.close()
        assert program_attached(index)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        deadline = time.monotonic() + PATIENCE_S
        while program_attached(index) and time.monotonic() < deadline:  # the kernel closes descriptors a little later
            time.sleep(0.01)
        assert not program_attached(index)
        assert peer.pid


@in_network_of_root
def test_an_interface_that_goes_down_receives_again_and_one_that_is_removed_is_an_error() -> None:
    with opened() as ((ring,), peer):
        frame = bytes(TO_HERE / MIXED["echo reply"])
        set_link("v0", "down")
        assert ring.blocks(0.05) is None
        set_link("v0", "up")
        deadline = time.monotonic() + PATIENCE_S
        while ring.statistics().packets == 0:  # the other end sends when it has seen that the link is up
            assert time.monotonic() < deadline
            peer.run(lambda: send([frame]))
            time.sleep(0.05)
        assert arrived(ring, 1)[0] == frame
        with IPRoute() as netlink:
            netlink.link("del", index=interface_index("v0"))
        with pytest.raises(InterfaceGoneError, match="interface v0: No such device: it was removed"):
            ring.blocks(0.05)


@in_network_of_root
def test_packets_are_stamped_with_the_time_of_day_after_it_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    with opened() as ((ring,), peer):
        frame = bytes(TO_HERE / MIXED["echo reply"])
        for shift_ns in (0, 3_000_000_000, -7_500_000_000):
            offset_ns, _ = xdp_capture.clock_offset()
            with monkeypatch.context() as patch:
                patch.setattr(rx_xdp, "clock_offset", lambda offset_ns=offset_ns + shift_ns: (offset_ns, 1000))
                assert ring.blocks(0) is None
                before_ns = time.time_ns()
                peer.run(lambda: send([frame]))
                ((*_, time_ns),) = described(ring, 1)
                assert before_ns - 1_000_000 <= time_ns - shift_ns <= time.time_ns() + 1_000_000


@in_network_of_root
def test_another_program_is_left_as_it_is() -> None:
    with cable():
        index = interface_index("v0")
        other = attach_pass_program("v0", index)
        with pytest.raises(UnsupportedError, match=r"by XDP on v0: another XDP program .* receive\.capture: packet"):
            open_xdp_rings("v0", REPLIES)
        with pytest.raises(UnsupportedError, match="by XDP on v0: another XDP program"):
            check_capture(find_link("v0"), XDP)
        check_capture(find_link("v0"), PACKET)
        assert program_attached(index)
        os.close(other)
        check_capture(find_link("v0"), XDP)
        assert not program_attached(index)
        with pytest.raises(UnsupportedError, match="by XDP on lo: its driver runs no XDP programs"):
            open_xdp_rings("lo", REPLIES)


@in_network_of_root
def test_frames_too_long_for_xdp_are_refused_with_a_reason() -> None:
    with cable(mtu=9000), pytest.raises(UnsupportedError, match="by XDP on v0: its MTU is too large"):
        open_xdp_rings("v0", REPLIES)


@in_private_network
def test_without_privileges_it_is_refused_with_a_reason() -> None:
    with cable(), pytest.raises(UnsupportedError, match="CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"):
        open_xdp_rings("v0", REPLIES)


@in_network_of_root
def test_either_capture_can_be_chosen() -> None:
    with cable():
        for chosen, name in (("auto", PACKET), ("packet", PACKET), ("xdp", XDP)):
            receiving = open_receiving("v0", REPLIES, 2, 12, chosen)
            assert receiving.name == name
            assert len(receiving.rings) == 2
            held = {id(mapping): len(mapping) for ring in receiving.rings for mapping in ring.mappings}
            assert sum(held.values()) > 12 << 20  # the memory of two receivers
            for ring in receiving.rings:
                ring.close()
        with pytest.raises(UnsupportedError, match="no Ethernet header"):
            open_receiving("v0", REPLIES, 1, 2, "xdp", ethernet=False)


class Machine:
    """The program of a filter, which the kernel runs on packets from memory (BPF_PROG_RUN)."""

    def __init__(self, program: Program, count: int = 8) -> None:
        self._cpu = min(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {self._cpu})
        cpus = self._cpu + 1
        control, self._control_memory = ebpf.mapped_array(layout.FIELDS_BYTES * cpus)
        blocks, self._block_memory = ebpf.mapped_array(layout.BLOCK_BYTES, elements=cpus * count)
        fields = np.frombuffer(self._control_memory, np.int64, layout.FIELDS_BYTES // 8 * cpus).reshape(cpus, -1)
        memory = np.frombuffer(self._block_memory, np.uint8, cpus * count * layout.BLOCK_BYTES)
        rows = memory.reshape(cpus, count, -1)
        xdp_capture.prepare(fields, rows)
        code = capture_program.capture_program(program, control, blocks, cpus, count)
        self._program = ebpf.load_program(ebpf.XDP, code)
        self._ring = rx_xdp.CpuRing(fields[self._cpu], rows[self._cpu])

    def run(self, frame: bytes) -> tuple[int, list[bytes]]:
        """Return the verdict on a frame, and what was captured."""
        data = ctypes.create_string_buffer(frame, len(frame))
        attributes = struct.pack("=IIIIQQII", self._program, 0, len(frame), 0, ctypes.addressof(data), 0, 1, 0)
        memory = ctypes.create_string_buffer(attributes, ebpf.ATTRIBUTE_BYTES)
        number = ebpf.SYS_BPF[os.uname().machine]
        assert libc.syscall(number, ebpf.BPF_PROG_RUN, memory, len(memory)) == 0
        (verdict,) = struct.unpack_from("=I", memory.raw, 4)
        taken = self._ring.take(partial=True)
        if taken is None:
            return verdict, []
        captured = [found for _, found in unpack_block(taken.block)]
        self._ring.release(taken)
        return verdict, captured


@st.composite
def on_the_wire(draw: st.DrawFn) -> bytes:
    """Frames near the borders of what is accepted, some of them behind one more tag."""
    frame = draw(frames())
    tag = draw(st.sampled_from([b"", b"", b"\x81\x00\x60\x07", b"\x88\xa8\x00\x07"]))
    frame = frame[:12].ljust(12, b"\0") + tag + frame[12:]
    return frame.ljust(14, b"\0")


@in_network_of_root
def test_the_program_captures_what_the_filter_accepts_and_drops_nothing() -> None:
    machine = Machine(reply_filter(OURS, FIRST, LAST, ICMP_TYPES))

    @settings(max_examples=400, deadline=None, database=None)
    @given(st.one_of(on_the_wire(), st.binary(min_size=14, max_size=80)))
    def compare(frame: bytes) -> None:
        seen = without_tag(frame)
        assert machine.run(frame) == (capture_program.XDP_PASS, [seen] if wanted(seen) else [])

    compare()


@in_network_of_root
def test_a_filter_of_many_addresses_is_taken() -> None:
    machine = Machine(reply_filter(range(0x0A000000, 0x0A000100), FIRST, LAST, ICMP_TYPES))
    for host, accepted in ((0, True), (255, True), (256, False)):
        packet = Ether() / IP(dst=f"10.0.{host >> 8}.{host & 255}") / UDP(dport=40000)
        assert machine.run(bytes(packet)) == (capture_program.XDP_PASS, [bytes(packet)] if accepted else [])


def test_a_timer_that_cannot_be_had_is_an_error_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rx_xdp, "libc", SimpleNamespace(timerfd_create=lambda *_: -1))
    with pytest.raises(LivenessError, match="a timer"):
        rx_xdp.open_timer(1)
