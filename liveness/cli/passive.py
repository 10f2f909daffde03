"""``liveness passive``: classification of one-way traffic of a live network, and detection of failing services."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from liveness import log
from liveness.cli.flow_notes import report_damage, report_undecoded
from liveness.cli.interrupts import interrupts, stop_on_signals
from liveness.cli.messages import quieten
from liveness.cli.options import FORMAT, JSON_NOT_TABLES, check_format, csv_option, figures_option, html_option
from liveness.cli.watching import watch_options
from liveness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from liveness.passive.run import PassiveRun

RUN = click.argument("run", type=click.Path(path_type=Path), metavar="RUN")


@click.group("passive")
def command() -> None:
    """Classify the one-way traffic of a live network from its flow records, and find services that fail.

    After Glatz & Dimitropoulos 2012. Reads every format that `liveness flows` reads, and sends nothing.
    """


@command.command("run")
@click.option(
    "-C", "--config", "config_path", type=click.Path(path_type=Path), metavar="FILE", help="The config of the run."
)
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="Read on in a run that did not end.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Where run directories go.")
@click.option("--run-id", metavar="ID", help="The name of the run's directory instead of its start in UTC.")
@click.option("--follow", is_flag=True, help="Read further flow files as they come, until SIGINT or SIGTERM.")
@click.option("--force", is_flag=True, help="Take captures that are one-sided or sampled as they are.")
@watch_options
@click.option("-q", "--quiet", is_flag=True, help="Do not say which inputs were read.")
@click.argument("inputs", nargs=-1, metavar="[INPUT]...")
def run(
    config_path: Path | None,
    resume: Path | None,
    output: Path | None,
    run_id: str | None,
    inputs: tuple[str, ...],
    status_file: Path | None,
    metrics_file: Path | None,
    metrics_address: str | None,
    *,
    follow: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Read flows from files, folders or globs, and write a run directory; its path goes to stdout.

    With --resume, --config only says who is notified.
    """
    from msgspec.structs import replace

    from liveness.cli.passive_display import PassiveDisplay
    from liveness.cli.watching import check_metrics_file
    from liveness.passive.config import PassiveNotify, load_config
    from liveness.passive.run import PassiveRun
    from liveness.passive.watching import RunWatch
    from liveness.scan.preflight import check_notify
    from liveness.system.memory import return_large_arrays

    return_large_arrays()
    if quiet:
        quieten()
    if config_path is None and resume is None:
        raise click.UsageError("give --config FILE for a new run, or --resume RUN for one that did not end")
    if resume is not None and (output is not None or run_id is not None):
        raise click.UsageError("--output and --run-id are for a new run")
    if metrics_file is not None:
        check_metrics_file(metrics_file)
    config = None if config_path is None else load_config(config_path)
    notify = PassiveNotify() if config is None else config.notify
    check_notify(notify, str(config_path))
    named = [str(Path(entry).absolute()) for entry in inputs]
    if resume is not None:
        place, extra = resume, named
        name, opening = resume.absolute().parent.name, partial(PassiveRun.resume, resume)
    elif config is not None:
        config = replace(
            config,
            output=str(output) if output is not None else config.output,
            follow=config.follow or follow,
            inputs=(*config.inputs, *named),
        )
        place, extra = Path(config.output) / config.name, []
        name, opening = config.name, partial(PassiveRun.create, config, run_id)
    watching = partial(RunWatch, notify, name, place, log.warning, metrics_file, metrics_address, status_file)
    with PassiveDisplay() as display, watching(display.show) as watch:
        opened = opening(forced=force, note=log.info)
        watch.begin(opened.path, opened.manifest, opened.progress, resumed=resume is not None)
        opened.on_state = watch.update
        if opened.config.follow or follow:
            stop_on_signals(opened)
        with interrupts.ending_queries_soon():
            _report_notes(opened, lambda: opened.go(extra, follow=opened.config.follow or follow))
    click.echo(str(opened.path))


def _report_notes(opened: "PassiveRun", go: "Callable[[], object]") -> None:
    """Run `go`; then report what could not be decoded, and all damage but the last, which is the error."""
    try:
        go()
    except BaseException:
        if interrupts.requested and opened.path.is_dir():
            path = opened.path
            log.notice(
                f"interrupted: what was read is kept in {path}; `liveness passive run --resume {path}` continues it"
            )
        raise
    finally:
        notes = opened.partitions.notes
        report_undecoded(notes.undecoded)
        report_damage(notes.damage)


@command.command("report")
@RUN
@JSON_NOT_TABLES
@html_option()
@figures_option()
@FORMAT
@csv_option("Write every table into this directory.")
def report(
    run: Path, *, as_json: bool, html: Path | None, figures: Path | None, form: str | None, csv_folder: Path | None
) -> None:
    """Print the results of a run: totals, classes, signs, services, outages. They name no remote address.

    With --html, --figures or --csv these files are written, and results printed only if --json asks for them.
    """
    from liveness.passive.manifest import load_results
    from liveness.report.options import FORMATS, Outputs

    check_format(form, figures)
    document = load_results(run)
    outputs = Outputs(figures, FORMATS[form or "svg"], html, None, (), csv=csv_folder)
    if outputs:
        from liveness.passive.local_space import load_local_space
        from liveness.report.passive.files import write_passive_report

        write_passive_report(document, lambda: load_local_space(run), outputs, log.info)
    if as_json:
        from liveness.cli.printing import print_document

        print_document(document)
    elif not outputs:
        from liveness.cli.printing import print_tables
        from liveness.report.passive.tables import passive_tables

        print_tables(passive_tables(document))


@command.command("sets")
@RUN
def sets(run: Path) -> None:
    """List the sets of a run: local addresses with two-way flows, with one-way ones only, and grey ones."""
    from liveness.passive.manifest import load_manifest

    for entry in load_manifest(run).sets:
        click.echo(f"{run / entry.file}\t{entry.kind}\t{entry.cardinality}")


@command.command("rules")
@click.argument("name", default="glatz-2011-10")
def rules(name: str) -> None:
    """Print rules, shipped or of a file, with their tie-break."""
    from liveness.passive.rules import load_rules

    loaded = load_rules(name)
    for rule in loaded.rules:
        click.echo(str(rule))
    for group in loaded.ties:
        click.echo(f"where several match: one of {', '.join(map(str, sorted(group)))} first")


@command.command("explain")
@click.argument("run", required=False, type=click.Path(path_type=Path), metavar="[RUN]")
@click.option("--signs", metavar="SIGNS", help="Explain a combination of signs, such as GreyIP,Onepkt,TCP.")
@click.option("--rules", "rules_name", default="glatz-2011-10", show_default=True, help="Rules for --signs.")
@click.option("--local", metavar="ADDRESS", help="Flows to this local address.")
@click.option("--remote", metavar="ADDRESS", help="Flows from this remote address.")
@click.option("--port", type=click.IntRange(0, 65535), metavar="PORT", help="Flows to this local port.")
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many flows to show.")
def explain(
    run: Path | None,
    signs: str | None,
    rules_name: str,
    local: str | None,
    remote: str | None,
    port: int | None,
    limit: int,
) -> None:
    """Explain one-way flows: their signs, the rules that match, and the class.

    Flows are those of a RUN with keep_flows: true in its config; --signs explains a combination without one.
    """
    if (run is None) == (signs is None):
        raise click.UsageError("give a RUN, or --signs")
    if signs is not None:
        _explain_signs(signs, rules_name)
        return
    from liveness.passive.kept_flows import find_flows
    from liveness.passive.manifest import load_manifest
    from liveness.passive.rules import load_rules
    from liveness.space.addresses import parse_address

    if run is None:
        return
    for option, address in (("--local", local), ("--remote", remote)):
        if address is not None:
            try:
                parse_address(address)
            except ValueError as error:
                raise UsageError(f"{option} {address}: expected an IPv4 address such as 198.51.100.7") from error
    loaded = load_rules(str(load_manifest(run).config.get("rules", "glatz-2011-10")))
    texts = {rule.number: str(rule) for rule in loaded.rules}
    found = find_flows(run, {"local": local, "remote": remote, "lport": port}, limit)
    if not found:
        log.notice(f"{run}: no inbound one-way flow is like this")
    for flow in found:
        click.echo(
            f"{flow['start']}Z {flow['remote']}:{flow['rport']} > {flow['local']}:{flow['lport']} protocol"
            f" {flow['protocol']}, {flow['packets']} packets, {flow['bytes']} bytes"
        )
        matching: Any = flow["rules"]
        names: Any = flow["signs"]
        click.echo(f"  signs  {' '.join(names)}")
        for number in matching:
            click.echo(f"  {texts.get(number, f'rule {number}, which these rules do not have any more')}")
        click.echo(f"  class  {flow['class']}")


def _explain_signs(signs: str, rules_name: str) -> None:
    from liveness.passive.rules import load_rules, pattern_of

    loaded = load_rules(rules_name)
    try:
        pattern = pattern_of(signs)
    except ValueError as error:
        raise UsageError(f"--signs {signs}: {error}") from error
    for rule in loaded.matching(pattern):
        click.echo(str(rule))
    winner = loaded.winner(pattern)
    if loaded.conflicting(pattern) and winner is not None:
        click.echo(f"conflict: rule {winner.number} wins by the tie-break")
    click.echo(f"class {loaded.class_of(pattern)}")
