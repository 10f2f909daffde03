"""The lab's keeper: a process tree that builds a lab, holds it, and takes every last process of it down with itself.

The keeper stands in a PID namespace of its own, whose init builds the network and starts the services. Whatever way the
lab's owner ends, the kernel kills that init (PR_SET_PDEATHSIG), and with it everything in the namespace; the network
namespaces, held by nothing but those processes, follow.
"""

import json
import os
import select
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from liveness.errors import LivenessError, StoppedEarlyError, UnsupportedError, UsageError
from liveness.lab.hosts.daemons import Running, start_daemon
from liveness.lab.hosts.document import Internet
from liveness.lab.hosts.network import build_network
from liveness.lab.hosts.servers import Server, open_servers, serve
from liveness.lab.kernel import CLONE_NEWPID, Space, check, private_tmpfs
from liveness.lab.tools import Tools
from liveness.system.child import PR_SET_PDEATHSIG, die_with_parent, fork, libc

ERRORS: dict[str, type[LivenessError]] = {
    error.__name__: error for error in (LivenessError, UsageError, UnsupportedError, StoppedEarlyError)
}

RUN = "/run"
"""Covered by a file system of the lab's own while daemons run: they keep sockets and process ids there."""


class Keeper(ABC):
    """What stands around the network namespace of this process, which must be root there; a context manager.

    Entering it builds that and returns when all of it serves. Raises LivenessError or a subclass, one line.
    """

    def __init__(self) -> None:
        self._pid = 0
        self._init = 0
        self._control = -1
        self._reports: TextIO | None = None

    @abstractmethod
    def start(self) -> None:
        """In the init: build, and start what serves."""

    @abstractmethod
    def watch(self, control: int) -> str | None:
        """In the init: return None when `control` is readable, as the owner closes; or say what ended before that."""

    @property
    def pid(self) -> int:
        """Process id of the keeper; 0 when there is none."""
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
        """In the init: build, start, say so; then watch until the owner closes or something ends by itself."""
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        try:
            self.start()
        except LivenessError as problem:
            _report(reports, type(problem).__name__, str(problem))
            return
        except Exception as problem:  # noqa: BLE001 - the owner is told, whatever it is
            _report(reports, "LivenessError", f"the lab cannot be built: {type(problem).__name__}: {problem}")
            return
        _report(reports, None, "")
        said = self.watch(control)
        if said is not None:
            _report(reports, "LivenessError", said)

    def failure(self) -> LivenessError | None:
        """Wait for the keeper's next report: None when the lab stands, or why it does not (any more)."""
        assert self._reports is not None  # noqa: S101 - the lab was entered
        line = self._reports.readline()
        if not line:
            return LivenessError("the lab ended by itself, without a word")
        report = json.loads(line)
        self._init = report["init"]
        return None if report["error"] is None else ERRORS.get(report["error"], LivenessError)(report["text"])

    def router(self) -> Space:
        """Return the core router's namespace; its link ``scanner`` carries all that scanner and hosts exchange."""
        try:
            return Space("the core router", os.open(f"/proc/{self._init}/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as problem:
            raise LivenessError(f"the lab's router cannot be entered: {problem.strerror}") from problem

    def ended(self) -> bool:
        """Tell whether the keeper is gone although nobody closed the lab."""
        pid, _ = os.waitpid(self._pid, os.WNOHANG) if self._pid else (0, 0)
        if pid:
            self._pid = 0
        return not self._pid

    def close(self) -> None:
        """Take everything down and wait until it is gone. Twice is harmless."""
        if self._control >= 0:
            os.close(self._control)  # the keeper reads its end
            self._control = -1
        if self._pid:
            os.waitpid(self._pid, 0)
            self._pid = 0
        if self._reports is not None:
            self._reports.close()
            self._reports = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Lab(Keeper):
    """A lab of Linux hosts."""

    def __init__(self, internet: Internet, tools: Tools) -> None:
        super().__init__()
        self.internet = internet
        self.tools = tools
        self._daemons: list[Running] = []
        self._servers = 0

    def start(self) -> None:
        """In the init: build the network and start its services."""
        self._daemons, self._servers = _start(self.internet, self.tools)

    def watch(self, control: int) -> str | None:
        """In the init: wait until the owner closes, or a service ends."""
        watched = {os.pidfd_open(daemon.process.pid): daemon for daemon in self._daemons}
        readable, _, _ = select.select([control, os.pidfd_open(self._servers), *watched], [], [])
        if control in readable:
            return None
        daemon = watched.get(readable[0])
        said = "Python servers ended" if daemon is None else f"{daemon.name} ended: {daemon.last_words()}"
        return f"the lab's {said}"


def _keep(parent: int, control: int, reports: int, hold: Callable[[], None]) -> None:
    """In the keeper: start the init of a PID namespace, wait for it, go."""
    os.setsid()  # signals of a terminal are for the command in the lab, not for the lab
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


def _start(internet: Internet, tools: Tools) -> tuple[list[Running], int]:
    """Build the network and start its services; returns the daemons, and the process id of the Python servers."""
    network = build_network(internet, tools)
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
    for one, (_, _, space) in zip(running, wanted, strict=True):
        space.enter()
        one.await_service()
    pid = fork()
    if pid == 0:
        try:
            serve(servers)
        finally:
            os._exit(1)
    for server in servers:
        server.socket.close()
    network.core.enter()  # where the owner looks for it: Lab.router
    return running, pid


def _report(reports: int, error: str | None, text: str) -> None:
    init = int(Path("/proc/self").readlink().name)  # as processes outside see it, whose /proc this is
    line = json.dumps({"error": error, "text": text, "init": init}) + "\n"
    with suppress(BrokenPipeError):  # the owner is gone, and so will this process be
        os.write(reports, line.encode())
