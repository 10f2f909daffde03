"""The collector: whatever order and repetition the addresses come in, the set is the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.ipsets import collector as module
from liveness.ipsets.collector import BUFFER_ADDRESSES, Collector

ADDRESSES = st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 40), max_size=300)


@given(st.lists(ADDRESSES, max_size=8))
def test_set_equals_python_set(batches: list[list[int]]) -> None:
    collector = Collector()
    for batch in batches:
        collector.add(np.array(batch, dtype=np.uint32))
    assert set(collector.finish()) == {address for batch in batches for address in batch}


@given(batches=st.lists(ADDRESSES, max_size=8))
def test_small_buffers_flush_and_grow_without_losing_any(batches: list[list[int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FIRST_ADDRESSES", 2)
        patch.setattr(module, "BUFFER_ADDRESSES", 16)
        collector = Collector()
        for batch in batches:
            collector.add(np.array(batch, dtype=np.uint32))
            assert collector._buffer.size <= 16
        assert set(collector.finish()) == {address for batch in batches for address in batch}


def test_duplicate_flood_never_grows_the_buffer() -> None:
    collector = Collector()
    few = np.arange(100, dtype=np.uint32)
    for _ in range(200):
        collector.add(few)
    assert collector._buffer.size == module.FIRST_ADDRESSES
    assert len(collector.finish()) == 100


def test_more_than_one_buffer() -> None:
    generator = np.random.default_rng(73)
    addresses = generator.integers(0, 2**32, 2 * BUFFER_ADDRESSES + 77, dtype=np.uint32)
    collector = Collector()
    for part in np.array_split(addresses, 5):
        collector.add(part)
    assert collector._buffer.size == BUFFER_ADDRESSES
    result = np.frombuffer(collector.finish().to_array(), dtype=np.uint32)
    assert np.array_equal(result, np.unique(addresses))


def test_finish_begins_again_and_the_finished_set_stays() -> None:
    collector = Collector()
    collector.add(np.array([3, 1, 3], dtype=np.uint32))
    first = collector.finish()
    collector.add(np.array([2], dtype=np.uint32))
    assert list(first) == [1, 3]
    assert list(collector.finish()) == [2]
    assert not collector.finish()


def test_finish_gives_its_memory_back() -> None:
    collector = Collector()
    collector.add(np.arange(100_000, dtype=np.uint32))
    assert collector._buffer.size > 100_000
    collector.finish()
    assert collector._buffer.size == module.FIRST_ADDRESSES


def test_added_array_may_be_reused_by_the_caller() -> None:
    collector = Collector()
    addresses = np.array([1, 2], dtype=np.uint32)
    collector.add(addresses)
    addresses[:] = 9
    assert list(collector.finish()) == [1, 2]
