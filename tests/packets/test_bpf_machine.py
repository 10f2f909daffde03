"""Filters run in memory decide as the kernel does, which is asked by attaching them to a socket of its own."""

import socket

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.packets.bpf_machine import loaded, passes
from liveness.packets.reply_filter import reply_filter
from liveness.replies import ERROR_TYPES, Kind
from liveness.system.bpf import RETURN, Instruction, Program, assemble, attach_filter
from tests.frames import NAMES, Scanner, sample_replies

SCANNER = Scanner()
SOURCES = [SCANNER.settings.sources[0], 0x0A000001]
PROGRAM = reply_filter(SOURCES, SCANNER.settings.port_first, SCANNER.settings.port_last, (0, *ERROR_TYPES))
GOOD = [frame for name in NAMES for _, frame in sample_replies(SCANNER, name, 0xC6336407, 0)]


def kernel_passes(program: Program, packets: list[bytes]) -> list[bool]:
    """Return which packets the kernel lets through a filter: datagrams of a socket pair have no headers before them."""
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with sender, receiver:
        attach_filter(receiver, program)
        receiver.setblocking(False)
        passed = []
        for packet in packets:
            sender.send(packet)
            try:
                passed.append(receiver.recv(1 << 16) == packet)
            except BlockingIOError:
                passed.append(False)
    return passed


def ours(program: Program, packets: list[bytes]) -> list[bool]:
    """Return the same of our machine, each packet with other bytes around it that it must not read."""
    found = []
    for packet in packets:
        memory = np.frombuffer(b"\x08\x00\x45" + packet + b"\x45" * 8, np.uint8)
        found.append(bool(passes(loaded(program), memory, 3, 3 + len(packet))))
    return found


@st.composite
def altered_replies(draw: st.DrawFn) -> bytes:
    frame = bytearray(draw(st.sampled_from(GOOD)))
    if draw(st.booleans()):
        frame[12:12] = draw(st.sampled_from([b"\x81\x00\x00\x07", b"\x88\xa8\x00\x07", b"\x81\x00\x00\x07" * 2]))
    for _ in range(draw(st.integers(0, 3))):
        frame[draw(st.integers(0, min(len(frame) - 1, 45)))] = draw(st.integers(0, 255))
    return bytes(frame[: draw(st.integers(1, len(frame)) | st.just(len(frame)))])


@given(st.lists(altered_replies() | st.binary(min_size=1, max_size=60), min_size=1, max_size=20))
def test_it_decides_as_the_kernel_does(packets: list[bytes]) -> None:
    assert ours(PROGRAM, packets) == kernel_passes(PROGRAM, packets)


def test_replies_pass_and_probes_do_not() -> None:
    probes = [SCANNER.frame(name, 0xC6336407) for name in NAMES]
    assert ours(PROGRAM, GOOD) == [True] * len(GOOD)
    assert ours(PROGRAM, probes) == [False] * len(probes)


def test_every_length_of_a_reply_is_judged_as_by_the_kernel() -> None:
    cut = [frame[:length] for frame in GOOD[:3] for length in range(1, len(frame) + 1)]
    found = ours(PROGRAM, cut)
    assert found == kernel_passes(PROGRAM, cut)
    assert {True, False} == set(found)


def test_an_instruction_it_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="no such instruction"):
        loaded([*assemble([Instruction(RETURN, 1)]), (0x07, 0, 0, 0)])


def test_the_bounds_of_the_ports_are_those_of_the_kernel() -> None:
    (reply,) = [
        bytes(frame) for kind, frame in sample_replies(SCANNER, "tcp/80", 0xC6336407, 0) if kind == Kind.SYN_ACK
    ]
    first, last = SCANNER.settings.port_first, SCANNER.settings.port_last
    ports = (first - 1, first, first + 1, last - 1, last, last + 1)
    packets = [reply[:36] + port.to_bytes(2, "big") + reply[38:] for port in ports]
    assert ours(PROGRAM, packets) == kernel_passes(PROGRAM, packets) == [False, True, True, True, True, False]
