"""The block of a census: a part of the address space with a permutation of its own, of which a machine has a share."""

from dataclasses import dataclass
from functools import cached_property

from liveness.order.permutation import Permutation
from liveness.order.sampled import addresses_within, count_within
from liveness.space.intervals import Intervals


@dataclass(frozen=True)
class Block:
    """One block: its intervals, and the number of targets that are probed, which come first in its permutation.

    Machine `machine` of `machines` probes every `machines`-th of them.
    """

    name: str
    listed: Intervals
    quota: int
    """Number of targets that all machines together probe."""
    seed: int
    machine: int = 0
    machines: int = 1

    @cached_property
    def targets(self) -> int:
        """Number of targets that this machine probes."""
        if self.machines == 1:
            return self.quota
        return self.permutation.targets_in(self.machine, self.machines, self.quota)

    def count_within(self, addresses: Intervals) -> int:
        """Return how many of `addresses` this machine probes."""
        return count_within(
            self.permutation, self.listed, addresses, targets=self.quota, index=self.machine, shards=self.machines
        )

    def within(self, addresses: Intervals) -> Intervals:
        """Return the part of `addresses` that this machine probes."""
        return addresses_within(
            self.permutation, self.listed, addresses, targets=self.quota, index=self.machine, shards=self.machines
        )

    @property
    def permutation(self) -> Permutation:
        """Permutation of the block's indices. It is not kept: a plan may have thousands of blocks."""
        return Permutation.of_block(self.listed.count, self.seed, self.name)
