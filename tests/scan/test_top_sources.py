"""The top sources against a dictionary: a source that floods is recorded, with never more than it sent."""

from collections import Counter

import numpy as np
import pytest

from liveness.runs.manifest import MOST_SOURCES
from liveness.scan.receive.top_sources import FEWEST_REPLIES, TopSources


@pytest.fixture(autouse=True)
def _one_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the same hash in every run: one in some two thousand puts two of the floods below in one place."""
    monkeypatch.setattr("secrets.randbits", lambda bits: 0x9E3779B97F4A7C15 >> 64 - bits)


def test_floods_are_found_among_many_quiet_sources() -> None:
    random = np.random.default_rng(3)
    quiet = random.integers(0, 2**32, 60_000, dtype=np.uint32)
    floods = {0xC6336401: 20_000, 0: 3_000, 0xFFFFFFFF: 900}
    sent = np.concatenate([quiet, *(np.full(count, source, np.uint32) for source, count in floods.items())])
    random.shuffle(sent)
    truth = Counter(sent.tolist())
    top = TopSources()
    for batch in np.array_split(sent, 7):
        top.add(batch)
    found = top.take()
    assert set(found) == set(floods)
    for source, count in found.items():
        assert 0.95 * truth[source] <= count <= truth[source]
    assert top.take() == {}, "begun again"


def test_a_census_in_which_nobody_floods_has_no_top_sources() -> None:
    top = TopSources()
    addresses = np.arange(1 << 16, dtype=np.uint32)
    for _ in range(16):
        top.add(addresses)
    assert top.take() == {}


def test_of_many_floods_the_worst_are_found() -> None:
    top = TopSources()
    for source in range(100):
        top.add(np.full(FEWEST_REPLIES + source, source * 0x01010101, np.uint32))
    found = top.take()
    assert len(found) == MOST_SOURCES
    assert sorted(found, reverse=True) == [source * 0x01010101 for source in range(99, 99 - MOST_SOURCES, -1)]
