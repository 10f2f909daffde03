"""The page of a survey: tables, figures, provenance and warnings."""

from collections.abc import Iterable, Iterator
from typing import Final

import yaml

from liveness.analysis.numbers import ABSENT, count, percent
from liveness.analysis.survey.block import Timing
from liveness.analysis.survey.document import round_time
from liveness.analysis.survey.results import SurveyResults
from liveness.analysis.survey.sequences import PLAIN
from liveness.analysis.tables import Column, Table
from liveness.errors import count_of
from liveness.planes.manifest import SurveyManifest
from liveness.report.figures.drawing import Shown
from liveness.report.headline import Headline
from liveness.report.layout import Section
from liveness.report.page.blocks import Block, interleaved, table_of
from liveness.report.page.frame import Chapter, Page, rendered
from liveness.report.views.survey import survey_tables

TEMPLATE: Final = "survey.html.j2"
PACKAGE: Final = "liveness.report.survey"


def survey_page(results: SurveyResults, drawings: Iterable[Shown], top: int) -> str:
    """Return the report of a survey as HTML; tables of outages have `top` rows."""
    manifest = results.manifest
    sections = (Section(table, shown=table.shown) for table in survey_tables(results, top))
    blocks = interleaved("survey", sections, drawings)
    provenance = provenance_table(manifest)
    blocks.append(
        Block(
            "survey-provenance",
            provenance.title,
            table=table_of(Section(provenance)),
            text=yaml.safe_dump(manifest.config, sort_keys=False, allow_unicode=True) if manifest.config else None,
        )
    )
    page = Page(
        f"Survey: {manifest.run}",
        "Survey of availability",
        [headline_of(results)],
        [Chapter("survey", f"Run {manifest.run}", list(caveats(manifest)), blocks)],
    )
    return rendered(page, TEMPLATE, PACKAGE)


def headline_of(results: SurveyResults) -> Headline:
    """Return the main numbers of a survey, by probe, and how it ended."""
    manifest = results.manifest
    numbers = "; ".join(
        f"{probe.probe}: {count(probe.readings[PLAIN].ever)} of {count_of(manifest.blocks * 256, 'address')} ever"
        f" answered, mean A {percent(probe.readings[PLAIN].availability)}"
        for probe in results.probes
    )
    reason = f" ({manifest.reason})" if manifest.reason else ""
    warnings = list(caveats(manifest))
    losses = count_of(len(warnings), "warning") if warnings else "no warning"
    return Headline(manifest.run, numbers, manifest.status + reason, losses, not warnings)


def caveats(manifest: SurveyManifest) -> Iterator[str]:
    """Yield warnings that a reader must know first: a survey that is not complete, losses, records left out."""
    if manifest.status != "complete":
        planned = manifest.rounds if manifest.planned_rounds is None else manifest.planned_rounds
        yield f"Status {manifest.status}: {count(manifest.rounds)} of {count(planned)} rounds."
    yield from manifest.loss_warnings
    if manifest.origin is not None:
        for reason, number in manifest.origin.skipped.items():
            yield f"{count_of(number, 'record')} of the imported files not used: {reason}"
    if manifest.log is not None:
        yield from (f"Its log of replies is not whole: {line}" for line in manifest.log.problems)


def provenance_table(manifest: SurveyManifest) -> Table:
    """Return the data that a reader needs to repeat or question a survey."""
    scanner, timing = manifest.scanner, Timing(manifest.start_ns, manifest.interval_s)
    rows = [
        ("run", manifest.run),
        ("status", manifest.status + (f" ({manifest.reason})" if manifest.reason else "")),
        ("seed", str(manifest.seed)),
        ("first round", round_time(timing, 0)),
        ("end of the last round", round_time(timing, manifest.rounds)),
        ("rounds", f"{count(manifest.rounds)} of {manifest.interval_s:g} s"),
        ("/24s", count(manifest.blocks)),
        ("resumed at", ", ".join(manifest.resumed) or "never"),
        ("liveness", manifest.version),
    ]
    if scanner is not None:
        rows += [
            ("vantage: host", scanner.host or ABSENT),
            ("vantage: kernel", scanner.kernel or ABSENT),
            ("vantage: interface", scanner.interface or ABSENT),
            ("vantage: source addresses", ", ".join(scanner.source_addresses) or ABSENT),
            ("sent through", scanner.transport or ABSENT),
            ("captured by", scanner.capture or ABSENT),
        ]
    if manifest.control_port is not None:
        rows.append(("control port", str(manifest.control_port)))
    if manifest.origin is not None:
        files = manifest.origin.files
        rows.append(("imported from", f"{count_of(len(files), 'file')} ({manifest.origin.format}): {', '.join(files)}"))
    rows += [
        (
            "gap",
            f"{gap.start} to {gap.end}: {gap.cause}"
            + (f", {count_of(gap.addresses, 'address')}" if gap.addresses else ""),
        )
        for gap in manifest.gaps
    ]
    return Table("provenance", "Provenance", (Column("", key="item"), Column("", key="value")), rows)
