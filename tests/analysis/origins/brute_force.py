"""The comparison of vantage points over plain sets and dictionaries, by the definitions of docs/across.md."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

from liveness.replies import Kind
from tests.analysis.origins.support import Scan

ALIVE = (Kind.ECHO_REPLY, Kind.SYN_ACK, Kind.RST, Kind.ANSWER, Kind.ERROR)
Trials = list[dict[str, set[int]]]
"""By trial and vantage point: the addresses that it saw."""
Slice = Callable[[int], str]


def groups_of(trials: Sequence[Mapping[str, Scan]]) -> dict[tuple[str, str], Trials]:
    """Return the addresses that count, by group, trial and vantage point."""
    scans = [scan for trial in trials for scan in trial.values()]
    probes = [probe for probe in scans[0].probes if all(probe in scan.probes for scan in scans)]
    names = [(probe, kind) for probe in probes for kind in Kind if any(scan.seen.get((probe, kind)) for scan in scans)]

    def counts(address: int) -> bool:
        return all(
            address not in (*scan.opted_out, *scan.left_out)
            and any(first <= address <= last for first, last in scan.targets)
            for scan in scans
        )

    def of(keys: Sequence[tuple[str, Kind]]) -> Trials:
        return [
            {
                name: {one for key in keys for one in scan.seen.get(key, ()) if counts(one)}
                for name, scan in trial.items()
            }
            for trial in trials
        ]

    everything = [(probe, kind) for probe in probes for kind in ALIVE]
    return {("all", "alive"): of(everything)} | {(probe, kind.label): of([(probe, kind)]) for probe, kind in names}


def coverage(probe: str, kind: str, number: int, trial: Mapping[str, set[int]]) -> dict[str, Any]:
    whole = set().union(*trial.values())
    times = {address: sum(address in seen for seen in trial.values()) for address in whole}

    def of(name: str) -> dict[str, Any]:
        seen, missed = trial[name], whole - trial[name]
        alone = {address for address in seen if times[address] == 1}
        networks = {address >> 8 for address in whole}
        silent = [
            network
            for network in networks
            if not any(address >> 8 == network for address in seen)
            and sum(address >> 8 == network for address in whole) > 1
        ]
        return {
            "seen": len(seen),
            "coverage": ratio(len(seen), len(whole)),
            "missed": len(missed),
            "missed_share": ratio(len(missed), len(whole)),
            "exclusive": len(alone),
            "exclusive_share": ratio(len(alone), len(whole)),
            "missed_networks": sum(address >> 8 in silent for address in missed),
        }

    return {
        "probe": probe,
        "kind": kind,
        "trial": number,
        "any": len(whole),
        "exactly": [sum(seen_by == j for seen_by in times.values()) for j in range(1, len(trial) + 1)],
        "vantages": {name: of(name) for name in trial},
    }


def gain(trial: Mapping[str, set[int]]) -> list[tuple[int, float | None, float | None, float | None]]:
    """Return size, mean, least and most of all subsets of each size."""
    whole = len(set().union(*trial.values()))
    rows = []
    for size in range(1, len(trial) + 1):
        seen = [len(set().union(*(trial[name] for name in subset))) for subset in combinations(trial, size)]
        mean = ratio(sum(seen), whole * len(seen))
        rows.append((size, mean, ratio(min(seen), whole), ratio(max(seen), whole)))
    return rows


def classes(trials: Trials, name: str) -> dict[str, int]:
    """Return the numbers of addresses by class for one vantage point."""
    found = dict.fromkeys(("accessible", "transient", "long_term", "unknown"), 0)
    for address in set().union(*(seen for trial in trials for seen in trial.values())):
        known = [trial for trial in trials if name in trial and any(address in seen for seen in trial.values())]
        missed = sum(address not in trial[name] for trial in known)
        if not known:
            continue
        if not missed:
            found["accessible"] += 1
        elif len(known) == 1:
            found["unknown"] += 1
        elif missed == len(known):
            found["long_term"] += 1
        else:
            found["transient"] += 1
    return found


def cochran(trial: Mapping[str, set[int]]) -> float | None:
    """Return Q by its definition over the matrix of addresses and vantage points."""
    whole = sorted(set().union(*trial.values()))
    rows = [[int(address in seen) for seen in trial.values()] for address in whole]
    k = len(trial)
    columns = [sum(row[place] for row in rows) for place in range(k)]
    mean = sum(columns) / k
    below = sum(sum(row) * (k - sum(row)) for row in rows)
    return k * (k - 1) * sum((column - mean) ** 2 for column in columns) / below if below else None


def estimate(trial: Mapping[str, set[int]], names: Sequence[str], slice_of: Slice | None) -> tuple[float, int, int]:
    """Return the estimated population, the number of dropped slices, and the addresses seen in those."""
    whole = set().union(*(trial[name] for name in names))
    parts: dict[str, set[int]] = {}
    for address in whole:
        parts.setdefault("" if slice_of is None else slice_of(address), set()).add(address)
    total, dropped, seen_in_dropped = float(len(whole)), 0, 0
    for part in parts.values():
        if slice_of is not None and len(part) >= 10 and any(not part & trial[name] for name in names):
            dropped += 1
            seen_in_dropped += len(part)
            continue
        alone = [sum([one in trial[other] for other in names] == [other == name for other in names] for one in part)
                 for name in names]  # fmt: skip
        two = sum(sum(one in trial[name] for name in names) == 2 for one in part)
        total += sum(x * y for x, y in combinations(alone, 2)) / (two + 1)
    return total, dropped, seen_in_dropped


def ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
