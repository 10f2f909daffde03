"""Memory of this process: large arrays that are freed go back to the system at once."""

import ctypes
from typing import Final

LARGE_BYTES: Final = 1 << 16
_M_MMAP_THRESHOLD: Final = -3
"""Of mallopt(3), in glibc."""


def return_large_arrays() -> None:
    """Give arrays of LARGE_BYTES or more mappings of their own, for the rest of this process.

    The C library raises this threshold, up to 32 MiB, when such an array is freed. It then cuts arrays from heaps,
    whose free room stays with the process. Nothing happens with a C library that has no mallopt(3).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
