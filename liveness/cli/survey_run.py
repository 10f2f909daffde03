"""``liveness survey run`` and ``liveness survey status``: run a survey, and show how far it is."""

import os
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from liveness import log
from liveness.cli.interrupts import leave_early
from liveness.cli.messages import quieten
from liveness.cli.options import AS_JSON
from liveness.cli.streams import print_result
from liveness.cli.watching import watch_options, watchers_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from liveness.scan.interruption import Interruption
    from liveness.survey.config import SurveyConfig
    from liveness.survey.forecast import Forecast
    from liveness.survey.schedule import Survey
    from liveness.survey.session import Finished

    Watching = tuple[Path | None, Path | None, str | None]


OPTION_OF = {
    "shard.of": "--shards",
    "shard.index": "--shard",
    "vantage": "--vantage",
    "start_at": "--start-at",
    "secret": "--secret",
}
"""The options for fields of a config."""


@click.command("run")
@click.option("-C", "--config", "config_file", type=click.Path(path_type=Path), help="The survey, as YAML.")
@click.option("--run-id", help="The name of this run's directory; the UTC time of its start if not given.")
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Resume the survey in this directory, which ended early.",
)
@click.option(
    "--unfinished", is_flag=True, help="Only resume the config's last survey if it ended early: after a boot."
)
@click.option("--shards", type=int, help="Number of machines that share this survey.")
@click.option("--shard", type=int, help="The part of the /24s that this machine probes: 0 to --shards less 1.")
@click.option("--vantage", help="Name of the place that this machine sends from.")
@click.option("--start-at", help="Begin the first round at this time, e.g. 2026-12-01T00:00:00Z.")
@click.option("--secret", help="File from which shards derive the same cookie key and control port.")
@watch_options
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary on standard error.")
@click.option("--dryrun", "--dry-run", is_flag=True, help="Show what would be sent; needs no privilege.")
def run(
    config_file: Path | None,
    run_id: str | None,
    resume: Path | None,
    *,
    shards: int | None,
    shard: int | None,
    vantage: str | None,
    start_at: str | None,
    secret: str | None,
    unfinished: bool,
    quiet: bool,
    dryrun: bool,
    status_file: Path | None,
    metrics_file: Path | None,
    metrics_address: str | None,
) -> None:
    """Probe every address of the config's /24s once a round, for as many rounds as it says.

    Prints the run's directory. A probe whose slot has passed is not sent, and is recorded as not sent. --resume
    continues a survey that ended early, by the clock; --config then says only who is notified. Exit code 0 done, 1
    failure, 2 wrong usage or config, 3 missing privilege or kernel feature, 4 refused by a safety rule, 5 stopped early
    with partial results, 130 or 143 interrupted.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # idle threads would keep privileges that a survey drops
    from liveness.net.links import in_lab
    from liveness.survey.config_files import load_survey_config
    from liveness.survey.following import can_go_on, last_run
    from liveness.survey.forecast import forecast
    from liveness.survey.schedule import check_start_time, plan_survey

    if quiet:
        quieten()
    watch = (status_file, metrics_file, metrics_address)
    given = dict(zip(OPTION_OF, (shards, shard, vantage, start_at, secret), strict=True))
    if resume is not None:
        if run_id is not None or dryrun or unfinished:
            raise click.UsageError("--resume excludes --run-id, --unfinished and --dryrun")
        if any(value is not None for value in given.values()):
            raise click.UsageError("--resume continues a shard as it was: give none of its options")
        run_resumed(
            resume, None if config_file is None else load_survey_config(config_file, begins=False), watch, quiet=quiet
        )
        return
    if config_file is None:
        raise click.UsageError("give --config FILE, or --resume RUN")
    config = load_survey_config(config_file, begins=not unfinished, overrides=given, options=OPTION_OF)
    if unfinished:
        last = last_run(config)
        if last is not None and can_go_on(last):
            run_resumed(last[0], config, watch, quiet=quiet)
        elif not quiet:
            click.echo(f"survey {config.name}: nothing unfinished")
        return
    plan = partial(plan_survey, config, lab=in_lab(), origin=config_file)
    if dryrun:
        survey = plan()
        from liveness.cli.watching import check_watching
        from liveness.scan.preflight import check_start

        check_start(survey.census, run_id)
        check_start_time(survey)
        check_watching(*watch)
        click.echo(forecast_text(config_file, forecast(survey)))
        return
    run_config(config, plan, run_id, watch, quiet=quiet)


def run_config(
    config: "SurveyConfig",
    plan: "Callable[[], Survey]",
    run_id: str | None,
    watch: "Watching",
    *,
    quiet: bool,
    again: str | None = None,
) -> None:
    """Run a new survey of a config, and leave as `survey run` does; `again` is a command that continues it."""
    from liveness.survey.notifications import failures_notified
    from liveness.survey.session import run_survey

    with failures_notified(config.notify, config.name, Path(config.output) / config.name, log.warning):
        session = partial(run_survey, plan(), run_id=run_id)
        finished = _watched(session, watch, quiet=quiet, census=config.name)
    _leave(finished, again)


def run_resumed(
    run_dir: Path, config: "SurveyConfig | None", watch: "Watching", *, quiet: bool, again: str | None = None
) -> None:
    """Continue a survey, and leave as `survey run` does; `config` says who is notified, `again` as above."""
    from liveness.survey.config import SurveyNotify
    from liveness.survey.notifications import failures_notified
    from liveness.survey.session import resume_survey

    notify = SurveyNotify() if config is None else config.notify
    with failures_notified(notify, run_dir.absolute().parent.name, run_dir, log.warning):
        finished = _watched(partial(resume_survey, run_dir, notify=notify), watch, quiet=quiet)
    _leave(finished, again)


def check_survey(file: Path, *, lab: bool, elsewhere: bool, as_json: bool) -> None:
    """Check the config of a survey as its start would, and print what it would do. Sends nothing."""
    from liveness.cli.printing import print_document
    from liveness.net.links import in_lab
    from liveness.planes.blocks import BLOCK_ADDRESSES
    from liveness.scan.preflight import check_notify, check_start
    from liveness.survey.config_files import load_survey_config
    from liveness.survey.forecast import forecast, forecast_of
    from liveness.survey.schedule import check_rate, plan_survey

    config = load_survey_config(file, begins=False)
    if config.survey.blocks:
        survey = plan_survey(config, lab=lab or in_lab(), origin=file)
        census, shown = survey.census, forecast(survey)
    else:  # its /24s are drawn from the census that it follows
        blocks = config.survey.count
        check_rate(config, blocks, file)
        census, shown = config.as_census(blocks), forecast_of(config, blocks, BLOCK_ADDRESSES * blocks)
    check_start(census, host=not elsewhere and (in_lab() or not lab))
    if not elsewhere:
        check_notify(config.notify, str(file))
    if as_json:
        print_document(shown.document())
    else:
        click.echo(forecast_text(file, shown))


def _watched(
    survey: "Callable[..., Finished]",
    watch: tuple[Path | None, Path | None, str | None],
    *,
    quiet: bool,
    census: str = "",
) -> "Finished":
    """Run a session under the given watchers, and print the run's directory."""
    from liveness.cli.survey_display import SurveyDisplay
    from liveness.survey.session import Observers

    display = SurveyDisplay(quiet=quiet)
    with watchers_of(display, *watch, census=census) as watchers:
        observers = Observers(display.starting(watchers), watchers.update, watchers.notice)
        finished = survey(observers=observers)
        display.finish(watchers, finished.manifest)
    print_result(str(finished.path))
    return finished


def _leave(finished: "Finished", again: str | None) -> None:
    """End with the exit code of a session that ended early."""
    interruption: Interruption = finished.interruption
    if finished.manifest.status == "complete":
        return
    reason = finished.manifest.reason or "ended early"
    command = f"liveness survey run --resume {shlex.quote(str(finished.path))}" if again is None else again
    line = f"{reason}: `{command}` continues it"
    leave_early(line, interruption.signal_number)


def forecast_text(file: Path, shown: "Forecast") -> str:
    """Return what a survey will do, a line for each question."""
    from liveness.analysis.numbers import bandwidth, rate, span
    from liveness.report.views.forecast import named_lines

    limit = "no limits.max_pps_per_24" if shown.max_pps_per_24 is None else f"{shown.max_pps_per_24:g} allowed"
    shard = (
        {} if shown.shards == 1 else {"shard": f"{shown.shard} of {shown.shards}, whose /24s alone are counted here"}
    )
    start = {} if shown.start_at is None else {"start": shown.start_at}
    lines = (
        shard
        | start
        | {
            "blocks": f"{shown.blocks:,} /24s, {shown.addresses:,} addresses, {shown.left_out:,} of them left out",
            "probes": ", ".join(shown.probes),
            "rounds": f"{shown.rounds:,} of {shown.interval_s:g} s, {span(shown.duration_s)} in all",
            "packets": f"{shown.packets:,}",
            "rate": f"{rate(shown.rate_pps)} packets/s, {bandwidth(shown.bandwidth_bps)} on the wire",
            "each /24": f"{shown.pps_per_24:.3g} packets/s, one every {1 / shown.pps_per_24:.3g} s ({limit})",
            "slots": f"a probe is sent {shown.tolerance_s * 1e3:.3g} ms late at most, or not at all",
            "replies": f"name their round for {span(shown.remembered_s)}",
            "on disk": f"{shown.disk_bytes / 2**30:.3g} GiB while it runs and after it",
            "contact": shown.contact or "none",
        }
    )
    head = f"{file}: a sound config of a survey named {shown.name!r}"
    return f"{head}\n{named_lines(lines, indent=2)}"


@click.command("status")
@click.argument("run_dir", metavar="RUN", type=click.Path(path_type=Path))
@AS_JSON
@click.option(
    "--rounds", default=5, show_default=True, type=click.IntRange(min=0), help="Rounds to show, the last ones."
)
def status(run_dir: Path, *, as_json: bool, rounds: int) -> None:
    """Show how far a survey is: whether it runs, its round, and what its last rounds brought."""
    from liveness.cli.printing import print_document
    from liveness.survey.progress import progress_of

    shown = progress_of(run_dir, rounds)
    if as_json:
        print_document(shown.document())
        return
    for line in shown.lines():
        click.echo(line)
