"""`liveness lab traffic` and `lab check --traffic`: labelled traffic, and passive runs compared with it."""

import sys
from pathlib import Path
from typing import NoReturn

import click

from liveness.cli.options import Finite

FORMATS = ("parquet", "csv", "v5", "v9", "ipfix", "pcap")
ARTEFACTS = ("split", "duplicated", "lost", "skewed", "reordered", "no-template")
LARGEST_SCALE = 1000.0


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0, 2**63 - 1), help="Seed of all draws.")
@click.option("--hours", default=3.0, show_default=True, type=float, help="How long, from 2 to 48.")
@click.option(
    "--scale",
    default=1.0,
    show_default=True,
    type=Finite(0.01, LARGEST_SCALE),
    help="Multiplies the clients of the services.",
)
@click.option(
    "--as", "formats", multiple=True, default=("parquet",), show_default=True, type=click.Choice(FORMATS),
    help="Format of the flows; repeatable. v5, v9 and ipfix are datagrams in a capture file, pcap is the packets.",
)  # fmt: skip
@click.option(
    "--artefact", "artefacts", multiple=True, type=click.Choice(ARTEFACTS), help="Fault of the exporters; repeatable."
)
def traffic(
    folder: Path, seed: int, hours: float, scale: float, formats: tuple[str, ...], artefacts: tuple[str, ...]
) -> None:
    """Write labelled traffic of a network's border to FOLDER. Sends nothing.

    Scanners, backscatter, peers, streams, bogons, our own probes, and clients of seven services, some of which fail for
    a while. FOLDER gets the flows, a config of `liveness passive run` for each format, the label of each conversation
    and what is true of the services. Prints the configs.
    """
    from liveness.lab.traffic.scene import make_scene
    from liveness.lab.traffic.write import write_scene

    for config in write_scene(make_scene(seed, hours, scale), folder, dict.fromkeys(formats), artefacts):
        click.echo(config)


def check_passive_run(run: Path, folder: Path, *, as_json: bool) -> NoReturn:
    """Compare a passive run with the truth about its generated traffic, print the comparison, and exit."""
    from liveness.cli.printing import print_document, print_tables
    from liveness.lab.traffic.labels import judge_passive_run
    from liveness.report.views.lab import confusion_table

    judgement = judge_passive_run(run, folder)
    if as_json:
        print_document(judgement.document())
    else:
        print_tables([confusion_table(judgement)])
        for line in judgement.lines():
            click.echo(line)
    sys.exit(0 if judgement.equal else 1)
