"""Figures 2a and 2b: coverage by probe family, of addresses and of /24s."""

from typing import Final

from liveness.analysis.counting.run import FAMILIES
from liveness.analysis.formula import formulas, share
from liveness.analysis.measures.coverage import Coverage, FamilyCoverage
from liveness.report import published
from liveness.report.figures.bars import Part, legend, published_key, published_marks, stacked
from liveness.report.figures.drawing import Drawing, panel
from liveness.report.figures.style import BLUE, SKY, styled
from liveness.report.layout import count, named_formulas, percent

MARKERS: Final = {"total": "D", "unique": "^"}
"""What published values are marked with."""


def coverage_figure(coverage: Coverage, unit: str) -> Drawing:
    """Draw each family's share of what all families find, in its unique and overlapping parts.

    `unit` is ``addresses`` (figure 2a) or ``/24s`` (figure 2b).
    """
    by_address = unit == "addresses"
    place = "2a" if by_address else "2b"
    whole = "IPall" if by_address else "/24all"
    found = coverage.families
    with styled():
        figure, axes = panel()
        bars = [
            f"{family.upper()}\n{count(found[family].total)} in all\n{count(found[family].unique)} unique"
            for family in FAMILIES
        ]
        parts = [
            Part("unique", BLUE, [share(found[family].unique, coverage.all) for family in FAMILIES], dark=True),
            Part("overlapping", SKY, [share(found[family].overlapping, coverage.all) for family in FAMILIES]),
        ]
        stacked(axes, bars, parts, top=1.04)
        for what, marker in MARKERS.items():
            published_marks(axes, _published(what, by_address=by_address), marker=marker)
        axes.set_ylabel(f"share of {whole}, {count(coverage.all)} {unit}")
        legend(axes, *(published_key(what, marker) for what, marker in MARKERS.items()))
    shares = ", ".join(
        f"{family.upper()} {percent(share(found[family].total, coverage.all))} of which unique"
        f" {percent(share(found[family].unique, coverage.all))}"
        for family in FAMILIES
    )
    masked = [] if by_address else ["Each family's set is masked to /24 first, differences are taken after."]
    return Drawing(
        name=f"figure-{place}-coverage-{'addresses' if by_address else 'prefixes24'}",
        title=f"Coverage by family, {unit} (figure {place})",
        alt=f"Stacked bars, shares of {count(coverage.all)} {unit} found by any family: {shares}.",
        notes=[
            f"Shares of {whole}: the union of the three families, {count(coverage.all)} {unit}.",
            *named_formulas(formulas(FamilyCoverage)),
            "overlapping: total less unique",
            *masked,
        ],
        figure=figure,
    )


def _published(what: str, *, by_address: bool) -> dict[float, float]:
    """Return what was published of the families' totals or unique parts, as shares, by the place of the bar."""
    shares = published.COVERAGE_SHARES if by_address else published.COVERAGE_24_SHARES
    return {place: shares[family, what] for place, family in enumerate(FAMILIES) if (family, what) in shares}
