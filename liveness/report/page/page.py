"""The page of censuses: every run, then the changes between runs."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from liveness.analysis.measures.slices import TOP
from liveness.analysis.results import Results
from liveness.analysis.tables import Table
from liveness.report.comparison import comparison_table
from liveness.report.headline import headline_of
from liveness.report.layout import Section
from liveness.report.map.liveness_map import LivenessMap
from liveness.report.page.blocks import Block, Picture, blocks_of, data_uri, table_of
from liveness.report.page.frame import Chapter, Page, rendered
from liveness.report.page.provenance import caveats, config_text, provenance_table
from liveness.report.pictures import Pictures

TEMPLATE: Final = "report.html.j2"
REDUCTION: Final = 4
"""The page's map has one pixel per /20, so that the whole space is as wide as a screen."""
MAP_TITLE: Final = "Map of liveness"
STATUS_TITLE: Final = "Status and losses"
"""The title of the first table, whose title in a terminal is the name of the run."""


def report_page(results: Results, zooms: Sequence[int] = (), top: int = TOP, pictures: Pictures | None = None) -> str:
    """Return the report as HTML; `zooms` are /8s to enlarge, `top` is the number of slices shown.

    Maps are drawn of runs that were counted by /24. `pictures` are those of these results, if any are drawn already.
    """
    pictures = pictures or Pictures(results, ("svg",))
    chapters = [_chapter(results, place, pictures, zooms, top) for place in range(len(results.runs))]
    across = list(results.tables_between_runs())
    if across:
        blocks = blocks_of("runs", _sections(across), pictures.between_runs)
        chapters.append(Chapter("runs", "From run to run", [], blocks))
    origins = results.origins
    if origins is not None:
        blocks = blocks_of("origins", _sections(origins.tables()), pictures.of_origins)
        chapters.append(Chapter("origins", "Vantage points", list(origins.warnings()), blocks))
    runs = [run.manifest.run for run in results.runs]
    headlines = [headline_of(run) for run in results.runs]
    page = Page(f"Liveness: {', '.join(runs)}", "Liveness report", headlines, chapters)
    return rendered(page, TEMPLATE, runs=runs)


def _chapter(results: Results, place: int, pictures: Pictures, zooms: Sequence[int], top: int) -> Chapter:
    """Return the chapter of one run: its status, every table with its figures, the map, and its provenance."""
    run, anchor = results.runs[place], f"run{place + 1}"
    provenance = provenance_table(run.manifest, run)
    status, *rest = run.tables()
    tables = [replace(status, title=STATUS_TITLE), comparison_table(run), *rest]
    blocks = blocks_of(anchor, _sections(tables, top), pictures.of_run(place))
    drawn = pictures.map_of(place)
    if drawn is not None:
        blocks.append(_map_block(anchor, drawn, zooms))
    blocks.append(
        Block(
            f"{anchor}-{provenance.id}",
            provenance.title,
            table=table_of(Section(provenance)),
            text=config_text(run.manifest),
        )
    )
    return Chapter(anchor, f"Run {run.manifest.run}", caveats(run.manifest), blocks)


def _map_block(anchor: str, drawn: LivenessMap, zooms: Sequence[int]) -> Block:
    """Return the map, and maps of enlarged /8s."""
    pictures = [
        Picture(
            data_uri("image/png", drawn.focused or drawn.png(REDUCTION)),
            drawn.summary(),
            "map",
            [
                "Along a Hilbert curve, prefixes that are near in number are near on the map; each square is a /8.",
                "Alive: addresses of IPall, what any service probe found. The scale of shades is logarithmic.",
                *(
                    ["Only the part of the address space in which this run has targets is drawn."]
                    if drawn.focus is not None
                    else []
                ),
            ],
        )
    ]
    pictures += [Picture(data_uri("image/png", drawn.zoomed(octet)), drawn.summary(octet), "map") for octet in zooms]
    return Block(f"{anchor}-map", MAP_TITLE, pictures)


def _sections(tables: Iterable[Table], top: int | None = None) -> list[Section]:
    """Return tables for the page, each in one piece, which scrolls if it is wide."""
    return [Section(table, shown=top if table.id == "slices" else table.shown) for table in tables]
