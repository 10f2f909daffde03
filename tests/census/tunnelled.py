"""Runs commands at one end of a tunnel, with the kernel of another network namespace at the other.

Usage: python -m tests.census.tunnelled KIND SCRIPT - SCRIPT is run by sh and begins where `t0` is up, with a route to
9.9.8.0/22 over it. At the far end 9.9.9.0/24 are local addresses with a listener on port 80, 9.9.10.0/24 are
unreachable, and 9.9.8.0/24 and 9.9.11.0/24 are dropped. Leaves with the script's exit code.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

from pyroute2 import IPRoute

from liveness.system.child import fork, run_in_child
from liveness.system.namespace import enter_private_network
from tests.net.tunnels import HERE, tunnel

LISTENED_PORT = 80


def far_end() -> int:
    """In the far namespace: answer for the targets; return the descriptor of the listener, which stays open."""
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    for name, value in (("icmp_ratelimit", 0), ("icmp_msgs_per_sec", 100_000), ("icmp_msgs_burst", 100_000)):
        Path("/proc/sys/net/ipv4", name).write_text(str(value))
    with IPRoute() as netlink:
        loopback = netlink.link_lookup(ifname="lo")[0]
        netlink.route("add", dst="9.9.9.0/24", oif=loopback, table=255, type="local", scope=254)
        netlink.route("add", dst="9.9.10.0/24", type="unreachable")
        netlink.route("add", dst="9.9.8.0/24", type="blackhole")
        netlink.route("add", dst="9.9.11.0/24", type="blackhole")
    listener = socket.create_server(("0.0.0.0", LISTENED_PORT), backlog=4096)  # noqa: S104 - a private network
    return os.dup(listener.fileno())


def main() -> int:
    """Build both ends and run the script."""
    kind, script = sys.argv[1:]
    enter_private_network()
    with tunnel(kind) as peer:
        ready, say_ready = os.pipe()
        stop, held = os.pipe()
        pid = fork()
        if pid == 0:
            try:
                os.close(held)
                peer.enter()
                far_end()
                os.write(say_ready, b"1")
                os.read(stop, 1)
            finally:
                os._exit(1)
        os.close(say_ready)
        if os.read(ready, 1) != b"1":
            return 1

        def route() -> None:
            with IPRoute() as netlink:
                netlink.route("add", dst="9.9.8.0/22", oif=netlink.link_lookup(ifname="t0")[0], prefsrc=HERE)

        run_in_child(route)
        code = subprocess.run(["sh", "-ec", script], check=False).returncode
        os.close(held)
        os.waitpid(pid, 0)
        return code


if __name__ == "__main__":
    sys.exit(main())
