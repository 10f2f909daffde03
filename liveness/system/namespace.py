"""Network namespaces made without root: a private one for this process, and further ones for the hosts of a lab."""

import ctypes
import errno
import fcntl
import os
import signal
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from liveness.errors import LivenessError, UnsupportedError
from liveness.system.child import die_with_parent, fork, libc, run_in_child

R = TypeVar("R")

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1

APPARMOR_SWITCH = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
DEBIAN_SWITCH = Path("/proc/sys/kernel/unprivileged_userns_clone")
USER_NAMESPACES_LIMIT = Path("/proc/sys/user/max_user_namespaces")


def enter_private_network() -> None:
    """Move this process into fresh user and network namespaces: root inside, no route out, loopback up.

    Where user namespaces are refused to a process that is root already, the network namespace alone is made. The
    process must have one thread (user_namespaces(7)), so not after an import of numpy, which starts threads: fork
    first. UnsupportedError names the cause and the remedy.
    """
    try:
        enter_user_namespace(CLONE_NEWNET)
    except OSError as error:
        if os.geteuid() != 0 or libc.unshare(CLONE_NEWNET) != 0:
            raise refusal(error.errno or 0) from error
    bring_loopback_up()


def enter_network() -> None:
    """Move this process into a fresh network namespace, loopback up. Root keeps its privileges on this machine.

    Others enter a private network: see `enter_private_network`.
    """
    if os.geteuid() == 0 and libc.unshare(CLONE_NEWNET) == 0:
        bring_loopback_up()
    else:
        enter_private_network()


def enter_user_namespace(further: int) -> None:
    """Move this process into a fresh user namespace, root inside; `further` holds more CLONE_NEW flags of unshare(2).

    OSError if the kernel refuses, LivenessError if this process has threads.
    """
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER | further) != 0:
        code = ctypes.get_errno()
        if code == errno.EINVAL and thread_count() > 1:
            raise LivenessError(f"a process with {thread_count()} threads cannot enter a user namespace: fork first")
        raise OSError(code, os.strerror(code))
    Path("/proc/self/setgroups").write_text("deny")  # without this the kernel refuses a gid_map
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


class Namespace:
    """A network namespace and the process that holds it; a context manager, closed at the end of its block."""

    def __init__(self, pid: int, fd: int) -> None:
        self.pid = pid
        """Process id of the holder, for nsenter(1) and for moving links (IFLA_NET_NS_PID)."""
        self.fd = fd
        """An open /proc/<pid>/ns/net, for setns(2) and for moving links (IFLA_NET_NS_FD)."""

    def enter(self) -> None:
        """Move this process into the namespace; for forked children and preexec_fn, since there is no way back."""
        if libc.setns(self.fd, CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise LivenessError(f"cannot enter the network namespace of process {self.pid}: {os.strerror(code)}")

    def run(self, function: Callable[[], R]) -> R:
        """Run `function` in a forked child inside the namespace; returns its (picklable) result or raises its error."""

        def inside() -> R:
            self.enter()
            return function()

        return run_in_child(inside)

    def close(self) -> None:
        """End the holder; the namespace goes with its last process, socket and descriptor. Twice is harmless."""
        if self.fd < 0:
            return
        os.close(self.fd)
        self.fd = -1
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def spawn_namespace() -> Namespace:
    """Make a network namespace with its loopback up, held by a child that dies with this process.

    Needs CAP_SYS_ADMIN in this process's user namespace: be root, or call enter_private_network() first. The holder
    ignores the signals of a terminal, so that Ctrl-C reaches the command that runs in a lab and not the lab under it.
    """
    reader, writer = os.pipe()
    parent = os.getpid()
    pid = fork()
    if pid == 0:
        try:
            die_with_parent(parent)
            _hold(writer)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        problem = stream.read(1)
    if problem != b"\0":
        os.waitpid(pid, 0)
        raise UnsupportedError(
            "this process may not make a network namespace (CAP_SYS_ADMIN is missing): enter a private network first"
        )
    try:
        return Namespace(pid, os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _hold(ready: int) -> None:
    """Run the holder: make the namespace, close what the parent has open, report, and wait to be killed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    if libc.unshare(CLONE_NEWNET) != 0:
        return
    bring_loopback_up()
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.closerange(3, ready)
    os.write(ready, b"\0")
    os.closerange(ready, os.sysconf("SC_OPEN_MAX"))
    while True:
        signal.pause()


def bring_loopback_up() -> None:
    """Set IFF_UP on ``lo`` of this process's network namespace, by ioctl: netdevice(7)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(handle, SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def thread_count() -> int:
    """Return the number of threads of this process, those of C libraries included."""
    return len(list(Path("/proc/self/task").iterdir()))


def refusal(code: int) -> UnsupportedError:
    """Return the error for a user namespace that the kernel refuses (`code` is the errno), with what to do about it."""
    reason = f"the kernel refuses a private network (user and network namespaces): {os.strerror(code)}"
    return UnsupportedError(f"{reason}; {namespace_remedy(code)}")


def namespace_remedy(code: int) -> str:
    """Return the remedy for a refused user namespace: the switch that is off, or else what may forbid it."""
    if _switch(APPARMOR_SWITCH) == "1":
        return "AppArmor restricts them: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    if _switch(DEBIAN_SWITCH) == "0":
        return "they are switched off: sudo sysctl -w kernel.unprivileged_userns_clone=1"
    if _switch(USER_NAMESPACES_LIMIT) == "0":
        return "their number is limited to 0: sudo sysctl -w user.max_user_namespaces=10000"
    if code in (errno.ENOSPC, errno.EUSERS):
        return "too many exist or they are nested too deep: raise sysctl user.max_user_namespaces, or nest less"
    container = "docker run --cap-add SYS_ADMIN --security-opt seccomp=unconfined"
    return f"run as root, or, in a container, allow unshare ({container})"


def _switch(path: Path) -> str | None:
    """Return the text of a sysctl file, None if this kernel has no such switch."""
    try:
        return path.read_text().strip()
    except OSError:
        return None
