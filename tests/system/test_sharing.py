"""Memory that children share with their parent, measured by the kernel's count of private pages."""

import gc
from pathlib import Path

import pytest

from liveness.system.child import run_in_child
from liveness.system.sharing import memory_shared

OBJECTS = 400_000


def private_kib() -> int:
    """Return the dirty pages that this process shares with nobody, KiB."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))


def copied_by_a_collection() -> int:
    """Return how many KiB a child copies in a garbage collection."""

    def collect() -> int:
        before = private_kib()
        gc.collect()
        return private_kib() - before

    return run_in_child(collect)


def test_a_collection_in_a_child_copies_nothing_of_the_parent() -> None:
    kept = [[number] for number in range(OBJECTS)]
    unshared = copied_by_a_collection()
    with memory_shared():
        shared = copied_by_a_collection()
    assert len(kept) == OBJECTS
    assert unshared > 10_000, "the measurement sees copies"
    assert shared < unshared / 4
    assert gc.get_freeze_count() == 0


def test_the_collector_works_again_after_an_error() -> None:
    with pytest.raises(KeyError), memory_shared():
        raise KeyError
    assert gc.get_freeze_count() == 0
