"""Trials of kernel features: each function uses a feature briefly and returns what it found, or raises the refusal.

A trial sends no packet and leaves nothing changed. Trials that create links or rules are for private networks only.
"""

import os
import resource
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from pyroute2 import IPRoute

from liveness.errors import LivenessError
from liveness.net import ephemeral, tpacket, xdp
from liveness.net.links import find_link, switch_gro_on
from liveness.net.resets import ResetsHeld
from liveness.net.rx_packet import PacketRxRing
from liveness.net.rx_xdp import open_xdp_rings
from liveness.net.sockets import bind_packet_socket, open_packet_socket
from liveness.net.transport import TRIAL_ETHERTYPE, TRIAL_S, trial_frame
from liveness.net.tx_packet import PacketTxRing
from liveness.net.tx_xdp import SLOT_BYTES, SLOTS, XdpTxRing
from liveness.net.xdp_memory import RING_FRAMES
from liveness.packets.headers import ETHERTYPE_OFFSET
from liveness.packets.reply_filter import reply_filter
from liveness.system import landlock, seccomp
from liveness.system.bpf import (
    ACCEPT,
    DROP,
    JUMP_EQUAL,
    LD_HALF,
    RETURN,
    Instruction,
    Program,
    assemble,
    attach_filter,
)
from liveness.system.child import run_in_child
from liveness.system.namespace import enter_network, enter_user_namespace

LOOPBACK = "lo"
TAKE_NOTHING: Program = assemble([Instruction(RETURN, DROP)])
TAKE_TRIAL: Program = assemble(
    [
        Instruction(LD_HALF, ETHERTYPE_OFFSET),
        Instruction(JUMP_EQUAL, TRIAL_ETHERTYPE, "", "drop"),
        Instruction(RETURN, ACCEPT),
        "drop",
        Instruction(RETURN, DROP),
    ]
)

CLOCKSOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
COARSEST_CLOCK_S = 1e-6
SYSTEM_PROGRAMS = "/usr/sbin:/sbin"


def user_namespace() -> str:
    """Enter a user namespace as root. A process cannot leave it again, so run this in a child."""
    enter_user_namespace(0)
    return "root inside, without privilege outside"


def landlock_version() -> str:
    """Return the version of Landlock. Raises LivenessError if it is missing."""
    found = landlock.version()
    if found == 0:
        raise LivenessError("not in this kernel, or switched off")
    return f"version {found}"


def seccomp_filter() -> str:
    """Check that system calls can be filtered. Raises LivenessError if not."""
    if not seccomp.is_available():
        raise LivenessError("not in this kernel, or not on this kind of machine")
    return "system calls can be filtered"


def raw_socket() -> str:
    """Open an AF_PACKET socket."""
    open_packet_socket().close()
    return "CAP_NET_RAW is there"


def transmit_ring() -> str:
    """Map a PACKET_TX_RING on loopback."""
    PacketTxRing(LOOPBACK, longest_frame=128, minimum_slots=256).close()
    return "TPACKET_V2"


def receive_ring() -> str:
    """Map a TPACKET_V3 receive ring on loopback, with a filter that accepts nothing."""
    PacketRxRing(LOOPBACK, TAKE_NOTHING, ring_mib=2).close()
    return "2 MiB mapped"


def socket_filter() -> str:
    """Attach a reply filter, which the kernel checks."""
    program = reply_filter([0x7F000001], *ephemeral.DEFAULT_PORTS, (0, 3, 4, 5, 11, 12))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        attach_filter(handle, program)
    return f"{len(program)} instructions taken"


def source_ports() -> str:
    """Compare the source ports of a scan with the ephemeral ports of this host. LivenessError if they overlap."""
    host = ephemeral.host_ports()
    if host is None:
        return "this kernel does not show its ephemeral ports"
    first, last = ephemeral.DEFAULT_PORTS
    if host.advice(first, last):
        raise LivenessError(f"{first}-{last} are ephemeral ports too ({host.first}-{host.last})")
    return f"{first}-{last} are left to scans"


def ignore_outgoing() -> str:
    """Set PACKET_IGNORE_OUTGOING (Linux 4.20)."""
    with open_packet_socket() as handle:
        handle.setsockopt(tpacket.SOL_PACKET, tpacket.PACKET_IGNORE_OUTGOING, 1)
    return "our own frames are not captured"


def fanout() -> str:
    """Create a PACKET_FANOUT group with one member on loopback."""
    with open_packet_socket() as handle:
        attach_filter(handle, TAKE_NOTHING)
        bind_packet_socket(handle, LOOPBACK, tpacket.ETH_P_ALL)
        handle.setsockopt(tpacket.SOL_PACKET, tpacket.PACKET_FANOUT, os.getpid() & 0xFFFF)
    return "by flow hash"


def xdp_socket() -> str:
    """Open an AF_XDP ring on loopback."""
    XdpTxRing(LOOPBACK, SLOT_BYTES - 1).close()
    return "copy mode"


def xdp_budget() -> str:
    """Set XDP_MAX_TX_SKB_BUDGET, the number of frames per call: up to the length of the ring, 32 without it."""
    with socket.socket(xdp.AF_XDP, socket.SOCK_RAW, 0) as handle:
        handle.setsockopt(xdp.SOL_XDP, xdp.XDP_TX_RING, RING_FRAMES)
        handle.setsockopt(xdp.SOL_XDP, xdp.XDP_MAX_TX_SKB_BUDGET, RING_FRAMES)
    return "more than 32 frames a call"


def locked_memory() -> str:
    """Return the limit of locked memory. Raises LivenessError if a UMEM does not fit in it."""
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    text = "unlimited" if limit == resource.RLIM_INFINITY else f"{limit >> 10:,} KiB"
    if limit != resource.RLIM_INFINITY and limit < SLOT_BYTES * SLOTS:
        raise LivenessError(f"{text}, {SLOT_BYTES * SLOTS >> 10:,} KiB are needed for each sender")
    return text


def netlink_routes() -> str:
    """Read the IPv4 routes and return their number."""
    with IPRoute() as netlink:
        return f"{len(list(netlink.get_routes(socket.AF_INET)))} IPv4 routes"


def link_kind(kind: str) -> str:
    """Create a link of a kind and remove it; for private networks only."""
    with IPRoute() as netlink:
        peer = {"peer": "trial1"} if kind == "veth" else {}
        netlink.link("add", ifname="trial0", kind=kind, **peer)
        netlink.link("del", index=netlink.link_lookup(ifname="trial0")[0])
    return "made in a private network"


def join_by_link(name: str) -> None:
    """Create a veth link with that name and set both ends up, for any transport; for private networks only."""
    with IPRoute() as netlink:
        netlink.link("add", ifname=name, kind="veth", peer=f"{name}-far")
        for end in (name, f"{name}-far"):
            netlink.link("set", index=netlink.link_lookup(ifname=end)[0], state="up")
    with suppress(OSError):  # a kernel whose veth links have no GRO: the trial of live frames says so
        switch_gro_on(f"{name}-far")


def xdp_capture() -> str:
    """Capture a packet by XDP on a link of a private network that it makes, as root of this machine."""
    return run_in_child(_xdp_capture)


def _xdp_capture() -> str:
    enter_network()  # BPF programs need privileges of root that it does not have in a user namespace
    join_by_link("trial0")
    (ring,) = open_xdp_rings("trial0", TAKE_TRIAL, ring_mib=1)
    try:
        with open_packet_socket() as sender:
            sender.bind(("trial0-far", 0))
            sender.send(trial_frame(find_link("trial0").mac))
        if ring.blocks(TRIAL_S) is None:
            raise LivenessError(f"a trial frame has not been captured within {TRIAL_S:.0f} s")
    finally:
        ring.close()
    return "a trial frame was captured on a veth link"


def kernel_resets() -> str:
    """Hold back the kernel's resets towards a service, and prove that none leaves; for private networks only."""
    with ResetsHeld(*ephemeral.DEFAULT_PORTS, (80,)) as held:
        held.prove()
    return "held back while a scan talks to services"


def nft() -> str:
    """Load a reject rule with nft; for private networks only."""
    program = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:{SYSTEM_PROGRAMS}")
    if program is None:
        raise LivenessError("nft is not installed")
    rules = "table inet trial { chain input { type filter hook input priority 0; tcp dport 1 reject; }; }"
    done = subprocess.run([program, rules], capture_output=True, text=True, check=False, timeout=10)
    if done.returncode:
        raise LivenessError(done.stderr.strip().splitlines()[0] if done.stderr.strip() else "nft failed")
    return program


def processors() -> str:
    """Return the number of CPUs that this process may use."""
    count = len(os.sched_getaffinity(0))
    return f"{count} usable" if count > 1 else "1 usable: sender and receiver share it"


def clock() -> str:
    """Return the resolution of the clock for pacing and timestamps. Raises LivenessError if it is above 1 µs."""
    resolution_s = time.clock_getres(time.CLOCK_MONOTONIC)
    source = CLOCKSOURCE.read_text().strip() if CLOCKSOURCE.exists() else "unknown"
    text = f"resolution {resolution_s * 1e9:.0f} ns, source {source}"
    if resolution_s > COARSEST_CLOCK_S:
        raise LivenessError(text)
    return text
