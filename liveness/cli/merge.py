"""``liveness merge``: unite the shards of a census, or of a survey, into one run."""

from pathlib import Path

import click

from liveness.cli.streams import print_result
from liveness.errors import StoppedEarlyError


@click.command("merge")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Directory of the new run."
)
@click.option("--partial", is_flag=True, help="Also if a shard is missing or did not complete; ends with exit code 5.")
def command(runs: tuple[Path, ...], output: Path, *, partial: bool) -> None:
    """Unite the RUNs of all shards of a census, or of a survey, into one ordinary run.

    Sets are united, planes put together, counts added: byte for byte what one machine would have written. The runs stay
    as they are. Runs that differ in name, seed, targets, probes, number of shards or schema are refused, those of a
    census also for other blocks, attempts or control port, those of a survey for another interval, start or list of
    /24s; and so is a shard that is given twice, is missing, or did not complete. Prints the directory of the run.
    """
    from liveness.runs.kinds import SURVEY, kind_of

    reason = _unite_surveys(runs, output, partial) if kind_of(runs[0]) == SURVEY else _unite(runs, output, partial)
    print_result(str(output))
    if reason is not None:
        raise StoppedEarlyError(f"{output}: the united run is partial: {reason}")


def _unite(runs: tuple[Path, ...], output: Path, partial: bool) -> str | None:
    """Unite the shards of a census; return why the union is not a whole one."""
    from liveness.runs.shard_union import unite
    from liveness.runs.shards import open_shards

    return unite(open_shards(runs, partial=partial), output).read_manifest().reason


def _unite_surveys(runs: tuple[Path, ...], output: Path, partial: bool) -> str | None:
    """Unite the shards of a survey; return why the union is not a whole one."""
    from liveness.survey.shard_union import unite_surveys
    from liveness.survey.shards import open_parts

    return unite_surveys(open_parts(runs, partial=partial), output).reason
