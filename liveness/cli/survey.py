"""``liveness survey``: select the blocks of surveys of availability; import, analyse and export surveys."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from liveness import log
from liveness.cli import survey_compare, survey_run
from liveness.cli.interrupts import interrupts
from liveness.cli.options import (
    FORMAT,
    JSON_NOT_TABLES,
    LATEX,
    OUTPUT_FILE,
    check_format,
    csv_option,
    figures_option,
    html_option,
)
from liveness.errors import UsageError, count_of

if TYPE_CHECKING:
    from liveness.analysis.survey.gathered import Gathered
    from liveness.analysis.survey.results import SurveyResults
    from liveness.report.options import Outputs

RUN = click.argument("run", type=click.Path(path_type=Path))
FORMATS = ("ant", "fsdb", "trinocular", "csv", "parquet")


@click.group("survey")
def command() -> None:
    """Choose the blocks of surveys; run, import, analyse and export them: whole /24s, round after round."""


command.add_command(survey_run.run)
command.add_command(survey_run.status)
command.add_command(survey_compare.compare)


@command.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "-o",
    "--output-dir",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The run directory to make.",
)
@click.option("--name", default="imported", show_default=True, help="The name of the survey in results.")
@click.option("--interval", metavar="DURATION", help="How long a round takes, such as 11m; inferred if not given.")
@click.option("--start", metavar="TIME", help="When round 0 began, ISO 8601; the first probe if not given.")
def import_files(files: tuple[Path, ...], output_dir: Path, name: str, interval: str | None, start: str | None) -> None:
    """Make a run directory from the files of another survey, in the order of time.

    Reads ANT's binary format version 3 and its text (fsdb), Trinocular's raw outage data, all plain or bzip2, and CSV
    and Parquet as `survey export` writes them. The interval of rounds and the start are inferred and printed.
    """
    from liveness.survey.import_timing import Given
    from liveness.survey.opening import import_any

    given = Given(_interval_s(interval), _start_s(start))
    with interrupts.ending_soon():
        run = import_any(files, output_dir, name, given)
    manifest = run.manifest
    extent = f"{count_of(manifest.blocks, '/24')}, {count_of(manifest.rounds, 'round')} of {manifest.interval_s:g} s"
    log.info(f"{output_dir}: {extent} from {manifest.survey.start}")
    for reason, number in (manifest.origin.skipped if manifest.origin else {}).items():
        log.warning(f"{count_of(number, 'record')} not used: {reason}")


@command.command("analyze")
@RUN
@JSON_NOT_TABLES
@OUTPUT_FILE
@click.option(
    "--addresses",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the figures of every address to a .parquet or .csv file.",
)
@click.option("--top", default=20, show_default=True, type=click.IntRange(min=1), help="Outages that a table shows.")
@figures_option()
@FORMAT
@click.option(
    "--block",
    "blocks",
    multiple=True,
    metavar="PREFIX",
    help="Draw every round of this /24 in --figures or --html; more than once for several. Examples if not given.",
)
@html_option()
@csv_option("Write every table into this directory as a CSV file: one number a line.")
@LATEX
def analyze(
    run: Path,
    *,
    as_json: bool,
    output_file: Path | None,
    addresses: Path | None,
    top: int,
    figures: Path | None,
    form: str | None,
    blocks: tuple[str, ...],
    html: Path | None,
    csv_folder: Path | None,
    latex_folder: Path | None,
) -> None:
    """Print availability, up periods, outages and daily cycles of a survey.

    Definitions are those of Heidemann et al. 2008; every number has its formula below the table.

    With --figures, --html, --csv or --latex these files are written, and tables printed only if -o or --json asks for
    them.
    """
    from liveness.analysis.survey.document import encode
    from liveness.analysis.survey.figures.blocks import chosen_blocks
    from liveness.analysis.survey.gathered import Gathered, all_of
    from liveness.analysis.survey.results import analyze_survey
    from liveness.cli.printing import print_results
    from liveness.files.outputs import check_output
    from liveness.planes.rundir import SurveyRun
    from liveness.report.options import FORMATS, Outputs
    from liveness.report.views.survey import survey_tables
    from liveness.survey.address_file import address_file, check_suffix

    check_format(form, figures)
    if blocks and figures is None and html is None:
        raise click.UsageError("--block goes with --figures or --html")
    outputs = Outputs(figures, FORMATS[form or "svg"], html, None, (), csv_folder, latex_folder)

    if addresses is not None:
        check_suffix(addresses)
        check_output(addresses, "the figures of addresses")
    if output_file is not None:
        check_output(output_file, "the results")
    survey = SurveyRun.open(run)
    wanted = chosen_blocks(survey, blocks)
    outputs.check()
    gathered = Gathered(survey.manifest.rounds) if outputs.draws else None
    with interrupts.ending_soon():
        sink = (
            nullcontext()
            if addresses is None
            else address_file(addresses, survey.blocks.addresses, survey.manifest.interval_s)
        )
        with sink as take:
            takers = [take] if gathered is None else [take, gathered.take_addresses]
            results = analyze_survey(survey, all_of(takers), None if gathered is None else gathered.take_activity)
        for problem in results.problems:
            log.warning(problem)
        if outputs:
            _write_report(outputs, results, gathered, wanted, top)
            if output_file is None and not as_json:
                return
    print_results(output_file, as_json=as_json, document=lambda: encode(results), tables=survey_tables(results, top))


def _write_report(
    outputs: "Outputs", results: "SurveyResults", gathered: "Gathered | None", wanted: list[int], top: int
) -> None:
    """Write figures, page and tables, and log what was written."""
    from liveness.report.survey.files import write_survey_report

    for line in write_survey_report(outputs, results, gathered, wanted, top):
        log.info(f"wrote {line}")


@command.command("select")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--count", default=24_000, show_default=True, type=click.IntRange(1, 1 << 24), help="How many /24s.")
@click.option("--mix", default="random=.25,spaced=.25,novel=.5", show_default=True, help="The share of each policy.")
@click.option(
    "--state",
    "state_file",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keeps the random and spaced blocks from selection to selection; made if there is none.",
)
@click.option("--seed", required=True, type=click.IntRange(0), help="Decides what is drawn.")
@OUTPUT_FILE
def select_blocks(
    runs: tuple[Path, ...], count: int, mix: str, state_file: Path, seed: int, output_file: Path | None
) -> None:
    """Choose the /24s of a survey from censuses, and from earlier surveys.

    random: drawn once from all /24s with a positive reply in any census, then kept. spaced: spread evenly over
    availability and volatility, kept too. novel: drawn each time from those that answered in the last census.
    """
    from liveness.files.outputs import check_output, write_output
    from liveness.planes.blocks import encode_blocks
    from liveness.survey.mix import apportioned, parse_mix
    from liveness.survey.selection import load_state, select, write_state
    from liveness.survey.sources import read_sources

    check_output(state_file, "the state of selections")
    if output_file is not None:
        check_output(output_file, "the blocks")
    counts = apportioned(count, parse_mix(mix))
    state = load_state(state_file)
    with interrupts.ending_soon():
        sources = read_sources(runs)
        blocks, following = select(sources.ever, sources.last, sources.availability, counts, state, seed)
    if state is None:
        write_state(following, state_file)
    numbers = {policy: blocks.policies.count(policy) for policy in counts}
    log.info(", ".join(f"{number:,} {policy}" for policy, number in numbers.items()))
    if state is not None and any(numbers[policy] != counts[policy] for policy in ("random", "spaced")):
        log.warning(f"{state_file}: its random and spaced blocks are kept, whatever --count says")
    if output_file is None:
        sys.stdout.write(encode_blocks(blocks).decode())
    else:
        write_output(output_file, encode_blocks(blocks))


@command.command("export")
@RUN
@click.option("--format", "form", type=click.Choice(FORMATS), default="csv", show_default=True, help="What to write.")
@click.option("--probe", help="The probe to export; the only one of the survey if not given.")
@OUTPUT_FILE
def export(run: Path, *, form: str, probe: str | None, output_file: Path | None) -> None:
    """Write a survey in a format of others, or as CSV or Parquet: a record for each address and round that was sent.

    ant and fsdb are ANT's survey formats. trinocular has the probes that Trinocular would have sent in each round, and
    its verdicts.
    """
    from liveness.files.outputs import check_output, open_output
    from liveness.planes.rundir import SurveyRun
    from liveness.survey.exporting import parts_of

    if output_file is not None:
        check_output(output_file, "the survey")
    survey = SurveyRun.open(run)
    probes = list(survey.manifest.probes)
    if probe is None and len(probes) > 1:
        raise UsageError(f"{run}: has the probes {', '.join(probes)}: choose one by --probe")
    chosen = probes[0] if probe is None else probe
    if chosen not in probes:
        raise UsageError(f"--probe {chosen}: {run} has {', '.join(probes)}")
    with interrupts.ending_soon():
        if output_file is None:
            for part in parts_of(survey, chosen, form):
                sys.stdout.buffer.write(part)
        else:
            with open_output(output_file) as file:
                for part in parts_of(survey, chosen, form):
                    file.write(part)


def _interval_s(text: str | None) -> float | None:
    from liveness.config.units import Duration

    if text is None:
        return None
    try:
        seconds = Duration(text).seconds
    except ValueError as problem:
        raise UsageError(f"--interval {text}: {problem}") from None
    if seconds <= 0:
        raise UsageError(f"--interval {text}: a round takes longer than no time")
    return seconds


def _start_s(text: str | None) -> float | None:
    from datetime import UTC, datetime

    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--start {text}: expected a time such as 2026-12-01T00:00:00Z") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
