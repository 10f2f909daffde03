"""The permutation: a bijection for any count, the same on every machine, whole again from its shards."""

import hashlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from liveness.kernel import COMPILED
from liveness.order.permutation import MAX_COUNT, Permutation, is_prime, prime_above, prime_factors

BLOCK = "32.0.0.0/3"
LARGE = 200_000 if COMPILED else 2_000

COUNTS = st.one_of(st.integers(1, 300), st.integers(1, LARGE))


def order(count: int, seed: int = 73, block: str = BLOCK) -> list[int]:
    indices: list[int] = Permutation.of_block(count, seed, block).shard(0, 1).indices().tolist()
    return indices


def small_primes(limit: int) -> list[int]:
    return [n for n in range(2, limit) if all(n % d for d in range(2, int(n**0.5) + 1))]


PRIMES = small_primes(600)


@given(COUNTS, st.integers(0, 2**64))
@example(1, 0)
@example(2, 0)
@example(3, 0)
def test_every_index_once(count: int, seed: int) -> None:
    assert sorted(order(count, seed)) == list(range(count))


@pytest.mark.parametrize("prime", [2, 3, 5, 7, 11, 101, 257, 1009])
@pytest.mark.parametrize("beside", [-1, 0, 1])
def test_every_index_once_around_primes(prime: int, beside: int) -> None:
    assert sorted(order(prime + beside)) == list(range(prime + beside))


@given(st.integers(1, 2**30), st.integers(0, 2**32))
@example(2**30, 73)
@example(2**29, 73)
@example(536_870_909, 73)
@example(MAX_COUNT, 73)
def test_the_generator_generates_the_whole_group(count: int, seed: int) -> None:
    """A walk is a bijection exactly if p is prime, above the count, and g has order p - 1: judged without walking."""
    walk = Permutation.of_block(count, seed, BLOCK)
    assert is_prime(walk.prime)
    assert walk.prime > count
    assert not any(is_prime(number) for number in range(count + 1, walk.prime))
    assert 1 <= walk.start < walk.prime
    assert 1 <= walk.generator < walk.prime
    assert pow(walk.generator, walk.prime - 1, walk.prime) == 1
    group_order, divisor = walk.prime - 1, 2
    while divisor * divisor <= group_order:
        if group_order % divisor == 0:
            for factor in (divisor, group_order // divisor):
                if factor != walk.prime - 1:
                    assert pow(walk.generator, factor, walk.prime) != 1
        divisor += 1


@pytest.mark.slow
def test_every_index_once_of_a_large_block() -> None:
    """A quarter of a /3 where kernels are compiled: every one of 2^27 targets is seen once."""
    count = 2**27 if COMPILED else 2**14
    shards = 16
    walk = Permutation.of_block(count, 73, BLOCK)
    seen = np.zeros(count, np.uint8)
    for index in range(shards):
        seen[walk.shard(index, shards).indices()] += 1
    assert (seen == 1).all()


@given(COUNTS, st.integers(1, 9))
def test_shards_interleave_to_the_whole(count: int, shards: int) -> None:
    """Element k of the whole walk is element k // shards of sender k % shards."""
    walk = Permutation.of_block(count, 5, BLOCK)
    elements, element = [], walk.start
    for _ in range(walk.prime - 1):
        elements.append(element)
        element = element * walk.generator % walk.prime
    parts = [walk.shard(index, shards) for index in range(shards)]
    assert sum(part.elements for part in parts) == walk.prime - 1
    for index, part in enumerate(parts):
        expected = [element - 1 for element in elements[index::shards] if element <= count]
        assert part.indices().tolist() == expected


@given(st.integers(1, 3_000), st.data())
def test_a_sample_is_the_beginning_of_the_walk_whatever_the_shards(count: int, data: st.DataObject) -> None:
    wanted = data.draw(st.integers(1, count))
    shards = data.draw(st.integers(1, 5))
    walk = Permutation.of_block(count, 5, BLOCK)
    whole = walk.shard(0, 1).indices().tolist()
    sampled = [index for k in range(shards) for index in walk.shard(k, shards, wanted).indices().tolist()]
    assert sorted(sampled) == sorted(whole[:wanted])


def test_the_order_depends_on_seed_block_and_count_only() -> None:
    assert order(5_000) == order(5_000)
    assert order(5_000, seed=74) != order(5_000)
    assert order(5_000, block="64.0.0.0/3") != order(5_000)
    assert order(6_000)[:100] != order(5_000)[:100]


def test_the_order_is_the_same_on_every_machine() -> None:
    """Runs of years are compared by their seed: this order may never change."""
    digest = hashlib.sha256(np.array(order(1_000), ">u4").tobytes()).hexdigest()
    assert digest == "a17041600266bb2826abbb3ee3a7bd842266c528670b542374fa1f0afcef6529"


def test_neighbours_in_the_walk_are_no_neighbours_in_the_block() -> None:
    """An order in which a /24 is probed in one go would be a permutation too: ask for spread."""
    indices = order(65_536)
    near = sum(abs(a - b) < 256 for a, b in pairwise(indices))
    assert near / len(indices) < 0.02  # a random order has 2 x 256 / 65,536 = 0.8 %


@pytest.mark.parametrize("count", [0, -1, MAX_COUNT + 1])
def test_a_count_no_block_has_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="a block has 1 to"):
        Permutation.of_block(count, 1, BLOCK)


@given(st.integers(0, 360_000))
def test_primality_by_trial_division(number: int) -> None:
    assert is_prime(number) == (number > 1 and all(number % p for p in PRIMES if p * p <= number))


@given(st.integers(1, 2**32))
def test_factors_are_prime_and_divide(number: int) -> None:
    factors = prime_factors(number)
    rest = number
    for factor in factors:
        assert is_prime(factor)
        assert rest % factor == 0
        while rest % factor == 0:
            rest //= factor
    assert rest == 1
    assert prime_above(number) > number


def test_strong_pseudoprimes_are_composite() -> None:
    """Numbers that fool Miller-Rabin to base 2, and one that fools bases 2, 3, 5 and 7."""
    assert not any(is_prime(number) for number in (2047, 3277, 4033, 4681, 8321, 3_215_031_751))
