"""Replay: match captured packets as a run would have matched them, from its manifest, key and targets."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

import msgspec
from msgspec import UNSET

from liveness.config.recorded import recorded_config
from liveness.errors import LivenessError, UsageError
from liveness.optouts.redaction import redact_run
from liveness.packets.reply_filter import reply_filter
from liveness.probes.template import LinkAddresses
from liveness.replies import Kind
from liveness.replylog.runlog import Mode
from liveness.runs.course import Timeline
from liveness.runs.left_out import add_left_out, load_left_out
from liveness.runs.manifest import Manifest, Receive, Replay
from liveness.runs.optout_record import KeptOptOuts, load_opt_outs, write_opt_outs
from liveness.runs.rundir import MANIFEST_FILE, RunDirectory
from liveness.scan.interruption import Interruption, signals_noted
from liveness.scan.plan import Plan
from liveness.scan.receive.capture_ring import CaptureRing
from liveness.scan.receive.receiver import Receiver
from liveness.scan.receive.sink import Conclusion, Received, concluded
from liveness.scan.session import REPLY_ICMP_TYPES, constants_of
from liveness.scan.shared import Shared
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets

_MUTE: Final = Kind.MUTE.label
COUNTS = ("messages", "weak", "attempts", "attempts_by_kind", "rejected", "protocols")
"""Counters of a manifest that a replay must reproduce."""
DAMAGED: Final = "damaged, what was removed from this run is not known, so nothing is replayed"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Comparison of a replay with its run: the number of equal set files, and what differs."""

    same: int
    different: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    counts: list[str] = field(default_factory=list)
    """Names of the counters that differ."""

    @property
    def equal(self) -> bool:
        """Whether all sets and all counters are equal."""
        return not (self.different or self.missing or self.extra or self.counts)


@dataclass(frozen=True, slots=True)
class Replayed:
    """A finished replay: its directory, its manifest, and the comparison with its run (None if the run had no sets)."""

    directory: RunDirectory
    manifest: Manifest
    comparison: Comparison | None
    ipv4_packets: int
    unread: list[str]
    interruption: Interruption
    cut_packets: int = 0
    """Packets that the snap length of the capture truncated."""
    encapsulated: dict[str, int] = field(default_factory=dict)
    """Packets inside MPLS, PPPoE or LLC, by the name of the encapsulation."""


def compare(run: Manifest, replayed: Manifest) -> Comparison:
    """Compare two manifests: sets by their digests, and the counters of COUNTS.

    Those who stayed mute are left out: that follows from what the talker of a run sent, which no capture shows.
    """
    before = {entry.file: entry.sha256 for entry in run.sets if entry.kind != _MUTE}
    after = {entry.file: entry.sha256 for entry in replayed.sets if entry.kind != _MUTE}
    both = before.keys() & after.keys()
    unknown = ["attempts_by_kind"] if run.attempts and not run.attempts_by_kind else []  # written by an older version
    unknown += ["protocols"] if run.protocols is UNSET else []
    return Comparison(
        same=sum(before[file] == after[file] for file in both),
        different=sorted(file for file in both if before[file] != after[file]),
        missing=sorted(before.keys() - both),
        extra=sorted(after.keys() - both),
        counts=[name for name in COUNTS if name not in unknown and _counted(run, name) != _counted(replayed, name)],
    )


def _counted(manifest: Manifest, name: str) -> object:
    """Return the counter of COUNTS by its name, without those who stayed mute."""
    if name != "messages":
        return getattr(manifest, name)
    return {
        probe: {label: count for label, count in counts.items() if label != _MUTE}
        for probe, counts in manifest.messages.items()
    }


def replay(
    run: RunDirectory, captures: Sequence[Path], output: Path, log: Mode, on_progress: Callable[[int], None]
) -> Replayed:
    """Make the sets of a run again from captures, in a new run directory `output`.

    `log` selects the logs that are kept; `on_progress` is called with the number of packets read so far. Raises
    LivenessError or a subclass if the run lacks a file that is needed, or if a file is not a capture; nothing is left
    on disk then.
    """
    manifest = run.read_manifest()
    plan = plan_of(run, manifest, log)
    left_out, opt_outs = load_left_out(run.path), load_opt_outs(run.path, DAMAGED)
    sources = tuple(parse_address(address) for address in manifest.source_addresses)
    program = reply_filter(sources, plan.cookie.port_first, plan.cookie.port_last, REPLY_ICMP_TYPES)
    constants = constants_of(plan, LinkAddresses(bytes(6), bytes(6)), sources)
    directory = RunDirectory.create_at(output)

    discard = directory.discard
    interruption = Interruption(begun=True)
    ring = CaptureRing(captures, program, lambda: interruption.reason is not None, on_progress)
    try:
        with signals_noted(interruption, discard):
            shared = Shared(plan)
            shared.talk = None  # nobody takes events, and the counts of talks stay those of the run
            shared.finish[0] = 1
            problem = Receiver(plan, constants, ring, shared, directory).run()
            ring.check()
            if problem is None and interruption.reason is None:
                refuse_foreign(run, ring)
            if problem is not None:
                interruption.by(problem)
            received = Received.of(directory)
            kept = concluded(plan, directory, received, _raise)
            directory.remove_traces()
            directory.write_key(plan.key)
            directory.write_targets(plan.intervals.entries())
            add_left_out(directory.path, left_out)
            if opt_outs != KeptOptOuts():
                write_opt_outs(directory.path, opt_outs)
            unread = [] if interruption.reason else [line for capture in ring.captures for line in capture.unread]
            replayed = _manifest(manifest, kept, ring, unread, interruption.reason)
            replayed = msgspec.structs.replace(replayed, targets_sha256=directory.targets_digest())
            replayed = _written(directory, replayed, opt_outs)
    except BaseException:
        discard()
        raise
    comparison = compare(manifest, replayed) if manifest.sets else None
    ipv4_packets = sum(capture.ipv4_packets for capture in ring.captures)
    cut = sum(capture.cut_packets for capture in ring.captures)
    around: Counter[str] = Counter()
    for capture in ring.captures:
        around.update(capture.encapsulated)
    return Replayed(directory, replayed, comparison, ipv4_packets, unread, interruption, cut, dict(around))


def _written(directory: RunDirectory, manifest: Manifest, opt_outs: KeptOptOuts) -> Manifest:
    """Write the manifest of a replay and return it; what was removed from the run is removed from the replay as well.

    The captures may have been made elsewhere, where nobody removed anything. Until that is done the manifest says that
    the replay is running, so that one that is killed is not taken for one without those data.
    """
    if not len(opt_outs.without_data):
        directory.write_manifest(manifest)
        return manifest
    directory.write_manifest(msgspec.structs.replace(manifest, status="running"))
    redact_run(directory, opt_outs.without_data, ())
    redacted = msgspec.structs.replace(directory.read_manifest(), status=manifest.status)
    directory.write_manifest(redacted)
    directory.remove_lock()
    return redacted


def _raise(error: LivenessError) -> NoReturn:
    raise error


def refuse_foreign(run: RunDirectory, ring: CaptureRing) -> None:
    """Raise UsageError if the captures were read in full and none of their packets can be a reply to the run."""
    packets = sum(capture.packets for capture in ring.captures)
    if not packets or ring.passed or any(capture.unread for capture in ring.captures):
        return
    around = Counter[str]()
    for capture in ring.captures:
        around.update(capture.encapsulated)
    inside = "".join(f", {count:,} within {name}" for name, count in around.items())
    ipv4 = sum(capture.ipv4_packets for capture in ring.captures)
    names = ", ".join(capture.name for capture in ring.captures[:3])
    what = f"of {packets:,} packets {ipv4:,} are IPv4{inside}" if ipv4 else f"none of the packets is IPv4{inside}"
    raise UsageError(
        f"{names}: no packet can be a reply to this run ({what}): give a capture of the replies to {run.path}"
    )


def plan_of(run: RunDirectory, manifest: Manifest, log: Mode) -> Plan:
    """Return the plan of a run from the files in its directory. Raises LivenessError that names what is wrong."""
    config = recorded_config(manifest.config, run.path / MANIFEST_FILE, manifest.version)
    run.check_targets(manifest.targets_sha256)
    if not manifest.source_addresses:
        raise LivenessError(f"{run.path / MANIFEST_FILE}: $.source_addresses: empty: whose replies to look for?")
    config = msgspec.structs.replace(
        config,
        replies=log,
        senders=1,
        receive=msgspec.structs.replace(config.receive, receivers=1),
    )
    targets = Targets.build(run.read_targets(), Intervals.empty(), lab=True)
    return Plan(config, targets, manifest.control_port, run.read_key())


def _manifest(
    run: Manifest,
    kept: Conclusion,
    ring: CaptureRing,
    unread: Sequence[str],
    interrupted: str | None,
) -> Manifest:
    """Return the run's manifest with the fields about receiving replaced by what the captures hold."""
    reasons = [run.reason] if run.status == "partial" else []
    if run.status == "running":
        reasons.append("the scan never came to its end")
    reasons += [f"the replay was {interrupted}"] if interrupted else []
    reasons += unread
    warnings = [*unread, *kept.problems]
    fields = {name: value for name, value in kept.fields.items() if name != "talk"}
    return msgspec.structs.replace(
        run,
        status="partial" if reasons else "complete",
        reason="; ".join(reason for reason in reasons if reason) or None,
        receive=Receive(packets=ring.passed, kernel_packets=ring.passed),
        loss_warnings=warnings,
        timeline=Timeline(),
        replay=Replay(
            captures=[capture.name for capture in ring.captures],
            packets=ring.packets,
            passed=ring.passed,
            unread=list(unread),
        ),
        **fields,
    )
