"""The end of a session of a survey: planes by address, phases, and the manifest."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from liveness.clock import utc
from liveness.planes.live import LivePlanes
from liveness.planes.manifest import (
    ProbeRounds,
    Scanner,
    SurveyGap,
    SurveyManifest,
    SurveyShard,
    Times,
)
from liveness.planes.matrix import Planes, set_bits, write_phases, write_planes
from liveness.runs.manifest import Log, Vantage
from liveness.scan.record import Identity
from liveness.space.addresses import format_address
from liveness.space.prefixes import parse_lines
from liveness.survey.config_files import to_record
from liveness.survey.gaps import Gap
from liveness.survey.recorder import RoundRecorder
from liveness.survey.schedule import Survey
from liveness.survey.withdrawals import withdrawn_entries, withdrawn_rounds


@dataclass(slots=True)
class _Counts:
    """Pairs of address and round of one probe, added up while its planes are written."""

    sent: int = 0
    positive: int = 0
    negative: int = 0
    late: int = 0

    def add(self, planes: Planes) -> None:
        """Count the bits of some addresses."""
        for plane in ("sent", "positive", "negative", "late"):
            setattr(self, plane, getattr(self, plane) + set_bits(getattr(planes, plane)))


@dataclass(slots=True)
class Record:
    """What the manifest of a survey says besides its rounds."""

    run_id: str
    control_port: int | None
    scanner: Scanner | None = None
    vantage: Vantage | None = None
    resumed: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    reason: str | None = None
    messages: dict[str, dict[str, int]] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    log: Log | None = None
    late_ms: float | None = None
    """Time from the agreed start to the first session's readiness to send, 0 if it waited; None without one."""


def scanner_of(identity: Identity) -> Scanner:
    """Return what the manifest says of the host that probes."""
    return Scanner(
        host=platform.node(),
        kernel=platform.release(),
        interface=identity.path.interface,
        source_addresses=[format_address(address) for address in identity.sources],
        transport=identity.transport,
        capture=identity.capture,
    )


def running(survey: Survey, record: Record) -> SurveyManifest:
    """Return the manifest of a survey whose session has just begun."""
    return _manifest(survey, record, "running", 1, {name: ProbeRounds() for name in survey.probes})


def conclude(survey: Survey, recorder: RoundRecorder, record: Record, *, complete: bool, now_ns: int) -> SurveyManifest:
    """Write the planes by address and return the manifest. LivenessError names a file that cannot be written."""
    order = survey.order
    # the clock may have been set back behind the rounds that are stored
    begun = min(order.rounds, max(1, recorder.stored.rounds, order.round_at(now_ns) + 1))
    rounds = order.rounds if complete else begun
    live = [recorder.settled(number) for number in range(recorder.stored.rounds, min(rounds, _reach(recorder.live)))]
    probes = {}
    withdrawn = withdrawn_entries(order, survey.left_out, recorder.gaps, rounds)
    unsent = withdrawn_rounds(withdrawn, rounds)
    for place, name in enumerate(survey.probes):
        counts = _Counts()
        write_planes(recorder.run, name, _counted(recorder.stored.by_address(place, live, rounds), counts))
        probes[name] = ProbeRounds(
            sent=counts.sent,
            not_sent=survey.addresses * rounds - counts.sent - unsent,
            withdrawn=unsent,
            positive=counts.positive,
            negative=counts.negative,
            late=counts.late,
        )
    write_phases(recorder.run, order.phases_ms())
    status: Literal["complete", "partial"] = "complete" if complete else "partial"
    manifest = _manifest(survey, record, status, rounds, probes)
    return msgspec.structs.replace(
        manifest,
        finished=utc(now_ns),
        withdrawn=withdrawn,
        gaps=[_gap(gap) for gap in recorder.gaps.gaps],
        loss_warnings=record.warnings,
        messages=record.messages,
        rejected=record.rejected,
        log=record.log,
        reason=None if complete else record.reason,
    )


def _manifest(
    survey: Survey,
    record: Record,
    status: Literal["complete", "partial", "running"],
    rounds: int,
    probes: dict[str, ProbeRounds],
) -> SurveyManifest:
    order = survey.order
    return SurveyManifest(
        name=survey.config.name,
        run_id=record.run_id,
        status=status,
        seed=survey.config.seed,
        interval_s=order.interval_ns / 1e9,
        survey=Times(start=utc(order.start_ns)),
        start_ns=order.start_ns,
        rounds=rounds,
        planned_rounds=order.rounds,
        blocks=len(survey.blocks),
        probes=probes,
        config=to_record(survey.config),
        control_port=record.control_port,
        resumed=record.resumed,
        scanner=record.scanner,
        shard=_shard(survey, record),
        vantage=record.vantage,
    )


def _shard(survey: Survey, record: Record) -> SurveyShard | None:
    """Return the record of a shard and of an agreed start; None for a whole survey that began at once."""
    config = survey.config
    if config.shard.of == 1 and config.start_at is None:
        return None
    return SurveyShard(
        index=config.shard.index,
        of=config.shard.of,
        start_at=None if config.start_at is None else str(config.start_at),
        late_ms=record.late_ms,
        blocks_sha256=survey.blocks_sha256,
        targets_sha256=survey.targets_sha256,
    )


def _gap(gap: Gap) -> SurveyGap:
    addresses = parse_lines(gap.targets).count if gap.targets else None
    return SurveyGap(start=utc(gap.start_ns), end=utc(gap.end_ns), cause=gap.cause, addresses=addresses)


def _reach(live: LivePlanes) -> int:
    return live.stored + live.depth


def _counted(parts: Iterator[Planes], counts: _Counts) -> Iterator[Planes]:
    for part in parts:
        counts.add(part)
        yield part
