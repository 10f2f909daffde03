"""Memory of rings that children do not inherit.

MADV_DONTFORK (madvise(2)) withholds memory from children, and MADV_DOFORK gives it back. Newer kernels (seen with Linux
7.3) refuse the latter for memory that a socket or a BPF map shares with the kernel. There, a child replaces withheld
memory by inaccessible memory right after it was forked, before any other code of it runs.
"""

import ctypes
import errno
import mmap
import os
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

PROT_NONE: Final = 0
MAP_FIXED: Final = 0x10
MAP_NORESERVE: Final = 0x4000
EXIT_CODE: Final = 70
"""Exit code of a child that cannot replace withheld memory (EX_SOFTWARE)."""

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_replaced_by_children: Final[weakref.WeakSet[mmap.mmap]] = weakref.WeakSet()
"""Withheld memory that the kernel would not give back."""


def withhold(ring: object) -> None:
    """Withhold the memory of a ring from all children that are forked from now on."""
    for mapping in _mappings(ring):
        if _can_be_given(mapping):
            mapping.madvise(mmap.MADV_DONTFORK)
        else:
            _replaced_by_children.add(mapping)


@contextmanager
def given(ring: object) -> Iterator[None]:
    """Give the memory of a withheld ring to the children that are forked in this context."""
    for mapping in _mappings(ring):
        if mapping in _replaced_by_children:
            _replaced_by_children.discard(mapping)
        else:
            mapping.madvise(mmap.MADV_DOFORK)
    try:
        yield
    finally:
        withhold(ring)


def _mappings(ring: object) -> Sequence[mmap.mmap]:
    found: Sequence[mmap.mmap] = getattr(ring, "mappings", ())
    return found


def _can_be_given(mapping: mmap.mmap) -> bool:
    """Return whether the kernel gives this memory to children again after it was withheld."""
    try:
        mapping.madvise(mmap.MADV_DOFORK)  # refused by the kind of memory, whether it is withheld or not
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return False
    return True


def _replace() -> None:
    """Put inaccessible memory in the place of withheld memory, in a child. Without it the child ends."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE
    for mapping in list(_replaced_by_children):
        if mapping.closed:
            continue
        address = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
        if _libc.mmap(address, len(mapping), PROT_NONE, flags, -1, 0) != address:
            os._exit(EXIT_CODE)


os.register_at_fork(after_in_child=_replace)
