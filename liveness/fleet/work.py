"""Work of a fleet: the census or survey that a vantage file names, what each vantage point gets of it, and checks."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import msgspec

from liveness.config.load import read_entries, resolve_targets, skipped_in
from liveness.config.model import Config, to_document
from liveness.config.packets_per_24 import peak_bound_pps
from liveness.errors import RefusedError, UsageError
from liveness.files.reading import read_bytes
from liveness.fleet import layout
from liveness.fleet.job import Job
from liveness.fleet.plan import Plan, PlannedJob, time_of
from liveness.fleet.vantages import Fleet, VantagePoint
from liveness.planes.blocks import encode_blocks, read_blocks
from liveness.space.addresses import parse_entry
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from liveness.survey.config import SurveyConfig
from liveness.survey.config_files import to_record
from liveness.survey.schedule import plan_survey
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


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done: the vantage file, the config of the census, and what is allowed and what is probed of it.

    A survey has a config of its own, and `config` is that of a census with the same fields. `blocks` are all of its
    /24s, as a file lists them.
    """

    fleet: Fleet
    config: Config
    allowed: Intervals
    targets: Targets
    survey: SurveyConfig | None = None
    blocks: bytes = b""

    @classmethod
    def of_census(cls, fleet: Fleet, config: Config, *, lab: bool) -> "Work":
        """Return the work of a census. The errors are those of a scan's targets."""
        targets = resolve_targets(config, lab, fleet.config)
        return cls(fleet, config, read_entries(config.targets.allow, skipped_in(config)), targets)

    @classmethod
    def of_survey(cls, fleet: Fleet, config: SurveyConfig, *, lab: bool) -> "Work":
        """Return the work of a survey. The errors are those of its plan."""
        listed = read_blocks(Path(config.survey.blocks))
        shards = len(fleet.vantages) if fleet.mode == "split" else 1
        found = Intervals.empty()
        for index in range(shards):
            shard = msgspec.structs.replace(config.shard, index=index, of=shards)
            at = msgspec.structs.replace(config, shard=shard)
            found = found.union(plan_survey(at, lab=lab, origin=fleet.config, blocks=listed).targets.intervals)
        targets = Targets.build(found, Intervals.empty(), lab=True)
        return cls(fleet, config.as_census(len(listed)), listed.intervals, targets, config, encode_blocks(listed))

    @property
    def files(self) -> dict[str, bytes]:
        """Return the files of a run that all vantage points have in common, by their names in the store."""
        blocks = {layout.BLOCKS: self.blocks} if self.survey is not None else {}
        return {layout.TARGETS: self.entries} | blocks

    @property
    def entries(self) -> bytes:
        """Return the targets as the file of targets of a run has them."""
        return "".join(f"{entry}\n" for entry in self.targets.intervals.entries()).encode()

    @property
    def digest(self) -> str:
        """Return what differs for another census, or for one that is shared in another way; opt-outs do not count."""
        fleet = self.fleet
        points = [[vantage.name, vantage.offset, vantage.addresses, vantage.rate] for vantage in fleet.vantages]
        parts: list[object] = [self._sent(), fleet.mode, fleet.start, points, list(self.allowed.entries())]
        parts += [self.blocks.decode()] if self.survey is not None else []
        return hashlib.sha256(msgspec.json.encode(parts, enc_hook=str)).hexdigest()

    def _sent(self) -> dict[str, Any]:
        """Return the config without what is the vantage point's own."""
        document: dict[str, Any] = to_document(self.config) if self.survey is None else to_record(self.survey)
        for name in LEFT_OUT:
            document.pop(name, None)
        document["targets"] = {}
        if self.survey is not None:
            document["survey"]["blocks"] = ""
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
            blocks_sha256="" if self.survey is None else hashlib.sha256(self.blocks).hexdigest(),
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
            kind=plan.kind,
            blocks_sha256=plan.blocks_sha256,
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


def _described(vantage: VantagePoint) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(vantage, enc_hook=str)
    return {name: value for name, value in document.items() if name not in ("command", "directory") and value}


def check_work(work: Work) -> None:
    """Raise RefusedError or UsageError for a census or survey that its vantage points may not take as planned."""
    fleet, config = work.fleet, work.config
    shard = config.shard if work.survey is None else work.survey.shard
    if shard.of > 1 or config.start_at is not None or config.start_offset.us or config.vantage:
        names = "shard, vantage, start_at and start_offset"
        raise UsageError(f"{fleet.config}: a fleet sets {names} for each machine: leave them out")
    if work.survey is not None:
        _check_survey(fleet)
    elif config.rate.auto and any(vantage.rate is None for vantage in fleet.vantages):
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


def _check_survey(fleet: Fleet) -> None:
    """Raise UsageError for fields of the vantage file that no survey has."""
    if fleet.lost_after is not None:
        raise UsageError(
            f"{fleet.config}: $.survey: lost_after: the rounds of a survey that have passed cannot be sent from"
            " elsewhere: leave it out"
        )
    for vantage in fleet.vantages:
        if vantage.rate is not None:
            raise UsageError(
                f"{fleet.config}: $.survey: {vantage.name} has a rate: that of a survey follows from its interval:"
                " leave it out"
            )


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
    if work.survey is not None:
        places = len(work.fleet.vantages) if work.fleet.mode == "replicate" else 1
        return places * (work.survey.pps_per_24 + work.survey.late_at_once)
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
