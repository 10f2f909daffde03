"""A machine for capture filters in memory, which does with packets what the kernel's does with those it receives."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.packets.bytes import read_be16, read_be32
from liveness.system import bpf
from liveness.system.bpf import Program

_KNOWN: Final = frozenset(
    {
        bpf.LD_WORD,
        bpf.LD_HALF,
        bpf.LD_BYTE,
        bpf.LD_HALF_X,
        bpf.LD_BYTE_X,
        bpf.LDX_HEADER,
        bpf.JUMP,
        bpf.JUMP_EQUAL,
        bpf.JUMP_GREATER,
        bpf.JUMP_GREATER_EQUAL,
        bpf.JUMP_SET,
        bpf.RETURN,
    }
)


def loaded(program: Program) -> NDArray[np.int64]:
    """Return a program as `passes` takes it: a row of four numbers an instruction. ValueError for an unknown one."""
    unknown = {code for code, *_ in program} - _KNOWN
    if unknown:
        raise ValueError(f"no such instruction here: {sorted(unknown)}")
    return np.array(program, np.int64).reshape(-1, 4)


@kernel
def _holds(code: int, accumulator: int, k: int) -> bool:
    """Return whether the condition of a jump is true."""
    if code == bpf.JUMP_EQUAL:
        return accumulator == k
    if code == bpf.JUMP_GREATER:
        return accumulator > k
    if code == bpf.JUMP_GREATER_EQUAL:
        return accumulator >= k
    return accumulator & k != 0


@kernel
def passes(program: NDArray[np.int64], data: NDArray[np.uint8], start: int, end: int) -> bool:
    """Return whether a program accepts the packet in data[start:end]; one that reads beyond its end does not."""
    accumulator = 0
    index = 0
    step = 0
    while True:
        code, k = program[step, 0], program[step, 3]
        if code == bpf.RETURN:
            return bool(k != 0)
        if code == bpf.JUMP:
            step += 1 + k
            continue
        if code in (bpf.JUMP_EQUAL, bpf.JUMP_GREATER, bpf.JUMP_GREATER_EQUAL, bpf.JUMP_SET):
            step += 1 + (program[step, 1] if _holds(code, accumulator, k) else program[step, 2])
            continue
        at = start + k + (index if code in (bpf.LD_HALF_X, bpf.LD_BYTE_X) else 0)
        width = 4 if code == bpf.LD_WORD else 2 if code in (bpf.LD_HALF, bpf.LD_HALF_X) else 1
        if at + width > end:
            return False
        if code == bpf.LDX_HEADER:
            index = 4 * (int64(data[at]) & 15)
        elif width == 4:  # noqa: PLR2004 - bytes of a word
            accumulator = read_be32(data, at)
        elif width == 2:  # noqa: PLR2004 - bytes of half a word
            accumulator = read_be16(data, at)
        else:
            accumulator = int64(data[at])
        step += 1
