"""Coverage by type of reply, for each family (Bano et al. 2018, figure 3a)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from liveness.analysis.counting.run import FAMILIES
from liveness.analysis.counting.states import RunStates
from liveness.analysis.figures import Colour, Figure
from liveness.analysis.formula import Formula, formulas
from liveness.analysis.measure import Measure, RunResults
from liveness.analysis.measures.coverage import COVERAGE
from liveness.analysis.measures.family_bars import bars_of_families, described
from liveness.analysis.numbers import in_words, named_formulas
from liveness.analysis.tables import PUBLISHED, Cell, Column, Share, Table
from liveness.reference.bano_2018 import words


@dataclass(frozen=True, slots=True)
class ReplyTypes:
    """Addresses of one family by what they sent; the three are disjoint and add up to the family's total coverage."""

    reply_only: Annotated[int, Formula("sent replies (echo; SYN-ACK, RST; valid answers), no ICMP error")]
    error_only: Annotated[int, Formula("sent ICMP errors to the family's probes, no reply")]
    both: Annotated[int, Formula("sent replies and errors")]


PARTS: dict[str, Colour] = {"reply_only": "sky", "error_only": "orange", "both": "green"}
TITLE = "Reply types by family (figure 3a)"
OF = "the family's total coverage"


def reply_types(run: RunStates) -> dict[str, ReplyTypes]:
    """Count the addresses of each family by what they sent."""
    result = {}
    for family in FAMILIES:
        replies, errors = run.replies(family), run.errors(family)
        result[family] = ReplyTypes(
            reply_only=run.count(replies & ~errors),
            error_only=run.count(errors & ~replies),
            both=run.count(replies & errors),
        )
    return result


def tables(value: dict[str, ReplyTypes], run: RunResults) -> Iterator[Table]:
    """Yield the addresses of each family by what they sent."""
    rows = []
    for family, types in value.items():
        total = run[COVERAGE].addresses.families[family].total
        cells: list[Cell] = [family]
        for name in PARTS:
            number: int = getattr(types, name)
            cells += [number, Share.of_counts(number, total)]
        rows.append((*cells, words(f"reply_types.{family}")))
    columns = [Column("family")]
    for name in PARTS:
        columns += [Column(in_words(name), "addresses"), Column("share", "share", OF, f"{in_words(name)} share")]
    yield Table(
        "reply_types",
        TITLE,
        (*columns, PUBLISHED),
        rows,
        [f"Shares of {OF}.", *named_formulas(formulas(ReplyTypes))],
    )


def figures(value: dict[str, ReplyTypes], run: RunResults) -> Iterator[Figure]:
    """Yield a bar for each family, divided by what its addresses sent."""
    totals = {family: run[COVERAGE].addresses.families[family].total for family in FAMILIES}
    numbers = {family: {name: getattr(types, name) for name in PARTS} for family, types in value.items()}
    axis = "share of the family's addresses"
    yield Figure(
        "figure-3a-reply-types",
        TITLE,
        described(numbers, totals, axis),
        [f"Shares of {OF}.", *named_formulas(formulas(ReplyTypes))],
        bars_of_families("reply_types", numbers, totals, PARTS, axis),
        "reply_types",
    )


REPLY_TYPES = Measure("reply_types", reply_types, tables, figures)
