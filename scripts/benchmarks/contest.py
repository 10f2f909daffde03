"""A contest: what each contestant sends on an interface, one after the other, several rounds, by the kernel's count."""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from liveness.errors import LivenessError
from liveness.system.child import die_with_parent, fork
from scripts.benchmarks.network import arrived, in_private_network

WARM_UP_S: Final = 1.0
BEGUN_FRAMES: Final = 1000
PATIENCE_S: Final = 120.0
"""The first time kernels are compiled."""

Contestant = Callable[[str], None]
"""Sends on an interface until it is killed."""


@dataclass(frozen=True, slots=True)
class Performance:
    """What a contestant did in one round: millions of frames a second, and the most memory it held, MiB."""

    mpps: float
    peak_mib: float


def rounds_of(
    contestants: Mapping[str, Contestant], make: Callable[[], str], rounds: int, seconds: float
) -> dict[str, list[Performance]]:
    """Return what each contestant did, a round after the other, on an interface of its own network."""

    def inside() -> dict[str, list[Performance]]:
        interface = make()
        done: dict[str, list[Performance]] = {name: [] for name in contestants}
        for _ in range(rounds):
            for name, contestant in contestants.items():
                done[name].append(_measure(name, contestant, interface, seconds))
        return done

    return in_private_network(inside)


def _measure(name: str, contestant: Contestant, interface: str, seconds: float) -> Performance:
    """Run a contestant in a child and return what it did while it ran warm."""
    parent = os.getpid()
    output = tempfile.TemporaryFile()  # noqa: SIM115 - the child writes into it too
    child = fork()
    if child == 0:
        try:
            die_with_parent(parent)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            contestant(interface)
        except LivenessError as error:
            os.write(2, str(error).encode())
        finally:
            os._exit(1)
    try:
        _wait_for_frames(name, child, output, interface)
        time.sleep(min(WARM_UP_S, seconds))
        before, started = arrived(interface), time.monotonic()
        time.sleep(seconds)
        _wait_for_frames(name, child, output, interface, before)  # on a busy machine it may not have run at all
        mpps = (arrived(interface) - before) / (time.monotonic() - started) / 1e6
        return Performance(mpps, peak_mib(child))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _wait_for_frames(name: str, child: int, output: IO[bytes], interface: str, since: int | None = None) -> None:
    """Wait until some frames have arrived; LivenessError, with what it has said, if the contestant ends before."""
    first, patience = arrived(interface) if since is None else since, time.monotonic() + PATIENCE_S
    while arrived(interface) - first < BEGUN_FRAMES:
        time.sleep(0.01)
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) or time.monotonic() > patience:
            output.seek(0)
            said = output.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
            raise LivenessError(f"{name} has sent nothing: {said[-1]}")


def peak_mib(pid: int | str = "self") -> float:
    """Return the most memory that a process has held so far, MiB (VmHWM, proc(5)); 0 of one that has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
