"""The page of a passive run."""

from liveness.analysis.numbers import count, percent
from liveness.report.headline import Headline
from liveness.report.layout import Section
from liveness.report.page.blocks import blocks_of
from liveness.report.page.frame import Chapter, Page, rendered
from liveness.report.passive.document import Document
from liveness.report.passive.figures import passive_figures
from liveness.report.passive.space import LocalSpace
from liveness.report.passive.tables import passive_tables

TEMPLATE = "passive.html.j2"


def passive_page(document: Document, space: LocalSpace | None = None) -> str:
    """Return a report document as a self-contained HTML page."""
    totals = document["totals"]
    one_way = totals["one_way"]["flows"]
    share = percent(one_way / (one_way + totals["two_way"]["flows"]) if one_way + totals["two_way"]["flows"] else None)
    run, warnings = document["run"], caveats(document)
    numbers = f"{count(one_way)} one-way flows, {share} of inbound and two-way ones; {len(document['outages'])} outages"
    blocks = blocks_of("passive", map(Section, passive_tables(document)), passive_figures(document, space))
    page = Page(
        f"One-way traffic: {run}",
        f"One-way traffic of {run}",
        [Headline(run, numbers, document["status"], "", not warnings)],
        [Chapter("passive", f"Run {run}", warnings, blocks)],
    )
    return rendered(page, TEMPLATE, "liveness.report.passive", rules=document["rules"])


def caveats(document: Document) -> list[str]:
    """Return warnings that a reader must know first."""
    found = []
    if document["status"] != "complete":
        found.append(f"The run is {document['status']}: an input was damaged, or more is to come.")
    symmetry = document["symmetry"]
    if symmetry["verdict"] != "ok":
        found.append(
            f"{percent(symmetry['tcp_inbound_established_unanswered'])} of inbound TCP flows with ACK have no outbound"
            " flow: the capture seems to see one direction only."
        )
    found += [
        f"Exporter {each['exporter']} looks at 1 of {count(each['sampling'])} packets: pairing says little."
        for each in document.get("exporters", ())
        if each["sampling"]
    ]
    if document["records"]["late"]:
        found.append(f"{count(document['records']['late'])} records came too late, and are left out.")
    return found
