"""Addresses that sent ICMP errors, by the category of the errors (Bano et al. 2018, figure 3b)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from liveness.analysis.counting.categories import CATEGORIES
from liveness.analysis.counting.run import FAMILIES
from liveness.analysis.counting.states import RunStates
from liveness.analysis.figures import Colour, Figure
from liveness.analysis.formula import Formula, formulas
from liveness.analysis.measure import Measure, RunResults
from liveness.analysis.measures.family_bars import bars_of_families, described
from liveness.analysis.numbers import in_words, named_formulas
from liveness.analysis.tables import Cell, Column, Share, Table
from liveness.reference.bano_2018 import LABEL, starting


@dataclass(frozen=True, slots=True)
class ErrorCategories:
    """Addresses that sent errors to one family's probes; the first five are disjoint and add up to `all`."""

    port: Annotated[int, Formula("sent port-unreachable (3/3) alone")]
    host: Annotated[int, Formula("sent host-unreachable (3/1) alone")]
    other_unreachable: Annotated[int, Formula("sent other codes of type 3 alone")]
    other: Annotated[int, Formula("sent types 4, 5, 11, 12 alone")]
    multiple: Annotated[int, Formula("sent errors of two categories or more")]
    all: Annotated[int, Formula("sent any error")]


PARTS: dict[str, Colour] = {
    "port": "sky", "host": "orange", "other_unreachable": "blue", "other": "yellow", "multiple": "purple"
}  # fmt: skip
TITLE = "ICMP errors by category (figure 3b)"
DENOMINATOR = "Addresses that sent errors to probes of the family; shares of all of them."


def error_categories(run: RunStates) -> dict[str, ErrorCategories]:
    """Count each family's error sources by the single category that they sent, or as `multiple`."""
    return {family: _categories(run, family) for family in FAMILIES}


def _categories(run: RunStates, family: str) -> ErrorCategories:
    """Count one family's error sources."""
    senders = {name: run.sent_category(family, name) for name in CATEGORIES}
    of_one = np.sum(list(senders.values()), axis=0) == 1
    exclusive = {name: run.count(chosen & of_one) for name, chosen in senders.items()}
    total = run.count(run.errors(family))
    return ErrorCategories(**exclusive, multiple=total - sum(exclusive.values()), all=total)


def tables(value: dict[str, ErrorCategories], run: RunResults) -> Iterator[Table]:
    """Yield a row for each category, so that the three families fit 80 columns."""
    del run
    rows = []
    for name in formulas(ErrorCategories):
        cells: list[Cell] = [in_words(name)]
        for categories in value.values():
            number: int = getattr(categories, name)
            cells += [number, Share.of_counts(number, categories.all)]
        rows.append(cells)
    columns = [Column("category")]
    for family in value:
        of = f"error sources of {family}"
        columns += [Column(family, "addresses"), Column("share", "share", of, f"{family} share")]
    published = ", ".join(f"{family}: {words.words}" for family, words in starting("error_categories").items())
    yield Table(
        "error_categories",
        TITLE,
        columns,
        rows,
        [DENOMINATOR, *named_formulas(formulas(ErrorCategories)), f"{LABEL}: {published}."],
    )


def figures(value: dict[str, ErrorCategories], run: RunResults) -> Iterator[Figure]:
    """Yield a bar for each family, divided by category."""
    del run
    totals = {family: categories.all for family, categories in value.items()}
    numbers = {family: {name: getattr(categories, name) for name in PARTS} for family, categories in value.items()}
    axis = "share of the family's error sources"
    yield Figure(
        "figure-3b-error-categories",
        TITLE,
        described(numbers, totals, axis),
        [DENOMINATOR, *named_formulas(formulas(ErrorCategories))],
        bars_of_families("error_categories", numbers, totals, PARTS, axis),
        "error_categories",
    )


ERROR_CATEGORIES = Measure("error_categories", error_categories, tables, figures)
