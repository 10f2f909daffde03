"""Owns what forked children inherit of rings: each child the memory and the descriptor of its own ring, and no other's.

A ring that is mapped can be used without its descriptor: the kernel sends what stands in an AF_XDP ring when anybody
polls its socket, and a frame may be changed until it has left. A mapping also keeps the socket open. Memory that is
withheld (MADV_DONTFORK, madvise(2)) is not there in a child at all.
"""

import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


def descriptors_of(ring: object) -> tuple[int, ...] | None:
    """Return the descriptors that a child needs for a ring; None for one in memory, whose needs nobody knows."""
    found: tuple[int, ...] | None = getattr(ring, "descriptors", None)
    return found


def withhold(ring: object) -> None:
    """Let no child forked from now on have the memory of a ring."""
    for mapping in _mappings(ring):
        mapping.madvise(mmap.MADV_DONTFORK)


@contextmanager
def given(ring: object) -> Iterator[None]:
    """Let children forked inside have the memory of a ring that is withheld from others."""
    for mapping in _mappings(ring):
        mapping.madvise(mmap.MADV_DOFORK)
    try:
        yield
    finally:
        withhold(ring)


def _mappings(ring: object) -> Sequence[mmap.mmap]:
    found: Sequence[mmap.mmap] = getattr(ring, "mappings", ())
    return found
