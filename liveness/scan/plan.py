"""The plan of a run: all decisions before the first packet, made from the config and its resolved targets."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.config.model import Config
from liveness.config.packets_per_24 import CATCH_UP_S
from liveness.config.units import MAX_PORT
from liveness.errors import LivenessError, UsageError
from liveness.files.documents import shown_value
from liveness.order.block import Block
from liveness.order.once_per_block import OncePerBlock
from liveness.order.order import Order, Share, targets_of
from liveness.probes.probe import Probe
from liveness.probes.registry import probes_of_run
from liveness.probes.run_constants import CookieParameters
from liveness.scan.rate.load import Load, ceiling_pps, load_of
from liveness.scan.receive.first_replies import FirstReplySinks
from liveness.scan.receive.log_sink import LogSinks
from liveness.scan.receive.set_sink import SetSinks
from liveness.scan.receive.sink import SinkKind
from liveness.scan.send.pacing import GIVE_UP_S
from liveness.scan.talk.sink import TalkSinks
from liveness.scan.workers import Cores, receivers_for, senders_for, share_cores
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets

MAX_BLOCKS: Final = 4_096
"""Largest number of blocks. Each block ends with a cooldown; more blocks are most likely a mistake in the prefix."""
MAX_LAG: Final = 1 << 27
"""Largest number of targets that wait for their last probe; their addresses take half a gigabyte."""
CENSUS_SINKS: Final[tuple[SinkKind, ...]] = (TalkSinks(), SetSinks(), LogSinks(), FirstReplySinks())
"""Kinds of sinks of a census. The first one sorts the replies of talks, before others store them."""


def check_control_port(config: Config, port: int | None, manifest: Path) -> None:
    """Refuse the port of the control probe that a manifest records, unless its config draws one. LivenessError."""
    if config.control == (port is not None) and (port is None or 0 < port <= MAX_PORT):
        return
    expected = f"a port from 1 to {MAX_PORT:,}, because the config has a control probe" if config.control else "null"
    raise LivenessError(f"{manifest}: a damaged manifest: $.control_port: {shown_value(port)}: expected {expected}")


def census_order(plan: "Plan") -> OncePerBlock:
    """Return the order of a census, which draws every target once, block by block.

    Raises UsageError if there are too many blocks, or if too many targets would wait for their last probe.
    """
    config = plan.config
    blocks = len(plan.targets.blocks(config.block_prefix))
    if blocks > MAX_BLOCKS:
        raise UsageError(
            f"config {config.name!r}: $.block_prefix: {config.block_prefix}: makes {blocks:,} blocks of"
            f" these targets, at most {MAX_BLOCKS:,}: take a shorter prefix"
        )
    parts = tuple(_blocks(config, plan.targets))
    if not parts:
        raise UsageError(
            f"config {config.name!r}: $.shard.of: {config.shard.of}: shard {config.shard.index} has no target:"
            f" there are {plan.targets.count:,} in all"
        )
    order = OncePerBlock(
        parts=parts,
        probes=len(plan.probes),
        attempts=plan.attempts,
        queue=config.retransmit.queue,
        spacing_s=config.probe_spacing_s,
        rate_pps=plan.rate_pps,
        searched=config.rate.auto,
    )
    if order.longest_lag > MAX_LAG:
        raise UsageError(
            f"config {config.name!r}: $.probe_spacing: {config.probe_spacing}: at {config.rate} more"
            f" than {MAX_LAG:,} targets wait for their last probe: lower spacing, rate or retransmit.queue"
        )
    return order


def _blocks(config: Config, targets: Targets) -> Iterator[Block]:
    """Yield the blocks in which this machine has at least one target to probe, in ascending order."""
    quotas = config.quotas(targets)
    shard = config.shard
    for block, quota in zip(targets.blocks(config.block_prefix), quotas.tolist(), strict=True):
        part = Block(block.name, block.intervals, quota, config.seed, shard.index, shard.of)
        if quota and part.targets:
            yield part


@dataclass(frozen=True)
class Plan:
    """The plan of a run. Rates are packets per second of one probe."""

    config: Config
    targets: Targets
    control_port: int | None
    key: bytes
    cores: tuple[int, ...] = field(default_factory=lambda: tuple(sorted(os.sched_getaffinity(0))))
    """CPU cores that this run may use."""
    sinks: tuple[SinkKind, ...] = CENSUS_SINKS
    """Kinds of sinks for accepted replies."""
    order_of: "Callable[[Plan], Order]" = census_order
    """Function that returns the order in which targets are probed."""

    def __post_init__(self) -> None:
        """Compute the order now, so that a plan that cannot run raises its UsageError here."""
        _ = self.order

    @cached_property
    def order(self) -> Order:
        """Order of the run: the rule that says which target is due when."""
        return self.order_of(self)

    def share(self, sender: int) -> Share:
        """Return the share of the order that a sender of this machine sends."""
        return Share(sender, self.senders, self.config.shard.index, self.config.shard.of)

    @cached_property
    def probes(self) -> tuple[Probe, ...]:
        """Probes in the order of the config, with the control probe last."""
        return probes_of_run(self.config.probes, self.control_port)

    @cached_property
    def target_count(self) -> int:
        """Number of targets, where a target counts once for each part of the order in which it is probed."""
        return targets_of(self.order.parts)

    @property
    def intervals(self) -> Intervals:
        """All allowed and unblocked addresses, which replies may be about."""
        return self.targets.intervals

    @property
    def attempts(self) -> int:
        """Number of times that each probe is sent to each target."""
        return self.config.retransmit.attempts

    @property
    def only_unanswered(self) -> bool:
        """Whether repeats are sent only for probes without an answer."""
        return self.config.retransmit.only_unanswered and self.attempts > 1

    @property
    def senders(self) -> int:
        """Number of sender processes."""
        return senders_for(self.config.senders, self.rate_pps * len(self.probes), len(self.cores))

    @property
    def receivers(self) -> int:
        """Number of receiver processes."""
        return receivers_for(self.config.receive.receivers, self.rate_pps * len(self.probes), len(self.cores))

    @property
    def core_shares(self) -> Cores:
        """Core of each sender and each receiver."""
        return share_cores(self.senders, self.receivers, self.rate_pps * len(self.probes), self.cores)

    @cached_property
    def load(self) -> Load:
        """Rate of the run, and the bits that it takes on the wire."""
        return load_of(self.config)

    @cached_property
    def ceiling_pps(self) -> float:
        """Highest rate to which a signal may raise the run, in packets per second of each probe."""
        return ceiling_pps(self.config, self.targets, self.load)

    @property
    def rate_pps(self) -> float:
        """Packets per second of each probe, originals and repeats together, over all senders.

        Under `rate: auto` it is the limit of the search, for which the run must have resources.
        """
        return self.load.rate_pps

    @property
    def catch_up_s(self) -> float:
        """Longest stall after which a sender catches up: shorter if `limits.max_pps_per_24` bounds each second."""
        return GIVE_UP_S if self.config.limits.max_pps_per_24 is None else CATCH_UP_S

    @property
    def cooldown_s(self) -> float:
        """Time in seconds for which late replies are awaited at the end of each block."""
        return self.config.cooldown_s

    @property
    def talks(self) -> bool:
        """Whether services that answer are talked to."""
        return bool(self.config.applications)

    @property
    def cookie(self) -> CookieParameters:
        """Parameters of the cookie: the key, the range of source ports and the number of attempts."""
        ports = self.config.network.source_ports
        return CookieParameters(self.key, ports.first, ports.last, self.attempts)

    def first_addresses(self, count: int) -> NDArray[np.uint32]:
        """Return the first targets in the order of the run, at most `count`, all from its first part."""
        return self.order.parts[0].listed.address_at(self.order.first_indices(count))
