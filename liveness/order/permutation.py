"""The permutation: a random cyclic walk that visits every index of a block once (Durumeric et al. 2013, section 4.1).

For n targets take p, the smallest prime above n, a random generator g of the multiplicative group mod p and a random
start: x <- x * g mod p runs through 1..p-1; index x - 1 is a target where x <= n and is skipped where not.
"""

import functools
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel, uint64
from liveness.order.logarithm import exponents_of

MAX_COUNT = 2**31
"""The largest block, a /1: products of two group elements then fit 64 bits."""

# With these bases the Miller-Rabin test is deterministic for every number below 3.3e24 (Sorenson and Webster 2015).
_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


def is_prime(number: int) -> bool:
    """Return whether a number below 2**64 is prime."""
    if number < 2:  # noqa: PLR2004 - the smallest prime
        return False
    for prime in _WITNESSES:
        if number % prime == 0:
            return number == prime
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for witness in _WITNESSES:
        power = pow(witness, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


@functools.cache  # most blocks of a census have the same size
def prime_above(number: int) -> int:
    """Return the smallest prime greater than a number."""
    candidate = number + 1
    while not is_prime(candidate):
        candidate += 1
    return candidate


def prime_factors(number: int) -> list[int]:
    """Return the distinct prime factors of a number below 2**32, by trial division."""
    factors = []
    divisor = 2
    while divisor * divisor <= number:
        if number % divisor == 0:
            factors.append(divisor)
            while number % divisor == 0:
                number //= divisor
        divisor += 1 if divisor == 2 else 2  # noqa: PLR2004 - after two only odd divisors
    if number > 1:
        factors.append(number)
    return factors


def _numbers(seed: int, block: str) -> Iterator[int]:
    """Yield an endless stream of 64-bit numbers that depends only on seed and block, not on the machine."""
    counter = 0
    while True:
        yield int.from_bytes(hashlib.sha256(f"{seed}|{block}|{counter}".encode()).digest()[:8], "big")
        counter += 1


@dataclass(frozen=True, slots=True)
class Permutation:
    """The permutation of one block: `count` targets, `prime` p, `generator` g and the first element `start`."""

    count: int
    prime: int
    generator: int
    start: int

    @classmethod
    def of_block(cls, count: int, seed: int, block: str) -> Self:
        """Return the permutation of `count` targets (1 to 2**31) of the block named `block`, e.g. ``32.0.0.0/3``.

        Raises ValueError for any other `count`.
        """
        if not 1 <= count <= MAX_COUNT:
            raise ValueError(f"a block has 1 to {MAX_COUNT} targets, not {count}")
        prime = prime_above(count)
        order = prime - 1
        factors = prime_factors(order)
        numbers = _numbers(seed, block)
        root = next(g for g in range(1, prime) if all(pow(g, order // f, prime) != 1 for f in factors))
        # The generators are exactly the powers of one primitive root with exponents coprime to the group order. The
        # exponent is drawn at random, so each generator is equally likely.
        exponent = next(e for e in (number % order + 1 for number in numbers) if math.gcd(e, order) == 1)
        return cls(count, prime, pow(root, exponent, prime), next(numbers) % order + 1)

    def elements_holding(self, targets: int) -> int:
        """Return the number of elements, counted from the start, that contain the first `targets` targets."""
        if targets >= self.count:
            return self.prime - 1
        return elements_for(uint64(self.start), uint64(self.generator), uint64(self.prime), self.count, targets)

    def _elements(self, targets: int | None) -> int:
        return self.prime - 1 if targets is None else self.elements_holding(targets)

    def targets_in(self, index: int, shards: int, targets: int | None = None) -> int:
        """Return the number of targets in the part `index` of `shards`: see `shard`. It walks no element."""
        order = self._elements(targets)
        elements = max(0, -(-(order - index) // shards))
        no_targets = np.arange(self.count + 1, self.prime, dtype=np.uint64)
        inverse = pow(self.start, -1, self.prime)
        places = exponents_of(no_targets * np.uint64(inverse) % np.uint64(self.prime), self.generator, self.prime)
        return elements - int(np.count_nonzero((places < order) & (places % shards == index)))

    def shard(self, index: int, shards: int, targets: int | None = None) -> "Shard":
        """Return the part of sender `index` of `shards`: every shards-th element, beginning with element `index`.

        With `targets`, the shards together cover exactly the first `targets` targets, whatever their number.
        """
        order = self._elements(targets)
        return Shard(
            count=self.count,
            prime=self.prime,
            step=pow(self.generator, shards, self.prime),
            start=self.start * pow(self.generator, index, self.prime) % self.prime,
            elements=max(0, -(-(order - index) // shards)),
        )


@dataclass(frozen=True, slots=True)
class Shard:
    """One sender's part of a permutation: `elements` group elements, of which those above `count` are skipped."""

    count: int
    prime: int
    step: int
    start: int
    elements: int

    def indices(self) -> NDArray[np.uint32]:
        """Return all target indices of the part in order (4 bytes each)."""
        out = np.empty(self.elements, np.uint32)
        return out[: walk(uint64(self.start), uint64(self.step), uint64(self.prime), self.count, out)]


@kernel
def next_element(element: int, step: int, prime: int) -> int:
    """Return the group element after `element` (all uint64)."""
    return (element * step) % prime


@kernel
def walk(start: int, step: int, prime: int, count: int, out: NDArray[np.uint32]) -> int:
    """Write the indices of the next len(out) group elements, without skipped ones; return the number written."""
    element = start
    written = 0
    for _ in range(len(out)):
        if element <= uint64(count):  # elements count + 1 to prime - 1 are no targets
            out[written] = element - uint64(1)
            written += 1
        element = next_element(element, step, prime)
    return written


@kernel
def elements_for(start: int, step: int, prime: int, count: int, wanted: int) -> int:
    """Return the number of group elements, counted from `start`, that contain the first `wanted` targets."""
    element = start
    elements = 0
    while wanted > 0:
        if element <= uint64(count):
            wanted -= 1
        elements += 1
        element = next_element(element, step, prime)
    return elements
