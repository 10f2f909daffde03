"""Owns classic BPF: a small assembler with labels, and the program that lets only possible replies into the ring.

Instruction set: McCanne and Jacobson 1993, and Documentation/networking/filter.rst of the kernel.
"""

import ctypes
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from liveness.errors import UsageError

LD_WORD = 0x20
LD_HALF = 0x28
LD_BYTE = 0x30
LD_HALF_X = 0x48
LD_BYTE_X = 0x50
LDX_HEADER = 0xB1
"""X = 4 * (byte at k & 15): the length of the IPv4 header at k."""
JUMP = 0x05
JUMP_EQUAL = 0x15
JUMP_GREATER = 0x25
JUMP_GREATER_EQUAL = 0x35
JUMP_SET = 0x45
RETURN = 0x06

ACCEPT = 0x40000
"""Returned for a packet that is taken: capture up to this many bytes."""
DROP = 0

SO_ATTACH_FILTER = 26
MAX_INSTRUCTIONS = 4096
FARTHEST_CONDITIONAL_JUMP = 255
ADDRESSES_A_RUN = 100

PROTOCOL_ICMP = 1
PROTOCOL_TCP = 6
PROTOCOL_UDP = 17
ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_VLAN = 0x8100
FRAGMENT_OFFSET = 0x1FFF


Program = list[tuple[int, int, int, int]]
"""Assembled instructions (code, jump if true, jump if false, k), jumps counted from the next instruction."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction; a jump names labels, the empty name being the next instruction."""

    code: int
    k: int = 0
    true: str = ""
    false: str = ""


def assemble(source: Sequence[Instruction | str]) -> Program:
    """Turn instructions and labels (plain strings, each naming the instruction after it) into a program.

    JUMP goes to its `true` label. ValueError for an unknown or doubled label, a jump back, or one too far.
    """
    labels: dict[str, int] = {}
    instructions: list[Instruction] = []
    for item in source:
        if isinstance(item, str):
            if item in labels:
                raise ValueError(f"label {item!r} stands twice")
            labels[item] = len(instructions)
        else:
            instructions.append(item)
    if len(instructions) > MAX_INSTRUCTIONS:
        raise ValueError(f"{len(instructions)} instructions: the kernel takes {MAX_INSTRUCTIONS}")

    program: Program = []
    for position, one in enumerate(instructions):
        if one.code == JUMP:
            program.append((one.code, 0, 0, _distance(labels, position, one.true)))
            continue
        true, false = _distance(labels, position, one.true), _distance(labels, position, one.false)
        if max(true, false) > FARTHEST_CONDITIONAL_JUMP:
            raise ValueError(f"a conditional jump of {max(true, false)} instructions: 8 bits hold 255")
        program.append((one.code, true, false, one.k))
    return program


def _distance(labels: dict[str, int], position: int, label: str) -> int:
    """Return how many instructions a jump at `position` skips to reach `label`; none for the empty label."""
    if not label:
        return 0
    if label not in labels:
        raise ValueError(f"no label {label!r}")
    jump = labels[label] - position - 1
    if jump < 0:
        raise ValueError(f"a jump back to {label!r}: BPF has no loops")
    return jump


def reply_filter(
    local_addresses: Sequence[int],
    port_first: int,
    port_last: int,
    icmp_types: Sequence[int],
    *,
    ethernet: bool = True,
) -> Program:
    """Return the program that accepts what can be a reply to a probe, and drops everything else.

    Accepted are Ethernet frames of IPv4, bare or behind one 802.1Q tag, to one of `local_addresses` (host order), that
    hold TCP or UDP to a port from `port_first` to `port_last`, ICMP of one of `icmp_types`, or any fragment of these
    protocols but the first (it has no ports; it is let in to be counted). A packet too short to tell is dropped.
    Without `ethernet` packets begin with their IP header, as those of an interface without Ethernet do.
    """
    addresses, types = sorted(set(local_addresses)), sorted(set(icmp_types))
    starts = (14, 18) if ethernet else (0,)
    source = _find_ipv4() if ethernet else _check_ipv4()
    for ip in starts:
        source += _ipv4(ip, addresses, port_first, port_last, types)
    try:
        return assemble(source)
    except ValueError as error:
        raise UsageError(f"{len(local_addresses)} source addresses are too many for one filter: {error}") from error


def _check_ipv4() -> list[Instruction | str]:
    """Return the part that drops what is not IPv4 where the IP header comes first."""
    return [
        Instruction(LD_BYTE, 0),
        Instruction(JUMP_GREATER_EQUAL, 0x40, "", "drop here"),
        Instruction(JUMP_GREATER, 0x4F, "drop here", "version 4"),
        "drop here",
        Instruction(RETURN, DROP),
        "version 4",
    ]


def _find_ipv4() -> list[Instruction | str]:
    """Return the part that drops what is not IPv4, and finds the IP header behind Ethernet and at most one tag."""
    return [
        Instruction(LD_HALF, 12),
        Instruction(JUMP_EQUAL, ETHERTYPE_IPV4, "bare"),
        Instruction(JUMP_EQUAL, ETHERTYPE_VLAN, "", "drop here"),
        Instruction(LD_HALF, 16),
        Instruction(JUMP_EQUAL, ETHERTYPE_IPV4, "tagged"),
        "drop here",
        Instruction(RETURN, DROP),
        "tagged",
        Instruction(JUMP, true="ip 18"),
        "bare",
    ]


def _ipv4(
    ip: int, addresses: Sequence[int], port_first: int, port_last: int, icmp_types: Sequence[int]
) -> list[Instruction | str]:
    """Return the part that judges an IPv4 packet whose header begins at byte `ip` of the frame."""
    ours, drop, accept, icmp, first = (f"{name} {ip}" for name in ("ours", "drop", "accept", "icmp", "first"))
    source: list[Instruction | str] = [f"ip {ip}", Instruction(LD_WORD, ip + 16)]
    for start in range(0, len(addresses), ADDRESSES_A_RUN):  # in runs, because a conditional jump reaches 255 far
        hit, missed = f"hit {ip} {start}", f"missed {ip} {start}"
        source += [Instruction(JUMP_EQUAL, one, hit) for one in addresses[start : start + ADDRESSES_A_RUN]]
        source += [Instruction(JUMP, true=missed), hit, Instruction(JUMP, true=ours), missed]
    source += [Instruction(RETURN, DROP), ours, Instruction(LD_BYTE, ip + 9)]
    known = f"known {ip}"
    source += [
        Instruction(JUMP_EQUAL, PROTOCOL_TCP, known),
        Instruction(JUMP_EQUAL, PROTOCOL_UDP, known),
        Instruction(JUMP_EQUAL, PROTOCOL_ICMP, known, drop),
        known,
        Instruction(LD_HALF, ip + 6),
        Instruction(JUMP_SET, FRAGMENT_OFFSET, accept, first),
        first,
        Instruction(LDX_HEADER, ip),
        Instruction(LD_BYTE, ip + 9),
        Instruction(JUMP_EQUAL, PROTOCOL_ICMP, icmp),
        Instruction(LD_HALF_X, ip + 2),  # the destination port
        Instruction(JUMP_GREATER_EQUAL, port_first, "", drop),
        Instruction(JUMP_GREATER, port_last, drop, accept),
        icmp,
        Instruction(LD_BYTE_X, ip),
    ]
    source += [Instruction(JUMP_EQUAL, one, accept) for one in icmp_types]
    source += [drop, Instruction(RETURN, DROP), accept, Instruction(RETURN, ACCEPT)]
    return source


def attach_filter(handle: socket.socket, program: Program) -> None:
    """Attach a program to a socket: the kernel checks it and runs it on every packet. OSError if it is refused."""
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    memory = ctypes.create_string_buffer(code, len(code))
    handle.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(memory)))
