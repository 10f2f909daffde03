"""The numbers of counters as they are shown: in progress and status, in the timeline, and in the manifest."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liveness.runs.counters import Counter, Counts, declared


@cache
def shown() -> Mapping[str, Counter]:
    """Return the first counter of each name that is shown."""
    found: dict[str, Counter] = {}
    for name, counter in declared().items():
        if not counter.hidden:
            found.setdefault(counter.shown or name, counter)
    return found


def _total(counter: Counter, array: NDArray[Any]) -> NDArray[Any]:
    """Return an array without its first axis, and without attempts: a number, or one for each probe."""
    whole: NDArray[Any] = np.asarray(array.mean(axis=0) if counter.mean else array.sum(axis=0))
    return np.asarray(whole.sum(axis=1)) if "attempt" in counter.by else whole


def totals(counts: Counts) -> dict[str, float]:
    """Return the number of everything that is shown as one number, by the name it is shown under."""
    found: dict[str, float] = {}
    for name, counter in declared().items():
        if not counter.hidden and not counter.each_probe:
            label = counter.shown or name
            found[label] = found.get(label, 0) + _total(counter, getattr(counts, name)).sum().item()
    return found


def totals_by_probe(counts: Counts, probes: int) -> list[dict[str, int]]:
    """Return the numbers of everything that is shown for each probe, a probe at a time."""
    found: list[dict[str, int]] = [{} for _ in range(probes)]
    for name, counter in declared().items():
        if not counter.hidden and counter.each_probe:
            label = counter.shown or name
            for numbers, count in zip(found, _total(counter, getattr(counts, name)).tolist(), strict=True):
                numbers[label] = numbers.get(label, 0) + count
    return found


def intervals(counts: Counts) -> dict[str, int]:
    """Return the numbers that the timeline keeps, by column."""
    found: dict[str, int] = {}
    for name, counter in declared().items():
        if counter.interval:
            found[counter.interval] = found.get(counter.interval, 0) + int(getattr(counts, name).sum())
    return found


def interval_columns() -> list[str]:
    """Return the columns of the timeline, in the order of `intervals`."""
    return list(dict.fromkeys(counter.interval for counter in declared().values() if counter.interval))


def unrecorded(counts: Counts) -> Iterator[tuple[str, list[float]]]:
    """Yield the counters that have no field of their own in the manifest: one number, or one for each probe."""
    for name, counter in declared().items():
        if not counter.recorded:
            yield name, np.atleast_1d(_total(counter, getattr(counts, name))).tolist()
