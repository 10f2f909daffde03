"""The error-only population: addresses that sent only ICMP errors (Bano et al. 2018, section 4.1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from liveness.analysis.counting.run import FAMILIES, REPLIES
from liveness.analysis.counting.states import RunStates
from liveness.analysis.formula import Formula, formulas, share
from liveness.analysis.measure import Comparison, Measure, RunResults
from liveness.analysis.numbers import named_formulas
from liveness.analysis.tables import PUBLISHED, Cell, Column, Share, Table
from liveness.reference.bano_2018 import VALUES, words
from liveness.replies import Kind


@dataclass(frozen=True, slots=True)
class ErrorOnly:
    """Number of error-only addresses, and by family of the probes that reveal them; families overlap."""

    all: Annotated[
        int, Formula("sources of ICMP errors that sent no echo reply, SYN-ACK, RST or valid answer to any probe")
    ]
    families: Annotated[dict[str, int], Formula("those of them that sent an error to a probe of this family")]


def error_only(run: RunStates) -> ErrorOnly:
    """Count the addresses that sent errors and no other reply to any service probe."""
    addresses = run.sent(run.probes, (Kind.ERROR,)) & ~run.sent(run.probes, REPLIES)
    families = {family: run.count(addresses & run.errors(family)) for family in FAMILIES}
    return ErrorOnly(all=run.count(addresses), families=families)


def tables(value: ErrorOnly, run: RunResults) -> Iterator[Table]:
    """Yield the error-only addresses, and by family of the probes that reveal them."""
    rows: list[tuple[Cell, ...]] = [
        ("all", value.all, Share.of_counts(value.all, run.ipall, "IPall"), words("error_only.all"))
    ]
    rows += [
        (family, number, Share.of_counts(number, value.all), words(f"error_only.{family}"))
        for family, number in value.families.items()
    ]
    yield Table(
        "error_only",
        "Seen through ICMP errors only (section 4.1)",
        (
            Column("family"),
            Column("addresses", "addresses"),
            Column("share", "share", "all error-only addresses"),
            PUBLISHED,
        ),
        rows,
        ["Families: shares of all; they overlap.", *named_formulas(formulas(ErrorOnly))],
    )


def comparisons(value: ErrorOnly, run: RunResults) -> Iterator[Comparison]:
    """Yield the share of IPall, and the share that each family's probes reveal."""
    yield Comparison("error-only", "error-only / IPall", share(value.all, run.ipall), VALUES["error_only.all"])
    for family, number in value.families.items():
        name = f"error-only, seen by {family.upper()}"
        yield Comparison(name, "of the error-only", share(number, value.all), VALUES[f"error_only.{family}"])


ERROR_ONLY = Measure(
    "error_only",
    error_only,
    tables,
    comparisons=comparisons,
    document=lambda value: {"all": value.all, **value.families},
)
