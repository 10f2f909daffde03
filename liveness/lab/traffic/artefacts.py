"""Artefacts of exporters: what real ones do to records, without a change of what is true.

`lost` alone takes something away; a classifier has to find the same with and without the others.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.random import Generator

from liveness.flows.record import Flows

ACTIVE_TIMEOUT_NS: Final = 45 * 10**9
"""Longer than any conversation with a service, so that a part of one never begins in another interval."""
SKEW_NS: Final = 2 * 10**9
_DUPLICATED: Final = 0.3
_LOST: Final = 0.01
_REORDERED_NS: Final = 60 * 10**9


def split(_rng: Generator, flows: Flows) -> Flows:
    """Cut records at the active timeout; the parts abut, and packets and bytes are spread over them."""
    parts = [flows]
    while True:
        last = parts[-1]
        long = (last["end_ns"] - last["start_ns"] > ACTIVE_TIMEOUT_NS) & (last["packets"] > 1)
        if not long.any():
            return np.concatenate(parts)
        rest = last[long].copy()
        cut = last["start_ns"][long] + ACTIVE_TIMEOUT_NS
        kept = np.maximum(
            1,
            last["packets"][long]
            * ACTIVE_TIMEOUT_NS
            // (last["end_ns"][long] - last["start_ns"][long]).astype(np.uint64),
        )
        kept = np.minimum(kept, last["packets"][long] - np.uint64(1))
        size = last["bytes"][long] // last["packets"][long]
        last["packets"][long], last["bytes"][long], last["end_ns"][long] = kept, kept * size, cut
        rest["packets"] -= kept
        rest["bytes"] -= kept * size
        rest["start_ns"] = cut + 1_000_000
        rest["start_ns"] = np.minimum(rest["start_ns"], rest["end_ns"])
        parts.append(rest)


def duplicate(rng: Generator, flows: Flows) -> Flows:
    """Add records of a second exporter, which saw some packets more or fewer of three flows in ten, a little later."""
    again = flows[rng.random(len(flows)) < _DUPLICATED].copy()
    again["exporter"] = 1
    several = again["packets"] > 1
    again["packets"][several] -= np.uint64(1)
    again["end_ns"] += 1_000_000
    return np.concatenate([flows, again])


def lose(rng: Generator, flows: Flows) -> Flows:
    """Drop one record in a hundred, as datagrams are lost between exporter and collector."""
    return flows[rng.random(len(flows)) >= _LOST]


def skew(_rng: Generator, flows: Flows) -> Flows:
    """Set the clock of the second exporter two seconds ahead: long flows still overlap, short ones count twice."""
    second = flows["exporter"] == 1
    flows["start_ns"][second] += SKEW_NS
    flows["end_ns"][second] += SKEW_NS
    return flows


def reorder(rng: Generator, flows: Flows) -> Flows:
    """Export records up to a minute late, each for itself."""
    return flows[np.argsort(flows["end_ns"] + rng.integers(0, _REORDERED_NS, len(flows)), kind="stable")]


ARTEFACTS: Final[dict[str, Callable[[Generator, Flows], Flows]]] = {
    "split": split, "duplicated": duplicate, "lost": lose, "skewed": skew, "reordered": reorder,
}  # fmt: skip
"""Artefacts by name, in the order in which they are applied."""


def with_artefacts(seed: int, flows: Flows, names: tuple[str, ...]) -> Flows:
    """Return records with the artefacts of these names."""
    rng = np.random.default_rng([seed, 1])
    for name, apply in ARTEFACTS.items():
        if name in names:
            flows = apply(rng, flows)
    return flows
