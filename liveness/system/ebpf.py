"""Extended BPF: an assembler with labels, and maps and programs made by bpf(2).

Instruction set: RFC 9669. Commands, structures and helper functions: linux/bpf.h.
"""

import ctypes
import errno
import mmap
import os
import platform
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from liveness.system.child import libc

SYS_BPF: Final = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
"""Number of the system call, by machine."""

BPF_MAP_CREATE: Final = 0
BPF_MAP_UPDATE_ELEM: Final = 2
BPF_PROG_LOAD: Final = 5
BPF_PROG_RUN: Final = 10
BPF_RAW_TRACEPOINT_OPEN: Final = 17
BPF_LINK_CREATE: Final = 28
BPF_F_MMAPABLE: Final = 1 << 10
ATTRIBUTE_BYTES: Final = 128
"""Length of the attributes of a command, padded with zeros: later kernels have longer ones."""
NAME_BYTES: Final = 16

ARRAY: Final = 2
DEVMAP: Final = 14
"""Types of maps."""
XDP: Final = 6
RAW_TRACEPOINT: Final = 17
"""Types of programs."""

MAP_DESCRIPTOR: Final = 1
MAP_VALUE: Final = 2
"""Values of the source field of a wide load: a map, or the address of the value of an array with one element."""

DWORD, WORD, HALF, BYTE = 0x18, 0x00, 0x08, 0x10
"""Sizes of loads and stores: 8, 4, 2 and 1 bytes."""
_LOAD, _STORE, _STORE_VALUE, _ATOMIC = 0x61, 0x63, 0x62, 0xC3
_ALU, _JUMP, _JUMP_WORD, _FROM_REGISTER = 0x07, 0x05, 0x06, 0x08
_ADD, _SUB, _MUL, _DIV, _OR, _AND = 0x00, 0x10, 0x20, 0x30, 0x40, 0x50
_LSH, _RSH, _MOV, _ARSH = 0x60, 0x70, 0xB0, 0xC0
_TO_BIG_ENDIAN: Final = 0xDC
_FETCH_ADD: Final = 0x01

EQUAL, NOT_EQUAL, ABOVE, AT_LEAST, BELOW, AT_MOST, SET = 0x10, 0x50, 0x20, 0x30, 0xA0, 0xB0, 0x40
"""Conditions of jumps; comparisons are unsigned. SET holds if both have a bit in common."""

R0, R1, R2, R3, R4, R5, R6, R7, R8, R9 = range(10)
STACK: Final = 10
"""Register with the end of the stack: 512 bytes, at negative offsets."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. A jump names a label. `wide` is the upper half of a constant of 64 bits, which takes two."""

    code: int
    destination: int = 0
    source: int = 0
    offset: int = 0
    value: int = 0
    label: str = ""
    wide: int | None = None

    @property
    def slots(self) -> int:
        """Number of encoded instructions that it takes."""
        return 1 if self.wide is None else 2


def load(size: int, destination: int, base: int, offset: int = 0) -> Instruction:
    """Load from the address `base` + `offset` into a register, zero-extended."""
    return Instruction(_LOAD | size, destination, base, offset)


def store(size: int, base: int, offset: int, source: int) -> Instruction:
    """Store a register at the address `base` + `offset`."""
    return Instruction(_STORE | size, base, source, offset)


def store_value(size: int, base: int, offset: int, value: int) -> Instruction:
    """Store a constant at the address `base` + `offset`."""
    return Instruction(_STORE_VALUE | size, base, offset=offset, value=value)


def fetch_add(base: int, offset: int, register: int) -> Instruction:
    """Add a register to the 8 bytes at `base` + `offset`, and load what was there before, with a full barrier."""
    return Instruction(_ATOMIC | DWORD, base, register, offset, _FETCH_ADD)


def move(destination: int, source: int) -> Instruction:
    """Copy a register."""
    return Instruction(_ALU | _FROM_REGISTER | _MOV, destination, source)


def set_value(destination: int, value: int) -> Instruction:
    """Set a register to a constant of 32 bits, sign-extended."""
    return Instruction(_ALU | _MOV, destination, value=value)


def add(destination: int, source: int) -> Instruction:
    """Add a register to another one."""
    return Instruction(_ALU | _FROM_REGISTER | _ADD, destination, source)


def add_value(destination: int, value: int) -> Instruction:
    """Add a constant of 32 bits, sign-extended, to a register."""
    return Instruction(_ALU | _ADD, destination, value=value)


def subtract(destination: int, source: int) -> Instruction:
    """Subtract a register from another one."""
    return Instruction(_ALU | _FROM_REGISTER | _SUB, destination, source)


def multiply(destination: int, value: int) -> Instruction:
    """Multiply a register by a constant."""
    return Instruction(_ALU | _MUL, destination, value=value)


def divide(destination: int, value: int) -> Instruction:
    """Divide a register, unsigned, by a constant."""
    return Instruction(_ALU | _DIV, destination, value=value)


def unite(destination: int, source: int) -> Instruction:
    """Set a register to the bitwise or of itself and another one."""
    return Instruction(_ALU | _FROM_REGISTER | _OR, destination, source)


def mask(destination: int, value: int) -> Instruction:
    """Clear all bits of a register but those of a constant."""
    return Instruction(_ALU | _AND, destination, value=value)


def shift_left(destination: int, bits: int) -> Instruction:
    """Shift a register to the left."""
    return Instruction(_ALU | _LSH, destination, value=bits)


def shift_right(destination: int, bits: int) -> Instruction:
    """Shift a register to the right, zeros coming in."""
    return Instruction(_ALU | _RSH, destination, value=bits)


def from_network_order(register: int, size: int) -> Instruction:
    """Turn a number that was loaded from a packet, a WORD or a HALF, into one of this machine."""
    return Instruction(_TO_BIG_ENDIAN, register, value={WORD: 32, HALF: 16}[size])


def shift_right_signed(destination: int, bits: int) -> Instruction:
    """Shift a register to the right, keeping its sign."""
    return Instruction(_ALU | _ARSH, destination, value=bits)


def jump(label: str) -> Instruction:
    """Continue at a label."""
    return Instruction(_JUMP, label=label)


def jump_if(condition: int, register: int, source: int, label: str) -> Instruction:
    """Continue at a label if a condition holds between two registers."""
    return Instruction(_JUMP | _FROM_REGISTER | condition, register, source, label=label)


def jump_if_value(condition: int, register: int, value: int, label: str) -> Instruction:
    """Continue at a label if a condition holds between a register and a constant."""
    return Instruction(_JUMP | condition, register, value=value, label=label)


def jump_if_word(condition: int, register: int, value: int, label: str) -> Instruction:
    """Continue at a label if a condition holds between the lower 32 bits of a register and a constant."""
    return Instruction(_JUMP_WORD | condition, register, value=value - (value >> 31 << 32), label=label)


def call(function: int) -> Instruction:
    """Call a helper function of the kernel: arguments in R1 to R5, result in R0. R1 to R5 are lost."""
    return Instruction(_JUMP | 0x80, value=function)


def end() -> Instruction:
    """Return R0."""
    return Instruction(_JUMP | 0x90)


def map_descriptor(register: int, descriptor: int) -> Instruction:
    """Load a map, for a helper function."""
    return Instruction(DWORD, register, MAP_DESCRIPTOR, value=descriptor, wide=0)


def map_value(register: int, descriptor: int) -> Instruction:
    """Load the address of the value of an array with one element."""
    return Instruction(DWORD, register, MAP_VALUE, value=descriptor, wide=0)


def assemble(source: Sequence[Instruction | str]) -> bytes:
    """Return the encoded program; a plain string is a label of the instruction after it.

    Raises ValueError for a label that is unknown or defined twice.
    """
    labels: dict[str, int] = {}
    instructions: list[tuple[int, Instruction]] = []
    at = 0
    for item in source:
        if isinstance(item, str):
            if item in labels:
                raise ValueError(f"label {item!r} is defined twice")
            labels[item] = at
        else:
            instructions.append((at, item))
            at += item.slots
    encoded = b""
    for at, item in instructions:
        if item.label and item.label not in labels:
            raise ValueError(f"no label {item.label!r}")
        offset = labels[item.label] - at - 1 if item.label else item.offset
        registers = item.destination | item.source << 4
        encoded += struct.pack("=BBhi", item.code, registers, offset, item.value)
        if item.wide is not None:
            encoded += struct.pack("=BBhi", 0, 0, 0, item.wide)
    return encoded


def bpf(command: int, attributes: bytes) -> int:
    """Make a system call of BPF and return its result: a descriptor, if it makes something. Raises OSError."""
    number = SYS_BPF.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    memory = ctypes.create_string_buffer(attributes, ATTRIBUTE_BYTES)
    result = int(libc.syscall(number, command, memory, len(memory)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def create_map(kind: int, value_bytes: int, flags: int = 0, *, elements: int = 1, name: str = "") -> int:
    """Create a map with keys of 4 bytes, and return its descriptor. Raises OSError."""
    return bpf(BPF_MAP_CREATE, struct.pack("=5III16s", kind, 4, value_bytes, elements, flags, 0, 0, _name(name)))


def mapped_array(value_bytes: int, *, elements: int = 1, name: str = "") -> tuple[int, mmap.mmap]:
    """Create an array, and return its descriptor and its memory. Raises OSError.

    An element takes a multiple of 8 bytes.
    """
    descriptor = create_map(ARRAY, value_bytes, BPF_F_MMAPABLE, elements=elements, name=name)
    try:
        used = -(-value_bytes // 8) * 8 * elements
        return descriptor, mmap.mmap(descriptor, -(-used // mmap.PAGESIZE) * mmap.PAGESIZE)
    except OSError:
        os.close(descriptor)
        raise


def set_first(descriptor: int, value: bytes) -> None:
    """Set the first element of a map. Raises OSError."""
    key, memory = ctypes.create_string_buffer(bytes(4), 4), ctypes.create_string_buffer(value, len(value))
    addresses = ctypes.addressof(key), ctypes.addressof(memory)
    bpf(BPF_MAP_UPDATE_ELEM, struct.pack("=IIQQQ", descriptor, 0, *addresses, 0))


def load_program(kind: int, program: bytes, license_text: str = "BSD", *, name: str = "") -> int:
    """Have the kernel check and compile a program, and return its descriptor. Raises OSError."""
    instructions = ctypes.create_string_buffer(program, len(program))
    terms = ctypes.create_string_buffer(license_text.encode())
    addresses = ctypes.addressof(instructions), ctypes.addressof(terms)
    no_log = (0, 0, 0, 0, 0)  # level, size, address, kernel version, flags
    return bpf(BPF_PROG_LOAD, struct.pack("=IIQQIIQII16s", kind, len(program) // 8, *addresses, *no_log, _name(name)))


def open_raw_tracepoint(name: str, program: int) -> int:
    """Run a program at a tracepoint of the kernel while the returned descriptor is open. Raises OSError."""
    text = ctypes.create_string_buffer(name.encode())
    return bpf(BPF_RAW_TRACEPOINT_OPEN, struct.pack("=QI", ctypes.addressof(text), program))


def _name(text: str) -> bytes:
    """Return a name as the kernel stores it, 15 bytes at most."""
    return text.encode()[: NAME_BYTES - 1]
