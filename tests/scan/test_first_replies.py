"""First replies: each target and probe counts once, when an original is proven to be answered."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from liveness.scan.answered import MIN_ENTRIES
from liveness.scan.first_replies import count_first
from liveness.types import REPLY_DTYPE, Kind

PROBES = 5
REPLIES = st.lists(
    st.tuples(
        st.integers(0x0A000000, 0x0A000020), st.integers(0, PROBES - 1), st.integers(0, 2), st.sampled_from(list(Kind))
    ),
    max_size=60,
)


@given(REPLIES, st.integers(1, 20))
def test_originals_answered_are_counted_once(replies: list[tuple[int, int, int, Kind]], batch: int) -> None:
    """All in a few batches, judged by a set; 32 neighbours have a place each in the smallest table."""
    table, counts = np.zeros(MIN_ENTRIES, np.uint32), np.zeros(PROBES, np.int64)
    for start in range(0, len(replies), batch):
        rows = np.zeros(len(replies[start : start + batch]), REPLY_DTYPE)
        for row, (target, probe, attempt, kind) in zip(rows, replies[start : start + batch], strict=True):
            row["target"], row["probe"], row["attempt"], row["kind"] = target, probe, attempt, kind
        count_first(rows, table, counts)
    first = {(target, probe) for target, probe, attempt, kind in replies if attempt == 0 and kind != Kind.ERROR}
    assert counts.tolist() == [sum(of == probe for _, of in first) for probe in range(PROBES)]


def test_nobody_asks() -> None:
    rows, counts = np.zeros(3, REPLY_DTYPE), np.zeros(1, np.int64)
    count_first(rows, np.zeros(0, np.uint32), counts)
    assert counts.tolist() == [0]
    count_first(rows, np.zeros(MIN_ENTRIES, np.uint32), counts)
    assert counts.tolist() == [1]


def test_a_million_targets_are_counted_nearly_all_once_though_places_are_shared() -> None:
    """Each comes twice, a thousand others between: what a table of this size forgets is far older."""
    targets = np.arange(100_000, dtype=np.uint32) * 41_563
    rows = np.zeros((100, 2, 1_000), REPLY_DTYPE)
    rows["target"] = targets.reshape(100, 1, 1_000)
    counts = np.zeros(1, np.int64)
    count_first(rows.reshape(-1), np.zeros(1 << 20, np.uint32), counts)
    assert 100_000 <= counts[0] <= 100_000 * 1.002
