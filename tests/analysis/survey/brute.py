"""A judge of surveys: every definition once more, over dictionaries and lists, slow and without a shared line."""

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

Pair = tuple[int, int]  # address, round


@dataclass
class Truth:
    """What happened: pairs of address and round."""

    rounds: int
    interval_s: float
    sent: set[Pair] = field(default_factory=set)
    positive: set[Pair] = field(default_factory=set)

    def sequence(self, address: int) -> list[int]:
        return [int((address, r) in self.positive) for r in range(self.rounds) if (address, r) in self.sent]


def repaired(sequence: list[int]) -> list[int]:
    text = "".join(map(str, sequence))
    return [
        1 if bit == "1" or (text[i - 1 : i] == "1" and text[i + 1 : i + 2] == "1") else 0 for i, bit in enumerate(text)
    ]


def periods(sequence: list[int]) -> list[tuple[int, int]]:
    """(begin, length) of each maximal run of ones."""
    found: list[tuple[int, int]] = []
    begin: int | None = None
    for i, bit in enumerate([*sequence, 0]):
        if bit and begin is None:
            begin = i
        if not bit and begin is not None:
            found.append((begin, i - begin))
            begin = None
    return found


def median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None


def figures(truth: Truth, addresses: list[int], *, repair: bool) -> dict[str, Any]:
    """Return A, U, N_U and medians over the ever-responsive of some addresses."""
    a, u, n, lengths, censored, ever = [], [], [], [], [], 0
    for address in addresses:
        sequence = truth.sequence(address)
        if 1 not in sequence:
            continue
        ever += 1
        sequence = repaired(sequence) if repair else sequence
        runs = periods(sequence)
        availability = sum(sequence) / len(sequence)
        a.append(availability)
        n.append(len(runs))
        u.append(availability / len(runs))
        lengths += [length * truth.interval_s for _, length in runs]
        censored += [length * truth.interval_s for begin, length in runs if begin > 0 and 2 * begin < len(sequence)]
    return {
        "ever": ever,
        "A": statistics.fmean(a) if a else None,
        "U": statistics.fmean(u) if u else None,
        "N_U": statistics.fmean(n) if n else None,
        "up_periods": sum(n),
        "median_up_s": median(lengths),
        "median_up_censored_s": median(censored),
    }


def full_outages(truth: Truth, addresses: list[int]) -> list[tuple[int, int | None, int]]:
    """(first round, end or None, silent rounds) of a block that is not diurnal."""
    a = {x: sum(truth.sequence(x)) / len(truth.sequence(x)) for x in addresses if 1 in truth.sequence(x)}
    probed: dict[int, list[int]] = defaultdict(list)
    for x in a:
        for r in range(truth.rounds):
            if (x, r) in truth.sent:
                probed[r].append(x)
    found: list[tuple[int, int | None, int]] = []
    run: list[int] = []
    never = -1
    for r in [*sorted(probed), never]:
        if r != never and not any((x, r) in truth.positive for x in probed[r]):
            run.append(r)
            continue
        chance = math.prod(1 - a[x] for q in run for x in probed[q])
        if run and chance < 1e-9:
            found.append((run[0], None if r == never else r, len(run)))
        run = []
    return found
