"""Figures 3a and 3b: what the addresses of each family sent, and which errors."""

from typing import Final

from liveness.analysis.counting.run import FAMILIES
from liveness.analysis.formula import formulas, share
from liveness.analysis.measures.coverage import Coverage
from liveness.analysis.measures.error_categories import ErrorCategories
from liveness.analysis.measures.reply_types import ReplyTypes
from liveness.report import published
from liveness.report.figures.bars import Part, legend, stacked
from liveness.report.figures.drawing import Drawing, panel
from liveness.report.figures.style import BLUE, GREEN, ORANGE, PURPLE, RED, SKY, YELLOW, styled
from liveness.report.layout import count, named_formulas, percent, spoken

REPLY_PARTS: Final = {"reply_only": SKY, "error_only": ORANGE, "both": GREEN}
CATEGORY_PARTS: Final = {"port": SKY, "host": ORANGE, "other_unreachable": BLUE, "other": YELLOW, "multiple": PURPLE}
DARK: Final = (BLUE, RED, GREEN)
"""Parts on which numbers are written in white."""


def reply_types_figure(types: dict[str, ReplyTypes], coverage: Coverage) -> Drawing:
    """Draw each family's addresses by what they sent (figure 3a)."""
    totals = {family: coverage.families[family].total for family in FAMILIES}
    return _figure(
        name="figure-3a-reply-types",
        title="Reply types by family (figure 3a)",
        numbers={family: {name: getattr(types[family], name) for name in REPLY_PARTS} for family in FAMILIES},
        totals=totals,
        colours=REPLY_PARTS,
        axis="share of the family's addresses",
        notes=["Shares of the family's total coverage.", *named_formulas(formulas(ReplyTypes))],
        beside=published.REPLY_TYPES,
    )


def categories_figure(categories: dict[str, ErrorCategories]) -> Drawing:
    """Draw each family's error sources by category (figure 3b)."""
    totals = {family: categories[family].all for family in FAMILIES}
    return _figure(
        name="figure-3b-error-categories",
        title="ICMP errors by category (figure 3b)",
        numbers={family: {name: getattr(categories[family], name) for name in CATEGORY_PARTS} for family in FAMILIES},
        totals=totals,
        colours=CATEGORY_PARTS,
        axis="share of the family's error sources",
        notes=[
            "Addresses that sent errors to probes of the family; shares of all of them.",
            *named_formulas(formulas(ErrorCategories)),
        ],
        beside=published.ERROR_CATEGORIES,
    )


def _figure(
    *,
    name: str,
    title: str,
    numbers: dict[str, dict[str, int]],
    totals: dict[str, int],
    colours: dict[str, str],
    axis: str,
    notes: list[str],
    beside: dict[str, str],
) -> Drawing:
    """Draw a bar a family, its parts in shares of its total; what the paper says in words goes below the bars."""
    shares = {part: [share(numbers[family][part], totals[family]) for family in FAMILIES] for part in colours}
    with styled():
        figure, axes = panel()
        stacked(
            axes,
            [f"{family.upper()}\n{count(totals[family])}" for family in FAMILIES],
            [Part(spoken(part), colours[part], shares[part], dark=colours[part] in DARK) for part in colours],
            top=1.04,
        )
        axes.set_ylabel(axis)
        axes.set_xlabel(
            f"{published.LABEL}:  " + "   ".join(f"{family.upper()}: {beside[family]}" for family in beside)
        )
        legend(axes)
    told = "; ".join(
        f"{family.upper()}: " + ", ".join(f"{spoken(part)} {percent(shares[part][place])}" for part in colours)
        for place, family in enumerate(FAMILIES)
    )
    return Drawing(name, title, f"Stacked bars, {axis}: {told}.", notes, figure)
