"""The shape of a config: every field, its type, its default and its unit."""

import shlex
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from liveness.config.units import Duration, PortRange, Rate, StartTime, TargetLimit
from liveness.replies import MOST_FIRST_BYTES
from liveness.space.addresses import parse_entry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from liveness.space.targets import Targets

MAX_QUEUE_TARGETS = 100_000_000
"""A queued target takes four bytes in every sender; 400 MB or more is a typing mistake."""

AUTO_LIMIT = Rate("100kpps")
"""The limit of `rate: auto` if the config gives none: the rate of the paper."""

MAX_SHARDS = 4_096
"""Machines that one census may be split over."""

PAPER_PROBES = ("icmp", "tcp/22", "tcp/23", "tcp/80", "tcp/443", "tcp/7547", "dns", "ntp")
"""The eight probes of Bano et al. 2018."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all sections share: immutable, and a field that does not exist is an error."""


class TargetLists(Section, frozen=True, kw_only=True):
    """What may be probed and what never is: prefixes, ranges, addresses, files of them, ``-`` for standard input.

    A file is a list, or a set of any format that `liveness sets` reads. `ipv6` says what a line of IPv6 in a list is.
    `opt_outs` is blocked as an opt-out during the scan is: never probed, but left in the order of the targets, which
    all shards of a census must have in common.
    """

    allow: tuple[str, ...]
    block: tuple[str, ...] = ()
    opt_outs: tuple[str, ...] = ()
    ipv6: Literal["refuse", "skip"] = "refuse"

    @property
    def blocklists(self) -> tuple[str, ...]:
        """Return everything that is never probed, whether it has a place in the order of the targets or not."""
        return (*self.block, *self.opt_outs)


class Retransmit(Section, frozen=True, kw_only=True):
    """How often each probe is sent, and how many targets lie between a probe and its repeat."""

    attempts: Annotated[int, msgspec.Meta(ge=1, le=4)] = 2
    queue: Annotated[int, msgspec.Meta(ge=0, le=MAX_QUEUE_TARGETS)] = 1_000_000
    only_unanswered: bool = False


class Network(Section, frozen=True, kw_only=True):
    """The interface that packets leave by, and fields of their outer headers."""

    interface: str = "auto"
    source_addresses: tuple[str, ...] = ()
    foreign_sources: bool = False
    source_ports: PortRange = PortRange("32768-61000")
    gateway_mac: str = "auto"
    arp_rate: Rate = Rate("500pps")
    transport: Literal["auto", "af_xdp", "af_packet", "xdp_live"] = "auto"
    zero_copy: Literal["auto", "never", "require"] = "auto"
    ttl: Annotated[int, msgspec.Meta(ge=1, le=255)] = 64

    @property
    def sources(self) -> tuple[int, ...]:
        """Return the addresses to send from, host order, ranges and prefixes written out; none: the route's own."""
        bounds = [parse_entry(entry) for entry in self.source_addresses]
        return tuple(address for low, high in bounds for address in range(low, high + 1))


class Receive(Section, frozen=True, kw_only=True):
    """How replies are captured."""

    capture: Literal["auto", "packet", "xdp"] = "auto"
    ring_mib: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 64
    receivers: Annotated[int, msgspec.Meta(ge=1, le=64)] | Literal["auto"] = "auto"


class Limits(Section, frozen=True, kw_only=True):
    """Limits: when to stop early, how many packets a second a /24 may get, what may be lost.

    `loss` is the share of targets that a complete run may have lost, as far as is known; `repair` is whether they are
    sent to again. `max_pause` is how long a scan waits for a link, a gateway or a source address that is gone, before
    it ends.
    """

    max_targets: TargetLimit | None = None
    max_runtime: Duration | None = None
    max_pps_per_24: Annotated[float, msgspec.Meta(gt=0)] | None = None
    loss: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.001
    repair: bool = True
    max_pause: Duration = Duration("10m")


class Keep(Section, frozen=True, kw_only=True):
    """What a recurring census keeps of its own runs: the newest complete ones, and the logs of the newest of those."""

    runs: Annotated[int, msgspec.Meta(ge=1)] = 12
    replies: Annotated[int, msgspec.Meta(ge=0)] = 2


class Share(Section, frozen=True, kw_only=True):
    """The group whose members may read the runs of a census. Only the owner can read the key of a run."""

    group: str = ""


class Shard(Section, frozen=True, kw_only=True):
    """The part of a census that this machine sends: every `of`-th target of the common order, from number `index` on.

    Machines with the same seed and targets, and each index from 0 to `of` - 1 once, probe every target once.
    """

    index: Annotated[int, msgspec.Meta(ge=0, lt=MAX_SHARDS)] = 0
    of: Annotated[int, msgspec.Meta(ge=1, le=MAX_SHARDS)] = 1


class Place(Section, frozen=True, kw_only=True):
    """Where a vantage point is in the network: its region, and the number of its autonomous system. Both are noted."""

    region: str = ""
    asn: Annotated[int, msgspec.Meta(ge=1, le=(1 << 32) - 1)] | None = None


class Delivery(Section, frozen=True, kw_only=True):
    """Delivery of notifications: to a command, a webhook, or both."""

    command: str | tuple[str, ...] = ""
    webhook: str = ""

    @property
    def words(self) -> list[str]:
        """The command as program and arguments, none if there is none; ValueError if a shell could not split it."""
        return shlex.split(self.command) if isinstance(self.command, str) else list(self.command)


class Notify(Delivery, frozen=True, kw_only=True):
    """Notifications of a recurring census. `fall` is the drop of the hit rate to report, as a share of the last one."""

    on: tuple[Literal["complete", "failure", "drops", "hit_rate"], ...] = ("complete", "failure", "drops", "hit_rate")
    fall: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.2


class Talk(Section, frozen=True, kw_only=True):
    """Talks with TCP services, if there are `applications`.

    `rate` bounds the frames sent for them, `wait` is the time from a SYN-ACK to the end of the talk, and `first_bytes`
    are the bytes of each segment's data that the log of replies keeps.
    """

    rate: Rate = Rate("20kpps")
    wait: Duration = Duration("5s")
    first_bytes: Annotated[int, msgspec.Meta(ge=0, le=MOST_FIRST_BYTES)] = 0


class Config(Section, frozen=True, kw_only=True):
    """One census. Everything but its name and its targets has a default."""

    name: str
    seed: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] = 0
    targets: TargetLists
    probes: tuple[str, ...] = PAPER_PROBES
    control: bool = True
    applications: tuple[Literal["ssh", "telnet", "http", "tls", "cwmp"], ...] = ()
    talk: Talk = Talk()
    rate: Rate = Rate("1kpps")
    rate_limit: Rate | None = None
    block_prefix: Annotated[int, msgspec.Meta(ge=1, le=24)] = 3
    retransmit: Retransmit = Retransmit()
    probe_spacing: Duration = Duration("100ms")
    cooldown: Duration = Duration("10s")
    checkpoint: Duration = Duration("10s")
    senders: Annotated[int, msgspec.Meta(ge=1, le=64)] | Literal["auto"] = "auto"
    tcp_options: Literal["windows", "linux", "mss", "none"] = "windows"
    checksum: Literal["strict", "ignore"] = "strict"
    network: Network = Network()
    receive: Receive = Receive()
    contact: str = ""
    output: str = "sets"
    replies: Literal["none", "parquet", "pcap", "both"] = "none"
    limits: Limits = Limits()
    on_silence: Literal["warn", "pause", "stop"] = "pause"
    share: Share = Share()
    keep: Keep = Keep()
    notify: Notify = Notify()
    then: str = ""
    user: str = "auto"
    shard: Shard = Shard()
    vantage: str = ""
    place: Place = Place()
    start_at: StartTime | None = None
    slot: Duration | None = None
    start_offset: Duration = Duration(0)
    secret: str = ""

    @property
    def highest_rate(self) -> Rate:
        """Return the rate, or where it is to be found while the scan runs the limit of the search."""
        return (self.rate_limit or AUTO_LIMIT) if self.rate.auto else self.rate

    def quotas(self, targets: "Targets") -> "NDArray[np.int64]":
        """Return how many targets of each block to probe, `limits.max_targets` respected."""
        limit = self.limits.max_targets
        return targets.limit(None if limit is None else limit.of(targets.count), self.block_prefix)

    @property
    def probe_spacing_s(self) -> float:
        """Return the time between two probes to one address, seconds."""
        return self.probe_spacing.seconds

    @property
    def cooldown_s(self) -> float:
        """Return the wait for late replies after each block, seconds."""
        return self.cooldown.seconds

    @property
    def max_runtime_s(self) -> float | None:
        """Return the time after which the scan stops, seconds."""
        return None if self.limits.max_runtime is None else self.limits.max_runtime.seconds


def to_document(config: Config) -> dict[str, object]:
    """Return the config as plain mappings, lists, text and numbers, every field with its value."""
    document: dict[str, object] = msgspec.json.decode(msgspec.json.encode(config, enc_hook=encode_unit))
    return document


def to_record(config: Config) -> dict[str, object]:
    """Return the config as a run's manifest keeps it: without `notify`, because a webhook's address may be a secret."""
    document = to_document(config)
    del document["notify"]
    return document


def from_document(document: object) -> Config:
    """Return the config of what `to_document` returned; msgspec.ValidationError names what does not fit."""
    return msgspec.convert(document, Config, dec_hook=decode_unit)


def encode_unit(value: object) -> object:
    """Return the value that a document has for one of the unit types."""
    return value.number if isinstance(value, TargetLimit) else str(value)


def decode_unit(kind: type, value: object) -> object:
    """Build one of the unit types from its value in a file."""
    return kind(value)
