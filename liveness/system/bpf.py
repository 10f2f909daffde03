"""Classic BPF: a small assembler with labels, and the attachment of programs to sockets.

Instruction set: McCanne and Jacobson 1993, and Documentation/networking/filter.rst of the kernel.
"""

import ctypes
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

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
"""Returned for an accepted packet: how many of its bytes are captured at most."""
DROP = 0

SO_ATTACH_FILTER = 26
MAX_INSTRUCTIONS = 4096
FARTHEST_CONDITIONAL_JUMP = 255


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
    for position, instruction in enumerate(instructions):
        if instruction.code == JUMP:
            program.append((instruction.code, 0, 0, _distance(labels, position, instruction.true)))
            continue
        true, false = _distance(labels, position, instruction.true), _distance(labels, position, instruction.false)
        if max(true, false) > FARTHEST_CONDITIONAL_JUMP:
            raise ValueError(f"a conditional jump of {max(true, false)} instructions: 8 bits hold 255")
        program.append((instruction.code, true, false, instruction.k))
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


def attach_filter(handle: socket.socket, program: Program) -> None:
    """Attach a program to a socket: the kernel checks it and runs it on every packet. OSError if it is refused."""
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    memory = ctypes.create_string_buffer(code, len(code))
    handle.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(memory)))
