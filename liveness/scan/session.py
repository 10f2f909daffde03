"""A session of a run, from a config and its targets to a finished run directory.

Everything that a scan needs of the kernel is opened before the first packet.
"""

import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path as FilePath
from typing import Final

from liveness import log
from liveness.config.model import Config, TargetLists
from liveness.errors import LivenessError, StoppedEarlyError, UsageError, explain
from liveness.kernel import mark_compiled, needs_compiling
from liveness.net.ephemeral import warning
from liveness.net.links import in_lab
from liveness.net.path.finding import AUTO, find_path
from liveness.net.path.path import Path
from liveness.net.path.watch import PathWatch
from liveness.net.rx_packet import PacketRxRing
from liveness.net.transport import Transport, open_transport
from liveness.packets.headers import ETHERNET_LENGTH, ICMP_ECHO_REPLY
from liveness.packets.reply_filter import reply_filter
from liveness.probes.run_constants import RunConstants, build_constants, with_hops
from liveness.probes.template import LinkAddresses
from liveness.replies import ERROR_TYPES
from liveness.runs.announce import announce
from liveness.runs.checkpoint import Checkpoint
from liveness.runs.compaction import compact_all
from liveness.runs.manifest import Manifest
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import Tally
from liveness.scan.interruption import Interruption, StoppedMerge, signals_noted
from liveness.scan.path.neighbourhood import hops_on, meet_neighbours
from liveness.scan.plan import Plan, new_control_port, new_key
from liveness.scan.privilege_drop import PrivilegeDrop, decide
from liveness.scan.progress import Progress
from liveness.scan.rate.load import check_pps_per_24
from liveness.scan.receive import receiver
from liveness.scan.receive.sink import Conclusion, Received, concluded
from liveness.scan.record import Identity, final_manifest, running_manifest
from liveness.scan.recovery.resume import beginning, going_on, resume
from liveness.scan.send import sender
from liveness.scan.supervisor import Outcome, Supervisor
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from liveness.system.child import run_in_child

REPLY_ICMP_TYPES: Final = (ICMP_ECHO_REPLY, *ERROR_TYPES)


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has ended: its directory, its manifest, and why it ended early, if it did."""

    directory: RunDirectory
    manifest: Manifest
    interruption: Interruption


def kept_in(path: FilePath) -> str:
    """Return the end of a message about a run that ended early: where its data is, and how to resume it."""
    return f"what was received is kept in {path}; `liveness scan --resume {shlex.quote(str(path))}` goes on"


def plan_run(config: Config, targets: Targets) -> Plan:
    """Return the plan of a new run, with a new key and a new control port.

    Raises RefusedError if a /24 might get more packets than `limits.max_pps_per_24`, and UsageError for a plan that
    cannot run.
    """
    plan = Plan(config, targets, new_control_port(config), new_key())
    check_pps_per_24(config, targets, plan.load)
    return plan


def constants_of(plan: Plan, link: LinkAddresses, sources: tuple[int, ...]) -> RunConstants:
    """Return the run constants of a plan, for the link addresses `link` and the scanner's addresses `sources`."""
    return build_constants(
        plan.probes,
        plan.cookie,
        link,
        sources,
        ttl=plan.config.network.ttl,
        contact=plan.config.contact,
        tcp_options=plan.config.tcp_options,
    )


def find_way(plan: Plan) -> Path:
    """Return the path to all targets of a plan: see `find_path`."""
    network = plan.config.network
    return find_path(
        network.interface,
        plan.intervals,
        network.sources,
        network.gateway_mac,
        foreign_sources=network.foreign_sources,
    )


def on_the_way(plan: Plan, path: Path) -> Plan:
    """Return the plan without the targets that the path leaves out."""
    targets = plan.targets
    for part in path.left_out:
        targets = targets.without(part.targets)
    return replace(plan, targets=targets)


def _check_mtu(constants: RunConstants, path: Path) -> None:
    longest = int(constants.lengths.max()) - ETHERNET_LENGTH
    if longest > path.mtu:
        raise UsageError(
            f"contact: the longest probe has {longest} bytes, the MTU of {path.interface} is {path.mtu}: shorten it"
        )


def _warm_up(plan: Plan, constants: RunConstants) -> None:
    """Compile or load all kernels before a ring is open, because a ring would fill up meanwhile.

    If they are not in the cache yet, child processes compile them. The memory of the compiler is freed when these end,
    so that the processes of a long scan stay small.
    """
    parts = (sender.warm_up, receiver.warm_up)
    if needs_compiling():
        for part in parts:
            run_in_child(partial(part, plan, constants))
        mark_compiled()
    for part in parts:
        part(plan, constants)


def compile_kernels() -> None:
    """Compile the kernels of a scan, or load them from the cache, so that later scans start without a delay."""
    config = Config(name="kernels", targets=TargetLists(allow=("192.0.2.0/30",)))
    targets = Targets.build(Intervals.from_bounds([0xC0000200], [0xC0000203]), Intervals.empty(), lab=True)
    plan = Plan(config, targets, new_control_port(config), new_key())
    _warm_up(plan, constants_of(plan, LinkAddresses(bytes(6), bytes(6)), (0xC0000201,)))


def warn_of_ephemeral_ports(plan: Plan, on_notice: Callable[[str], None]) -> None:
    """Warn if this host's own connections may use the run's source ports; a lab's namespace has no such connections."""
    ports = plan.config.network.source_ports
    line = None if in_lab() else warning(ports.first, ports.last)
    if line is not None:
        on_notice(line)


def _conclude(plan: Plan, directory: RunDirectory, interruption: Interruption) -> tuple[Tally, Conclusion]:
    """Return the counts of receivers and the results of their sinks; any failure makes the run partial."""
    received = Received()
    try:
        received = Received.of(directory)
    except LivenessError as error:
        interruption.by(str(error))
    return received.tally, concluded(plan, directory, received, lambda error: interruption.by(str(error)))


def run_scan(
    config: Config,
    targets: Targets,
    *,
    run_id: str | None = None,
    on_start: Callable[[Plan, Identity], None],
    on_progress: Callable[[Progress], None],
    on_notice: Callable[[str], None] = log.notice,
) -> Finished:
    """Scan, and return the finished run.

    `on_start` is called when everything is open and no packet has left, `on_progress` several times a second, and
    `on_notice` with each line that needs attention at once. Raises LivenessError or a subclass if the run cannot begin;
    nothing is left on disk then.
    """
    plan = plan_run(config, targets)
    privilege_drop = decide(config, FilePath(config.output) / config.name / "run")
    directory = RunDirectory.create(FilePath(config.output), config.name, run_id)
    interruption = Interruption()
    with signals_noted(interruption, directory.discard), ExitStack() as cleanup:
        cleanup.callback(directory.discard)
        path = find_way(plan)
        plan = on_the_way(plan, path)
        for line in (*path.left_out, *path.notes):
            on_notice(str(line))
        path = meet_neighbours(plan, path, on_notice)
        opened = open_session(plan, path, directory, cleanup)
        directory.lock()
        directory.write_key(plan.key)
        directory.write_targets(plan.intervals.entries())
        first = beginning(plan, running_manifest(plan, opened.identity))
        directory.write_manifest(first.manifest)
        opened = drop_rights(opened, privilege_drop)
        on_start(plan, opened.identity)
        interruption.begun = True
        cleanup.pop_all()
        return _scan(plan, opened, first, (), on_progress, on_notice, interruption)


def resume_scan(
    path: FilePath,
    *,
    on_start: Callable[[Plan, Identity], None],
    on_progress: Callable[[Progress], None],
    on_notice: Callable[[str], None] = log.notice,
) -> Finished:
    """Resume the run at `path`, which ended early, and return the finished run: see `run_scan`.

    If the session cannot begin, the run stays as it was. Raises the errors of `resume`.
    """
    resumption = resume(path)
    plan, directory = resumption.plan, resumption.directory
    privilege_drop = decide(plan.config, directory.path)
    interruption = Interruption()
    with signals_noted(interruption, lambda: None), ExitStack() as cleanup:
        opened = open_session(plan, meet_neighbours(plan, find_way(plan), on_notice), directory, cleanup)
        first = going_on(resumption, opened.identity)
        directory.write_manifest(first.manifest)
        opened = drop_rights(opened, privilege_drop)
        on_start(plan, opened.identity)
        interruption.begun = True
        cleanup.pop_all()
        return _scan(plan, opened, first, resumption.damage, on_progress, on_notice, interruption)


@dataclass(frozen=True, slots=True)
class Opened:
    """The resources of a session that are open before the first packet: rings, transport and the watch on the path."""

    identity: Identity
    constants: RunConstants
    transport: Transport
    rx_rings: list[PacketRxRing]
    watch: PathWatch


def open_session(plan: Plan, path: Path, directory: RunDirectory, cleanup: ExitStack) -> Opened:
    """Open the rings, the transport and the watch on the path; `cleanup` closes them if a later step fails."""
    network = plan.config.network
    sources = network.sources or (path.source,)
    watch = PathWatch(path, plan.intervals, network.sources, bound=network.interface != AUTO)
    cleanup.callback(watch.close)
    constants = constants_of(plan, LinkAddresses(path.mac, path.gateway_mac), sources)
    hops = hops_on(path)
    if len(hops.first) > 1:
        constants = with_hops(constants, hops)
    _check_mtu(constants, path)
    _warm_up(plan, constants)
    ports = plan.cookie
    program = reply_filter(sources, ports.port_first, ports.port_last, REPLY_ICMP_TYPES, ethernet=path.ethernet)
    rx_rings: list[PacketRxRing] = []
    for _ in range(plan.receivers):
        first = rx_rings[0] if rx_rings else None
        rx_rings.append(
            PacketRxRing(
                path.interface, program, plan.config.receive.ring_mib, shared_with=first, ethernet=path.ethernet
            )
        )
        cleanup.callback(rx_rings[-1].close)
    slots = len(plan.probes) * plan.attempts  # a multiple of this: most slots then get the same probe each time
    longest = int(constants.lengths.max())
    transport = open_transport(
        path.interface,
        plan.senders,
        longest,
        slots,
        network.transport,
        network.zero_copy,
        ethernet=path.ethernet,
    )
    identity = Identity(directory, path, sources, transport.name, transport.reasons, time.time_ns())
    return Opened(identity, constants, transport, rx_rings, watch)


def drop_rights(opened: Opened, privilege_drop: PrivilegeDrop) -> Opened:
    """Perform the privilege drop; nothing after this needs privileges."""
    identity = opened.identity
    return replace(opened, identity=replace(identity, dropped=privilege_drop.now(identity.directory)))


def _scan(
    plan: Plan,
    opened: Opened,
    first: Checkpoint,
    damage: Sequence[str],
    on_progress: Callable[[Progress], None],
    on_notice: Callable[[str], None],
    interruption: Interruption,
) -> Finished:
    """Run a session from the checkpoint `first` on, and write the manifest."""
    identity = opened.identity
    directory = identity.directory
    announce(directory.path)
    try:
        warn_of_ephemeral_ports(plan, on_notice)
        outcome = _supervise(plan, opened, first, on_progress, on_notice, interruption)
        tally, kept = _conclude(plan, directory, interruption)
        manifest = final_manifest(plan, identity, outcome, tally, kept, first, damage)
        directory.write_manifest(manifest)
    except StoppedMerge as stopped:
        on_notice(f"stopped while the sets were written: {kept_in(directory.path)}")
        raise SystemExit(stopped.exit_code) from None
    except Exception as error:
        raise StoppedEarlyError(f"{explain(error)}: {kept_in(directory.path)}") from error
    interruption.finishing = False
    if manifest.status == "complete":
        directory.remove_traces()
    else:
        with suppress(LivenessError):  # if it fails, the run just keeps many small segments
            compact_all(directory)
    return Finished(directory, manifest, interruption)


def _supervise(
    plan: Plan,
    opened: Opened,
    first: Checkpoint,
    on_progress: Callable[[Progress], None],
    on_notice: Callable[[str], None],
    interruption: Interruption,
) -> Outcome:
    return Supervisor(
        plan,
        opened.constants,
        opened.transport.rings,
        opened.rx_rings,
        opened.identity.directory,
        opened.identity.path.interface,
        first,
        on_progress,
        interruption,
        on_notice,
        opened.watch,
    ).run()
