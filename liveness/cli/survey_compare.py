"""``liveness survey compare``: what ICMP, TCP and passive observation saw of the same addresses."""

from pathlib import Path

import click

from liveness import log
from liveness.cli.interrupts import interrupts
from liveness.cli.options import JSON_NOT_TABLES

_RUN = click.Path(path_type=Path)


@click.command("compare")
@click.option("--census", "censuses", multiple=True, type=_RUN, metavar="RUN", help="A census; may be repeated.")
@click.option("--survey", "surveys", multiple=True, type=_RUN, metavar="RUN", help="A survey; may be repeated.")
@click.option(
    "--passive",
    "passive",
    multiple=True,
    type=_RUN,
    metavar="RUN",
    help="A passive run, or a file of the addresses seen (with --within); may be repeated.",
)
@click.option(
    "--within",
    multiple=True,
    metavar="PREFIX",
    help="Compare only these addresses: a prefix, a range, an address or a file of them; may be repeated.",
)
@JSON_NOT_TABLES
def compare(
    censuses: tuple[Path, ...],
    surveys: tuple[Path, ...],
    passive: tuple[Path, ...],
    within: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Compare what ICMP, TCP and passive observation saw of the same addresses, with their overlaps.

    The addresses compared are those that every kind of run given has observed: the targets of censuses, the addresses
    that surveys probed, the local addresses of passive runs. The table is that of Heidemann et al. 2008.
    """
    from liveness.api.comparison import compare_methods
    from liveness.cli.printing import print_document, print_tables
    from liveness.config.load import read_entries
    from liveness.report.views.methods import method_tables

    with interrupts.ending_soon():
        comparison = compare_methods(censuses, surveys, passive, read_entries(within) if within else None)
    for path, status in comparison.unfinished:
        log.warning(f"{path}: {status}: it has not observed all of its addresses")
    if as_json:
        print_document(comparison.document())
    else:
        print_tables(method_tables(comparison.overlap))
