"""Membership patterns: for each combination of probes, the number of addresses that answer exactly these.

The joint distribution of responses that Bano et al. 2018 (section 6) leave to future work.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np

from liveness.analysis.counting.states import Chosen, RunStates
from liveness.analysis.figures import Figure, UpSet
from liveness.analysis.formula import Formula, formulas, share
from liveness.analysis.measure import Measure, RunResults
from liveness.analysis.numbers import count, percent
from liveness.analysis.tables import Column, Table

ROWS_SHOWN: Final = 15
BARS_SHOWN: Final = 20
TITLE: Final = "Membership patterns"


@dataclass(frozen=True, slots=True)
class Patterns:
    """Sizes by pattern, one digit per probe in the order of `probes`; empty patterns are left out."""

    probes: list[str]
    replies: Annotated[dict[str, int], Formula("addresses active for exactly the probes marked 1, by replies")]
    with_errors: Annotated[dict[str, int], Formula("the same, an ICMP error to a probe counting as activity for it")]


def patterns(run: RunStates) -> Patterns:
    """Count the addresses of every exclusive pattern, on both bases."""
    return Patterns(
        probes=list(run.probes),
        replies=_sizes(run, [run.activity(probe, with_errors=False) for probe in run.probes]),
        with_errors=_sizes(run, [run.activity(probe, with_errors=True) for probe in run.probes]),
    )


def _sizes(run: RunStates, active: list[Chosen]) -> dict[str, int]:
    """Count the addresses of each combination that occurs, largest pattern first."""
    if not active:
        return {}
    combinations, places = np.unique(np.stack(active, axis=1), axis=0, return_inverse=True)
    sizes = np.zeros(len(combinations), np.int64)
    np.add.at(sizes, places.reshape(-1), run.counts)
    found = zip(combinations.astype(np.uint8).tolist(), sizes.tolist(), strict=True)
    by_pattern = {"".join(map(str, digits)): size for digits, size in found if any(digits)}
    return dict(sorted(by_pattern.items(), reverse=True))


def _largest(value: Patterns) -> list[tuple[str, int]]:
    return sorted(value.replies.items(), key=lambda entry: (-entry[1], entry[0]))


def _answered(value: Patterns, digits: str) -> str:
    return " ".join(probe for probe, digit in zip(value.probes, digits, strict=True) if digit == "1")


def tables(value: Patterns, run: RunResults) -> Iterator[Table]:
    """Yield the exclusive combinations of probes that were answered, by replies, largest first."""
    whole = sum(value.replies.values())
    yield Table(
        "patterns",
        TITLE,
        (
            Column("pattern"),
            Column("active for exactly"),
            Column("addresses", "addresses"),
            Column("share", "share", "addresses active for any probe"),
        ),
        [(digits, _answered(value, digits), number, run.sampled(number, whole)) for digits, number in _largest(value)],
        [f"Shares of the {count(whole)} addresses active for any probe; {formulas(Patterns)['replies']}."],
        shown=ROWS_SHOWN,
        shown_note=f"The {{shown}} largest of {len(value.replies)}; --json has all, and those with errors.",
    )


def figures(value: Patterns, run: RunResults) -> Iterator[Figure]:
    """Yield an UpSet plot of the largest patterns; none if there is no pattern."""
    del run
    if not value.replies:
        return
    whole, largest = sum(value.replies.values()), _largest(value)[:BARS_SHOWN]
    shown = sum(size for _, size in largest)
    described = "; ".join(f"{_answered(value, digits)}: {percent(share(size, whole))}" for digits, size in largest[:5])
    yield Figure(
        "patterns",
        TITLE,
        f"UpSet plot of {len(largest)} patterns of {count(whole)} active addresses. The largest: {described}.",
        [
            f"Bars: shares of the {count(whole)} addresses active for any probe; {formulas(Patterns)['replies']}.",
            "Dots: the probes of a pattern. Bars to the left: all addresses active for a probe, same denominator.",
        ],
        UpSet(
            value.probes,
            largest,
            [
                sum(size for digits, size in value.replies.items() if digits[place] == "1")
                for place in range(len(value.probes))
            ],
            whole,
            f"{len(largest)} largest of {len(value.replies)}\npatterns: {percent(share(shown, whole))} of\n"
            f"{count(whole)} active",
        ),
        "patterns",
    )


PATTERNS = Measure("patterns", patterns, tables, figures)
