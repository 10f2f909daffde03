"""The schedule of a census by its blocks: how long each takes, when it begins, and how long talks make the last one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liveness.config.model import Config
from liveness.order.lanes import spacing_margin_s
from liveness.space.targets import Targets


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """The blocks of a census that have targets, one after the other, each followed by its cooldown."""

    targets: NDArray[np.int64]
    """Targets that this machine probes, by block."""
    begins_s: NDArray[np.float64]
    spans_s: NDArray[np.float64]
    """From the first probe of a block to the end of its cooldown."""
    cooldown_s: float

    @property
    def duration_s(self) -> float:
        """The time from the first probe to the end of the last cooldown."""
        return float((self.begins_s + self.spans_s).max(initial=0.0))

    @property
    def longest_block_s(self) -> float:
        """The time of the largest block with its cooldown; 0 without blocks."""
        return float(self.spans_s.max(initial=0.0))

    def duration_with(self, talking_s: float, wait_s: float) -> float:
        """Return the time until the last talk is over, s, if all frames of talks take `talking_s` at their rate.

        A block has as large a share of the talks as of the targets, evenly spread over its time. Frames that come
        faster than they may leave wait, also through the cooldown and the blocks that follow. The last talk begins when
        no frame waits any more, and takes `wait_s`.
        """
        if talking_s == 0 or not len(self.targets):
            return self.duration_s
        sending_s = self.spans_s - self.cooldown_s
        ends_s = self.begins_s + sending_s
        waiting_s = np.empty(2 * len(ends_s) - 1)  # changes of the time that waiting frames take: in blocks, in pauses
        waiting_s[::2] = talking_s * self.targets / self.targets.sum() - sending_s
        waiting_s[1::2] = ends_s[:-1] - self.begins_s[1:]
        sums_s = np.cumsum(waiting_s)
        left_s = float(sums_s[-1] - min(0.0, float(sums_s.min())))  # never less than nothing waits
        return float(ends_s[-1]) + max(self.cooldown_s, left_s + wait_s)


def schedule_of(config: Config, targets: Targets, rate_pps: float) -> Schedule:
    """Return the schedule of this machine's part of a census, `limits.max_targets` respected.

    `rate_pps` is that of each probe, originals and repeats together. Blocks follow each other at once, or by their
    slots from the first one on.
    """
    quotas = config.quotas(targets)
    own = own_quotas(config, targets, quotas)
    spans_s = block_spans_s(config, own, rate_pps)[own > 0]
    begins_s: NDArray[np.float64] = np.cumsum(spans_s) - spans_s
    if config.slot is not None:
        begins_s = np.multiply((np.cumsum(quotas > 0) - 1)[own > 0], config.slot.seconds, dtype=np.float64)
    return Schedule(own[own > 0], begins_s, spans_s, config.cooldown_s)


def block_spans_s(config: Config, quotas: NDArray[np.int64], rate_pps: float) -> NDArray[np.float64]:
    """Return the time that each block takes with its cooldown, s, for so many targets each; 0 for a block of none.

    Every probe sends targets x attempts at its rate, and the last probe of a target comes its spacing after the first.
    """
    probes = len(config.probes) + config.control
    spaced_s = config.probe_spacing_s + spacing_margin_s(config.probe_spacing_s)
    spacing_s = max(spaced_s, 1 / rate_pps) if spaced_s else 0.0
    pause_s = (probes - 1) * spacing_s + config.cooldown_s
    return quotas * config.retransmit.attempts / rate_pps + np.where(quotas > 0, pause_s, 0.0)


def own_quotas(config: Config, targets: Targets, quotas: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many of the `quotas` of each block this machine probes: all, or those of its shard."""
    shard = config.shard
    if shard.of == 1:
        return quotas
    from liveness.order.permutation import Permutation  # noqa: PLC0415 - its kernels load Numba, which takes a second

    own = np.zeros_like(quotas)
    for number, block in enumerate(targets.blocks(config.block_prefix)):
        if quotas[number]:
            permutation = Permutation.of_block(block.intervals.count, config.seed, block.name)
            own[number] = permutation.targets_in(shard.index, shard.of, int(quotas[number]))
    return own
