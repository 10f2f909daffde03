"""Kernel interfaces of a lab other than netlink: namespaces by descriptor, sysctls, checksum offload, mounts."""

import array
import ctypes
import errno
import fcntl
import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from liveness.errors import LivenessError, UnsupportedError
from liveness.system.child import libc
from liveness.system.namespace import CLONE_NEWNET, bring_loopback_up

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWPID: Final = 0x20000000
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 0x40000
PR_SET_CHILD_SUBREAPER: Final = 36
SIOCETHTOOL: Final = 0x8946
ETHTOOL_STXCSUM: Final = 0x17
ETHTOOL_GLINK: Final = 0x0A
SIOCGIFFLAGS: Final = 0x8913
IFF_RUNNING: Final = 0x40

CARRIER_TIMEOUT_S: Final = 3.0

COMMON_SYSCTLS: Final = {
    "ipv4/icmp_ratemask": 0,  # disables the limits on ICMP messages, including the global one
    "ipv4/icmp_ratelimit": 0,
    "ipv4/icmp_echo_ignore_all": 0,
    "ipv4/tcp_syncookies": 1,
    "ipv4/tcp_max_syn_backlog": 65536,
    "core/somaxconn": 65535,
    "ipv4/conf/all/rp_filter": 0,  # answers from one prefix may arrive through several routers
    "ipv4/conf/default/rp_filter": 0,
    "ipv4/conf/all/log_martians": 0,
    "ipv4/conf/all/accept_redirects": 0,
    "ipv4/conf/default/accept_redirects": 0,
    "ipv4/conf/all/send_redirects": 0,  # a loop sends packets back to the link that they came from
    "ipv4/conf/default/send_redirects": 0,
}
"""Set in every namespace: a new one copies some of these from the machine, so that their values would vary."""

QUIET_IPV6: Final = {"ipv6/conf/all/disable_ipv6": 1, "ipv6/conf/default/disable_ipv6": 1}
"""Sysctls that keep neighbour discovery out of the captured frames; a kernel without IPv6 lacks them."""

FEW_PORTS: Final = {"ipv4/ip_local_port_range": "1024 4999"}
"""Sysctls of a scanner's namespace: other connections there leave the usual source ports of scans alone."""

SYSCTLS = Path("/proc/sys/net")


class Space:
    """A network namespace of the lab, kept alive by a descriptor of this process."""

    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self.fd = fd

    def enter(self) -> None:
        """Move this process into the namespace. Sockets that it opens there stay there when the process leaves."""
        check(libc.setns(self.fd, CLONE_NEWNET), f"cannot enter the namespace of {self.name}")


def this_space(name: str) -> Space:
    """Return the namespace of this process."""
    return Space(name, os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC))


def new_space(name: str, *, forward: bool) -> Space:
    """Make a namespace, enter it, bring loopback up and set sysctls; `forward` makes it a router."""
    check(libc.unshare(CLONE_NEWNET), f"cannot make a namespace for {name}")
    bring_loopback_up()
    set_sysctls({"ipv4/ip_forward": int(forward)} | COMMON_SYSCTLS)  # in this order: ip_forward resets some others
    if (SYSCTLS / "ipv6").exists():
        set_sysctls(QUIET_IPV6)
    return this_space(name)


def set_sysctls(values: Mapping[str, int | str]) -> None:
    """Set sysctls, named below net/, in the namespace of this process."""
    for name, value in values.items():
        path = SYSCTLS / name
        try:
            path.write_text(str(value))
        except OSError as problem:
            remedy = "run where /proc/sys can be written (in a container: not masked or read-only)"
            raise UnsupportedError(f"the lab cannot set {path} to {value}: {problem.strerror}: {remedy}") from problem


def finish_checksums(interface: str) -> None:
    """Switch off TX checksum offload, so that packets on a veth carry complete checksums, as on a physical link."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        try:
            _ethtool(handle, interface, ETHTOOL_STXCSUM)
        except OSError as problem:
            raise LivenessError(
                f"the lab cannot switch off checksum offload on {interface}: {problem.strerror}"
            ) from problem


def await_running(interface: str) -> None:
    """Wait until a link is running (IFF_RUNNING), which the kernel reports with a delay of up to a second."""
    deadline = time.monotonic() + CARRIER_TIMEOUT_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        while True:
            _ethtool(handle, interface, ETHTOOL_GLINK)  # the request makes newer kernels update the flag at once
            request = struct.pack("16s16x", interface.encode())
            (flags,) = struct.unpack_from("H", fcntl.ioctl(handle, SIOCGIFFLAGS, request), 16)
            if flags & IFF_RUNNING:
                return
            if time.monotonic() > deadline:
                raise LivenessError(f"the lab's link {interface} does not come up")
            time.sleep(0.01)


def _ethtool(handle: socket.socket, interface: str, command: int) -> None:
    """Make an ETHTOOL ioctl of the form (command, value 0): linux/ethtool.h, struct ethtool_value."""
    value = array.array("I", (command, 0))
    fcntl.ioctl(handle, SIOCETHTOOL, struct.pack("16sP16x", interface.encode(), value.buffer_info()[0]))


def private_tmpfs(path: str) -> None:
    """Mount an empty tmpfs on `path` that only this process and its children see and that ends with them."""
    check(libc.unshare(CLONE_NEWNS), "cannot make a mount namespace")
    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "cannot make mounts private")
    check(libc.mount(b"tmpfs", path.encode(), b"tmpfs", 0, b"mode=0755"), f"cannot mount a tmpfs on {path}")


def check(result: int, failure: str) -> None:
    """Raise UnsupportedError with a message that begins with `failure` if a libc call returned -1."""
    if result == -1:
        code = ctypes.get_errno()
        hint = ": a container may forbid it" if code in (errno.EPERM, errno.EACCES) else ""
        raise UnsupportedError(f"the lab {failure}: {os.strerror(code)}{hint}")
