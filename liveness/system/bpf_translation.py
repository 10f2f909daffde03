"""Classic BPF as extended BPF: a capture filter of packet sockets as a part of an XDP program.

The kernel translates the filters of sockets by itself, but an XDP program has to bring its own. Both then accept the
same packets.
"""

from typing import Final

from liveness.system import bpf, ebpf
from liveness.system.bpf import Program
from liveness.system.ebpf import BYTE, HALF, R1, R2, R3, R4, WORD, Instruction

ACCUMULATOR, INDEX = R1, R2
SCRATCH, BEYOND = R3, R4

_SIZES: Final = {
    bpf.LD_WORD: (WORD, 4),
    bpf.LD_HALF: (HALF, 2),
    bpf.LD_BYTE: (BYTE, 1),
    bpf.LD_HALF_X: (HALF, 2),
    bpf.LD_BYTE_X: (BYTE, 1),
    bpf.LDX_HEADER: (BYTE, 1),
}
"""Size of each load, and its bytes."""
_INDEXED: Final = frozenset({bpf.LD_HALF_X, bpf.LD_BYTE_X})
_CONDITIONS: Final = {
    bpf.JUMP_EQUAL: ebpf.EQUAL,
    bpf.JUMP_GREATER: ebpf.ABOVE,
    bpf.JUMP_GREATER_EQUAL: ebpf.AT_LEAST,
    bpf.JUMP_SET: ebpf.SET,
}


def translate(program: Program, head: int, tail: int, end: int, *, split: int, accept: str) -> list[Instruction | str]:
    """Return a filter as instructions that continue at the label `accept`, or behind the last one if it drops a packet.

    The registers `head` and `end` have the packet's first byte and the one behind its last. The register `tail` is
    where the packet would begin if nothing were left out of it at byte `split`: at `head` or later, so that a VLAN tag
    can be skipped. R1 to R4 are lost. A load beyond the end drops the packet, as in the kernel. ValueError for an
    instruction that is unknown here, and for a load across `split`.
    """
    reachable = _reachable(program)
    source: list[Instruction | str] = [ebpf.set_value(ACCUMULATOR, 0), ebpf.set_value(INDEX, 0)]
    for position in sorted(reachable):
        code, true, false, k = program[position]
        source.append(_label(position))
        if code == bpf.RETURN:
            source.append(ebpf.jump(accept if k else "filter end"))
        elif code == bpf.JUMP:
            source.append(ebpf.jump(_label(position + 1 + k)))
        elif code in _CONDITIONS:
            source.append(ebpf.jump_if_word(_CONDITIONS[code], ACCUMULATOR, k, _label(position + 1 + true)))
            source.append(ebpf.jump(_label(position + 1 + false)))
        elif code in _SIZES:
            size, width = _SIZES[code]
            if k < split < k + width or (code in _INDEXED and k < split):
                raise ValueError(f"a load of {width} bytes at {k}, across byte {split}")
            source += _load(code, size, width, k, head if k + width <= split else tail, end)
        else:
            raise ValueError(f"no such instruction here: {code:#x}")
    return [*source, "filter end"]


def _load(code: int, size: int, width: int, k: int, base: int, end: int) -> list[Instruction | str]:
    """Return a load from byte `k` of the packet, in network order."""
    source: list[Instruction | str] = [ebpf.move(SCRATCH, base)]
    if code in _INDEXED:
        source.append(ebpf.add(SCRATCH, INDEX))
    source += [
        ebpf.move(BEYOND, SCRATCH),
        ebpf.add_value(BEYOND, k + width),
        ebpf.jump_if(ebpf.ABOVE, BEYOND, end, "filter end"),
    ]
    if code == bpf.LDX_HEADER:
        return [*source, ebpf.load(size, INDEX, SCRATCH, k), ebpf.mask(INDEX, 15), ebpf.shift_left(INDEX, 2)]
    source.append(ebpf.load(size, ACCUMULATOR, SCRATCH, k))
    if size != BYTE:
        source.append(ebpf.from_network_order(ACCUMULATOR, size))
    return source


def _label(position: int) -> str:
    return f"filter {position}"


def _reachable(program: Program) -> set[int]:
    """Return the positions of the instructions that can run; the kernel refuses a program with others."""
    found: set[int] = set()
    waiting = [0]
    while waiting:
        position = waiting.pop()
        if position in found:
            continue
        found.add(position)
        code, true, false, k = program[position]
        if code == bpf.JUMP:
            waiting.append(position + 1 + k)
        elif code in _CONDITIONS:
            waiting += [position + 1 + true, position + 1 + false]
        elif code != bpf.RETURN:
            waiting.append(position + 1)
    return found
