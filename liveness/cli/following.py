"""The survey after a census: `census run` of a config with `then`."""

import os
import shlex
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

from liveness import log
from liveness.errors import LivenessError, RefusedError

if TYPE_CHECKING:
    from liveness.census.home import Home
    from liveness.config.model import Config
    from liveness.survey.progress import SurveyProgress

PASSED_ON: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that a census understands."""
Watching = tuple[Path | None, Path | None, str | None]


def run_followed(
    census: Callable[[], None], config: "Config", config_file: Path, watch: Watching, *, quiet: bool, fresh: bool
) -> None:
    """Take a census in a child process, then begin the survey that follows it, or continue the last one.

    The child may give up its privileges, which the survey needs. With `fresh` an unfinished survey is left as it is.
    """
    from liveness.census.home import Home
    from liveness.cli.survey_run import run_config, run_resumed
    from liveness.net.links import in_lab
    from liveness.survey import following

    survey, file = following.config_of(config, config_file), following.file_of(config, config_file)
    again = f"liveness census run --unfinished --config {shlex.quote(str(config_file))}"
    home = Home(Path(config.output) / config.name)
    before = complete_runs(home)
    code = exit_code_of(census)
    if code:
        raise SystemExit(code)
    last = following.last_run(survey)
    if last is not None and last[1].state == "running":
        log.info(f"{last[0]}: this survey is running")
        return
    runs = complete_runs(home)
    begins = bool(runs) and runs[-1:] != before[-1:]
    if last is not None and following.can_go_on(last) and not fresh and not (begins and _is_useless(*last)):
        log.info(f"{last[0]}: this survey ended early, and is continued")
        run_resumed(last[0], survey, watch, quiet=quiet, again=again)
        return
    if begins:
        plan = partial(
            following.plan_following, survey, [home.run(name).path for name in runs], lab=in_lab(), origin=file
        )
        run_config(survey, plan, runs[-1], watch, quiet=quiet, again=again)


def _is_useless(path: Path, progress: "SurveyProgress") -> bool:
    """Return whether to continue a survey that ended early would bring nothing; then say so, as the next one begins."""
    from liveness.survey.session import check_resumable

    if progress.is_over:
        command = f"liveness survey run --resume {shlex.quote(str(path))}"
        log.info(
            f"{path}: this survey ended early, and its time is over (`{command}` concludes it): the next one begins"
        )
        return True
    try:
        check_resumable(path)
    except RefusedError:
        raise
    except LivenessError as problem:
        log.warning(f"{path}: this survey ended early and cannot be continued, the next one begins: {problem}")
        return True
    return False


def survey_of(config_file: Path) -> tuple[Path, str, Path, bool] | None:
    """Return the survey that follows the census of a config, None if there is none.

    It is given as its output, its name, its config file, and whether that limits its duration.
    """
    from liveness.config.load import load_config
    from liveness.survey import following

    config = load_config(config_file)
    if not config.then:
        return None
    survey = following.config_of(config, config_file)
    limited = survey.limits.max_runtime is not None
    return Path(survey.output), survey.name, following.file_of(config, config_file), limited


def complete_runs(home: "Home") -> Sequence[str]:
    """Return the run ids of a census that are complete, reported and on disk, oldest first."""
    if not home.path.is_dir():
        return ()
    records = home.records(lambda _: None)
    return [one.run_id for one in records if one.state == "reported" and home.is_complete(one.run_id)]


def exit_code_of(work: Callable[[], None]) -> int:
    """Do some work in a child process that gets the signals of this one, and return its exit code.

    In the child this function does not return: the child leaves as the whole command would.
    """
    from liveness.system.child import die_with_parent, fork
    from liveness.system.exit_codes import shown_by_shells

    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    parent = os.getpid()
    child = fork()
    if child == 0:
        os.setpgid(0, 0)  # else a terminal sends Ctrl-C to both, and the census gets it twice
        die_with_parent(parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        work()
        raise SystemExit(0)

    def pass_on(number: int, frame: FrameType | None) -> None:
        del frame
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(child, number)

    handlers = {number: signal.signal(number, pass_on) for number in PASSED_ON}
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    try:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return shown_by_shells(code)
