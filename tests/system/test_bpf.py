"""The filter program against a plain predicate, in an interpreter written here and in the kernel."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from liveness.errors import UsageError
from liveness.net.rx_packet import PacketRxRing
from liveness.net.sockets import open_packet_socket
from liveness.packets.block import unpack_block
from liveness.packets.reply_filter import reply_filter
from liveness.system import bpf
from liveness.system.bpf import Instruction, Program, assemble
from tests.net.support import cable, in_private_network

OURS = [0x0A000001, 0x0A0000FE]
FIRST, LAST = 32768, 61000
ICMP_TYPES = (0, 3, 4, 5, 11, 12)
PROGRAM = reply_filter(OURS, FIRST, LAST, ICMP_TYPES)


def run(program: Program, packet: bytes) -> int:
    """Interpret a program as bpf_filter(4) describes; a load beyond the packet ends it with 0."""
    accumulator = index = position = 0
    while True:
        code, true, false, k = program[position]
        position += 1
        if code == bpf.RETURN:
            return k
        if code == bpf.JUMP:
            position += k
        elif code in (bpf.JUMP_EQUAL, bpf.JUMP_GREATER, bpf.JUMP_GREATER_EQUAL, bpf.JUMP_SET):
            outcome = {
                bpf.JUMP_EQUAL: accumulator == k,
                bpf.JUMP_GREATER: accumulator > k,
                bpf.JUMP_GREATER_EQUAL: accumulator >= k,
                bpf.JUMP_SET: bool(accumulator & k),
            }[code]
            position += true if outcome else false
        else:
            width = {bpf.LD_WORD: 4, bpf.LD_HALF: 2, bpf.LD_HALF_X: 2}.get(code, 1)
            start = k + (index if code in (bpf.LD_HALF_X, bpf.LD_BYTE_X) else 0)
            if start + width > len(packet):
                return 0
            value = int.from_bytes(packet[start : start + width], "big")
            if code == bpf.LDX_HEADER:
                index = 4 * (value & 15)
            else:
                accumulator = value


def wanted(frame: bytes) -> bool:
    """Say, without BPF, whether the filter must accept a frame."""
    kind, start = frame[12:14], 14
    if kind == b"\x81\x00":
        kind, start = frame[16:18], 18
    ip = frame[start:]
    if kind != b"\x08\x00" or len(ip) < 20 or ip[9] not in (1, 6, 17):
        return False
    if int.from_bytes(ip[16:20], "big") not in OURS:
        return False
    if int.from_bytes(ip[6:8], "big") & 0x1FFF:
        return True
    payload = ip[4 * (ip[0] & 15) :]
    if ip[9] == 1:
        return len(payload) >= 1 and payload[0] in ICMP_TYPES
    return len(payload) >= 4 and FIRST <= int.from_bytes(payload[2:4], "big") <= LAST


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Frames near the borders of what is accepted: every choice is often right and sometimes wrong."""
    options = draw(st.binary(max_size=40).filter(lambda entry: len(entry) % 4 == 0))
    protocol = draw(st.sampled_from([1, 6, 17, 47]))
    target = draw(st.sampled_from([*OURS, OURS[0] + 1, 0xFFFFFFFF]))
    fragment = draw(st.sampled_from([0, 0, 0, 0x4000, 0x2000, 1, 0x2001, 0x1FFF, 0x8000]))
    first_bytes = draw(st.sampled_from([bytes([kind]) for kind in (*ICMP_TYPES, 8, 13)])) if protocol == 1 else b""
    port = draw(st.sampled_from([0, FIRST - 1, FIRST, FIRST + 5, LAST, LAST + 1, 65535]))
    payload = first_bytes or struct.pack("!HHI", 80, port, 0)
    header = struct.pack(
        "!BBHHHBBHII", 0x45 + len(options) // 4, 0, 60, 1, fragment, 64, protocol, 0, 0x0A010203, target
    )
    tag = draw(st.sampled_from([b"", b"", b"\x81\x00\x00\x05", b"\x88\xa8\x00\x05"]))
    ethertype = draw(st.sampled_from([b"\x08\x00", b"\x08\x00", b"\x86\xdd"]))
    frame = bytes(12) + tag + ethertype + header + options + payload
    return frame[: draw(st.integers(0, len(frame)))] if draw(st.integers(0, 4)) == 0 else frame


@given(st.one_of(frames(), st.binary(max_size=80)))
def test_the_filter_accepts_exactly_what_can_be_a_reply(frame: bytes) -> None:
    assert (run(PROGRAM, frame) > 0) == wanted(frame)


@given(st.sets(st.integers(0, 0xFFFFFFFF), min_size=1, max_size=600), st.data())
def test_many_source_addresses(addresses: set[int], data: st.DataObject) -> None:
    program = reply_filter(sorted(addresses), 1, 65535, (0,))
    ours = data.draw(st.sampled_from(sorted(addresses)))
    other = data.draw(st.integers(0, 0xFFFFFFFF))
    for address in (ours, other):
        frame = bytes(12) + b"\x08\x00" + bytes.fromhex("4500001c000000004001") + bytes(6)
        assert (run(program, frame + address.to_bytes(4, "big") + b"\0") > 0) == (address in addresses)


def test_too_many_source_addresses_are_an_error_not_a_truncation() -> None:
    with pytest.raises(UsageError, match="3000 source addresses are too many"):
        reply_filter(range(3000), 1, 2, (0,))


def test_the_assembler_resolves_labels_and_refuses_bad_jumps() -> None:
    accept = Instruction(bpf.RETURN, bpf.ACCEPT)
    program = assemble([Instruction(bpf.LD_BYTE, 0), Instruction(bpf.JUMP_EQUAL, 7, "", "no"), accept, "no", accept])
    assert program == [(0x30, 0, 0, 0), (0x15, 0, 1, 7), (6, 0, 0, 0x40000), (6, 0, 0, 0x40000)]
    with pytest.raises(ValueError, match="no label 'nowhere'"):
        assemble([Instruction(bpf.JUMP, true="nowhere"), accept])
    with pytest.raises(ValueError, match="stands twice"):
        assemble(["here", accept, "here", accept])
    with pytest.raises(ValueError, match="jump back"):
        assemble(["here", accept, Instruction(bpf.JUMP_EQUAL, 1, "here")])
    with pytest.raises(ValueError, match="conditional jump of 300"):
        assemble([Instruction(bpf.JUMP_EQUAL, 1, "far"), *[accept] * 300, "far", accept])
    assert assemble([Instruction(bpf.JUMP, true="far"), *[accept] * 300, "far", accept])[0] == (5, 0, 0, 300)


@pytest.mark.lab
@in_private_network
def test_the_kernel_agrees() -> None:
    ours, other = "10.9.0.1", "10.9.0.9"
    packets = {
        "tcp in range": IP(dst=ours) / TCP(sport=80, dport=40000, flags="SA"),
        "tcp below": IP(dst=ours) / TCP(sport=80, dport=32767, flags="SA"),
        "tcp above": IP(dst=ours) / TCP(sport=80, dport=61001, flags="SA"),
        "udp with IP options": IP(dst=ours, options=b"\x01" * 8) / UDP(sport=53, dport=61000) / b"answer",
        "udp to another": IP(dst=other) / UDP(sport=53, dport=40000),
        "echo reply": IP(dst=ours) / ICMP(type=0),
        "echo request": IP(dst=ours) / ICMP(type=8),
        "unreachable": IP(dst=ours) / ICMP(type=3, code=3) / IP(dst="10.8.0.1") / UDP(),
        "second fragment": IP(dst=ours, frag=5, proto=17) / b"xxxxxxxx",
        "tagged once": Dot1Q(vlan=5) / IP(dst=ours) / ICMP(type=0),
        "tagged twice": Dot1Q(vlan=5) / Dot1Q(vlan=6) / IP(dst=ours) / ICMP(type=0),
        "gre": IP(dst=ours, proto=47) / b"xxxxxxxx",
    }
    # an outer tag is taken off by the kernel before the filter runs, so one tag in the frame means two on the wire
    accepted = ["tcp in range", "udp with IP options", "echo reply", "unreachable", "second fragment"]
    accepted += ["tagged once", "tagged twice"]
    with cable() as peer:
        rx = PacketRxRing("v0", reply_filter([0x0A090001], FIRST, LAST, ICMP_TYPES), ring_mib=4)

        def send() -> None:
            with open_packet_socket() as sender:
                sender.bind(("v1", 0))
                for packet in packets.values():
                    sender.send(bytes(Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01") / packet))

        peer.run(send)
        received = []
        while (block := rx.blocks(0.3)) is not None:
            received += [bytes(Ether(frame)[IP]) for _, frame in unpack_block(block)]
            rx.release()
        assert received == [bytes(packets[name][IP]) for name in accepted]
        assert rx.statistics().packets == len(accepted)
        rx.close()


@pytest.mark.lab
@in_private_network
def test_the_kernel_takes_filters_for_many_addresses() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        bpf.attach_filter(handle, reply_filter(range(0x0A000000, 0x0A000000 + 512), FIRST, LAST, ICMP_TYPES))
        with pytest.raises(OSError, match="Invalid argument"):
            bpf.attach_filter(handle, [(bpf.JUMP, 0, 0, 9)])
