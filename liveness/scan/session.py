"""What a session of a run needs of the kernel: opened before the first packet, with the plan and the path."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import msgspec

from liveness.clock import utc_now
from liveness.config.model import Config, TargetLists
from liveness.errors import UsageError
from liveness.net.ephemeral import warning
from liveness.net.links import in_lab
from liveness.net.path.finding import AUTO, find_path
from liveness.net.path.path import Path
from liveness.net.path.watch import PathWatch
from liveness.net.receiving import open_receiving
from liveness.net.rx_packet import PacketRxRing
from liveness.net.rx_xdp import XdpRxRing
from liveness.net.transport import Transport, open_transport
from liveness.packets.headers import ETHERNET_LENGTH, ICMP_ECHO_REPLY
from liveness.packets.reply_filter import reply_filter
from liveness.probes.run_constants import RunConstants, build_constants, with_hops
from liveness.probes.template import LinkAddresses
from liveness.replies import ERROR_TYPES
from liveness.runs.manifest import Clock
from liveness.runs.rundir import RunDirectory
from liveness.scan.agreed_start import check_slots_kept, clock_warning, slack_s
from liveness.scan.drawing import draw_control_port, draw_key
from liveness.scan.path.neighbourhood import hops_on
from liveness.scan.plan import Plan
from liveness.scan.privilege_drop import PrivilegeDrop
from liveness.scan.rate.load import check_pps_per_24
from liveness.scan.receive import receiver
from liveness.scan.record import Identity
from liveness.scan.send import sender
from liveness.scan.talk import talker
from liveness.scan.talk.path import TalkPath, open_talk_path
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from liveness.system.clock_offset import ClockReading, read_clock
from liveness.system.warming import Step, load_kernels

REPLY_ICMP_TYPES: Final = (ICMP_ECHO_REPLY, *ERROR_TYPES)


def plan_run(config: Config, targets: Targets) -> Plan:
    """Return the plan of a new run, with a new key and a new control port.

    Raises RefusedError if a /24 might get more packets than `limits.max_pps_per_24`, and UsageError for a plan that
    cannot run, or whose slot is too short for its blocks.
    """
    plan = Plan(config, targets, draw_control_port(config), draw_key(config))
    check_pps_per_24(config, targets, plan.load)
    slack_s(plan)
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
        applications=plan.config.applications,
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
    """Return the plan without the targets that the path leaves out.

    A shard keeps them, because all shards must have one order: they are withdrawn when the scan begins. Raises
    UsageError if a block would then begin in the slot of another one.
    """
    if plan.config.shard.of > 1:
        return plan
    targets = plan.targets
    for part in path.left_out:
        targets = targets.without(part.targets)
    left = replace(plan, targets=targets)
    check_slots_kept(plan, left)
    return left


def _check_mtu(constants: RunConstants, path: Path) -> None:
    longest = int(constants.lengths.max()) - ETHERNET_LENGTH
    if longest > path.mtu:
        raise UsageError(
            f"contact: the longest probe has {longest} bytes, the MTU of {path.interface} is {path.mtu}: shorten it"
        )


def kernel_steps(plan: Plan, constants: RunConstants) -> list[Step]:
    """Return the steps in which the kernels of a plan are loaded, the largest first."""
    steps = [
        Step("receiving", partial(receiver.warm_up_matching, plan, constants)),
        Step(f"sending {type(plan.order).__name__}", partial(sender.warm_up, plan, constants)),
    ]
    if plan.talks:
        steps.append(Step("talking", partial(talker.warm_up, plan, constants)))
    for kind in plan.sinks:
        talks = " of talks" if plan.talks else ""
        steps.append(Step(f"sink {type(kind).__name__}{talks}", partial(type(kind).warm_up, kind, plan)))
    return steps


def _warm_up(plan: Plan, constants: RunConstants) -> None:
    """Load all kernels before a ring is open, because a ring would fill up meanwhile."""
    load_kernels(kernel_steps(plan, constants))


def scan_steps() -> list[Step]:
    """Return the steps in which the kernels of a census are loaded, with and without talks to services."""
    found: dict[str, Step] = {}
    targets = Targets.build(Intervals.from_bounds([0xC0000200], [0xC0000203]), Intervals.empty(), lab=True)
    silent = Config(name="kernels", targets=TargetLists(allow=("192.0.2.0/30",)))
    for config in (silent, msgspec.structs.replace(silent, applications=("http",))):
        plan = Plan(config, targets, draw_control_port(config), draw_key(config))
        constants = constants_of(plan, LinkAddresses(bytes(6), bytes(6)), (0xC0000201,))
        found |= {step.name: step for step in kernel_steps(plan, constants)}
    return list(found.values())


def compile_kernels() -> None:
    """Compile the kernels of a scan, or load them from the cache, so that later scans start without a delay."""
    load_kernels(scan_steps())


def warn_of_ephemeral_ports(plan: Plan, on_notice: Callable[[str], None]) -> None:
    """Warn if this host's own connections may use the run's source ports; a lab's namespace has no such connections."""
    ports = plan.config.network.source_ports
    line = None if in_lab() else warning(ports.first, ports.last)
    if line is not None:
        on_notice(line)


@dataclass(frozen=True, slots=True)
class Opened:
    """The resources of a session that are open before the first packet: rings, transport and the watch on the path."""

    identity: Identity
    constants: RunConstants
    transport: Transport
    rx_rings: Sequence[PacketRxRing | XdpRxRing]
    watch: PathWatch
    talk: TalkPath | None = None
    """What talks with services need of the kernel, None if nobody is talked to."""


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
    receive = plan.config.receive
    receiving = open_receiving(
        path.interface,
        program,
        plan.receivers,
        receive.ring_mib,
        receive.capture,
        ethernet=path.ethernet,
    )
    for ring in receiving.rings:
        cleanup.callback(ring.close)
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
    watch.forget_link()
    talk = open_talk_path(plan, constants, path, cleanup) if plan.talks else None
    identity = Identity(directory, path, sources, transport.name, transport.reasons, receiving.name, time.time_ns())
    return Opened(identity, constants, transport, receiving.rings, watch, talk)


def with_clock(
    opened: Opened, plan: Plan, on_notice: Callable[[str], None], read: Callable[[], ClockReading] = read_clock
) -> Opened:
    """Return the session with the record of this machine's clock, if its place has a name or its start was agreed.

    A clock by which no start can be agreed is reported.
    """
    config = plan.config
    if not config.vantage and config.start_at is None:
        return opened
    reading = read()
    clock = Clock(
        source=reading.source,
        synchronised=reading.synchronised,
        offset_ms=reading.offset_ms,
        error_ms=reading.error_ms,
        stratum=reading.stratum,
        checked=utc_now(),
    )
    warning_line = None if config.start_at is None else clock_warning(clock)
    if warning_line is not None:
        on_notice(warning_line)
    return replace(opened, identity=replace(opened.identity, clock=clock))


def counted_from_here(opened: Opened) -> Opened:
    """Return a session that begins now: what its rings have received until now is no part of the run."""
    for ring in opened.rx_rings:
        ring.forget()
    return replace(opened, identity=replace(opened.identity, started_ns=time.time_ns()))


def drop_rights(opened: Opened, privilege_drop: PrivilegeDrop) -> Opened:
    """Perform the privilege drop; nothing after this needs privileges."""
    identity = opened.identity
    return replace(opened, identity=replace(identity, dropped=privilege_drop.now(identity.directory)))
