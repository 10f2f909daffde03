"""Kernels that look at the data of a segment: whether it begins with some bytes, and whether it is text."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel

_BELL, _CARRIAGE_RETURN, _ESCAPE, _SPACE, _DELETE = 7, 13, 27, 32, 127
_NUL: Final = 0


def constant(text: bytes) -> NDArray[np.uint8]:
    """Return bytes as an array that kernels take as a constant."""
    return np.frombuffer(text, np.uint8).copy()


@kernel
def begins_with(frame: NDArray[np.uint8], at: int, length: int, text: NDArray[np.uint8]) -> bool:
    """Return whether frame[at:at + length] begins with `text`."""
    if length < len(text):
        return False
    for i in range(len(text)):  # noqa: SIM110 - a kernel: Numba compiles no generator expressions
        if frame[at + i] != text[i]:
            return False
    return True


@kernel
def is_text(frame: NDArray[np.uint8], at: int, length: int) -> bool:
    """Return whether frame[at:at + length] is text as terminals show it, with at least one printable character.

    Bytes from 128 on are letters in many character sets. NUL is allowed, since telnet sends it after a carriage return.
    """
    printable = False
    for i in range(length):
        byte = int64(frame[at + i])
        control = byte < _SPACE and not _BELL <= byte <= _CARRIAGE_RETURN
        if byte == _DELETE or (control and byte not in (_NUL, _ESCAPE)):
            return False
        printable = printable or byte > _SPACE
    return printable
