"""`liveness warm`: kernels compiled ahead of the first command, for images and packages."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from liveness.system.warming import Step


def _scan() -> "list[Step]":
    from liveness.scan.session import scan_steps

    return scan_steps()


def _analyze() -> "list[Step]":
    from liveness.cli import warm_samples
    from liveness.system.warming import Step

    return [Step("analysis", warm_samples.analyze_runs_of_samples)]


def _survey() -> "list[Step]":
    from liveness.cli import warm_samples
    from liveness.system.warming import Step

    return [
        Step("survey", warm_samples.load_kernels_of_survey),
        Step("analysis of surveys", warm_samples.analyze_survey_of_samples),
    ]


def _passive() -> "list[Step]":
    from liveness.cli import warm_samples
    from liveness.system.warming import Step

    return [Step("passive", warm_samples.classify_samples)]


PARTS: Final[dict[str, "Callable[[], list[Step]]"]] = {
    "scan": _scan,
    "analyze": _analyze,
    "survey": _survey,
    "passive": _passive,
}


@contextmanager
def _temporary_files_together() -> "Iterator[None]":
    """Let the temporary files of children lie in a folder of this process, which removes them however a child ends.

    SIGTERM and SIGHUP, unless ignored, end this process after that.
    """
    import signal
    import tempfile

    from liveness.system.exit_codes import exit_code_of
    from liveness.system.warming import ENDING_SIGNALS

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(exit_code_of(number))

    for number in ENDING_SIGNALS:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, leave)
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="liveness-warm-", ignore_cleanup_errors=True) as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


def compile_steps(of_parts: "Iterable[Step]") -> bool:
    """Compile what no cache has yet of the kernels of some steps, and return whether there was anything.

    LivenessError where nothing is compiled or kept.
    """
    from liveness.errors import LivenessError
    from liveness.kernel import COMPILED, keeps_compiled, kept_in, needs_compiling
    from liveness.system.warming import compile_kernels

    if not COMPILED:
        raise LivenessError("NUMBA_DISABLE_JIT is set: kernels run without being compiled; unset it")
    if not keeps_compiled:
        reason = (
            "there is no directory for compiled kernels that this user can write, and nobody else"
            if kept_in is None
            else f"{kept_in} cannot be written: what it holds is used, nothing is added"
        )
        raise LivenessError(f"{reason}; set NUMBA_CACHE_DIR to the path of a directory of this user alone")
    steps = list(of_parts)
    with _temporary_files_together():
        compiled = compile_kernels({step.name: step for step in steps}.values())
    if any(needs_compiling(step.name, step.load) for step in steps):
        raise LivenessError("what is compiled could not be kept: later commands compile it again")
    return compiled


@click.command("warm")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary on standard error.")
@click.argument("what", nargs=-1, type=click.Choice([*PARTS, "all"]), metavar="[scan|analyze|survey|passive|all]...")
def command(what: tuple[str, ...], *, quiet: bool) -> None:
    """Compile the kernels of commands now, so that none waits for them at its first start; all if none is named.

    They are kept for this user and this kind of processor, and used until an update changes them. In an image or a
    package, run it as the user who will run the other commands. Where they are compiled already, nothing is done.
    """
    from liveness import log
    from liveness.cli.messages import quieten

    if quiet:
        quieten()
    chosen = PARTS if not what or "all" in what else dict.fromkeys(what)
    compiled = compile_steps(step for name in chosen for step in PARTS[name]())
    names = ", ".join(chosen)
    log.info(f"kernels of {names}: {'compiled' if compiled else 'were compiled already'}")
