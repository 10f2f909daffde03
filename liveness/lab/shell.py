"""Run of a command inside a lab, in the scanner's namespace: signals, exit code, and removal of orphans."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from liveness.errors import LivenessError, UsageError
from liveness.lab.kernel_settings import PR_SET_CHILD_SUBREAPER, Space, new_space, this_space
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
    vantages: int | None = None,
) -> int:
    """Build the lab of `source`, run `command` in the scanner's namespace, remove the lab; return the exit code.

    `source` is a lab file or a population file; with `ideal` the network model of the latter is not used. In a lab of
    several vantage points, those of the file or `vantages` of them, the command runs in each of them at once: see
    `commands_of`. The exit code is 128 + n if signal n ended the command; of several, that of the first that is not 0.
    `notice` receives lines for the user: networks that are left out, and with `verbose` the servers of each network.
    This process moves to the first scanner's namespace and stays there, so it must have one thread. UsageError for a
    wrong file or an unknown command, before anything is built; UnsupportedError if the machine does not allow a lab.
    """
    program = shutil.which(command[0])
    if program is None:
        raise UsageError(f"lab exec: {command[0]!r}: no such command: name a program on PATH or the path of one")
    words = [program, *command[1:]]
    population = find_population(source)
    if population is not None and ideal:
        population = population.ideal
    with ExitStack() as cleanup:
        if population is None:
            internet = load_internet(source)
            internet = internet if vantages is None else internet.of_vantages(vantages, source)
            tools = find_tools(plain=plain)
            for line in tools.notes(internet) + (tools.choices(internet) if verbose else []):
                notice(f"lab: {line}")
            enter_private_network()
            from liveness.lab.supervisor import Lab  # noqa: PLC0415 - its imports may start threads, but entering a user namespace requires one thread

            commands = commands_of(words, [vantage.name for vantage in internet.vantages])
            return _run_within(Lab(internet, tools, others_of(commands)), commands)
        population = population if vantages is None else population.of_places(vantages)
        folder = cleanup.enter_context(TemporaryDirectory(prefix="liveness-lab-"))
        enter_private_network()
        from liveness.lab.model.responder.lab import ModelLab  # noqa: PLC0415 - as above

        commands = commands_of(words, [name for name, _ in population.places])
        runs = [Path(folder) / f"runs{number}" for number in range(len(commands))]
        for one, file in zip(commands, runs, strict=True):
            one.variables[VARIABLE] = str(file)
        return _run_within(ModelLab(population, runs, others_of(commands), verbose=verbose), commands)


@dataclass(slots=True)
class Command:
    """A command in one vantage point: its words, what its environment has besides ours, and its namespace."""

    words: list[str]
    variables: dict[str, str] = field(default_factory=dict)
    space: Space | None = None
    """None for the namespace of this process."""


def commands_of(words: Sequence[str], vantages: Sequence[str]) -> list[Command]:
    """Return the commands of a lab; without named vantage points that is one, as it was given.

    In each vantage point `{vantage}`, `{index}` and `{vantages}` in the words stand for its name, its number and how
    many there are, and LIVENESS_VANTAGE is its name, which makes it the `vantage` of a config. The first one has the
    namespace of this process; the others get new ones, in which this process does not stay.
    """
    if not vantages:
        return [Command(list(words))]
    commands = []
    home = this_space("the scanner")
    for index, name in enumerate(vantages):
        meant = {"{vantage}": name, "{index}": str(index), "{vantages}": str(len(vantages))}
        own = [_filled(word, meant) for word in words]
        space = new_space(f"the scanner {name}", forward=False) if index else None
        commands.append(Command(own, {"LIVENESS_VANTAGE": name}, space))
    home.enter()
    return commands


def _filled(word: str, meant: Mapping[str, str]) -> str:
    for name, value in meant.items():
        word = word.replace(name, value)
    return word


def others_of(commands: Sequence[Command]) -> list[Space]:
    """Return the namespaces of all vantage points but the first."""
    return [command.space for command in commands if command.space is not None]


def _run_within(supervisor: "LabSupervisor", commands: Sequence[Command]) -> int:
    """Run the commands while the supervisor keeps a lab around this process."""
    with supervisor as lab:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (*PASSED_ON, signal.SIGCHLD))
        try:
            return _run(commands, mask, lab.ended, lab.failure)
        finally:
            _end_orphans(lab.pid)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _run(
    commands: Sequence[Command],
    mask: set[int | signal.Signals],
    lab_ended: Callable[[], bool],
    failure: Callable[[], LivenessError | None],
) -> int:
    """Run the commands with the signal mask `mask`. If the lab ends first, end the commands and raise the reason."""
    with ExitStack() as running:
        children = [running.enter_context(_start(command, mask)) for command in commands]
        while True:
            info = signal.sigwaitinfo((*PASSED_ON, signal.SIGCHLD))
            if info.si_signo != signal.SIGCHLD:
                if not (info.si_code == SI_KERNEL and info.si_signo in FROM_TERMINAL):
                    for child in children:
                        child.send_signal(info.si_signo)
                continue
            codes = [code for child in children if (code := child.poll()) is not None]
            if len(codes) == len(children):
                return shown_by_shells(next((code for code in codes if code), 0))
            if lab_ended():
                for child in children:
                    child.terminate()
                for child in children:
                    child.wait()
                raise failure() or LivenessError("the lab ended before the command did")


def _start(command: Command, mask: set[int | signal.Signals]) -> subprocess.Popen[bytes]:
    """Start a command in its namespace, with the signal mask `mask`."""
    owner = os.getpid()

    def in_child() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != owner:
            os._exit(1)
        if command.space is not None:
            command.space.enter()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    environment = os.environ | command.variables
    return subprocess.Popen(command.words, env=environment, preexec_fn=in_child)  # noqa: PLW1509 - this process has one thread


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
