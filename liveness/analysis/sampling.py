"""The sampling error of shares: Wilson's interval for a random sample, also for addresses that cluster in /24s.

A run with `limits.max_targets` (`scan -n`) probes a simple random sample without replacement of its targets, with a
proportional part from each block. The interval is Wilson's score interval (E. B. Wilson 1927), with two corrections of
the number of independent observations n:

- the finite population: n / (1 - f), for a sample of the fraction f (Cochran, Sampling Techniques, section 2.6);
- clusters: n / deff, where deff is the variance of a share over /24s as independent units, over that of independent
  addresses (Kish, Survey Sampling, section 8.2). The variance of the ratio is linearised, which is what a bootstrap
  over /24s converges to (Efron and Tibshirani, section 22), without drawing anything.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.tables import Share
from liveness.kernel import int64, kernel

Z95: Final = 1.959963984540054
"""The 97.5% quantile of the normal distribution."""


def wilson(share: float, observations: float, z: float = Z95) -> tuple[float, float]:
    """Return the ends of Wilson's interval for a share of `observations` independent observations (> 0)."""
    z2n = z * z / observations
    middle = share + z2n / 2
    spread = z * sqrt(share * (1 - share) / observations + z2n / (4 * observations))
    low, high = (middle - spread) / (1 + z2n), (middle + spread) / (1 + z2n)
    return (0.0 if share == 0 else max(low, 0.0)), (1.0 if share == 1 else min(high, 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Sums over /24s of numbers of addresses active for probe x, and for x and y, each of shape (probes, probes)."""

    probes: tuple[str, ...]
    occupied: NDArray[np.int64]
    """Shape (probes,): /24s with any address active for the probe."""
    both: NDArray[np.int64]
    """Addresses active for x and y; on the diagonal, for x."""
    both_both: NDArray[np.float64]
    """Sum over /24s of the squared number active for x and y."""
    given_both: NDArray[np.float64]
    """[x, y]: sum over /24s of the number active for x times the number active for x and y."""

    @classmethod
    def empty(cls, probes: tuple[str, ...]) -> "Clusters":
        """Return sums over no /24."""
        size = len(probes)
        pairs = (size, size)
        return cls(probes, np.zeros(size, np.int64), np.zeros(pairs, np.int64), np.zeros(pairs), np.zeros(pairs))

    def add(self, active: list[NDArray[np.uint32]]) -> None:
        """Add whole /24s: active[p] has the addresses active for probe p, without repetitions."""
        all_addresses = np.concatenate([np.zeros(0, np.uint32), *active])
        addresses, places = np.unique(all_addresses, return_inverse=True)
        masks = np.zeros(len(addresses), np.uint64)
        begin = 0
        for probe, members in enumerate(active):
            masks[places[begin : begin + len(members)]] |= np.uint64(1 << probe)
            begin += len(members)
        sum_clusters(addresses, masks, self.occupied, self.both, self.both_both, self.given_both)

    def effective(self, given: int, also: int) -> float | None:
        """Return the effective number of independent observations of P(also | given); None if there are none."""
        whole, part = int(self.both[given, given]), int(self.both[given, also])
        clusters = int(self.occupied[given])
        if not whole:
            return None
        if part in (0, whole) or clusters == 1:
            return float(clusters)  # no variance is visible: treat each /24 as one observation
        p = part / whole
        squares = float(self.both_both[given, also]) - 2 * p * float(self.given_both[given, also])
        squares += p * p * float(self.both_both[given, given])
        variance = clusters / (clusters - 1) * squares / whole**2
        return min(p * (1 - p) / variance, float(whole)) if variance > 0 else float(whole)


@kernel
def add_cluster(counts: NDArray[np.int64], both_both: NDArray[np.float64], given_both: NDArray[np.float64]) -> None:
    """Add the counts of one /24 to the sums of squares and products, and clear them."""
    probes = len(counts)
    for given in range(probes):
        if counts[given, given]:
            for also in range(probes):
                both_both[given, also] += counts[given, also] * counts[given, also]
                given_both[given, also] += counts[given, given] * counts[given, also]
    counts[:] = 0


@kernel
def sum_clusters(
    addresses: NDArray[np.uint32],
    active: NDArray[np.uint64],
    occupied: NDArray[np.int64],
    both: NDArray[np.int64],
    both_both: NDArray[np.float64],
    given_both: NDArray[np.float64],
) -> None:
    """Sum over /24s: bit p of active[i] is set if addresses[i] (ascending) is active for probe p."""
    probes = len(occupied)
    counts = np.zeros((probes, probes), np.int64)
    for i in range(len(addresses)):
        mask = int64(active[i])
        for given in range(probes):
            if (mask >> given) & 1:
                for also in range(probes):
                    if (mask >> also) & 1:
                        counts[given, also] += 1
                        both[given, also] += 1
        if i + 1 == len(addresses) or int64(addresses[i + 1]) >> 8 != int64(addresses[i]) >> 8:
            for given in range(probes):
                occupied[given] += counts[given, given] > 0
            add_cluster(counts, both_both, given_both)


@dataclass(frozen=True, slots=True, eq=False)
class Sampling:
    """Whether the targets of a run are a random sample, and their numbers."""

    kind: Literal["census", "sample", "stopped"]
    targets: int | None = None
    listed: int | None = None
    """The number of addresses from which the sample was drawn; None if the run does not record it."""

    @property
    def fraction(self) -> float:
        """The fraction of the listed addresses in the sample, 0 if it is not known."""
        if self.targets is None or not self.listed:
            return 0.0
        return min(self.targets / self.listed, 1.0)

    def share(self, part: int, whole: int | None, of: str = "") -> Share:
        """Return a share of addresses that were sampled as targets, with Wilson's interval if this is a sample."""
        return self.interval(Share.of_counts(part, whole, of), whole)

    def interval(self, share: Share, observations: float | None, *, finite: bool = True) -> Share:
        """Return a share with its interval, if this is a sample and anything was observed.

        `finite`: the share is one of the listed addresses, so that the finite population correction applies.
        """
        if self.kind != "sample" or share.value is None or not observations or not 0 <= share.value <= 1:
            return share
        if self.fraction >= 1:
            return share
        low, high = wilson(share.value, observations / (1 - self.fraction) if finite else observations)
        return Share(share.value, share.part, share.whole, low, high, share.of)

    def note(self, method: str = "Wilson's") -> str:
        """Return a sentence on what the intervals are, or why there are none."""
        if self.kind == "sample":
            drawn = "" if self.listed is None else f" of {self.listed:,}"
            size = "" if self.targets is None else f"{self.targets:,}"
            of = f" of {size}{drawn} targets" if size else " of the targets"
            return f"In parentheses: 95% intervals ({method}) of a random sample{of}."
        return {
            "census": "No intervals: every target was probed, so that no share has a sampling error.",
            "stopped": "No intervals: the run stopped early, and what it came to is no random sample of its targets.",
        }[self.kind]
