"""Accessibility over several trials: what a vantage point always, sometimes or never sees (Wan et al. 2020)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from liveness.analysis.figures import Bars, Colour, Figure, Part
from liveness.analysis.formula import Formula, formulas, share
from liveness.analysis.numbers import named_formulas, percent
from liveness.analysis.origins.counts import OriginCounts
from liveness.analysis.origins.kernels import ACCESSIBLE, LONG_TERM, TRANSIENT, UNKNOWN
from liveness.analysis.origins.measure import NAMED, OriginMeasure, table_of_groups
from liveness.analysis.tables import Column, Share, Table
from liveness.reference.wan_2020 import LABEL, VALUES

LEAST_TRIALS: Final = 2
LEAST_RUNS: Final = 3
PARTS: Final[dict[str, Colour]] = {"transient": "sky", "long_term": "orange", "unknown": "yellow"}


@dataclass(frozen=True, slots=True)
class Accessibility:
    """Addresses by class for one vantage point; only trials count in which it has a run."""

    accessible: Annotated[int, Formula("seen in every trial in which any vantage point saw the address")]
    transient: Annotated[int, Formula("missed in a trial in which another saw it, and seen in another trial")]
    long_term: Annotated[int, Formula("missed in all trials, two or more, in which others saw it")]
    unknown: Annotated[int, Formula("missed in the only trial in which others saw it")]

    @property
    def missed(self) -> int:
        """Addresses that it missed at least once."""
        return self.transient + self.long_term + self.unknown


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of one group."""

    probe: str
    kind: str
    vantages: dict[str, Accessibility]


def classes(counts: OriginCounts) -> list[Classes] | None:
    """Return the classes of every group; None with one trial, or with fewer than three runs."""
    design = counts.design
    runs = sum(len(trial.present) for trial in design.trials)
    if len(design.trials) < LEAST_TRIALS or runs < LEAST_RUNS:
        return None
    return [
        Classes(
            group.probe,
            group.kind,
            {
                name: Accessibility(
                    accessible=int(row[ACCESSIBLE]),
                    transient=int(row[TRANSIENT]),
                    long_term=int(row[LONG_TERM]),
                    unknown=int(row[UNKNOWN]),
                )
                for name, row in zip(design.vantages, group.classes, strict=True)
            },
        )
        for group in counts.groups
    ]


def tables(value: Sequence[Classes], counts: OriginCounts) -> Iterator[Table]:
    """Yield the classes by vantage point, with their shares of the addresses missed."""
    published = VALUES["transient"].words
    yield table_of_groups(
        "origins_classes",
        f"Accessibility over {len(counts.design.trials)} trials",
        (
            *NAMED[:2],
            Column("vantage"),
            Column("accessible", "addresses"),
            Column("transient", "addresses"),
            Column("/ missed", "share", "missed", "transient share"),
            Column("long-term", "addresses"),
            Column("/ missed", "share", "missed", "long-term share"),
            Column("unknown", "addresses"),
        ),
        [
            (
                entry.probe,
                entry.kind,
                name,
                found.accessible,
                found.transient,
                Share.of_counts(found.transient, found.missed),
                found.long_term,
                Share.of_counts(found.long_term, found.missed),
                found.unknown,
            )
            for entry in value
            for name, found in entry.vantages.items()
        ],
        [
            *named_formulas(formulas(Accessibility)),
            "missed: transient + long-term + unknown.",
            f"{LABEL}: {published} of what an origin missed is transient, about a third long-term (HTTP, HTTPS, SSH).",
        ],
    )


def figures(value: Sequence[Classes], counts: OriginCounts) -> Iterator[Figure]:
    """Yield a figure for the positive replies to each probe: what each vantage point missed, by class."""
    kinds = {(group.probe, group.kind) for group in counts.groups if group.is_drawn}
    for entry in value:
        if (entry.probe, entry.kind) not in kinds:
            continue
        totals = {name: found.accessible + found.missed for name, found in entry.vantages.items()}
        worst = max(entry.vantages, key=lambda name: share(entry.vantages[name].missed, totals[name]) or 0.0)
        yield Figure(
            f"origins-classes-{entry.probe}".replace("/", "-"),
            f"Missed addresses by class: {entry.probe}",
            f"Bars of {len(entry.vantages)} vantage points. {worst} missed most:"
            f" {percent(share(entry.vantages[worst].missed, totals[worst]))} of the addresses at least once.",
            named_formulas(formulas(Accessibility)),
            Bars(
                list(entry.vantages),
                [
                    Part(
                        name.replace("_", "-"),
                        colour,
                        [share(getattr(found, name), totals[vantage]) for vantage, found in entry.vantages.items()],
                    )
                    for name, colour in PARTS.items()
                ],
                "",
                "share of addresses that any saw",
                top=None,
            ),
        )


CLASSES = OriginMeasure("classes", classes, tables, figures)
