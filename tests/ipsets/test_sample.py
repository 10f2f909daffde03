"""Samples: of the right size, of the set, the same for the same seed, and without favourites."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.ipsets import sample as module
from liveness.ipsets.sample import sample
from tests.ipsets.support import RANGES, Range, bitmap


@given(RANGES, st.integers(0, 500), st.integers(0, 2**64 - 1))
def test_a_sample_is_a_part_of_the_size_asked_for(ranges: list[Range], size: int, seed: int) -> None:
    addresses = bitmap(ranges)
    drawn = sample(addresses, size, seed)
    assert len(drawn) == min(size, len(addresses))
    assert drawn <= addresses
    assert drawn == sample(addresses, size, seed)


def test_of_everything_and_nearly_all_of_it() -> None:
    everything = bitmap([(0, 2**32 - 1)])
    assert len(sample(everything, 1000, 1)) == 1000
    assert len(sample(everything, 2**32 - 5, 1)) == 2**32 - 5
    large = bitmap([(2**24 - 10, 2**26)])  # in several chunks
    drawn = sample(large, 100_000, 5)
    assert len(drawn) == 100_000
    assert drawn <= large
    assert drawn.range_cardinality(2**25, 2**26) == pytest.approx(66_667, abs=1000)


def test_the_same_seed_draws_the_same_for_ever() -> None:
    drawn = sample(bitmap([(0, 999)]), 5, 42)
    assert list(drawn) == [132, 251, 360, 585, 597]
    assert drawn != sample(bitmap([(0, 999)]), 5, 43)


@pytest.mark.parametrize("size", [2, 4])  # drawn, and left out
def test_every_subset_is_as_likely_as_any_other(size: int) -> None:
    addresses = bitmap([(3, 5), (2**32 - 3, 2**32 - 1)])
    draws = 3000
    seen = Counter(tuple(sample(addresses, size, seed)) for seed in range(draws))
    subsets = list(combinations(addresses, size))
    assert set(seen) == set(subsets)
    expected = draws / len(subsets)
    chi_square = sum((seen[subset] - expected) ** 2 / expected for subset in subsets)
    assert chi_square < 36.1  # 14 degrees of freedom: p = 0.001, and the seeds are fixed


def test_numbers_that_would_favour_small_remainders_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class Source:
        def random_raw(self, count: int) -> object:
            return np.array([2**64 - 1, 2**64 - 2, 5], np.uint64)[:count]

    assert module._below(3, 3, Source()).tolist() == [2, 2]  # type: ignore[arg-type]  # 2**64 - 1 would be one 0 too many
    assert module._below(2**32, 3, Source()).tolist() == [2**32 - 1, 2**32 - 2, 5]  # type: ignore[arg-type]
    monkeypatch.setattr(module, "DRAWN_AT_ONCE", 2)
    assert len(sample(bitmap([(0, 99)]), 30, 7)) == 30
