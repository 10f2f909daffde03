"""Membership patterns: for each combination of probes, the addresses that answer exactly these.

The joint distribution of responses that Bano et al. 2018 (section 6) leave to future work.
"""

from dataclasses import dataclass
from typing import Annotated

from pyroaring import BitMap

from liveness.analysis.result import Formula
from liveness.analysis.run import RunSets


@dataclass(frozen=True, slots=True)
class Patterns:
    """Sizes by pattern, one digit a probe in the order of `probes`; a pattern without a member is left out."""

    probes: list[str]
    replies: Annotated[dict[str, int], Formula("addresses active for exactly the probes marked 1, by replies")]
    with_errors: Annotated[dict[str, int], Formula("the same, an ICMP error to a probe counting as activity for it")]


def patterns(run: RunSets) -> Patterns:
    """Count the addresses of every exclusive pattern, on both bases."""
    return Patterns(
        probes=list(run.probes),
        replies=_sizes([run.activity(probe, with_errors=False) for probe in run.probes]),
        with_errors=_sizes([run.activity(probe, with_errors=True) for probe in run.probes]),
    )


def _sizes(sets: list[BitMap]) -> dict[str, int]:
    """Split the union by one set after another; every address is in one part at all times."""
    parts = {"": BitMap.union(BitMap(), *sets)}
    for members in sets:
        halves = {}
        for pattern, part in parts.items():
            halves[pattern + "0"] = part - members
            halves[pattern + "1"] = part & members
        parts = {pattern: part for pattern, part in halves.items() if part}
    return {pattern: len(part) for pattern, part in sorted(parts.items(), reverse=True) if part}
