"""The plan of a run: everything decided before the first packet, from the config and its resolved targets."""

import math
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.config.crowding import CATCH_UP_S
from liveness.config.model import Config
from liveness.errors import UsageError
from liveness.order.permutation import Permutation, prime_above
from liveness.order.schedule import marks_for
from liveness.order.spacing import spacing_margin_s
from liveness.probes.probe import Probe
from liveness.probes.registry import probes_of_run
from liveness.probes.run_constants import CookieParameters
from liveness.scan.rate.load import Load, ceiling_pps, load_of
from liveness.scan.receive.first_replies import FirstReplySinks
from liveness.scan.receive.log_sink import LogSinks
from liveness.scan.receive.set_sink import SetSinks
from liveness.scan.receive.sink import SinkKind
from liveness.scan.send.pacing import GIVE_UP_S
from liveness.scan.workers import Cores, receivers_for, senders_for, share_cores
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets

MARK_EVERY: Final = 1_000_000
"""Targets between two entries of the lag record (Bano et al. 2018, section 3)."""
MAX_BLOCKS: Final = 4_096
"""Every block drains and cools down; more of them than this say that a short prefix was meant."""
CONTROL_PORTS: Final = range(49_152, 65_536)
"""The dynamic ports (RFC 6335), where no service is expected."""
MAX_LAG: Final = 1 << 27
"""Targets that wait in the queue: half a gigabyte of them."""
KEY_BYTES: Final = 16
CENSUS_SINKS: Final[tuple[SinkKind, ...]] = (SetSinks(), LogSinks(), FirstReplySinks())


def new_key() -> bytes:
    """Return a cookie key nobody can guess."""
    return secrets.token_bytes(KEY_BYTES)


def new_control_port(config: Config) -> int | None:
    """Return the run's random high port for the tarpit control, or None where the config switches it off."""
    if not config.control:
        return None
    probed = {f"tcp/{port}" for port in CONTROL_PORTS} & set(config.probes)
    return secrets.choice([port for port in CONTROL_PORTS if f"tcp/{port}" not in probed])


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """One block: its intervals, and how many of its targets, first in its permutation, are probed."""

    name: str
    intervals: Intervals
    targets: int
    seed: int

    @property
    def permutation(self) -> Permutation:
        """The walk over the block's addresses; made anew each time, since millions of blocks may be planned."""
        return Permutation.of_block(self.intervals.count, self.seed, self.name)


@dataclass(frozen=True)
class Plan:
    """A run before it begins. Rates are packets a second of one probe."""

    config: Config
    targets: Targets
    control_port: int | None
    key: bytes
    cores: tuple[int, ...] = field(default_factory=lambda: tuple(sorted(os.sched_getaffinity(0))))
    """The cores that this run may use."""
    sinks: tuple[SinkKind, ...] = CENSUS_SINKS
    """What becomes of accepted replies."""

    def __post_init__(self) -> None:
        """Refuse what cannot run as planned."""
        blocks = len(self.targets.blocks(self.config.block_prefix))
        if blocks > MAX_BLOCKS:
            raise UsageError(
                f"config {self.config.name!r}: $.block_prefix: {self.config.block_prefix}: makes {blocks:,} blocks of"
                f" these targets, at most {MAX_BLOCKS:,}: take a shorter prefix"
            )
        spacing_s = self.config.probe_spacing_s
        spacing_lag = len(self.probes) * (spacing_s + spacing_margin_s(spacing_s)) * self.rate_pps
        if (self.attempts - 1) * self.queue + self.attempts * spacing_lag > MAX_LAG:
            raise UsageError(
                f"config {self.config.name!r}: $.probe_spacing: {self.config.probe_spacing}: at {self.config.rate} more"
                f" than {MAX_LAG:,} targets wait for their last probe: lower spacing, rate or retransmit.queue"
            )

    @cached_property
    def probes(self) -> tuple[Probe, ...]:
        """The probes in the order of the config, the control last."""
        return probes_of_run(self.config.probes, self.control_port)

    @cached_property
    def blocks(self) -> tuple[BlockPlan, ...]:
        """The blocks that have a target to probe, in ascending order."""
        return tuple(self._plan_blocks())

    def _plan_blocks(self) -> Iterator[BlockPlan]:
        prefix = self.config.block_prefix
        quotas = self.config.quotas(self.targets)
        for block, quota in zip(self.targets.blocks(prefix), quotas.tolist(), strict=True):
            if quota:
                yield BlockPlan(block.name, block.intervals, quota, self.config.seed)

    @cached_property
    def target_count(self) -> int:
        """Addresses that will be probed."""
        return sum(block.targets for block in self.blocks)

    def probed_in(self, part: Intervals) -> Intervals:
        """Return those of some targets that are probed: all, or a sample of them by limits.max_targets."""
        chosen = Intervals.empty()
        for block in self.blocks:
            inside = block.intervals.intersection(part)
            if len(inside) and block.targets < block.intervals.count:
                sample = block.intervals.address_at(block.permutation.shard(0, 1, block.targets).indices())
                here = sample[inside.contains(sample)]
                inside = Intervals.from_bounds(here, here)
            chosen = chosen.union(inside)
        return chosen

    @property
    def intervals(self) -> Intervals:
        """What replies may be about: every allowed and unblocked address."""
        return self.targets.intervals

    @property
    def attempts(self) -> int:
        """How often each probe is sent to each target."""
        return self.config.retransmit.attempts

    @property
    def queue(self) -> int:
        """Targets between a probe and its repeat."""
        return self.config.retransmit.queue

    @property
    def only_unanswered(self) -> bool:
        """Whether a probe that was answered is not repeated."""
        return self.config.retransmit.only_unanswered and self.attempts > 1

    @property
    def senders(self) -> int:
        """How many processes send."""
        return senders_for(self.config.senders, self.rate_pps * len(self.probes), len(self.cores))

    @property
    def receivers(self) -> int:
        """How many processes receive."""
        return receivers_for(self.config.receive.receivers, self.rate_pps * len(self.probes), len(self.cores))

    @property
    def core_shares(self) -> Cores:
        """Which core each of them runs on."""
        return share_cores(self.senders, self.receivers, self.rate_pps * len(self.probes), self.cores)

    @cached_property
    def load(self) -> Load:
        """How fast it goes, and what that takes on the wire."""
        return load_of(self.config)

    @cached_property
    def ceiling_pps(self) -> float:
        """What a signal may raise the rate to at most, packets a second of each probe."""
        return ceiling_pps(self.config, self.targets, self.load)

    @property
    def rate_pps(self) -> float:
        """Packets a second of each probe, originals and repeats together, all senders together.

        Under `rate: auto` it is the limit of the search: what a run must have room for.
        """
        return self.load.rate_pps

    @property
    def catch_up_s(self) -> float:
        """How long a stall may be that a sender catches up: short where a limit bounds what a second may hold."""
        return GIVE_UP_S if self.config.limits.max_pps_per_24 is None else CATCH_UP_S

    @property
    def cooldown_s(self) -> float:
        """How long late replies are awaited at the end of each block."""
        return self.config.cooldown_s

    @property
    def cookie(self) -> CookieParameters:
        """What the cookie depends on."""
        ports = self.config.network.source_ports
        return CookieParameters(self.key, ports.first, ports.last, self.attempts)

    def marks(self, block: BlockPlan) -> int:
        """Return how many marks a lane of one sender can pass in a block."""
        return marks_for(self.targets_of_sender(block), self.mark_every_of_sender)

    @property
    def mark_every_of_sender(self) -> int:
        """Targets between two marks of one sender's lanes."""
        return -(-MARK_EVERY // self.senders)

    def targets_of_sender(self, block: BlockPlan) -> int:
        """Most targets that one sender can have in a block."""
        return min(block.targets, -(-(block.targets + self._skipped(block)) // self.senders))

    def _skipped(self, block: BlockPlan) -> int:
        """Group elements of the block's walk that are no target; a sender may happen to have none of them."""
        return prime_above(block.intervals.count) - 1 - block.intervals.count

    @property
    def queue_of_sender(self) -> int:
        """Targets of one sender between a probe and its repeat."""
        return -(-self.queue // self.senders)

    def spacing_of_sender(self, rate_pps: float | None = None) -> int:
        """Targets of one sender between two probes to one address, at `rate_pps`, the plan's if it is None.

        That is the spacing and its margin where the schedule draws `rate` targets a second, as it does until repeats
        begin. Where originals and repeats overlap it draws rate / attempts, and the spacing is that much longer.
        """
        spacing_s = self.config.probe_spacing_s
        return math.ceil((spacing_s + spacing_margin_s(spacing_s)) * (rate_pps or self.rate_pps) / self.senders)

    def first_addresses(self, count: int) -> NDArray[np.uint32]:
        """Return the first targets in the order of the run, at most `count` and at most one block's."""
        block = self.blocks[0]
        wanted = min(count, block.targets)
        indices = block.permutation.shard(0, 1, wanted).indices()
        return block.intervals.address_at(indices)
