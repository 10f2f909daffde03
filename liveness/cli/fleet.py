"""``liveness fleet``: a census from many vantage points, placed by Dask and kept in object storage."""

import signal
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from liveness import log
from liveness.cli.messages import quieten
from liveness.cli.options import AS_JSON
from liveness.cli.streams import print_result
from liveness.errors import LivenessError, RefusedError, StoppedEarlyError, UsageError

if TYPE_CHECKING:
    from liveness.config.model import Config
    from liveness.fleet.coordinator import Coordinator
    from liveness.fleet.job import Outcome
    from liveness.fleet.store import Store
    from liveness.fleet.vantages import Fleet
    from liveness.fleet.work import Work
    from liveness.survey.config import SurveyConfig

Command = TypeVar("Command", bound=Callable[..., Any])

EXTRA = ("dask", "distributed", "obstore")
"""The packages of the extra."""


def needs_extra(function: Command) -> Command:
    """Turn the error for a missing package of the extra into one that names the remedy."""

    @wraps(function)
    def called(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - click's
        try:
            return function(*arguments, **options)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] not in EXTRA:
                raise
            raise UsageError(f"a fleet needs {error.name}: pip install 'liveness[fleet]'") from error

    return called  # type: ignore[return-value]  # the same signature


CONFIG = click.option(
    "-C", "--config", "file", type=click.Path(path_type=Path), required=True, help="The vantage file, as YAML."
)
RUN = click.argument("run_id", required=False, metavar="[RUN]")


@click.group("fleet")
def command() -> None:
    """Take a census from many vantage points.

    The vantage file names the machines, the config of the census and an object store. Machines share the census (split)
    or each takes all of it (replicate). Needs the extra: pip install 'liveness[fleet]'.
    """


@command.command()
@CONFIG
@click.option("--run-id", help="The run to begin or to continue; by default the unfinished one, or a new one.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but the run and what went wrong.")
@needs_extra
def run(file: Path, run_id: str | None, *, quiet: bool) -> None:
    """Take the census from all vantage points, and wait until every run is stored.

    A run that was begun by the same command before, and has not ended, goes on: scans at work are waited for, others
    are resumed. Prints the run, as census/run id. Exit code 0 done, 2 wrong usage or config, 4 refused, 5 if a run is
    missing or not complete, 130 interrupted.
    """
    from liveness.fleet.coordinator import Coordinator
    from liveness.fleet.placement import connected
    from liveness.fleet.plans import find_or_make_plan
    from liveness.fleet.work import check_work, secret_of

    if quiet:
        quieten()
    work = _work(file)
    check_work(work)
    secret = secret_of(work.config)
    store = _store(work.fleet)
    with connected(work.fleet) as placement:
        coordinator = None
        try:
            plan, new = find_or_make_plan(work, store, run_id)
            coordinator = Coordinator(work, store, placement, plan, secret, _note, log.warning)
            name = f"{plan.census}/{plan.run}"
            log.info(f"{name}: {'begun' if new else 'continued'}, {plan.mode}, agreed start {plan.start_at}", lead="")
            coordinator.run()
        except KeyboardInterrupt:
            _interrupted(coordinator)
            raise SystemExit(128 + signal.SIGINT) from None
    print_result(name)
    _leave(coordinator, name)


def _interrupted(coordinator: "Coordinator | None") -> None:
    """Stop what this command has to stop, and say what goes on."""
    again = "the same command continues this run, `liveness fleet cancel` ends it"
    if coordinator is None:
        state = "no run was looked at: scans that an earlier command has begun go on"
    else:
        left = coordinator.stop()
        state = "scans go on at the vantage points"
        if coordinator.placement.embedded:
            going = f"these jobs have not ended, their scans may still send: {', '.join(left)}"
            state = going if left else "scans are stopped"
    log.notice(f"interrupted: {state}: {again}")


def _leave(coordinator: "Coordinator", name: str) -> None:
    """End with the exit code of the worst outcome."""
    bad = [outcome for outcome in coordinator.outcomes.values() if outcome.state != "complete"]
    if not bad:
        return
    line = f"{name}: " + "; ".join(f"{outcome.job} {outcome.state}" for outcome in bad)
    if any(outcome.state == "refused" for outcome in bad):
        raise RefusedError(line)
    failed = [outcome for outcome in bad if outcome.state == "failed"]
    if failed:
        log.error(line)
        raise SystemExit(_code(failed))
    raise StoppedEarlyError(f"{line}: the same command continues what was stopped")


def _code(failed: "list[Outcome]") -> int:
    return max(LivenessError.exit_code, *(outcome.exit_code for outcome in failed))


@command.command()
@CONFIG
@RUN
@AS_JSON
@needs_extra
def status(file: Path, run_id: str | None, *, as_json: bool) -> None:
    """Show how far RUN is (the newest one): from the store alone, whether its scheduler is alive or not."""
    from liveness.cli.printing import print_document, print_tables
    from liveness.fleet.plans import find_plan
    from liveness.fleet.status import status_of, status_table

    fleet, config = _loaded(file)
    store = _store(fleet)
    found = status_of(store, find_plan(store, config.name, run_id), fleet.lease.seconds)
    if as_json:
        print_document(found)
        return
    marks = [", cancelled"] * found.cancelled + [f", drained: {', '.join(found.drained)}"] * bool(found.drained)
    click.echo(f"{found.run}: {found.mode}, agreed start {found.start_at}{''.join(marks)}")
    print_tables([status_table(found.jobs)])


@command.command()
@CONFIG
@click.argument("vantage")
@click.option("--now", is_flag=True, help="Stop its scans too; they can be resumed.")
@click.option("--lost", is_flag=True, help="It will not return: another one takes over its part of a split census.")
@click.option("--undo", is_flag=True, help="Let it take jobs again.")
@needs_extra
def drain(file: Path, vantage: str, *, now: bool, lost: bool, undo: bool) -> None:
    """Give VANTAGE no more jobs. A scan that is at work there ends as planned."""
    from liveness.fleet import marks

    if undo and (now or lost):
        raise click.UsageError("--undo excludes --now and --lost")
    fleet, config = _loaded(file)
    fleet.vantage(vantage)
    store = _store(fleet)
    if undo:
        marks.undrain(store, config.name, vantage)
    else:
        marks.drain(store, config.name, vantage, now=now, lost=lost)
    log.info(f"{vantage}: {'takes jobs again' if undo else 'lost' if lost else 'drained'}", lead="")


@command.command()
@CONFIG
@RUN
@click.option(
    "-o", "--output", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Directory of the runs."
)
@click.option("--partial", is_flag=True, help="Also if a run is missing or was cancelled; ends with exit code 5.")
@needs_extra
def fetch(file: Path, run_id: str | None, output: Path, *, partial: bool) -> None:
    """Fetch RUN (the newest one) from the store: merged if the census was split, else a run for each vantage point.

    Every file is compared with its digest. What has opted out by now is removed. Prints the directory of each run.
    """
    from liveness.fleet.fetching import fetch as fetch_runs
    from liveness.fleet.plans import find_plan

    fleet, config = _loaded(file)
    store = _store(fleet)
    plan = find_plan(store, config.name, run_id)
    fetched = fetch_runs(store, plan, output, partial=partial, note=_note)
    for directory in fetched.runs:
        print_result(str(directory.path))
    if fetched.missing:
        raise StoppedEarlyError(f"{plan.census}/{plan.run}: missing: {', '.join(fetched.missing)}")
    if fetched.cut:
        raise StoppedEarlyError(f"not complete: {', '.join(fetched.cut)}")


@command.command()
@CONFIG
@click.argument("run_id", metavar="RUN")
@needs_extra
def cancel(file: Path, run_id: str) -> None:
    """End RUN: its scans stop within seconds, and what they have is stored as partial runs."""
    from liveness.fleet import marks
    from liveness.fleet.plans import find_plan

    fleet, config = _loaded(file)
    store = _store(fleet)
    plan = find_plan(store, config.name, run_id.rpartition("/")[2])
    marks.cancel(store, plan.census, plan.run)
    log.info(f"{plan.census}/{plan.run}: cancelled", lead="")


@command.command()
@CONFIG
@click.option(
    "-b", "--blocklist-file", "files", multiple=True, type=click.Path(path_type=Path), help="Publish this list too."
)
@needs_extra
def blocklist(file: Path, files: tuple[Path, ...]) -> None:
    """Publish the blocklists of the config now, and remove what they block from all stored runs of the census.

    Scans at work stop probing what is new within 10 seconds. `fleet run` does this by itself while it runs.
    """
    from liveness.fleet import opt_outs

    fleet, config = _loaded(file)
    store = _store(fleet)
    text = opt_outs.text_of([*config.targets.blocklists, *map(str, files)])
    new = opt_outs.publish(store, config.name, text, log.warning)
    log.info(f"{config.name}: {'published' if new else 'nothing new to publish'}", lead="")
    problems = opt_outs.apply_to_all(store, config.name, _note)
    for problem in problems[1:]:
        log.error(str(problem))
    if problems:
        raise problems[0]


def _note(line: str) -> None:
    """Show what happens."""
    log.info(line, lead="")


def _loaded(file: Path) -> "tuple[Fleet, Config]":
    """Return the vantage file and the config of its census, or that of a census with the fields of its survey."""
    from liveness.config.model import Config

    fleet, config = _configs(file)
    return fleet, config if isinstance(config, Config) else config.as_census()


def _configs(file: Path) -> "tuple[Fleet, Config | SurveyConfig]":
    """Return the vantage file, and the config of the census or survey that it names."""
    from liveness.config.load import load_config
    from liveness.fleet.vantages import load_fleet
    from liveness.survey.config_files import is_survey_file, load_survey_config

    fleet = load_fleet(file)
    config = Path(fleet.config)
    return fleet, load_survey_config(config) if is_survey_file(config) else load_config(config)


def _work(file: Path) -> "Work":
    """Return the vantage file, the config of its census or survey, and its targets."""
    from liveness.config.model import Config
    from liveness.fleet.work import Work
    from liveness.net.links import in_lab

    fleet, config = _configs(file)
    if isinstance(config, Config):
        return Work.of_census(fleet, config, lab=in_lab())
    return Work.of_survey(fleet, config, lab=in_lab())


def _store(fleet: "Fleet") -> "Store":
    from liveness.fleet.store import Store

    return Store.open(fleet.store)
