"""``liveness merge``: unite the shards of a census into one run."""

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
    """Unite the RUNs of all shards of a census into one ordinary run.

    Sets are united, counts added: byte for byte the sets that one machine would have written. The runs stay as they
    are. Runs that differ in name, seed, targets, probes, blocks, attempts, control port, number of shards or schema are
    refused, and so is a shard that is given twice, is missing, or did not complete. Prints the directory of the run.
    """
    from liveness.runs.shard_union import unite
    from liveness.runs.shards import open_shards

    united = unite(open_shards(runs, partial=partial), output)
    print_result(str(united.path))
    reason = united.read_manifest().reason
    if reason is not None:
        raise StoppedEarlyError(f"{united.path}: the united run is partial: {reason}")
