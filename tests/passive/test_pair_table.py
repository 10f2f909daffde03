"""The table of pairs holds what a dictionary holds, in few bytes, however many remotes and locals there are."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.passive import pair_table
from liveness.passive.engine import Engine
from liveness.passive.gates import Gates
from liveness.passive.pair_table import (
    NARROW_LOCAL_BITS,
    NARROW_REMOTE_BITS,
    WIDE_LOCAL_BITS,
    PairTable,
    find_pair,
    put_pair,
    state_at,
)
from scripts.benchmarks import one_way

LOCALS = 1 << NARROW_LOCAL_BITS
REMOTES = 1 << NARROW_REMOTE_BITS
Pair = tuple[int, int]
IDS = st.tuples(
    st.integers(0, 40) | st.integers(REMOTES - 40, REMOTES - 1),
    st.integers(0, 40) | st.integers(LOCALS - 40, LOCALS - 1),
)


def put(table: PairTable, pair: Pair, state: int) -> None:
    key = pair[0] << table.local_bits | pair[1]
    put_pair(table.low, table.high, find_pair(table.low, table.high, key), key, state)


def state_of(table: PairTable, pair: Pair) -> int:
    key = pair[0] << table.local_bits | pair[1]
    return int(state_at(table.high, find_pair(table.low, table.high, key)))


def content(table: PairTable) -> int:
    return int(np.count_nonzero(table.high))


@given(st.lists(st.tuples(IDS, st.integers(1, 15)), max_size=300), st.sets(IDS, max_size=20), st.booleans())
def test_a_table_holds_what_a_dictionary_holds(
    stored: list[tuple[Pair, int]], others: set[Pair], wide_in_the_end: bool
) -> None:
    table, expected = PairTable(), dict[Pair, int]()
    for pair, state in stored:
        table.make_room(len(expected) + 1, REMOTES, LOCALS)
        put(table, pair, state)
        expected[pair] = state
    assert table.local_bits == NARROW_LOCAL_BITS
    if wide_in_the_end:
        table.make_room(len(expected) + 2, REMOTES + 1, LOCALS)
        assert table.local_bits == WIDE_LOCAL_BITS
        assert table.high.dtype == np.uint32
        expected[REMOTES, LOCALS + 5] = 9
        put(table, (REMOTES, LOCALS + 5), 9)
    assert {pair: state_of(table, pair) for pair in expected} == expected
    assert all(state_of(table, pair) == 0 for pair in others - expected.keys())
    assert content(table) == len(expected)
    table.clear()
    assert content(table) == 0


@pytest.mark.parametrize(("remotes", "locals_"), [(REMOTES + 1, 1), (1, LOCALS + 1)])
def test_entries_become_wide_when_ids_need_it(remotes: int, locals_: int) -> None:
    table = PairTable()
    table.make_room(10, REMOTES, LOCALS)
    assert table.high.dtype == np.uint16
    put(table, (REMOTES - 1, LOCALS - 1), 13)
    table.make_room(10, remotes, locals_)
    assert table.high.dtype == np.uint32
    assert state_of(table, (REMOTES - 1, LOCALS - 1)) == 13


def test_a_pair_takes_eight_bytes_at_most() -> None:
    table, rng = PairTable(), random.Random(1)
    pairs = {(rng.randrange(2000), rng.randrange(1 << 16)) for _ in range(30_000)}
    for count, pair in enumerate(sorted(pairs), 1):
        table.make_room(count, 2000, 1 << 16)
        put(table, pair, 1)
    assert content(table) == len(pairs)
    assert table.low.nbytes + table.high.nbytes <= 8 * len(pairs)


def results(records: int, parts: int) -> list[tuple[bytes, bytes]]:
    config = one_way.CONFIG
    drawn, found = np.random.default_rng(1), []
    remotes = one_way.draw_remotes(drawn)[:300]
    gates = Gates.of(config.local_space, config.own_space, config.exclude)
    engine = Engine(config, parts, None)
    try:
        for number in range(4):
            flows = one_way.draw_interval(drawn, remotes, records, (one_way.EPOCH_S + 600 * number) * 10**9)
            flows["dst"] &= 0xFFFF00FF
            observations = gates.passing(flows, np.array([1], np.uint32))
            found += list(engine.add(one_way.EPOCH_S // 600 + number, [observations], several=False))
        found += list(engine.finish())
    finally:
        engine.close()
    return [(each.sums.totals.tobytes(), each.sums.patterns.tobytes()) for each in found]


def test_results_are_the_same_with_wide_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = results(6000, 4)
    assert results(6000, 1) == usual
    monkeypatch.setattr(pair_table, "NARROW_REMOTE_BITS", 4)
    assert results(6000, 4) == usual
