"""Capabilities of this machine: every kernel feature and privilege that the tool may use, tried, with its remedy."""

import errno
import functools
from collections.abc import Callable
from dataclasses import dataclass

from pyroute2 import NetlinkError

from liveness.errors import LivenessError
from liveness.net import ephemeral, nftables, trials
from liveness.net.sockets import raw_socket_remedy
from liveness.net.transport import WayTrial, try_ways
from liveness.system.child import run_in_child
from liveness.system.namespace import enter_network, enter_private_network, namespace_remedy

Outcome = tuple[bool, str]
"""Whether a trial succeeded, and its detail or the reason."""

USER_NAMESPACES = "user namespaces"
PRIVATE_NETWORK = "network namespaces"
RAW_SOCKET = "raw sockets here"
PRIVATE_RAW_SOCKET = "raw sockets in a private network"
TX_RING = "PACKET_TX_RING"
RX_RING = "TPACKET_V3"
FILTER = "socket filter (BPF)"
NETLINK = "netlink routes"
VETH = "veth links"
TRIAL_LINK = "veth"
"""Link of a private network on which the transports are tried."""

KERNEL_NEEDS = frozenset({TX_RING, RX_RING, FILTER, NETLINK})
SCAN_NEEDS = KERNEL_NEEDS | {RAW_SOCKET}
LAB_NEEDS = KERNEL_NEEDS | {PRIVATE_NETWORK, PRIVATE_RAW_SOCKET, VETH}


@dataclass(frozen=True, slots=True)
class Feature:
    """Kernel feature or privilege, with the result of its trial."""

    name: str
    available: bool
    detail: str
    """What the trial found, or why the feature is missing."""
    remedy: str | None
    """How to make it available; None if it is available."""
    needed_by: str


@dataclass(frozen=True, slots=True)
class Abilities:
    """Purposes that the available features suffice for."""

    scan: bool
    """Scanning on this machine's own interfaces."""
    lab: bool
    """Scanning in the lab."""


@dataclass(frozen=True, slots=True)
class _Trial:
    name: str
    attempt: Callable[[], str]
    needed_by: str
    remedy: str


def probe_features() -> tuple[Feature, ...]:
    """Return all features, tried once per process. Trials that change namespaces run in forked children."""
    return _probe()


def probe_ways(interface: str | None) -> tuple[WayTrial, ...]:
    """Try the transports on a link of a private network, if there can be one, and on `interface` if it is given.

    On `interface`, one frame per transport leaves this machine. Raises LivenessError if that interface cannot be tried.
    """
    named = () if interface is None else try_ways(interface)
    try:
        return *run_in_child(_ways_in_private), *named
    except (
        OSError,
        NetlinkError,
        LivenessError,
    ):  # no private network, or no link in it: the table of features says why
        return named


def _ways_in_private() -> tuple[WayTrial, ...]:
    enter_network()  # live frames need privileges of root that it does not have in a user namespace
    trials.join_by_link(TRIAL_LINK)
    return try_ways(TRIAL_LINK)


def abilities(features: tuple[Feature, ...]) -> Abilities:
    """Return the purposes that these features suffice for."""
    present = {feature.name for feature in features if feature.available}
    return Abilities(scan=present >= SCAN_NEEDS, lab=present >= LAB_NEEDS)


@functools.cache
def _probe() -> tuple[Feature, ...]:
    features = [
        _namespace_feature(USER_NAMESPACES, trials.user_namespace, "the lab without root"),
        _namespace_feature(PRIVATE_NETWORK, _private_network, "the lab"),
    ]
    private = features[-1].available
    here = [*_trials_here(), _capture_trial()]
    kernel, links = _trials_of_the_kernel(), _trials_in_private()
    features += [_feature(trial, _attempt(trial.attempt)) for trial in here]
    if private:
        outcomes = run_in_child(lambda: _attempt_in_private([trial.attempt for trial in (*kernel, *links)]))
    else:  # trials that make no links or rules change nothing outside and may run in this namespace as well
        outcomes = [_attempt(trial.attempt) for trial in kernel]
        outcomes += [(False, "no private network to try it in")] * len(links)
    features += [_feature(trial, outcome) for trial, outcome in zip((*kernel, *links), outcomes, strict=True)]
    return tuple(features)


def _trials_here() -> list[_Trial]:
    landlock = "use Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK, and landlock in the kernel's option lsm="
    seccomp = "use a kernel with CONFIG_SECCOMP_FILTER, on x86_64 or aarch64"
    limits = "raise the limit: ulimit -l, or memlock in /etc/security/limits.conf"
    host = ephemeral.host_ports()
    ports = (host.advice(*ephemeral.DEFAULT_PORTS) if host else None) or "none needed"
    return [
        _Trial(RAW_SOCKET, trials.raw_socket, "scan", raw_socket_remedy()),
        _Trial(NETLINK, trials.netlink_routes, "scan, lab", "allow netlink sockets (AF_NETLINK) in the sandbox"),
        _Trial("locked memory", trials.locked_memory, "faster sending (optional)", limits),
        _Trial("source ports", trials.source_ports, "scans apart from this host's own traffic (optional)", ports),
        _Trial("Landlock", trials.landlock_version, "confined receivers (optional)", landlock),
        _Trial("seccomp", trials.seccomp_filter, "confined receivers (optional)", seccomp),
        _Trial("processors", trials.processors, "scan, lab", "allow this process more CPUs"),
        _Trial("clock", trials.clock, "scan, lab", "use a kernel with high-resolution timers"),
    ]


def _capture_trial() -> _Trial:
    """Return the trial of capture by XDP, which makes a private network of its own: it must be root outside of it."""
    remedy = (
        "run as root outside of containers, on Linux 5.18 or newer; capturing works without (receive.capture: packet)"
    )
    return _Trial("capture by XDP", trials.xdp_capture, "faster receiving (optional)", remedy)


def _trials_of_the_kernel() -> list[_Trial]:
    packet = "use a kernel with CONFIG_PACKET"
    xdp = "use a kernel with CONFIG_XDP_SOCKETS; sending works without"
    return [
        _Trial(TX_RING, trials.transmit_ring, "scan, lab", packet),
        _Trial(RX_RING, trials.receive_ring, "scan, lab", f"{packet}, 3.2 or newer"),
        _Trial(FILTER, trials.socket_filter, "scan, lab", "use a kernel with CONFIG_NET"),
        _Trial("PACKET_IGNORE_OUTGOING", trials.ignore_outgoing, "less work (optional)", "use Linux 4.20 or newer"),
        _Trial("PACKET_FANOUT", trials.fanout, "several receivers (optional)", "use Linux 3.1 or newer"),
        _Trial("AF_XDP socket", trials.xdp_socket, "faster sending (optional)", xdp),
        _Trial("XDP_MAX_TX_SKB_BUDGET", trials.xdp_budget, "faster AF_XDP (optional)", "use a newer kernel"),
    ]


def _trials_in_private() -> list[_Trial]:
    def link(kind: str, needed_by: str) -> _Trial:
        remedy = f"load the module: sudo modprobe {kind}, or use a kernel with CONFIG_{kind.upper()}"
        return _Trial(f"{kind} links", functools.partial(trials.link_kind, kind), needed_by, remedy)

    return [
        _Trial(PRIVATE_RAW_SOCKET, trials.raw_socket, "lab", "allow AF_PACKET sockets in the sandbox"),
        link("veth", "lab"),
        link("dummy", "a sink for measuring (optional)"),
        link("ifb", "a sink for measuring (optional)"),
        _Trial("kernel resets", trials.kernel_resets, "applications of TCP (optional)", nftables.LINUX_5_12),
        _Trial("nft", trials.nft, "finer shapes of the lab (optional)", "install it: sudo apt install nftables"),
    ]


def _private_network() -> str:
    enter_private_network()
    return "loopback up, no route out"


def _namespace_feature(name: str, attempt: Callable[[], str], needed_by: str) -> Feature:
    """Try to enter a namespace in a child process. The remedy depends on the errno of the refusal."""
    available, detail, code = run_in_child(lambda: _attempt_with_code(attempt))
    return Feature(name, available, detail, None if available else namespace_remedy(code), needed_by)


def _attempt_with_code(attempt: Callable[[], str]) -> tuple[bool, str, int]:
    try:
        return True, attempt(), 0
    except (OSError, LivenessError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        return False, _reason(error), (cause.errno if isinstance(cause, OSError) else None) or errno.EPERM


def _attempt_in_private(attempts: list[Callable[[], str]]) -> list[Outcome]:
    enter_private_network()
    return [_attempt(attempt) for attempt in attempts]


def _attempt(attempt: Callable[[], str]) -> Outcome:
    try:
        return True, attempt()
    except (OSError, NetlinkError, LivenessError) as error:
        return False, _reason(error)


def _reason(error: Exception) -> str:
    """Return the kernel's reason if the error has one, otherwise the text of the error."""
    cause = error.__cause__ if isinstance(error, LivenessError) and error.__cause__ else error
    if isinstance(cause, NetlinkError):
        return str(cause.args[-1])
    return (cause.strerror if isinstance(cause, OSError) else None) or str(cause)


def _feature(trial: _Trial, outcome: Outcome) -> Feature:
    available, detail = outcome
    return Feature(trial.name, available, detail, None if available else trial.remedy, trial.needed_by)
