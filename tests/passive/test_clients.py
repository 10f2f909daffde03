"""Clients of services by interval and over the run, against dictionaries; and the memory that counting them takes."""

import tracemalloc
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from liveness.passive.clients import EventLog, tally
from liveness.passive.signs import EVENT_DTYPE, FAIL, LEFT_OUT, OK


def drawn(seed: int, count: int) -> np.ndarray:
    """Return events of few services, remotes and intervals, so that many are alike."""
    random = np.random.default_rng(seed)
    events = np.empty(count, EVENT_DTYPE)
    events["service"] = random.integers(1, 9, count)
    events["remote"] = random.integers(0, 40, count)
    events["interval"] = random.integers(0, 5, count)
    events["outcome"] = random.choice([OK, FAIL, LEFT_OUT], count, p=[0.2, 0.6, 0.2])
    return events


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("parts", [1, 4])
def test_clients_are_counted_as_dictionaries_count_them(tmp_path: Path, seed: int, parts: int) -> None:
    events = drawn(seed, 700)
    log = EventLog(tmp_path, parts)
    log.append([events[events["remote"] % parts == part] for part in range(parts)])
    services = np.array([2, 3, 5, 11], np.uint64)
    outcomes: dict[tuple[int, int], int] = defaultdict(int)
    then: dict[tuple[int, int], dict[int, set[int]]] = defaultdict(lambda: {OK: set(), FAIL: set(), LEFT_OUT: set()})
    for service, remote, interval, outcome in events.tolist():
        outcomes[service, remote] |= outcome
        then[service, interval][outcome].add(remote)
    found = tally(log, services)
    for place, service in enumerate(services.tolist()):
        mine = [bits for (each, _), bits in outcomes.items() if each == service]
        assert found.ok[place] == sum(bits & OK != 0 for bits in mine)
        assert found.failed[place] == sum(bits & (OK | FAIL) == FAIL for bits in mine)
        assert found.left_out[place] == sum(bits == LEFT_OUT for bits in mine)
        rows = found.rows_of(place)
        wanted = sorted((when, *map(len, sets.values())) for (each, when), sets in then.items() if each == service)
        assert list(zip(found.interval[rows].tolist(), found.ok_then[rows], found.failed_then[rows], strict=True)) == [
            row[:3] for row in wanted
        ]


def test_nothing_is_counted_without_services_or_events(tmp_path: Path) -> None:
    assert len(tally(EventLog(tmp_path, 2), np.array([5], np.uint64)).interval) == 0
    log = EventLog(tmp_path, 1)
    log.append([drawn(1, 50)])
    assert len(tally(log, np.empty(0, np.uint64)).services) == 0


def test_memory_for_counting_does_not_grow_with_the_parts(tmp_path: Path) -> None:
    """Every part has clients of nearly every service in nearly every interval: they are summed as they are read."""
    services, intervals = 400, 50
    events = np.zeros(services * intervals, EVENT_DTYPE)
    events["service"] = np.arange(len(events)) % services + 1
    events["interval"] = np.arange(len(events)) // services
    events["outcome"] = OK
    peaks = []
    for parts in (4, 64):
        log = EventLog(tmp_path, parts)
        for part in range(parts):
            events["remote"] = part
            log.append([events if each == part else events[:0] for each in range(parts)])
        tracemalloc.start()
        found = tally(log, np.arange(1, services + 1).astype(np.uint64))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found.ok.tolist() == [parts] * services
        assert found.ok_then.tolist() == [parts] * services * intervals
    assert peaks[1] < 1.5 * peaks[0]
