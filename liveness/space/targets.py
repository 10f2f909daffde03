"""The targets of a scan: the allowed addresses less the blocked and the special-purpose ones, cut into blocks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import overload

import numpy as np
from numpy.typing import NDArray

from liveness.errors import UsageError
from liveness.space.addresses import format_address
from liveness.space.intervals import Intervals
from liveness.space.special import special_prefix, special_purpose

ADDRESS_BITS = 32
LONGEST_BLOCK_PREFIX = 24


@dataclass(frozen=True, slots=True)
class Block:
    """The targets inside one prefix, e.g. `name` ``32.0.0.0/3``: what one permutation runs over."""

    name: str
    intervals: Intervals


@dataclass(frozen=True, slots=True)
class Targets:
    """The addresses to probe, and how many of the allowed ones each rule took away."""

    intervals: Intervals
    allowed: int
    blocked: int
    special: int
    public: bool
    """Whether any target lies outside special-purpose space: then the scan must name a contact."""
    ipv6_lines: int = 0
    """Lines of IPv6 that were skipped in the lists."""

    @classmethod
    def build(cls, allow: Intervals, block: Intervals, *, lab: bool = False) -> "Targets":
        """Return ``allow`` less ``block`` and, outside a lab, less special-purpose space.

        UsageError names what removed everything if nothing is left.
        """
        unblocked = allow.difference(block)
        ordinary = unblocked.difference(special_purpose())
        chosen = unblocked if lab else ordinary
        targets = cls(
            intervals=chosen,
            allowed=allow.count,
            blocked=allow.count - unblocked.count,
            special=unblocked.count - chosen.count,
            public=ordinary.count > 0,
        )
        if targets.count == 0:
            raise UsageError(f"no target is left: {explain_nothing(allow, unblocked, targets)}")
        return targets

    def without(self, left_out: Intervals) -> "Targets":
        """Return the targets less some of them that no rule of the config removed."""
        return replace(self, intervals=self.intervals.difference(left_out))

    @property
    def count(self) -> int:
        """Return the number of targets."""
        return self.intervals.count

    def blocks(self, prefix_length: int) -> "Blocks":
        """Return the blocks of this prefix length (1 to 24) that hold a target, ascending."""
        return Blocks(self.intervals, prefix_length)

    def limit(self, max_targets: int | None, prefix_length: int) -> NDArray[np.int64]:
        """Return how many targets of each block to probe, at most `max_targets` in all: the first of its permutation.

        Shares are proportional to the blocks' sizes; what rounding leaves over goes to the largest remainders, the
        earlier block first among equals. Same order as `blocks`.
        """
        counts = self.blocks(prefix_length).counts
        total = self.count
        if max_targets is None or max_targets >= total:
            return counts
        wanted = counts * max_targets  # below 2**31 * 2**32: it fits
        quotas = wanted // total
        remainders = wanted - quotas * total
        left = max_targets - int(quotas.sum())
        quotas[np.argsort(-remainders, kind="stable")[:left]] += 1
        return quotas


@dataclass(frozen=True, slots=True)
class Blocks(Sequence[Block]):
    """The non-empty blocks of a target list, each cut out on demand: there are millions of /24s."""

    intervals: Intervals
    prefix_length: int
    numbers: Intervals = field(init=False)
    """The numbers (base address >> host bits) of the blocks that hold a target, as intervals over those numbers."""

    def __post_init__(self) -> None:
        if not 1 <= self.prefix_length <= LONGEST_BLOCK_PREFIX:
            raise ValueError(f"a block is a /1 to /{LONGEST_BLOCK_PREFIX}, not a /{self.prefix_length}")
        shift = np.uint32(self.host_bits)
        numbers = Intervals.from_bounds(self.intervals.first >> shift, self.intervals.last >> shift)
        object.__setattr__(self, "numbers", numbers)

    @property
    def host_bits(self) -> int:
        """Return the number of address bits below the blocks' prefix."""
        return ADDRESS_BITS - self.prefix_length

    @property
    def bases(self) -> NDArray[np.int64]:
        """Return the first address of every block's prefix."""
        return self.numbers.address_at(np.arange(len(self))).astype(np.int64) << self.host_bits

    @property
    def counts(self) -> NDArray[np.int64]:
        """Return the number of targets in every block."""
        bases = self.bases
        return (self.intervals.rank(bases + (1 << self.host_bits)) - self.intervals.rank(bases)).astype(np.int64)

    def __len__(self) -> int:
        return self.numbers.count

    @overload
    def __getitem__(self, index: int) -> Block: ...
    @overload
    def __getitem__(self, index: slice) -> list[Block]: ...
    def __getitem__(self, index: int | slice) -> Block | list[Block]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        return self.cut(int(self.numbers.address_at([at])[0]) << self.host_bits)

    def __iter__(self) -> Iterator[Block]:
        for first, last in zip(self.numbers.first.tolist(), self.numbers.last.tolist(), strict=True):
            for number in range(first, last + 1):
                yield self.cut(number << self.host_bits)

    def cut(self, base: int) -> Block:
        """Return the block whose prefix begins at `base`."""
        end = base | ((1 << self.host_bits) - 1)
        low = int(np.searchsorted(self.intervals.last, np.uint32(base), side="left"))
        high = int(np.searchsorted(self.intervals.first, np.uint32(end), side="right"))
        inside = Intervals(
            np.maximum(self.intervals.first[low:high], np.uint32(base)),
            np.minimum(self.intervals.last[low:high], np.uint32(end)),
        )
        return Block(f"{format_address(base)}/{self.prefix_length}", inside)


def explain_nothing(allow: Intervals, unblocked: Intervals, targets: Targets) -> str:
    """Return, for a message, what removed every allowed address."""
    if targets.allowed == 0:
        return "the allow list is empty"
    if targets.blocked == targets.allowed:
        return f"the blocklist covers {all_of(targets.allowed)}"
    entry = special_prefix(int(unblocked.first[0]))
    example = f" ({entry.prefix} {entry.name}, {entry.rfc})" if entry else ""
    what = f"special-purpose space{example}, which is probed inside a lab only"
    if targets.blocked:
        others = "the other is" if targets.special == 1 else "the others are"
        blocked = "1 is" if targets.blocked == 1 else f"{targets.blocked:,} are"
        return f"of {allow.count:,} allowed addresses {blocked} blocked and {others} {what}"
    return f"{all_of(targets.allowed)} {'is' if targets.allowed == 1 else 'are'} {what}"


def all_of(allowed: int) -> str:
    """Return the allowed addresses in words."""
    return "the only allowed address" if allowed == 1 else f"all {allowed:,} allowed addresses"
