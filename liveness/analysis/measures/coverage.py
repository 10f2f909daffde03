"""Coverage by probe family, of addresses and of /24s (Bano et al. 2018, figures 2a and 2b)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.counting.run import FAMILIES
from liveness.analysis.counting.states import RunStates
from liveness.analysis.figures import Bars, Figure, Marks, Part
from liveness.analysis.formula import Formula, formulas, share
from liveness.analysis.measure import Comparison, Measure, RunResults, plain
from liveness.analysis.numbers import count, named_formulas, percent
from liveness.analysis.tables import PUBLISHED, Cell, Column, Share, Table
from liveness.reference.bano_2018 import LABEL, VALUES, words


@dataclass(frozen=True, slots=True)
class FamilyCoverage:
    """Numbers that one family finds."""

    total: Annotated[
        int, Formula("sources of its replies (echo; SYN-ACK, RST; valid answers) and of errors to its probes")
    ]
    unique: Annotated[int, Formula("total less what the other two families find")]

    @property
    def overlapping(self) -> int:
        """The number that at least one other family finds too."""
        return self.total - self.unique


@dataclass(frozen=True, slots=True)
class Coverage:
    """Numbers that all families together find, and each of them."""

    all: Annotated[int, Formula("the union of the three families")]
    families: dict[str, FamilyCoverage]


def address_coverage(run: RunStates) -> Coverage:
    """Count addresses by family (figure 2a); `all` is IPall."""
    return coverage_of(run.counts, {family: run.network_alive(family) for family in FAMILIES})


def prefix_coverage(run: RunStates) -> Coverage:
    """Count /24s by family (figure 2b): each family's addresses are masked to /24 before differences are taken."""
    return coverage_of(run.prefixes24, run.families24())


def coverage_of(counts: NDArray[np.int64], found: dict[str, NDArray[np.bool_]]) -> Coverage:
    """Count the members of each family, and those that no other family has; `found` selects entries of `counts`."""
    by_any = np.sum(list(found.values()), axis=0)
    families = {
        family: FamilyCoverage(total=int(counts[chosen].sum()), unique=int(counts[chosen & (by_any == 1)].sum()))
        for family, chosen in found.items()
    }
    return Coverage(all=int(counts[by_any > 0].sum()), families=families)


@dataclass(frozen=True, slots=True)
class BothCoverages:
    """Coverage of addresses and of /24s."""

    addresses: Coverage
    prefixes24: Coverage


def coverage(run: RunStates) -> BothCoverages:
    """Count addresses and /24s by family."""
    return BothCoverages(address_coverage(run), prefix_coverage(run))


def documented(found: Coverage) -> dict[str, object]:
    """Return coverage with its families next to their union, for the JSON document."""
    return {"all": found.all, **{family: plain(part) for family, part in found.families.items()}}


@dataclass(frozen=True, slots=True)
class _Unit:
    """Names of one of the two coverages."""

    id: str
    unit: str
    figure: str
    whole: str
    file: str


_UNITS = (
    _Unit("coverage", "addresses", "2a", "IPall", "figure-2a-coverage-addresses"),
    _Unit("coverage24", "/24s", "2b", "/24all", "figure-2b-coverage-prefixes24"),
)
_MASKED = "Each family's set is masked to /24 first, differences are taken after."


def _both(value: BothCoverages) -> Iterator[tuple[_Unit, Coverage]]:
    yield from zip(_UNITS, (value.addresses, value.prefixes24), strict=True)


def tables(value: BothCoverages, run: RunResults) -> Iterator[Table]:
    """Yield coverage by family, of addresses and of /24s."""
    del run
    for unit, found in _both(value):
        rows: list[tuple[Cell, ...]] = [
            ("all", found.all, Share.of_counts(found.all, found.all), "", "", words(f"{unit.id}.all"))
        ]
        for family, part in found.families.items():
            published = [words(f"{unit.id}.{family}.{number}") for number in ("total", "unique")]
            rows.append(
                (
                    family,
                    part.total,
                    Share.of_counts(part.total, found.all),
                    part.unique,
                    Share.of_counts(part.unique, found.all),
                    "; ".join(filter(None, published)),
                )
            )
        notes = [
            f"Shares of all ({unit.whole}): the union of the three families.",
            *named_formulas(formulas(FamilyCoverage)),
        ]
        if unit.id == "coverage24":
            notes += [_MASKED, f"{LABEL}: total; unique, 4 September 2017."]
        yield Table(
            unit.id,
            f"Coverage by family, {unit.unit} (figure {unit.figure})",
            (
                Column("family"),
                Column("total", unit.unit),
                Column("/ all", "share", unit.whole, "total share"),
                Column("unique", unit.unit),
                Column("/ all", "share", unit.whole, "unique share"),
                PUBLISHED,
            ),
            rows,
            notes,
        )


def figures(value: BothCoverages, run: RunResults) -> Iterator[Figure]:
    """Yield each family's share of the union of families, divided into unique and overlapping parts."""
    del run
    for unit, found in _both(value):
        parts = found.families
        shares = ", ".join(
            f"{family.upper()} {percent(share(part.total, found.all))} of which unique"
            f" {percent(share(part.unique, found.all))}"
            for family, part in parts.items()
        )
        yield Figure(
            unit.file,
            f"Coverage by family, {unit.unit} (figure {unit.figure})",
            f"Stacked bars, shares of {count(found.all)} {unit.unit} found by any family: {shares}.",
            [
                f"Shares of {unit.whole}: the union of the three families, {count(found.all)} {unit.unit}.",
                *named_formulas(formulas(FamilyCoverage)),
                "overlapping: total less unique",
                *([_MASKED] if unit.id == "coverage24" else []),
            ],
            Bars(
                [
                    f"{family.upper()}\n{count(part.total)} in all\n{count(part.unique)} unique"
                    for family, part in parts.items()
                ],
                [
                    Part("unique", "blue", [share(part.unique, found.all) for part in parts.values()], dark=True),
                    Part("overlapping", "sky", [share(part.overlapping, found.all) for part in parts.values()]),
                ],
                x_label="",
                y_label=f"share of {unit.whole}, {count(found.all)} {unit.unit}",
                marks=[Marks("total", _marks(unit, "total")), Marks("unique", _marks(unit, "unique"), "^")],
            ),
            unit.id,
        )


def _marks(unit: _Unit, number: str) -> dict[int, float]:
    """Return published totals or unique parts of the families, by the index of the bar."""
    ids = {place: f"{unit.id}.{family}.{number}" for place, family in enumerate(FAMILIES)}
    return {place: VALUES[name].value for place, name in ids.items() if name in VALUES}


def comparisons(value: BothCoverages, run: RunResults) -> Iterator[Comparison]:
    """Yield the shares of families in the union of families."""
    del run
    for unit, found in _both(value):
        for family, part in found.families.items():
            for number, members in (("total", part.total), ("unique", part.unique)):
                published = VALUES.get(f"{unit.id}.{family}.{number}")
                if published is not None:
                    name = f"{family.upper()}{'' if unit.id == 'coverage' else ' /24s'}, {number}"
                    yield Comparison(name, f"{number} / {unit.whole}", share(members, found.all), published)


COVERAGE = Measure(
    "coverage",
    coverage,
    tables,
    figures,
    comparisons,
    lambda value: {"addresses": documented(value.addresses), "prefixes24": documented(value.prefixes24)},
)
