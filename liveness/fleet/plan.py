"""Plan of a run of a fleet: which vantage point sends what, and when. It is kept in the store, and never changes."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from liveness.config.model import Config, to_document
from liveness.config.packets_per_24 import peak_bound_pps
from liveness.config.units import StartTime
from liveness.errors import RefusedError, UsageError
from liveness.files.reading import read_bytes
from liveness.fleet.job import Job
from liveness.fleet.vantages import Fleet, VantagePoint
from liveness.space.addresses import parse_entry
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from liveness.version import __version__

SECRET_BYTES: Final = 4_096
LEFT_OUT: Final = (
    "notify",
    "keep",
    "share",
    "then",
    "user",
    "shard",
    "start_at",
    "start_offset",
    "secret",
    "vantage",
    "place",
    "output",
)
"""Fields of the config that are the vantage point's own, or no part of what is sent."""


class PlannedJob(Struct, frozen=True, kw_only=True):
    """One part of the census: its name, who sends it, which shard of how many, and how long after the start."""

    job: str
    vantage: str
    shard: int
    shards: int
    offset: str


class Plan(Struct, frozen=True, kw_only=True):
    """The plan as the store has it. `digest` says whether two commands mean the same run."""

    schema: int = 1
    census: str
    run: str
    mode: Literal["split", "replicate"]
    digest: str
    created: str
    start_at: str
    version: str
    targets: int
    targets_sha256: str
    config: dict[str, Any]
    jobs: list[PlannedJob]
    vantages: list[dict[str, Any]]
    """The vantage points as the vantage file has them, without commands and directories."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done: the vantage file, the config of the census, and what is allowed and what is probed of it."""

    fleet: Fleet
    config: Config
    allowed: Intervals
    targets: Targets

    @property
    def entries(self) -> bytes:
        """Return the targets as the file of targets of a run has them."""
        return "".join(f"{entry}\n" for entry in self.targets.intervals.entries()).encode()

    @property
    def digest(self) -> str:
        """Return what differs for another census, or for one that is shared in another way; opt-outs do not count."""
        fleet = self.fleet
        points = [[vantage.name, vantage.offset, vantage.addresses, vantage.rate] for vantage in fleet.vantages]
        parts = [self._sent(), fleet.mode, fleet.start, points, list(self.allowed.entries())]
        return hashlib.sha256(msgspec.json.encode(parts, enc_hook=str)).hexdigest()

    def _sent(self) -> dict[str, object]:
        """Return the config without what is the vantage point's own."""
        document = to_document(self.config)
        for name in LEFT_OUT:
            del document[name]
        document["targets"] = {}
        return document

    def plan(self, run: str, now_s: float) -> Plan:
        """Return the plan of a new run, which begins at the start of the vantage file, or `lead` after `now_s`."""
        fleet = self.fleet
        start_s = now_s + fleet.lead.seconds if fleet.start is None else fleet.start.seconds
        shards = len(fleet.vantages) if fleet.mode == "split" else 1
        jobs = []
        for index, vantage in enumerate(fleet.vantages):
            shard = index if fleet.mode == "split" else 0
            jobs.append(
                PlannedJob(
                    job=f"{vantage.name}/{shard}-of-{shards}",
                    vantage=vantage.name,
                    shard=shard,
                    shards=shards,
                    offset=str(vantage.offset),
                )
            )
        return Plan(
            census=self.config.name,
            run=run,
            mode=fleet.mode,
            digest=self.digest,
            created=time_of(now_s),
            start_at=time_of(start_s),
            version=__version__,
            targets=self.targets.count,
            targets_sha256=hashlib.sha256(self.entries).hexdigest(),
            config=self._sent(),
            jobs=jobs,
            vantages=[_described(vantage) for vantage in fleet.vantages],
        )

    def job(self, plan: Plan, planned: PlannedJob, vantage: VantagePoint, secret: bytes) -> Job:
        """Return a job of the plan for a vantage point, which is another than the planned one after a move."""
        return Job(
            census=plan.census,
            run=plan.run,
            job=planned.job,
            vantage=vantage.name,
            shard=planned.shard,
            shards=planned.shards,
            start_at=plan.start_at,
            offset=planned.offset,
            config=self._config_at(vantage),
            targets_sha256=plan.targets_sha256,
            replicated=plan.mode == "replicate",
            version=plan.version,
            store=self.fleet.store,
            directory=vantage.directory,
            command=vantage.command,
            lease_s=self.fleet.lease.seconds,
            lost_after_s=None if self.fleet.lost_after is None else self.fleet.lost_after.seconds,
            secret=secret.hex(),
        )

    def _config_at(self, vantage: VantagePoint) -> dict[str, object]:
        """Return the config of the census with what differs at a vantage point."""
        document: dict[str, Any] = self._sent()
        if vantage.interface:
            document["network"]["interface"] = vantage.interface
        if vantage.addresses:
            document["network"]["source_addresses"] = list(vantage.addresses)
        if vantage.rate is not None:
            document["rate"] = str(vantage.rate)
        if vantage.contact:
            document["contact"] = vantage.contact
        document["place"] = {"region": vantage.region, "asn": vantage.asn}
        return document


def time_of(time_s: float) -> str:
    """Return a Unix time in s as configs have it."""
    return str(StartTime(datetime.fromtimestamp(time_s, UTC).isoformat()))


def _described(vantage: VantagePoint) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(vantage, enc_hook=str)
    return {name: value for name, value in document.items() if name not in ("command", "directory") and value}


def check_work(work: Work) -> None:
    """Raise RefusedError or UsageError for a census that its vantage points may not take as planned."""
    fleet, config = work.fleet, work.config
    if config.shard.of > 1 or config.start_at is not None or config.start_offset.us or config.vantage:
        names = "shard, vantage, start_at and start_offset"
        raise UsageError(f"{fleet.config}: a fleet sets {names} for each machine: leave them out")
    if config.rate.auto and any(vantage.rate is None for vantage in fleet.vantages):
        raise UsageError(
            f"{fleet.config}: $.rate: 'auto': give each vantage point a rate, so that they can be added up"
        )
    if fleet.mode == "split" and not config.secret:
        for one, other in combinations(fleet.vantages, 2):
            if _shared(one, other):
                raise UsageError(
                    f"{fleet.config}: $.secret: {one.name} and {other.name} send from one address: replies to one may"
                    " reach the other: give the config a secret"
                )
    limits = [limit for limit in (fleet.max_pps_per_24, config.limits.max_pps_per_24) if limit is not None]
    if limits:
        _check_crowding(work, min(limits))


def _shared(one: VantagePoint, other: VantagePoint) -> bool:
    mine, theirs = ([parse_entry(entry) for entry in vantage.addresses] for vantage in (one, other))
    return any(low <= last and first <= high for low, high in mine for first, last in theirs)


def _rates(work: Work, wire_bits: int) -> Sequence[float]:
    """Return the rate of a probe at each vantage point, packets a second."""
    return [(vantage.rate or work.config.rate).pps_for(wire_bits) for vantage in work.fleet.vantages]


def _check_crowding(work: Work, limit_pps: float) -> None:
    """Raise RefusedError if all vantage points together may send more packets a second to a /24 than the limit."""
    peak_pps = peak_of(work)
    if peak_pps > limit_pps:
        count = len(work.fleet.vantages)
        raise RefusedError(
            f"{work.fleet.config}: max_pps_per_24: {limit_pps:g}: from {count} vantage points together one /24 may get"
            f" {peak_pps:,.0f} packets in its busiest second: lower the rates, or raise the limit"
        )


def peak_of(work: Work) -> float:
    """Return the most packets that a /24 gets in a second from all vantage points together.

    Replicas add up, whatever their offsets are. Shards are bounded as if each sent at the rate of the fastest.
    """
    from liveness.scan.rate.load import wire_bits_of  # noqa: PLC0415 - it loads scapy

    rates = _rates(work, wire_bits_of(work.config))
    if work.fleet.mode == "replicate":
        return sum(peak_bound_pps(work.config, work.targets, rate) for rate in rates)
    shard = msgspec.structs.replace(work.config.shard, of=len(rates))
    return peak_bound_pps(msgspec.structs.replace(work.config, shard=shard), work.targets, max(rates))


def secret_of(config: Config) -> bytes:
    """Return the secret of a config, empty if it has none. UsageError names the file that cannot be read."""
    if not config.secret:
        return b""
    try:
        return read_bytes(Path(config.secret), SECRET_BYTES)
    except OSError as problem:
        reason = (problem.strerror or str(problem)).lower()
        raise UsageError(f"config {config.name!r}: $.secret: {config.secret!r}: cannot read: {reason}") from problem


def missing(plan: Plan, done: Sequence[str]) -> Iterator[PlannedJob]:
    """Yield the jobs of a plan that are not done."""
    for planned in plan.jobs:
        if planned.job not in done:
            yield planned
