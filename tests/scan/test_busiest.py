"""The busiest sources against a dictionary: who floods is told, with never more than he sent."""

from collections import Counter

import numpy as np

from liveness.scan.receive.top_sources import TOLD, WORTH_TELLING, BusiestSources


def test_floods_are_told_among_many_quiet_sources() -> None:
    random = np.random.default_rng(3)
    quiet = random.integers(0, 2**32, 60_000, dtype=np.uint32)
    floods = {0xC6336401: 20_000, 0: 3_000, 0xFFFFFFFF: 900}
    sent = np.concatenate([quiet, *(np.full(count, source, np.uint32) for source, count in floods.items())])
    random.shuffle(sent)
    truth = Counter(sent.tolist())
    busiest = BusiestSources()
    for batch in np.array_split(sent, 7):
        busiest.add(batch)
    told = busiest.take()
    assert set(told) == set(floods)
    for source, count in told.items():
        assert 0.95 * truth[source] <= count <= truth[source]
    assert busiest.take() == {}, "begun anew"


def test_a_census_in_which_nobody_floods_tells_of_nobody() -> None:
    busiest = BusiestSources()
    addresses = np.arange(1 << 16, dtype=np.uint32)
    for _ in range(16):
        busiest.add(addresses)
    assert busiest.take() == {}


def test_of_many_floods_the_worst_are_told() -> None:
    busiest = BusiestSources()
    for source in range(100):
        busiest.add(np.full(WORTH_TELLING + source, source * 0x01010101, np.uint32))
    told = busiest.take()
    assert len(told) == TOLD
    assert sorted(told, reverse=True) == [source * 0x01010101 for source in range(99, 99 - TOLD, -1)]
