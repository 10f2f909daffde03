"""The plan of a run: everything decided before the first packet, from the config and its resolved targets."""

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.config.crowding import CATCH_UP_S
from liveness.config.model import Config
from liveness.errors import UsageError
from liveness.order.once_per_block import Block, OncePerBlock
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
from liveness.scan.workers import Cores, receivers_for, senders_for, share_cores
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets

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


def census_order(plan: "Plan") -> OncePerBlock:
    """Return the order of a census: every target once, block by block. UsageError for one that cannot be."""
    config = plan.config
    blocks = len(plan.targets.blocks(config.block_prefix))
    if blocks > MAX_BLOCKS:
        raise UsageError(
            f"config {config.name!r}: $.block_prefix: {config.block_prefix}: makes {blocks:,} blocks of"
            f" these targets, at most {MAX_BLOCKS:,}: take a shorter prefix"
        )
    order = OncePerBlock(
        parts=tuple(_blocks(config, plan.targets)),
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
    """Yield the blocks that have a target to probe, in ascending order."""
    quotas = config.quotas(targets)
    for block, quota in zip(targets.blocks(config.block_prefix), quotas.tolist(), strict=True):
        if quota:
            yield Block(block.name, block.intervals, quota, config.seed)


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
    order_of: "Callable[[Plan], Order]" = census_order
    """Makes the order in which targets are probed."""

    def __post_init__(self) -> None:
        """Refuse what cannot run as planned."""
        _ = self.order

    @cached_property
    def order(self) -> Order:
        """Which target is due when."""
        return self.order_of(self)

    def share(self, sender: int) -> Share:
        """Return the share of the order that a sender of this machine has."""
        return Share(sender, self.senders)

    @cached_property
    def probes(self) -> tuple[Probe, ...]:
        """The probes in the order of the config, the control last."""
        return probes_of_run(self.config.probes, self.control_port)

    @cached_property
    def target_count(self) -> int:
        """Addresses that will be probed, once for each part of the order that probes them."""
        return targets_of(self.order.parts)

    @property
    def intervals(self) -> Intervals:
        """What replies may be about: every allowed and unblocked address."""
        return self.targets.intervals

    @property
    def attempts(self) -> int:
        """How often each probe is sent to each target."""
        return self.config.retransmit.attempts

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

    def first_addresses(self, count: int) -> NDArray[np.uint32]:
        """Return the first targets in the order of the run, at most `count` and at most those of one part."""
        return self.order.parts[0].listed.address_at(self.order.first_indices(count))
