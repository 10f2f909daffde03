"""Memory that forked children share with their parent, as long as no process writes to it."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from liveness.system.child import libc


@contextmanager
def memory_shared() -> Iterator[None]:
    """Keep the garbage collector off the objects that exist now, while children that are forked in the body live.

    A collection writes to every object that it visits, so each process would get copies of the pages. Memory that is
    free is returned to the kernel first.
    """
    gc.collect()
    gc.freeze()
    if hasattr(libc, "malloc_trim"):  # the C library of GNU has it
        libc.malloc_trim(0)
    try:
        yield
    finally:
        gc.unfreeze()
