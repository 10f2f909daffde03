"""First replies: each target and probe counts once, when an original is proven to be answered."""

import secrets
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from liveness.replies import REPLY_DTYPE, Kind
from liveness.scan.receive.first_replies import PLACES, WAYS, count_first, first_replies_table
from liveness.scan.send.answered import _mix

PROBES = 5
KEY = np.array([0x0123456789ABCDEF, 0xFEDCBA9876543210], np.uint64)
REPLIES = st.lists(
    st.tuples(
        st.integers(0x0A000000, 0x0A000000 + WAYS - 1),
        st.integers(0, PROBES - 1),
        st.integers(0, 2),
        st.sampled_from(list(Kind)),
    ),
    max_size=60,
)


def replies_of(targets: Sequence[int] | NDArray[np.uint32]) -> NDArray[np.void]:
    rows = np.zeros(len(targets), REPLY_DTYPE)
    rows["target"] = targets
    return rows


@given(REPLIES, st.integers(1, 20), st.sampled_from([1, 4, PLACES]))
def test_originals_answered_are_counted_once(
    replies: list[tuple[int, int, int, Kind]], batch: int, places: int
) -> None:
    """All in a few batches, judged by a set; even a single place holds as many targets as there are."""
    table, counts = first_replies_table(places), np.zeros(PROBES, np.int64)
    for start in range(0, len(replies), batch):
        rows = np.zeros(len(replies[start : start + batch]), REPLY_DTYPE)
        for row, (target, probe, attempt, kind) in zip(rows, replies[start : start + batch], strict=True):
            row["target"], row["probe"], row["attempt"], row["kind"] = target, probe, attempt, kind
        count_first(rows, table, KEY, counts)
    first = {(target, probe) for target, probe, attempt, kind in replies if attempt == 0 and kind != Kind.ERROR}
    assert counts.tolist() == [sum(of == probe for _, of in first) for probe in range(PROBES)]


def test_nobody_asks() -> None:
    counts = np.zeros(1, np.int64)
    count_first(replies_of([7, 7, 7]), first_replies_table(0), KEY, counts)
    assert counts.tolist() == [0]
    count_first(replies_of([7, 7, 7]), first_replies_table(), KEY, counts)
    assert counts.tolist() == [1]


def test_hosts_that_shared_a_place_whatever_the_key_cannot_be_counted_again_and_again() -> None:
    """Two of them, taking turns, made 100,000 of 2: their place followed from their addresses alone."""
    addresses = np.arange(0x0A000000, 0x0A000000 + (1 << 22))
    places = np.array([_mix(int(address)) & ((1 << 20) - 1) for address in addresses[:20_000]])
    order = np.argsort(places, kind="stable")
    twins = next(order[at : at + 2] for at in range(len(order)) if places[order[at]] == places[order[at + 1]])
    counts = np.zeros(1, np.int64)
    count_first(replies_of(np.tile(addresses[twins], 50_000)), first_replies_table(), KEY, counts)
    assert counts.tolist() == [2]


def test_a_few_thousand_hosts_that_repeat_themselves_are_counted_once_among_many_others() -> None:
    """Flooders take turns while a million other hosts answer for the first time: those leave the table, not they."""
    floods, rounds = 4_000, 250
    others = np.arange(floods * rounds, dtype=np.uint32).reshape(rounds, floods) + 0x20000000
    counts = np.zeros(1, np.int64)
    table = first_replies_table()
    for others_of_round in others:
        count_first(replies_of(np.arange(floods, dtype=np.uint32) + 0x0A000000), table, KEY, counts)
        count_first(replies_of(others_of_round), table, KEY, counts)
    assert counts[0] == floods + floods * rounds


def test_no_choice_of_targets_crowds_a_place_under_a_key_that_nobody_knows() -> None:
    """Targets that share a place under one key are spread under another."""
    targets = np.arange(1, 1_001, dtype=np.uint32)
    counts = np.zeros(1, np.int64)
    places = []
    for _ in range(2):
        table = first_replies_table()
        count_first(replies_of(targets), table, np.frombuffer(secrets.token_bytes(16), np.uint64), counts)
        rows, columns = np.nonzero(table)
        entries = table[rows, columns]
        assert len(entries) == len(targets)
        places.append(rows[np.argsort(entries)])
    assert (places[0] == places[1]).mean() < 0.05


def test_a_hundred_thousand_targets_are_counted_nearly_all_once() -> None:
    """Each comes twice, a thousand others between: what a table of this size forgets is far older."""
    targets = np.arange(100_000, dtype=np.uint32) * 41_563
    rows = np.zeros((100, 2, 1_000), REPLY_DTYPE)
    rows["target"] = targets.reshape(100, 1, 1_000)
    counts = np.zeros(1, np.int64)
    count_first(rows.reshape(-1), first_replies_table(), KEY, counts)
    assert counts[0] == 100_000
