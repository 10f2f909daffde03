"""Run of a command inside a lab, in the scanner's namespace: signals, exit code, and removal of orphans."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from liveness.errors import LivenessError, UsageError
from liveness.lab.kernel_settings import PR_SET_CHILD_SUBREAPER
from liveness.lab.load import load_internet
from liveness.lab.source import find_population
from liveness.lab.tools import find_tools
from liveness.runs.announce import VARIABLE
from liveness.system.child import PR_SET_PDEATHSIG, libc
from liveness.system.exit_codes import shown_by_shells
from liveness.system.namespace import enter_private_network

if TYPE_CHECKING:
    from liveness.lab.supervisor import LabSupervisor

PASSED_ON = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
"""Signals that a terminal sends to the whole foreground process group, so that the command has received them."""

SI_KERNEL = 0x80


def run_in_lab(
    command: Sequence[str],
    *,
    source: str,
    plain: bool,
    notice: Callable[[str], None],
    verbose: bool,
    ideal: bool = False,
) -> int:
    """Build the lab of `source`, run `command` in the scanner's namespace, remove the lab; return the exit code.

    `source` is a lab file or a population file; with `ideal` the network model of the latter is not used. The exit code
    is 128 + n if signal n ended the command. `notice` receives lines for the user: networks that are left out, and with
    `verbose` the servers of each network. This process moves to the scanner's namespace and stays there, so it must
    have
    one thread. UsageError for a wrong file or an unknown command, before anything is built; UnsupportedError if the
    machine does not allow a lab.
    """
    program = shutil.which(command[0])
    if program is None:
        raise UsageError(f"lab exec: {command[0]!r}: no such command: name a program on PATH or the path of one")
    population = find_population(source)
    if population is not None and ideal:
        population = replace(population, network=None)
    with ExitStack() as cleanup:
        if population is None:
            internet = load_internet(source)
            tools = find_tools(plain=plain)
            for line in tools.notes(internet) + (tools.choices(internet) if verbose else []):
                notice(f"lab: {line}")
            enter_private_network()
            from liveness.lab.supervisor import Lab  # noqa: PLC0415 - its imports may start threads, but entering a user namespace requires one thread

            return _run_within(Lab(internet, tools), [program, *command[1:]])
        folder = cleanup.enter_context(TemporaryDirectory(prefix="liveness-lab-"))
        enter_private_network()
        from liveness.lab.model.responder.lab import ModelLab  # noqa: PLC0415 - as above

        runs = Path(folder) / "runs"
        os.environ[VARIABLE] = str(runs)
        return _run_within(ModelLab(population, runs, verbose=verbose), [program, *command[1:]])


def _run_within(supervisor: "LabSupervisor", command: list[str]) -> int:
    """Run the command while the supervisor keeps a lab around this process."""
    with supervisor as lab:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (*PASSED_ON, signal.SIGCHLD))
        try:
            return _run(command, mask, lab.ended, lab.failure)
        finally:
            _end_orphans(lab.pid)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _run(
    command: list[str],
    mask: set[int | signal.Signals],
    lab_ended: Callable[[], bool],
    failure: Callable[[], LivenessError | None],
) -> int:
    """Run the command with the signal mask `mask`. If the lab ends first, end the command and raise the reason."""
    owner = os.getpid()

    def in_child() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != owner:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    with subprocess.Popen(command, preexec_fn=in_child) as child:  # noqa: PLW1509 - this process has one thread
        while True:
            info = signal.sigwaitinfo((*PASSED_ON, signal.SIGCHLD))
            if info.si_signo != signal.SIGCHLD:
                if not (info.si_code == SI_KERNEL and info.si_signo in FROM_TERMINAL):
                    child.send_signal(info.si_signo)
                continue
            code = child.poll()
            if code is not None:
                return shown_by_shells(code)
            if lab_ended():
                child.terminate()
                child.wait()
                raise failure() or LivenessError("the lab ended before the command did")


def _end_orphans(supervisor: int) -> None:
    """Kill processes that the command left (children of this process now, which is their subreaper)."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while True:
        try:
            left = [pid for pid in map(int, children.read_text().split()) if pid != supervisor]
        except OSError:  # a kernel without CONFIG_PROC_CHILDREN
            return
        if not left:
            return
        for pid in left:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
