"""``liveness census``: recurring runs, their history, and the timers that start them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from liveness import log
from liveness.cli.messages import quieten
from liveness.cli.options import AS_JSON
from liveness.cli.watching import check_metrics_file, watch_options, watchers_of
from liveness.errors import StoppedEarlyError, UsageError

if TYPE_CHECKING:
    from liveness.census.history import PastRun
    from liveness.census.record import Record

CONFIG = click.option(
    "-C", "--config", "config_file", type=click.Path(path_type=Path), required=True, help="The census, as YAML."
)
BELOW = click.option(
    "-d",
    "--directory",
    type=click.Path(path_type=Path),
    default=Path("sets"),
    show_default=True,
    help="Where runs are looked for by their names.",
)


@click.group("census")
def command() -> None:
    """Take censuses that recur, and look at their history."""


@command.command()
@CONFIG
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but what went wrong: cron then mails only that.")
@click.option("--unfinished", is_flag=True, help="Only resume a run that ended early, such as after a boot.")
@watch_options
@click.option("--fresh", is_flag=True, help="Abandon a run that ended early, and begin the next.")
def run(
    config_file: Path,
    *,
    quiet: bool,
    unfinished: bool,
    fresh: bool,
    status_file: Path | None,
    metrics_file: Path | None,
    metrics_address: str | None,
) -> None:
    """Take the next census of a config, or resume its last one if that ended early.

    Then analyse it, compare it with the one before, write the report, keep what `keep` says, notify those whom `notify`
    names. With `then` in the config a survey follows, of /24s drawn from the census. Prints one line. Exit codes are
    those of scan; 4 also where this census is running already.
    """
    from liveness.census.cycle import Cycle
    from liveness.census.home import Home
    from liveness.census.scanner import CensusScanner
    from liveness.cli.display import ScanDisplay
    from liveness.config.load import load_config
    from liveness.watch.notify import Notifier

    if unfinished and fresh:
        raise click.UsageError("--unfinished and --fresh exclude each other")
    config = load_config(config_file)
    home = Home(Path(config.output) / config.name)
    if quiet:
        quieten()

    def take() -> None:
        display = ScanDisplay(quiet=quiet or not sys.stderr.isatty())
        watchers = watchers_of(display, status_file, metrics_file, metrics_address, config.name)
        scanner = CensusScanner(config, config_file, watchers)
        notifier = Notifier(config.notify, config.notify.on, log.warning)
        record = Cycle(config, home, scanner, log.warning, notifier.send).run(fresh=fresh, unfinished_only=unfinished)
        if record is not None:
            _leave(record, home.report(record.run_id), quiet=quiet)
        elif not quiet:
            click.echo(f"census {config.name}: nothing unfinished")

    if not config.then:
        take()
        return
    from liveness.cli.following import run_followed

    watch = (status_file, metrics_file, metrics_address)
    run_followed(take, config, config_file, watch, quiet=quiet, fresh=fresh)


def _leave(record: "Record", report: Path, *, quiet: bool) -> None:
    """Print the line of a run and its alarms, and end with its exit code."""
    for alarm in record.alarms:
        log.warning(alarm)
    if record.exit_code == StoppedEarlyError.exit_code:
        raise StoppedEarlyError(record.summary)
    if record.exit_code:
        log.notice(record.summary)
        raise SystemExit(record.exit_code)
    if not quiet:
        click.echo(f"{record.summary}; report in {report}")


@command.command("list")
@click.argument("directory", type=click.Path(path_type=Path), default=Path("sets"))
@AS_JSON
def list_command(directory: Path, *, as_json: bool) -> None:
    """List every run below DIRECTORY (sets), oldest first: how it ended, what it found, and what is kept of it."""
    from liveness.census.history import history
    from liveness.census.listing import run_table
    from liveness.cli.printing import print_document, print_tables

    runs = history(directory)
    if as_json:
        print_document({"schema": 1, "runs": [past.document() for past in runs]})
    else:
        print_tables([run_table(runs)])


@command.command()
@click.argument("run", default="latest")
@BELOW
@AS_JSON
def show(run: str, *, directory: Path, as_json: bool) -> None:
    """Show RUN (the latest): its record in the census and its report, even if the run itself was removed.

    RUN is a directory, a run id, name/run id, or the beginning of one.
    """
    from liveness.census.history import find_run
    from liveness.cli.printing import print_document

    past = find_run(run, directory)
    if as_json:
        print_document({"schema": 1, **past.document()})
        return
    if past.record is not None:
        for line in (past.record.summary, *past.record.alarms):
            if line:
                click.echo(line)
        if past.record.reason and past.record.state == "given-up":
            click.echo(f"given up: {past.record.reason}")
        click.echo()
    _show_report(past)


def _show_report(past: "PastRun") -> None:
    """Print the report that the census has written of a run, or the tables of the run itself if there is none."""
    from liveness.census.report import compare, report_lines
    from liveness.cli.printing import print_tables
    from liveness.report.tables import report_tables

    lines = report_lines(past)
    if lines is not None:
        for line in lines:
            click.echo(line)
        return
    if past.manifest is None:
        raise UsageError(f"{past.run.path}: neither the run nor its report lie there any more")
    print_tables(report_tables(compare([past.run])))


@command.command()
@click.argument("run", default="latest")
@BELOW
def report(run: str, *, directory: Path) -> None:
    """Write the report of RUN (the latest) again, from its sets as they are now; prints its folder.

    For reports of an older version, and for runs from which `liveness blocklist apply` has removed addresses.
    """
    from liveness.census.history import find_run
    from liveness.census.report import report_again

    past = find_run(run, directory)
    click.echo(str(report_again(past.home, past.run_id, log.warning)))


@command.command()
@click.argument("earlier")
@click.argument("later")
@BELOW
@AS_JSON
def diff(earlier: str, later: str, *, directory: Path, as_json: bool) -> None:
    """Compare two runs: who was born, died and stayed, by family and port, and how hit rates moved.

    EARLIER and LATER are directories, run ids, name/run id, or the beginning of one.
    """
    from liveness.analysis.counting.run import warnings_of
    from liveness.census.diff import compare_two
    from liveness.census.history import find_run
    from liveness.cli.printing import print_document, print_tables

    difference = compare_two(find_run(earlier, directory), find_run(later, directory))
    for manifest in (difference.before, difference.after):
        for warning in warnings_of(manifest):
            log.warning(warning)
    if as_json:
        print_document(difference.document())
    else:
        print_tables(difference.tables())


@command.command()
@CONFIG
@click.option(
    "--timer",
    type=click.Choice(["hourly", "daily", "weekly", "monthly", "cron"]),
    default="weekly",
    show_default=True,
    help="How often, by a timer of systemd; or cron, weekly unless --schedule says otherwise.",
)
@click.option("--schedule", help="When instead: a calendar expression of systemd, or five fields of cron.")
@click.option("--user", help="Who it runs as, never root; without it systemd makes a user up, cron needs one.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    help="Where the files go; /etc/systemd/system or /etc/cron.d if not given. Nothing is enabled elsewhere.",
)
@watch_options
@click.option("-y", "--yes", is_flag=True, help="Install without asking.")
def install(
    config_file: Path,
    *,
    timer: str,
    schedule: str | None,
    user: str | None,
    folder: Path | None,
    status_file: Path | None,
    metrics_file: Path | None,
    metrics_address: str | None,
    yes: bool,
) -> None:
    """Install a timer for a census: prints the units or the lines of cron, asks, and installs them.

    The options for watching are passed on to each run.
    """
    from liveness.census.timers.installation import planned
    from liveness.cli.following import survey_of

    if metrics_file is not None:
        check_metrics_file(metrics_file)
    watching = (status_file, metrics_file, metrics_address)
    installation = planned(config_file, timer, schedule, user, folder, watching, survey_of(config_file))
    for text in installation.text():
        click.echo(text)
    for hidden in installation.hidden:
        log.warning(f"{hidden}: a user that systemd makes up cannot read this: chmod o+rX it, or give --user")
    if not yes:
        what = "this" if len(installation.files) == 1 else "these"
        click.confirm(f"install {what} in {installation.folder}?", abort=True, err=True)
    installation.install(lambda text: log.info(text, lead=""))
