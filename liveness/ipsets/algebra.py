"""The algebra of sets of any number of operands, of which one is in memory at a time, besides the result."""

from collections.abc import Callable, Iterable

from pyroaring import BitMap

Operation = Callable[[BitMap, BitMap], BitMap]
"""Changes its first operand into the result and returns it."""


def unite(first: BitMap, second: BitMap) -> BitMap:
    """Add the members of the second."""
    first |= second
    return first


def intersect(first: BitMap, second: BitMap) -> BitMap:
    """Keep what is in both."""
    first &= second
    return first


def subtract(first: BitMap, second: BitMap) -> BitMap:
    """Remove the members of the second."""
    first -= second
    return first


def symmetric_difference(first: BitMap, second: BitMap) -> BitMap:
    """Keep what is in one of both only."""
    first ^= second
    return first


def combined(operation: Operation, operands: Iterable[BitMap]) -> BitMap:
    """Return what an operation makes of all operands from left to right; the first of them is changed."""
    remaining = iter(operands)
    result = next(remaining)
    for operand in remaining:
        result = operation(result, operand)
    return result
