"""The manifest of a survey: when its rounds were, what was probed, and what the planes on disk hold."""

from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct, field

from liveness.errors import LivenessError
from liveness.files.atomic import write_atomically
from liveness.files.directory import Directory
from liveness.files.documents import decoded
from liveness.files.reading import read_below
from liveness.runs.kinds import SURVEY, check_kind
from liveness.runs.manifest import Log, MergedRun, Shard, Vantage
from liveness.version import __version__

SCHEMA: Final = 1
NAME: Final = "manifest.json"
MAX_ROUNDS: Final = 1 << 20
"""Twenty years of rounds of eleven minutes: a larger number is a damaged file."""
MAX_BLOCKS: Final = 1 << 24
MAX_INTERVAL_S: Final = 86_400.0 * 366
MAX_START_NS: Final = 7_258_118_400 * 10**9
MAX_END_S: Final = 13_569_465_600.0
"""The year 2400: until then the last of the planned rounds has ended."""


class ProbeRounds(Struct, frozen=True, kw_only=True):
    """Pairs of address and round of one probe: how many were sent, and what came back."""

    sent: int = 0
    not_sent: int = 0
    withdrawn: int = 0
    positive: int = 0
    negative: int = 0
    late: int = 0


class Withdrawn(Struct, frozen=True, kw_only=True):
    """Addresses that opted out: nothing was sent to `first`..`last` from round `round` on."""

    first: str
    last: str
    round: int


class SurveyGap(Struct, frozen=True, kw_only=True):
    """An interval of time whose probes count as not sent: of all addresses, or of so many."""

    start: str
    end: str
    cause: str
    addresses: int | None = None


class Scanner(Struct, frozen=True, kw_only=True):
    """Where the probes of a survey came from, in its last session."""

    host: str = ""
    kernel: str = ""
    interface: str = ""
    source_addresses: list[str] = field(default_factory=list)
    transport: str = ""
    capture: str = ""


class Origin(Struct, frozen=True, kw_only=True):
    """Where an imported survey comes from: its files, their format, and the parts that could not be used."""

    format: str
    files: list[str]
    records: int = 0
    skipped: dict[str, int] = field(default_factory=dict)


class SurveyShard(Shard, frozen=True, kw_only=True):
    """The shard of a survey that a run is. Shards with equal digests have the same /24s and the same blocklists."""

    blocks_sha256: str
    """Of the /24s of the whole survey, as blocks.csv would have them."""
    targets_sha256: str
    """Of the addresses that all shards may probe, as targets.txt would have them."""


class Times(Struct, frozen=True, kw_only=True):
    """Times of a survey: the start of round 0, ISO 8601 with Z."""

    start: str


class SurveyManifest(Struct, frozen=True, kw_only=True):
    """A survey as its run directory describes it."""

    schema: int = SCHEMA
    kind: Literal["survey"] = "survey"
    version: str = __version__
    name: str
    run_id: str
    status: Literal["complete", "partial", "running"]
    seed: int = 0
    interval_s: float
    survey: Times
    start_ns: int
    """Start of round 0, ns since the epoch."""
    finished: str | None = None
    rounds: int
    """Rounds that the planes hold."""
    blocks: int
    probes: dict[str, ProbeRounds]
    withdrawn: list[Withdrawn] = field(default_factory=list)
    origin: Origin | None = None
    config: dict[str, Any] = field(default_factory=dict)
    loss_warnings: list[str] = field(default_factory=list)
    planned_rounds: int | None = None
    """Rounds of the whole survey; None for an imported one. `rounds` is less if it ended early."""
    gaps: list[SurveyGap] = field(default_factory=list)
    control_port: int | None = None
    reason: str | None = None
    """Why a survey that is not complete ended."""
    resumed: list[str] = field(default_factory=list)
    """When further sessions began."""
    scanner: Scanner | None = None
    messages: dict[str, dict[str, int]] = field(default_factory=dict)
    """Accepted packets by probe and kind, duplicates included."""
    rejected: dict[str, int] = field(default_factory=dict)
    delays: list[str] = field(default_factory=list)
    """Probes of an imported survey whose round-trip times are known."""
    verdicts: list[str] = field(default_factory=list)
    """Probes of an imported survey with verdicts of another tool (Trinocular) about blocks and rounds."""
    log: Log | None = None
    """The log of replies and packets, if the config asks for one."""
    shard: SurveyShard | None = None
    """None if the run is a whole survey that began at once."""
    vantage: Vantage | None = None
    merged_from: list[MergedRun] = field(default_factory=list)
    """The shards that `liveness merge` united."""

    def __post_init__(self) -> None:
        """Refuse numbers that no survey has; msgspec adds the path inside the manifest."""
        if self.schema != SCHEMA:
            raise ValueError(f"schema {self.schema}: this version reads {SCHEMA}")
        if not 1 <= self.rounds <= MAX_ROUNDS:
            raise ValueError(f"rounds: {self.rounds} is not between 1 and {MAX_ROUNDS}")
        if not 1 <= self.blocks <= MAX_BLOCKS:
            raise ValueError(f"blocks: {self.blocks} is not between 1 and {MAX_BLOCKS}")
        if not self.probes:
            raise ValueError("probes: none, where a survey has one at least")
        if not 0 <= self.start_ns <= MAX_START_NS:
            raise ValueError(f"start_ns: {self.start_ns} is not a time from 1970 to 2200")
        if not 0 < self.interval_s <= MAX_INTERVAL_S:
            raise ValueError(f"interval_s: {self.interval_s} is not above 0 and at most a year")
        planned = self.rounds if self.planned_rounds is None else self.planned_rounds
        if not 1 <= planned <= MAX_ROUNDS:
            raise ValueError(f"planned_rounds: {planned} is not between 1 and {MAX_ROUNDS}")
        if self.rounds > planned:
            raise ValueError(f"rounds: {self.rounds} is more than planned_rounds, {planned}")
        if self.start_ns / 1e9 + planned * self.interval_s > MAX_END_S:
            raise ValueError(f"planned_rounds: {planned} rounds of {self.interval_s:g} s end after the year 2400")

    @property
    def run(self) -> str:
        """The name that results carry: name and run id."""
        return f"{self.name}/{self.run_id}"


def encode_manifest(manifest: SurveyManifest) -> bytes:
    """Return a manifest as indented JSON with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def write_manifest(manifest: SurveyManifest, run: Path) -> None:
    """Replace the manifest of a run directory whole."""
    write_atomically(run / NAME, encode_manifest(manifest))


def load_manifest(run: Path) -> SurveyManifest:
    """Return the manifest of a run directory. LivenessError if it is damaged; UsageError for one of another kind."""
    path = run / NAME
    try:
        with Directory.open(run) as directory:
            content = read_below(directory, NAME)
    except OSError as problem:
        raise LivenessError(f"{path}: cannot read: {problem.strerror}") from problem
    check_kind(content, run, SURVEY)
    return decoded(content, SurveyManifest, path, "a damaged manifest")
