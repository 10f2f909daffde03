"""The record of a run: its manifest, made from the plan and the outcome of the run."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from liveness.clock import utc
from liveness.config.model import to_record
from liveness.errors import LivenessError
from liveness.net.path.path import Path
from liveness.order.order import Part
from liveness.runs.checkpoint import Checkpoint, Totals
from liveness.runs.counters import declared
from liveness.runs.manifest import BlockStatus, Clock, Manifest, Privileges, ProbeCounts, Receive, Transmit, Vantage
from liveness.runs.optout_record import load_opt_outs
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import Tally
from liveness.scan.agreed_start import late_ms, shard_record
from liveness.scan.lag import lag_record
from liveness.scan.plan import Plan
from liveness.scan.receive.sink import Conclusion
from liveness.scan.shared import Shared
from liveness.scan.supervisor import Outcome
from liveness.space.addresses import format_address
from liveness.system.privileges import CONFINEMENTS, Dropped


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a run: its directory, path and source addresses, and how its packets are sent and captured."""

    directory: RunDirectory
    path: Path
    sources: tuple[int, ...]
    transport: str
    transport_reasons: Sequence[str]
    capture: str
    started_ns: int
    dropped: Dropped | None = None
    """Outcome of the privilege drop; None before it."""
    clock: Clock | msgspec.UnsetType = msgspec.UNSET
    """The clock before the first packet, where the place of the run matters."""


def running_manifest(plan: Plan, identity: Identity) -> Manifest:
    """Return the manifest of a run that has just begun."""
    return Manifest(
        name=plan.config.name,
        run_id=identity.directory.path.name,
        status="running",
        seed=plan.config.seed,
        config=to_record(plan.config),
        started=utc(identity.started_ns),
        targets=plan.target_count,
        targets_sha256=identity.directory.targets_digest(),
        probes={probe.name: ProbeCounts(sent=[0] * plan.attempts) for probe in plan.probes},
        sets=[],
        control_port=plan.control_port,
        blocks=[BlockStatus(block=part.name, targets=part.targets, status="pending") for part in plan.order.parts],
        host=platform.node(),
        kernel=platform.release(),
        interface=identity.path.interface,
        source_addresses=[format_address(address) for address in identity.sources],
        senders=plan.senders,
        receivers=plan.receivers,
        shard=shard_record(plan),
        vantage=vantage_record(plan, identity),
    )


def vantage_record(plan: Plan, identity: Identity) -> Vantage | msgspec.UnsetType:
    """Return the record of the vantage point, if the config names it."""
    config = plan.config
    if not config.vantage:
        return msgspec.UNSET
    return Vantage(
        name=config.vantage,
        region=config.place.region or msgspec.UNSET,
        asn=config.place.asn or msgspec.UNSET,
        clock=identity.clock,
    )


def _part_status(shared: Shared, number: int, part: Part) -> BlockStatus:
    drained = shared.blocks_drained()
    begun = bool(shared.marks[number].any())
    status = "done" if number < drained else "partial" if begun else "pending"
    return BlockStatus(block=part.name, targets=part.targets, status=status)


def loss_warnings(totals: Totals, kernel_drops: int) -> list[str]:
    """Return one line for each known way in which a run lost packets."""
    warnings = []
    if kernel_drops:
        warnings.append(
            f"the kernel dropped {kernel_drops:,} packets because the receive ring was full:"
            " raise receive.ring_mib or lower the rate"
        )
    if totals.nic_drops:
        warnings.append(
            f"the interface dropped {totals.nic_drops:,} received packets:"
            " lower the rate or raise its ring (ethtool -G)"
        )
    errors = sum(totals.errors)
    if errors:
        warnings.append(f"{errors:,} probes were handed to the kernel and never left")
    return warnings


def _transmit(totals: Totals, sent: int, identity: Identity) -> Transmit:
    """Return the record of the sending side; `sent` is the number of frames of all probes and attempts."""
    errors = sum(totals.errors) + totals.dropped
    return Transmit(
        frames=totals.frames,
        errors=errors,
        repaired=totals.repaired,
        # sent again after a resume: what was neither sent for the first time nor to repair a loss
        resent=max(0, totals.frames + errors - sent - totals.repaired),
        given_up_s=totals.given_up_s,
        interface_frames=totals.interface_frames,
        transport=identity.transport,
        reasons=list(identity.transport_reasons),
        unresolved=identity.path.neighbours.unresolved.count,
    )


def _privileges(dropped: Dropped | None, shared: Shared) -> Privileges:
    """Return the record of the privilege drop; a confinement is listed if it is in force for every receiver."""
    if dropped is None:
        return Privileges()
    held = [name for place, name in enumerate(CONFINEMENTS) if bool(shared.confined[:, place].all())]
    missing = [f"no {name}: receivers are confined by less" for name in CONFINEMENTS if name not in held]
    return Privileges(user=dropped.user, uid=dropped.uid, confined=held, notes=[*dropped.notes, *missing])


def _opted_out(plan: Plan, directory: RunDirectory) -> int:
    """Return the number of targets that were withdrawn during the run, in all its sessions."""
    try:
        withdrawn = load_opt_outs(directory.path).withdrawn
    except LivenessError:
        return 0  # the damage is in the record of opt-outs already
    return plan.order.count_in(withdrawn)


def recorded_counters(plan: Plan, totals: Totals) -> dict[str, float | dict[str, float]] | msgspec.UnsetType:
    """Return the counters that have no manifest field of their own; counters by probe are keyed by its name."""
    if not totals.counters:
        return msgspec.UNSET
    names = [probe.name for probe in plan.probes]
    return {
        name: dict(zip(names, numbers, strict=True)) if "probe" in declared()[name].by else sum(numbers)
        for name, numbers in totals.counters.items()
        if name in declared()
    }


def _probe_counts(plan: Plan, sent: NDArray[np.int64], totals: Totals) -> dict[str, ProbeCounts]:
    """Return the frames sent and refused of each probe; `sent` has a row for each of them."""
    return {
        probe.name: ProbeCounts(sent=sent[index].tolist(), send_errors=totals.errors[index])
        for index, probe in enumerate(plan.probes)
    }


def final_manifest(
    plan: Plan,
    identity: Identity,
    outcome: Outcome,
    tally: Tally,
    kept: Conclusion,
    first: Checkpoint,
    damage: Sequence[str] = (),
) -> Manifest:
    """Return the manifest of a run that has ended.

    `tally` has the counts of receivers in all sessions, `kept` the results of their sinks, `first` is the checkpoint at
    which the last session began, and `damage` has a line for each part of the run that was lost before that.
    """
    shared, interruption = outcome.shared, outcome.interruption
    totals = first.totals.followed_by(outcome.totals)
    sent = shared.sent_in_all.sum(axis=0)
    gone = _opted_out(plan, identity.directory)
    kernel_drops = max(tally.kernel_drops, int(shared.kernel_drops.sum()))
    return Manifest(
        name=plan.config.name,
        run_id=identity.directory.path.name,
        status="complete" if interruption.reason is None else "partial",
        reason=interruption.reason,
        seed=plan.config.seed,
        config=to_record(plan.config),
        started=first.manifest.started,
        finished=utc(outcome.finished_ns),
        resumed=first.manifest.resumed,
        targets=plan.target_count - gone,
        targets_sha256=first.manifest.targets_sha256,
        probes=_probe_counts(plan, sent, totals),
        **kept.fields,
        control_port=plan.control_port,
        receive=Receive(
            packets=tally.packets,
            kernel_packets=tally.kernel_packets,
            kernel_drops=kernel_drops,
            nic_drops=totals.nic_drops,
            capture=identity.capture,
        ),
        transmit=_transmit(totals, int(sent.sum()), identity),
        loss_warnings=[
            *damage,
            *outcome.losses.warnings(received=max(tally.accepted, int(shared.accepted.sum()))),
            *loss_warnings(totals, kernel_drops),
            *kept.problems,
        ],
        losses=outcome.losses.losses().records,
        timeline=totals.timeline,
        opt_outs=msgspec.structs.replace(outcome.opt_outs, targets=gone),
        privileges=_privileges(identity.dropped, shared),
        path=totals.path,
        rate_changes=totals.rate_changes,
        rate_search=totals.rate_search,
        lag=lag_record(plan, shared, outcome.started_ns),
        blocks=outcome.starts.added_to(
            [_part_status(shared, number, part) for number, part in enumerate(plan.order.parts)]
        ),
        host=platform.node(),
        kernel=platform.release(),
        interface=identity.path.interface,
        source_addresses=[format_address(address) for address in identity.sources],
        senders=plan.senders,
        receivers=plan.receivers,
        shard=shard_record(plan, late_ms(plan, shared, first.manifest)),
        vantage=vantage_record(plan, identity),
        counters=recorded_counters(plan, totals),
    )
