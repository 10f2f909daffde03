"""The lab's supervisor: a process tree that builds a lab, keeps it alive, and ends all its processes with itself.

The supervisor has a PID namespace of its own, whose init builds the network and starts the services. However the owner
of the lab ends, the kernel kills that init (PR_SET_PDEATHSIG), and with it every process in the namespace. The network
namespaces end too, since only those processes keep them alive.
"""

import json
import os
import select
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from liveness.errors import LivenessError, StoppedEarlyError, UnsupportedError, UsageError
from liveness.lab.hosts.daemons import Running, start_daemon
from liveness.lab.hosts.document import Internet
from liveness.lab.hosts.network import build_network
from liveness.lab.hosts.servers import Server, open_servers, serve
from liveness.lab.kernel_settings import CLONE_NEWPID, Space, check, private_tmpfs
from liveness.lab.tools import Tools
from liveness.system.child import PR_SET_PDEATHSIG, die_with_parent, fork, libc

ERRORS: dict[str, type[LivenessError]] = {
    error.__name__: error for error in (LivenessError, UsageError, UnsupportedError, StoppedEarlyError)
}

RUN = "/run"
"""Covered by a file system of the lab's own while daemons run: they keep sockets and PID files there."""


class LabSupervisor(ABC):
    """The environment of this process's network namespace, in which it must be root; a context manager.

    Entering it builds the environment and returns when all services are ready. Raises LivenessError or a subclass, with
    a message of one line.
    """

    def __init__(self) -> None:
        self._pid = 0
        self._init = 0
        self._control = -1
        self._reports: TextIO | None = None
        self._last: LivenessError | None = None

    @abstractmethod
    def start(self) -> None:
        """Build the environment and start its services. Runs in the init."""

    @abstractmethod
    def watch(self, control: int) -> str | None:
        """Watch the services. Runs in the init.

        Returns None when `control` becomes readable, which means that the owner closes; otherwise a sentence on the
        service that ended.
        """

    @property
    def pid(self) -> int:
        """Process id of the supervisor; 0 if there is none."""
        return self._pid

    def __enter__(self) -> Self:
        control, self._control = os.pipe()
        reports, writer = os.pipe()
        parent = os.getpid()
        self._pid = fork()
        if self._pid == 0:
            try:
                os.close(reports)
                os.close(self._control)
                _keep(parent, control, writer, lambda: self._hold(control, writer))
            finally:
                os._exit(1)
        os.close(control)
        os.close(writer)
        self._reports = os.fdopen(reports, encoding="utf-8")
        try:
            failure = self.failure()
        except BaseException:
            self.close()
            raise
        if failure is not None:
            self.close()
            raise failure
        return self

    def _hold(self, control: int, reports: int) -> None:
        """Build, start and report; then watch until the owner closes or a service ends. Runs in the init."""
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        try:
            self.start()
        except LivenessError as problem:
            _report(reports, type(problem).__name__, str(problem))
            return
        except Exception as problem:  # noqa: BLE001 - the owner must get a report of any error
            _report(reports, "LivenessError", f"the lab cannot be built: {type(problem).__name__}: {problem}")
            return
        _report(reports, None, "")
        reason = self.watch(control)
        if reason is not None:
            _report(reports, "LivenessError", reason)

    def failure(self) -> LivenessError | None:
        """Wait for the supervisor's next report: None if the lab is ready, otherwise why it is not, or no longer."""
        assert self._reports is not None  # noqa: S101 - the lab was entered
        line = self._reports.readline()
        if not line:
            return LivenessError("the lab ended by itself, without a word")
        report = json.loads(line)
        self._init = report["init"]
        return _reported(report)

    def router(self) -> Space:
        """Return the core router's namespace; its link ``scanner`` carries all traffic between scanner and hosts."""
        try:
            return Space("the core router", os.open(f"/proc/{self._init}/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as problem:
            raise LivenessError(f"the lab's router cannot be entered: {problem.strerror}") from problem

    def ended(self) -> bool:
        """Return whether the supervisor has ended although the lab was not closed."""
        pid, _ = os.waitpid(self._pid, os.WNOHANG) if self._pid else (0, 0)
        if pid:
            self._pid = 0
        return not self._pid

    def close(self) -> None:
        """End all processes and wait for that. Calling it twice is harmless."""
        if self._control >= 0:
            os.close(self._control)  # the supervisor's end becomes readable
            self._control = -1
        if self._pid:
            os.waitpid(self._pid, 0)
            self._pid = 0
        if self._reports is not None:
            last = self._reports.readline()
            self._last = _reported(json.loads(last)) if last else None
            self._reports.close()
            self._reports = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the lab. Raises the LivenessError of its last work, unless another error is on its way."""
        self.close()
        if self._last is not None and error is None:
            raise self._last


class Lab(LabSupervisor):
    """A lab of Linux hosts."""

    def __init__(self, internet: Internet, tools: Tools, others: Sequence[Space] = ()) -> None:
        """Make a lab around the current namespace, the first vantage point; `others` are those of further ones."""
        super().__init__()
        self.internet = internet
        self.tools = tools
        self.others = others
        self._daemons: list[Running] = []
        self._servers = 0

    def start(self) -> None:
        """Build the network and start its services. Runs in the init."""
        self._daemons, self._servers = _start(self.internet, self.tools, self.others)

    def watch(self, control: int) -> str | None:
        """Wait until the owner closes, or a service ends. Runs in the init."""
        watched = {os.pidfd_open(daemon.process.pid): daemon for daemon in self._daemons}
        readable, _, _ = select.select([control, os.pidfd_open(self._servers), *watched], [], [])
        if control in readable:
            return None
        daemon = watched.get(readable[0])
        reason = "Python servers ended" if daemon is None else f"{daemon.name} ended: {daemon.last_words()}"
        return f"the lab's {reason}"


def _keep(parent: int, control: int, reports: int, hold: Callable[[], None]) -> None:
    """Start the init of a PID namespace, wait for it and exit. Runs in the supervisor."""
    os.setsid()  # a terminal's signals must reach the command in the lab, not the lab
    die_with_parent(parent)
    check(libc.unshare(CLONE_NEWPID), "cannot make a process id namespace")
    init = fork()
    if init == 0:
        try:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            hold()
        finally:
            os._exit(1)
    os.close(control)
    os.close(reports)
    os.waitpid(init, 0)
    os._exit(0)


def _start(internet: Internet, tools: Tools, others: Sequence[Space]) -> tuple[list[Running], int]:
    """Build the network and start its services; return the daemons, and the process id of the Python servers."""
    network = build_network(internet, tools, others)
    hosts = network.hosts
    running: list[Running] = []
    servers: list[Server] = []
    wanted = [(daemon, host, space) for host, space in hosts for daemon in host.daemons if daemon in tools.daemons]
    if wanted:
        private_tmpfs(RUN)
    for daemon, host, space in wanted:
        space.enter()
        running.append(start_daemon(daemon, tools.daemons[daemon], host, Path(RUN, "lab", host.name, daemon)))
    for host, space in hosts:
        space.enter()
        servers += open_servers(host, {daemon for daemon in host.daemons if daemon in tools.daemons})
    for child, (_, _, space) in zip(running, wanted, strict=True):
        space.enter()
        child.await_service()
    pid = fork()
    if pid == 0:
        try:
            serve(servers)
        finally:
            os._exit(1)
    for server in servers:
        server.socket.close()
    network.core.enter()  # Lab.router opens this process's namespace
    return running, pid


def _reported(report: dict[str, Any]) -> LivenessError | None:
    """Return the error that a report of the init names, if it names one."""
    return None if report["error"] is None else ERRORS.get(report["error"], LivenessError)(report["text"])


def _report(reports: int, error: str | None, text: str) -> None:
    init = int(Path("/proc/self").readlink().name)  # the PID as processes outside see it, to whom this /proc belongs
    line = json.dumps({"error": error, "text": text, "init": init}) + "\n"
    with suppress(BrokenPipeError):  # the owner has ended, so this process ends too
        os.write(reports, line.encode())
