"""The plan of a survey: its blocks, the addresses to probe, its order, and the checks before the first packet."""

import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.config.load import read_entries, skipped_in
from liveness.config.model import Config
from liveness.errors import RefusedError, UsageError
from liveness.order.rounds import Rounds
from liveness.order.slots import blocks_of_shard, slot_tables
from liveness.planes.blocks import BLOCK_ADDRESSES, Blocks, encode_blocks, read_blocks
from liveness.scan.plan import Plan
from liveness.scan.receive.log_sink import LogSinks
from liveness.scan.receive.sink import SinkKind
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from liveness.survey.config import SurveyConfig

SPARE_ROUNDS: Final = 4
"""Rounds in the live planes besides those that replies can still name: the current ones, and one that is stored."""
LAG_NS: Final = 1_500_000_000
"""Time after which a round that is over is stored at the latest: the recorder waits for the last replies, and syncs."""
MOST_PPS: Final = 1_000_000
"""Packets per second of all probes: one sender sends as many."""


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """A survey that can run."""

    config: SurveyConfig
    census: Config
    """The same as the config of a census: see `SurveyConfig.as_census`."""
    blocks: Blocks
    """The /24s that this machine probes."""
    targets: Targets
    """The addresses that may be probed: those of the blocks, less blocked and special-purpose ones."""
    order: Rounds
    listed: Blocks
    """The /24s of the whole survey: more than `blocks` in a shard."""
    targets_sha256: str
    """Digest of the addresses of all shards that may be probed."""

    @property
    def blocks_sha256(self) -> str:
        """Digest of the /24s of the whole survey, as blocks.csv has them."""
        return hashlib.sha256(encode_blocks(self.listed)).hexdigest()

    @property
    def depth(self) -> int:
        """Number of rounds in the live planes."""
        return depth_of(self.config)

    @property
    def probes(self) -> tuple[str, ...]:
        """Names of the probes, as kernels number them."""
        return self.config.probes

    @property
    def addresses(self) -> int:
        """Number of addresses in the blocks."""
        return BLOCK_ADDRESSES * len(self.blocks)

    @property
    def left_out(self) -> Intervals:
        """Addresses of the blocks that are never probed."""
        return self.order.parts[0].listed.difference(self.targets.intervals)

    def plan(self, control_port: int | None, key: bytes, sinks: tuple[SinkKind, ...] = ()) -> Plan:
        """Return the plan of its sending and receiving."""
        return Plan(
            self.census,
            self.targets,
            control_port,
            key,
            sinks=(*sinks, LogSinks()),
            order_of=lambda _: self.order,
        )

    def starting(self, start_ns: int) -> "Survey":
        """Return the survey with another start of its first round."""
        return replace(self, order=replace(self.order, start_ns=start_ns))


def depth_of(config: SurveyConfig) -> int:
    """Return the number of rounds in the live planes of a survey."""
    return config.marks + SPARE_ROUNDS + LAG_NS // config.interval_ns


def plan_survey(config: SurveyConfig, *, lab: bool, origin: str | Path, blocks: Blocks | None = None) -> Survey:
    """Return the survey of a config, whose first round starts at 0. `origin` names the config in messages.

    UsageError for lists that cannot be read in full or that leave nothing; RefusedError for public addresses without a
    contact and for more packets per second than `limits.max_pps_per_24`.
    """
    if blocks is None:
        blocks = read_blocks(Path(config.survey.blocks))
    check_rate(config, -(-len(blocks) // config.shard.of), origin)
    census = config.as_census(len(blocks))
    blocked = read_entries([entry for entry in census.targets.block if entry != "-"], skipped_in(census))
    read_entries(census.targets.opt_outs, skipped_in(census))  # the survey reads them again: here they are checked
    try:
        targets = Targets.build(blocks.intervals, blocked, lab=lab)
    except UsageError as problem:
        raise UsageError(f"{origin}: $.survey.blocks: {config.survey.blocks!r}: {problem}") from None
    if targets.public and not config.contact.strip():
        raise RefusedError(
            f"{origin}: $.contact: {config.contact!r}: {targets.count:,} addresses, public ones among them, would not"
            " learn who probes them: give a URL or mail address"
        )
    if not config.notify.watched_of(blocks.numbers).any():
        raise UsageError(
            f"{origin}: $.notify.prefixes: {list(config.notify.prefixes)}: no /24 of"
            f" {config.survey.blocks or 'the survey'} lies in them"
        )
    return survey_of(config, blocks, targets, origin)


def survey_of(config: SurveyConfig, listed: Blocks, targets: Targets, origin: str | Path = "config") -> Survey:
    """Return the survey of a config with all of its blocks and the addresses that may be probed.

    Of a shard `targets` may be those of all shards or its own alone. UsageError for a shard without an address.
    """
    shard = config.shard
    nothing = (
        f"{origin}: $.shard.of: {shard.of}: shard {shard.index} has no address to probe: there are {len(listed):,} /24s"
        " in all"
    )
    if shard.index >= len(listed):
        raise UsageError(nothing)
    own = listed.chosen(blocks_of_shard(listed.numbers, config.seed, shard.index, shard.of))
    order = Rounds(
        own.numbers,
        slot_tables(listed.numbers, len(config.probes), config.seed, shard.index, shard.of),
        start_ns=0,
        interval_ns=config.interval_ns,
        rounds=config.rounds,
        marks_of_rounds=config.marks,
        shard=shard.index,
        shards=shard.of,
    )
    mine = targets if shard.of == 1 else targets.without(own.intervals.complement())
    if not mine.count:
        raise UsageError(nothing)
    return Survey(config, config.as_census(len(own)), own, mine, order, listed, digest_of(targets.intervals))


def digest_of(addresses: Intervals) -> str:
    """Return the SHA-256 of addresses as a file of them has them."""
    return hashlib.sha256("".join(f"{entry}\n" for entry in addresses.entries()).encode()).hexdigest()


def check_rate(config: SurveyConfig, blocks: int, origin: str | Path) -> None:
    """Raise RefusedError or UsageError for a survey of so many blocks that sends more than it may."""
    limit_pps, pps = config.limits.max_pps_per_24, config.pps_per_24
    if limit_pps is not None and pps > limit_pps:
        shortest_s = BLOCK_ADDRESSES * len(config.probes) / limit_pps
        raise RefusedError(
            f"{origin}: $.limits.max_pps_per_24: {limit_pps:g}: with an interval of {config.survey.interval} every /24"
            f" gets {pps:.3g} packets/s: set survey.interval to {shortest_s:.0f}s or more, or raise the limit"
        )
    if limit_pps is not None and pps + config.late_at_once > limit_pps:
        raise RefusedError(
            f"{origin}: $.survey.tolerance: {config.survey.tolerance}: {config.late_at_once:,} late probes may reach a"
            f" /24 at once, besides {pps:.3g} packets/s: more than limits.max_pps_per_24, {limit_pps:g} packets/s:"
            " shorten it"
        )
    in_all_pps = config.rate_pps(blocks) * len(config.probes)
    if in_all_pps > MOST_PPS:
        raise UsageError(
            f"{origin}: $.survey.interval: {config.survey.interval}: makes {in_all_pps:,.0f} packets/s of {blocks:,}"
            f" /24s, at most {MOST_PPS:,}: take fewer blocks or a longer interval"
        )


def check_start_time(survey: Survey) -> None:
    """Raise UsageError for an agreed start so long ago that the last round is over."""
    start_ns = survey.config.start_ns
    if start_ns is not None and survey.starting(start_ns).order.end_ns <= time.time_ns():
        raise UsageError(
            f"config {survey.config.name!r}: $.start_at: {survey.config.start_at}: the last round of this survey is"
            " over: give a later time"
        )


def withdrawn_from(order: Rounds, addresses: NDArray[np.int64], time_ns: int) -> NDArray[np.int64]:
    """Return for each address (its index) the first round that was not due yet at a time."""
    due_ns = order.address_slots(0)[addresses] * (order.interval_ns / order.all_slots)
    return np.maximum(0, np.ceil((time_ns - order.start_ns - due_ns) / order.interval_ns)).astype(np.int64)
