"""The manifest: what a run was, what it sent and received, and which sets it left."""

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType, field

from liveness.errors import LivenessError
from liveness.runs.course import Lag, PathEvent, RateChange, RateSearch, Timeline
from liveness.runs.losses import LossRecord
from liveness.runs.optout_record import OptOuts
from liveness.runs.set_entry import SetEntry
from liveness.version import __version__

SCHEMA = 1
"""The manifest format this version writes and reads."""

MOST_SOURCES = 16
"""Sources of the most replies that a manifest lists at most."""

Counts = dict[str, int]
"""Counts by label, e.g. accepted messages by ``syn-ack`` or ``error-3-13``."""


class ProbeCounts(Struct, frozen=True, kw_only=True):
    """What was sent for one probe: unique targets by attempt, and frames that the kernel refused."""

    sent: list[int]
    send_errors: int = 0


class Receive(Struct, frozen=True, kw_only=True):
    """What the capture saw: packets past the filter, and those lost in the kernel's ring and in the interface.

    The kernel's own count of packets past the filter is `kernel_packets` = `packets` + `kernel_drops`.
    """

    packets: int = 0
    kernel_packets: int = 0
    kernel_drops: int = 0
    nic_drops: int = 0
    capture: str = ""
    """How packets were captured: `packet`, `xdp`, or empty if it is not known."""


class Transmit(Struct, frozen=True, kw_only=True):
    """The transmit rings: frames that left, frames that did not, the transport, and why no faster one was used."""

    frames: int = 0
    errors: int = 0
    repaired: int = 0
    """Frames that were sent again because they are known to have been lost; `sent` counts targets once all the same."""
    resent: int = 0
    """Frames that a resumed run sent again from its checkpoint on; `sent` counts those targets once as well."""
    given_up_s: float = 0.0
    """Time that senders could not keep up with the rate, on average of all senders: less was sent in it."""
    interface_frames: int = 0
    """What the interface counted meanwhile; frames of other programs are among them."""
    transport: str = ""
    reasons: list[str] = field(default_factory=list)
    unresolved: int = 0
    """Targets on the scanner's own link that answered no ARP request: nothing was sent to them."""


class Missed(Struct, frozen=True, kw_only=True):
    """Responsive targets that every attempt missed, estimated, with the 95 % confidence interval."""

    estimate: float
    low: float
    high: float


class TopSource(Struct, frozen=True, kw_only=True):
    """A source of by far more replies than others, and how many it sent at least."""

    source: str
    messages: int


class BlockStart(Struct, frozen=True, kw_only=True):
    """The start of a block that all vantage points were to begin at one time."""

    agreed: str
    """The time at which this run was to begin it; UTC."""
    late_ms: float
    """Milliseconds from that time to the first packet."""
    synchronised: bool
    """False if the block began so late that it may not have ended before the next one was to begin."""
    clock_offset_ms: float | None = None
    """By how much this machine's clock was ahead of true time then, if that is known."""


class BlockStatus(Struct, frozen=True, kw_only=True):
    """One block of the schedule: its prefix, its targets, how far it came, and its agreed start if it had one."""

    block: str
    targets: int
    status: str
    start: BlockStart | UnsetType = UNSET


class LogFile(Struct, frozen=True, kw_only=True):
    """One file of a run's log: replies or packets in it, and its bytes."""

    file: str
    rows: int
    bytes: int


class Log(Struct, frozen=True, kw_only=True):
    """The log of replies and packets that a run keeps if its config asks for one: its files, and what is missing."""

    complete: bool = True
    problems: list[str] = field(default_factory=list)
    files: list[LogFile] = field(default_factory=list)


class Privileges(Struct, frozen=True, kw_only=True):
    """The user of a run's processes while packets came in, and what confined its receivers."""

    user: str = ""
    uid: int | None = None
    confined: list[str] = field(default_factory=list)
    """``landlock`` (writes its run's directory, reads no file) and ``seccomp`` (opens no socket, starts nothing)."""
    notes: list[str] = field(default_factory=list)
    """What could not be given up, and why."""


class Replay(Struct, frozen=True, kw_only=True):
    """The source of a run that was made from captures: what they held, and the parts that could not be read."""

    captures: list[str]
    packets: int
    passed: int
    """Those that the capture filter of the scan let through."""
    unread: list[str] = field(default_factory=list)


def start_of(manifest: "Manifest", path: Path) -> datetime:
    """Return the start of the run at `path`. Raises LivenessError if its manifest does not say when that was."""
    try:
        started = datetime.fromisoformat(manifest.started)
    except ValueError as problem:
        raise LivenessError(f"{path}: $.started: {manifest.started!r}: not an ISO 8601 time") from problem
    if started.tzinfo is None:
        raise LivenessError(f"{path}: $.started: {manifest.started!r}: a time without its zone: UTC ends in Z")
    return started


class Shard(Struct, frozen=True, kw_only=True):
    """The shard of a census that a run is: number `index` of `of`, and its agreed start."""

    index: int
    of: int
    start_at: str | None = None
    """The time at which all shards were to begin; UTC."""
    late_ms: float | None = None
    """Milliseconds from the time at which this run was to begin to the first packet."""
    offset_s: float | UnsetType = UNSET
    """Seconds after `start_at` at which this run was to begin; absent if it was to begin then."""
    slot_s: float | UnsetType = UNSET
    """Seconds from the agreed start of a block to that of the next; absent if blocks follow without a pause."""


class Clock(Struct, frozen=True, kw_only=True):
    """The clock of the machine before its first packet, as `source` knew it; None is what it did not know."""

    source: str
    """``chrony``, or ``kernel``, which knows only a bound of the error."""
    synchronised: bool
    offset_ms: float | None = None
    """By how much the clock was ahead of true time."""
    error_ms: float | None = None
    stratum: int | None = None
    checked: str
    """When this was known; UTC, by the clock itself."""


class Vantage(Struct, frozen=True, kw_only=True):
    """The place from which a run was sent, and its clock."""

    name: str
    region: str | UnsetType = UNSET
    asn: int | UnsetType = UNSET
    """Number of its autonomous system."""
    clock: Clock | UnsetType = UNSET


class MergedRun(Struct, frozen=True, kw_only=True):
    """A run that was merged into this one, by its directory's name, and the digest of its manifest."""

    run: str
    vantage: str = ""
    shard: int
    started: str
    finished: str | None = None
    manifest_sha256: str


class Manifest(Struct, frozen=True, kw_only=True):
    """A run in one document. Counts are packets or addresses; times are UTC, ISO 8601 with ``Z``."""

    schema: int = SCHEMA
    name: str
    run_id: str
    status: Literal["complete", "partial", "running"]
    reason: str | None = None
    seed: int
    config: dict[str, Any]
    started: str
    finished: str | None = None
    resumed: list[str] = field(default_factory=list)
    """When the run was resumed; UTC."""
    targets: int
    targets_sha256: str | None = None
    """Of targets.txt as it was when the run began; None in runs of versions that kept none."""
    probes: dict[str, ProbeCounts]
    sets: list[SetEntry]
    messages: dict[str, Counts] = field(default_factory=dict)
    weak: dict[str, Counts] = field(default_factory=dict)
    control_port: int | None = None
    attempts: dict[str, Counts] = field(default_factory=dict)
    attempts_by_kind: dict[str, dict[str, Counts]] = field(default_factory=dict)
    """The same by `positive`, `negative` and `error` replies, each of them alone."""
    recovered_by_retransmit: Counts = field(default_factory=dict)
    missed: dict[str, Missed] = field(default_factory=dict)
    duplicates: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    busiest_sources: list[TopSource] = field(default_factory=list)
    rejected: Counts = field(default_factory=dict)
    receive: Receive = field(default_factory=Receive)
    transmit: Transmit = field(default_factory=Transmit)
    rate_changes: list[RateChange] = field(default_factory=list)
    rate_search: RateSearch | None = None
    loss_warnings: list[str] = field(default_factory=list)
    losses: list[LossRecord] = field(default_factory=list)
    path: list[PathEvent] = field(default_factory=list)
    timeline: Timeline = field(default_factory=Timeline)
    log: Log = field(default_factory=Log)
    replay: Replay | None = None
    opt_outs: OptOuts = field(default_factory=OptOuts)
    privileges: Privileges = field(default_factory=Privileges)
    lag: Lag = field(default_factory=Lag)
    blocks: list[BlockStatus] = field(default_factory=list)
    version: str = __version__
    host: str = ""
    kernel: str = ""
    interface: str = ""
    source_addresses: list[str] = field(default_factory=list)
    senders: int = 1
    receivers: int = 1
    shard: Shard | UnsetType = UNSET
    """Absent if the run is a whole census that began at once."""
    vantage: Vantage | UnsetType = UNSET
    merged_from: list[MergedRun] | UnsetType = UNSET
    """The shards that `liveness merge` united; absent in other runs."""
    talk: Counts | UnsetType = UNSET
    """Talks with TCP services: requests, repeats, resets, and what was left out. Absent without applications."""
    protocols: dict[str, Counts] | UnsetType = UNSET
    """Targets that sent data in talks, by probe and protocol. Absent without applications."""
    counters: dict[str, float | dict[str, float]] | UnsetType = UNSET
    """Counters without a field of their own, by name: one number, or one for each probe. Absent if there are none."""

    @property
    def run(self) -> str:
        """The run as people and documents call it: ``name/run id``."""
        return f"{self.name}/{self.run_id}"

    @property
    def planned(self) -> int:
        """The targets that the run began with: those left, and those that opted out since."""
        return self.targets + self.opt_outs.targets

    def found_by_attempts(self, probe: str) -> Counts:
        """Return a probe's targets by the attempts that positive replies prove; by all replies in older manifests."""
        if self.attempts_by_kind:
            return self.attempts_by_kind.get(probe, {}).get("positive", {})
        return self.attempts.get(probe, {})
