"""Membership patterns: for each combination of probes, the addresses that answer exactly these.

The joint distribution of responses that Bano et al. 2018 (section 6) leave to future work.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from liveness.analysis.counting.states import Chosen, RunStates
from liveness.analysis.formula import Formula


@dataclass(frozen=True, slots=True)
class Patterns:
    """Sizes by pattern, one digit a probe in the order of `probes`; a pattern without a member is left out."""

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
