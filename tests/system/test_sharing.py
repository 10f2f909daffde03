"""Memory that children share with their parent, measured by the kernel's count of private pages."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from liveness.system.child import fork, run_in_child
from liveness.system.sharing import memory_shared

OBJECTS = 400_000


def private_kib() -> int:
    """Return the dirty pages that this process shares with nobody, KiB."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))


def copied_by_a_collection() -> int:
    """Return how many KiB this process copies in a garbage collection."""
    before = private_kib()
    gc.collect()
    return private_kib() - before


def copied_by_a_collection_of_everything() -> int:
    """Return how many KiB this process copies in a garbage collection that visits what it inherited, too."""
    gc.unfreeze()
    return copied_by_a_collection()


@contextmanager
def living_child() -> Iterator[None]:
    """Keep a child that shares all memory with this process."""
    reader, writer = os.pipe()
    pid = fork()
    if pid == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    try:
        yield
    finally:
        os.close(writer)
        os.close(reader)
        os.waitpid(pid, 0)


def test_a_collection_in_a_child_copies_nothing_of_the_parent() -> None:
    kept = [[number] for number in range(OBJECTS)]
    everything = run_in_child(copied_by_a_collection_of_everything)
    copied = run_in_child(copied_by_a_collection)
    assert len(kept) == OBJECTS
    assert everything > 10_000, "the measurement sees copies"
    assert copied < everything / 4


def test_a_collection_in_the_parent_copies_nothing_of_what_it_shares() -> None:
    kept = [[number] for number in range(OBJECTS)]
    with living_child():
        unshared = copied_by_a_collection()
    with memory_shared(), living_child():
        shared = copied_by_a_collection()
    assert len(kept) == OBJECTS
    assert unshared > 10_000, "the measurement sees copies"
    assert shared < unshared / 4
    assert gc.get_freeze_count() == 0


def test_the_collector_works_again_after_an_error() -> None:
    with pytest.raises(KeyError), memory_shared():
        raise KeyError
    assert gc.get_freeze_count() == 0
