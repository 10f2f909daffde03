"""``liveness config``: check a config before it runs, show its resolved form, and begin a new one."""

import os
import stat
import sys
from importlib import resources
from pathlib import Path

import click

from liveness import log
from liveness.cli.mistakes import naming
from liveness.cli.options import AS_JSON

STARTING_CONFIG = "starting.yaml"

FILE = click.argument("file", type=click.Path(path_type=Path))


@click.group("config")
def command() -> None:
    """Check, show and start configs of a census."""


@command.command()
@FILE
@click.option("--lab", is_flag=True, help="Judge targets as inside the lab, where private addresses may be probed.")
@click.option(
    "--elsewhere", is_flag=True, help="It will run on another host: leave out interface, sources, user, programs."
)
@AS_JSON
def check(file: Path, lab: bool, elsewhere: bool, as_json: bool) -> None:
    """Load FILE with its target lists and print what its census or survey would do. Sends nothing.

    What would stop the scan at its start is refused as the scan would, with the same exit code: a directory that cannot
    be written, an interface that does not exist, a source address of another host, a missing notification program.
    """
    from liveness.cli.printing import print_document
    from liveness.config.estimate import estimate, forecast_document
    from liveness.config.load import load_config, resolve_targets
    from liveness.net.links import in_lab
    from liveness.report.views.forecast import checked_text
    from liveness.scan.preflight import check_notify, check_start
    from liveness.scan.session import plan_run
    from liveness.survey.config_files import is_survey_file
    from liveness.survey.following import config_of

    if is_survey_file(file):
        from liveness.cli.survey_run import check_survey

        check_survey(file, lab=lab, elsewhere=elsewhere, as_json=as_json)
        return
    config = load_config(file)
    with naming(config, file):
        targets = resolve_targets(config, lab or in_lab(), origin=file)
        load = plan_run(config, targets).load
        check_start(config, host=not elsewhere and (in_lab() or not lab))
        if not elsewhere:
            check_notify(config.notify, str(file))
        if config.then:
            config_of(config, file)
    forecast = estimate(config, targets, load.wire_bits)
    if as_json:
        print_document(forecast_document(config, targets, forecast))
    else:
        click.echo(checked_text(file, config, targets, forecast))


@command.command()
@FILE
@AS_JSON
def show(file: Path, as_json: bool) -> None:
    """Print FILE as it resolves: environment and defaults filled in, every value in its canonical form."""
    from liveness.cli.printing import print_document
    from liveness.config.load import load_config
    from liveness.config.model import to_document
    from liveness.files.yaml import dump_yaml

    document = to_document(load_config(file))
    if as_json:
        print_document(document)
    else:
        click.echo(dump_yaml(document), nl=False)


@command.command()
def variables() -> None:
    """Print every field of a config, the variable of the environment that sets it, and its default."""
    from liveness.config.fields import field_rows

    for row in field_rows():
        click.echo("  ".join((f"{row.field:<28}", f"{row.variable:<40}", row.default)).rstrip())


@command.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
def init(file: Path | None) -> None:
    """Print a commented config for a careful first scan, or write it to FILE, and begin its blocklist next to it.

    The config names blocklist.txt, which is begun empty unless it is there: in the folder of FILE, or of the file that
    the output goes to (liveness config init > census.yaml), or here.
    """
    from liveness.config.list_choice import DEFAULT_LIST
    from liveness.errors import UsageError
    from liveness.files.atomic import write_atomically
    from liveness.files.outputs import check_output

    text = (resources.files("liveness.config") / STARTING_CONFIG).read_text(encoding="utf-8")
    if file is None:
        click.echo(text, nl=False)
        folder = _folder_of_output()
        if folder is None:
            return
    else:
        check_output(file, "a config")
        if file.exists():
            raise UsageError(f"{file}: exists already: remove it first, or name another file")
        write_atomically(file, text.encode(), mode=0o644)
        folder = file.parent
    _begin_blocklist(folder / DEFAULT_LIST)


def _folder_of_output() -> Path | None:
    """Return the folder of the file that stdout goes to, the current one for a pipe; None for terminal and device."""
    try:
        descriptor = sys.stdout.fileno()
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            return Path(f"/proc/self/fd/{descriptor}").readlink().parent
    except OSError:
        return None
    return Path() if stat.S_ISFIFO(status.st_mode) else None


def _begin_blocklist(path: Path) -> None:
    from liveness.config.blocklists import begin
    from liveness.errors import LivenessError

    try:
        if begin(path):
            log.info(f"{path}: begun, an empty blocklist", lead="")
    except LivenessError as error:
        log.warning(f"{error}: begin it with `liveness blocklist add`")
