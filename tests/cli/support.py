"""Running the command as a user does: a process of its own, its output and its exit code."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from liveness.system.child import run_in_child

NOBODY = 65534


@dataclass(frozen=True)
class Run:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def liveness(
    *arguments: str | Path, cwd: Path | None = None, stdin: str = "", env: dict[str, str] | None = None
) -> Run:
    """Run the command line to its end."""
    finished = subprocess.run(
        [sys.executable, "-m", "liveness", *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **(env or {})},
    )
    return Run(finished.returncode, finished.stdout, finished.stderr)


def without_privilege(*arguments: str | Path, cwd: Path) -> Run:
    """Run the command line in a private network, as a user who may open no raw socket there."""
    from liveness.system.namespace import enter_private_network  # noqa: PLC0415 - as late as everything that forks

    def inside() -> Run:
        enter_private_network()
        drop = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", sys.executable, "-m", "liveness"]
        finished = subprocess.run(
            [*drop, *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Run(finished.returncode, finished.stdout, finished.stderr)

    return run_in_child(inside)


def assert_one_line(run: Run, code: int, *parts: str) -> None:
    """Assert an exit code and one line on standard error that names all parts, nothing on standard output."""
    assert run.code == code, run
    assert run.out == ""
    assert run.err.startswith("liveness: error: ")
    assert run.err.count("\n") == 1, run.err
    for part in parts:
        assert part in run.err
