"""Config of a survey: every field, its type, its default, and the loader that names what is wrong."""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from liveness.config import model
from liveness.config.checks import Problem, notify_problems, problems
from liveness.config.model import Delivery, Limits, Network, Receive, Section, Share
from liveness.config.units import Duration, Rate, StartTime, TargetLimit
from liveness.errors import UsageError
from liveness.planes.blocks import BLOCK_ADDRESSES
from liveness.replies import CONTROL
from liveness.space.intervals import Intervals
from liveness.space.prefixes import parse_lines
from liveness.survey.mix import DEFAULT_MIX, parse_mix

SHORTEST_INTERVAL_US: Final = 100_000
LONGEST_INTERVAL_US: Final = 86_400_000_000
REMEMBERED_S: Final = 3_600
"""A reply proves its round by itself for so long after its probe."""
MOST_MARKS: Final = 240
"""The most rounds that probes can distinguish: of shorter intervals, this many rounds are recognised."""
MOST_ROUNDS: Final = 1 << 20
TOLERANCE_US: Final = 50_000
RATE_DIGITS: Final = 10**6
"""A rate in a config is exact to a millionth of a packet."""


class Lists(Section, frozen=True, kw_only=True):
    """What is never probed: prefixes, ranges, addresses, files of them.

    `opt_outs` is blocked as an opt-out during the survey is: shards of one survey, which must have the same `block`,
    may differ in it.
    """

    block: tuple[str, ...] = ()
    opt_outs: tuple[str, ...] = ()
    ipv6: Literal["refuse", "skip"] = "refuse"


class Rounds(Section, frozen=True, kw_only=True):
    """The blocks of a survey, how long a round takes, how long all take, and how late a probe may be sent.

    Without a tolerance it is 50 ms, or half the time between two probes to one /24 where that is shorter. A survey that
    follows a census has `count` and `mix` in place of blocks: how many /24s are drawn from the census, and by which
    policies.
    """

    blocks: str = ""
    interval: Duration = Duration("11m")
    duration: Duration = Duration("14d")
    tolerance: Duration | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=1 << 24)] = 24_000
    mix: str = DEFAULT_MIX


class SurveyNotify(Delivery, frozen=True, kw_only=True):
    """Notifications of a survey. Outages are those of /24s in `prefixes`, of all if there are none.

    A /24 is judged once its availability was learned for the time `learn`.
    """

    on: tuple[Literal["complete", "failure", "outage", "recovery"], ...] = (
        "complete",
        "failure",
        "outage",
        "recovery",
    )
    prefixes: tuple[str, ...] = ()
    learn: Duration = Duration("24h")

    @property
    def watched(self) -> Intervals:
        """The addresses of `prefixes`, all if there are none. UsageError for an entry that is none."""
        return parse_lines(self.prefixes, "notify.prefixes") if self.prefixes else Intervals.everything()

    def watched_of(self, numbers: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Return for each /24 (address >> 8) whether an address of it lies in `prefixes`. UsageError as above."""
        first = numbers.astype(np.int64) << 8
        watched = self.watched
        begun = np.searchsorted(watched.first, first + BLOCK_ADDRESSES - 1, side="right")
        found: NDArray[np.bool_] = begun > np.searchsorted(watched.last, first, side="left")
        return found


class SurveyConfig(Section, frozen=True, kw_only=True):
    """One survey. Fields that a census has mean the same."""

    name: str
    survey: Rounds
    seed: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] = 0
    targets: Lists = Lists()
    probes: tuple[str, ...] = ("icmp",)
    tcp_options: Literal["windows", "linux", "mss", "none"] = "windows"
    checksum: Literal["strict", "ignore"] = "strict"
    network: Network = Network()
    receive: Receive = Receive(ring_mib=16)
    contact: str = ""
    output: str = "sets"
    replies: Literal["none", "parquet", "pcap", "both"] = "none"
    limits: Limits = Limits()
    share: Share = Share()
    notify: SurveyNotify = SurveyNotify()
    user: str = "auto"
    shard: model.Shard = model.Shard()
    vantage: str = ""
    place: model.Place = model.Place()
    start_at: StartTime | None = None
    secret: str = ""

    @property
    def start_ns(self) -> int | None:
        """The agreed start of the first round, ns since 1970; None if it starts at once."""
        return None if self.start_at is None else round(self.start_at.seconds * 1e3) * 1_000_000

    @property
    def interval_ns(self) -> int:
        """Length of a round, ns."""
        return self.survey.interval.us * 1_000

    @property
    def rounds(self) -> int:
        """Number of rounds: a part of one counts as a whole one."""
        return max(1, -(-self.survey.duration.us // self.survey.interval.us))

    @property
    def marks(self) -> int:
        """Number of rounds that a probe can distinguish: an hour of them, and one in which a reply is expected."""
        return min(MOST_MARKS, math.ceil(REMEMBERED_S * 1_000_000 / self.survey.interval.us) + 1)

    @property
    def tolerance_ns(self) -> int:
        """How late a probe may be sent, ns."""
        if self.survey.tolerance is not None:
            return self.survey.tolerance.us * 1_000
        half_spacing_ns = self.interval_ns // (2 * BLOCK_ADDRESSES * len(self.probes))
        return min(TOLERANCE_US * 1_000, half_spacing_ns)

    @property
    def late_at_once(self) -> int:
        """Probes to one /24 that may leave at once after a stall; 0 with the tolerance that a survey has by itself."""
        return self.tolerance_ns * BLOCK_ADDRESSES * len(self.probes) // self.interval_ns

    @property
    def pps_per_24(self) -> float:
        """Packets per second that every /24 of the survey gets."""
        return BLOCK_ADDRESSES * len(self.probes) / self.survey.interval.seconds

    def rate_pps(self, blocks: int) -> float:
        """Return packets per second of each probe."""
        return blocks * BLOCK_ADDRESSES / self.survey.interval.seconds

    def as_census(self, blocks: int = 1) -> model.Config:
        """Return the config of a census with the same fields, for the parts of a scan that a survey shares.

        Rounds take the place of attempts. There is one sender and one receiver, which write the same planes. It is not
        the config of a shard: a shard of a survey has all targets of its /24s.
        """
        pps = Fraction(blocks * BLOCK_ADDRESSES * 1_000_000, self.survey.interval.us)
        return model.Config(
            name=self.name,
            seed=self.seed,
            targets=model.TargetLists(
                allow=(self.survey.blocks or "blocks",),
                block=self.targets.block,
                opt_outs=self.targets.opt_outs,
                ipv6=self.targets.ipv6,
            ),
            probes=tuple(name for name in self.probes if name != CONTROL),
            control=CONTROL in self.probes,
            rate=Rate(f"{math.ceil(pps * RATE_DIGITS) / RATE_DIGITS:f}pps"),
            retransmit=model.Retransmit(attempts=self.marks, queue=0),
            probe_spacing=Duration("0s"),
            cooldown=self.survey.interval,
            checkpoint=Duration("1h"),
            senders=1,
            tcp_options=self.tcp_options,
            checksum=self.checksum,
            network=self.network,
            receive=msgspec.structs.replace(self.receive, receivers=1),
            contact=self.contact,
            output=self.output,
            replies=self.replies,
            limits=self.limits,
            share=self.share,
            user=self.user,
            vantage=self.vantage,
            place=self.place,
            start_at=self.start_at,
            secret=self.secret,
        )

    def as_shard(self) -> model.Config:
        """Return the config of a shard of a census with the same fields, from which control port and key are drawn."""
        return msgspec.structs.replace(self.as_census(), shard=self.shard)


def survey_problems(config: SurveyConfig) -> Iterator[Problem]:
    """Yield every value of a config that its type allows and that is wrong all the same."""
    rounds = config.survey
    if not SHORTEST_INTERVAL_US <= rounds.interval.us <= LONGEST_INTERVAL_US:
        yield Problem("$.survey.interval", rounds.interval, "expected a duration from 100ms to 24h, such as 11m")
        return
    if rounds.duration.us == 0:
        yield Problem("$.survey.duration", rounds.duration, "expected a duration above 0s, such as 14d")
    if config.rounds > MOST_ROUNDS:
        expected = f"makes {config.rounds:,} rounds of {rounds.interval}: expected at most {MOST_ROUNDS:,}"
        yield Problem("$.survey.duration", rounds.duration, expected)
    if rounds.tolerance is not None and not 0 < rounds.tolerance.us <= rounds.interval.us // 2:
        expected = f"expected more than 0s and at most half of the interval, {rounds.interval}"
        yield Problem("$.survey.tolerance", rounds.tolerance, expected)
    if "\0" in rounds.blocks:
        yield Problem("$.survey.blocks", rounds.blocks, "expected a file, such as blocks.csv")
    try:
        parse_mix(rounds.mix)
    except UsageError as problem:
        yield Problem("$.survey.mix", rounds.mix, str(problem).partition(": ")[2])
    if config.shard.of > 1 and config.start_at is None:
        expected = "a survey in shards needs `start_at`, because the rounds of all machines begin at the same time"
        yield Problem("$.shard.of", config.shard.of, expected)
    yield from _foreign_fields(config)
    yield from notify_problems(config.notify)
    yield from _prefix_problems(config.notify)
    yield from _probe_problems(config)


def _foreign_fields(config: SurveyConfig) -> Iterator[Problem]:
    """Yield values of fields that only a census understands."""
    if isinstance(config.receive.receivers, int) and config.receive.receivers > 1:
        yield Problem("$.receive.receivers", config.receive.receivers, "a survey has one receiver: leave it out")
    if config.limits.max_targets is not None:
        limit: TargetLimit = config.limits.max_targets
        yield Problem("$.limits.max_targets", limit, "a survey probes whole /24s: make a shorter list of blocks")
    if config.limits.loss != Limits().loss:
        expected = "a survey records each probe that was not sent and continues: leave it out, or set it to 0.001"
        yield Problem("$.limits.loss", config.limits.loss, expected)
    if not config.limits.repair:
        yield Problem("$.limits.repair", config.limits.repair, "a survey never sends a probe again: leave it out")


def _prefix_problems(notify: SurveyNotify) -> Iterator[Problem]:
    """Yield each of `notify.prefixes` that is no prefix, range or address."""
    for place, entry in enumerate(notify.prefixes):
        try:
            parse_lines([entry], "notify.prefixes")
        except UsageError:
            yield Problem(f"$.notify.prefixes[{place}]", entry, "expected a prefix, such as 192.0.2.0/24, or a range")


def _probe_problems(config: SurveyConfig) -> Iterator[Problem]:
    """Yield what is wrong with the list of probes, and with the fields that a census has too."""
    others = [name for name in config.probes if name != CONTROL]
    if len(config.probes) - len(others) > 1:
        yield Problem("$.probes", list(config.probes), f"{CONTROL} is listed twice")
    if others:
        yield from problems(config.as_shard())
    else:
        yield Problem("$.probes", list(config.probes), "expected at least one probe, such as icmp")
