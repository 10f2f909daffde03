"""Metrics of a scan in Prometheus text format (exposition format 0.0.4)."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from liveness.runs.counter_views import shown
from liveness.watch.exposition import Family, Labels, escaped, exposition
from liveness.watch.reading import Reading

LATEST_S: Final = 1e11
"""Latest valid time in a metrics file, about the year 5000: the file may have been written by another user."""

LAST_SUCCESS: Final = Family(
    "liveness_last_success_timestamp_seconds", "gauge", "When the last complete scan of the census ended, Unix time."
)


def families(run: str, reading: Reading, status: str) -> Iterator[Family]:
    """Yield the metrics of a scan; `status` is the current or future status of its manifest."""
    progress, probes = reading.progress, reading.probes

    def each(values: list[float | None]) -> list[tuple[Labels, float | None]]:
        return [({"probe": probe.name}, value) for probe, value in zip(probes, values, strict=True)]

    def single(value: float | None) -> list[tuple[Labels, float | None]]:
        return [({}, value)]

    running = {"run": run, "status": status}
    yield Family("liveness_scan_info", "gauge", "The run that these metrics are about, always 1.", [(running, 1)])
    yield Family("liveness_scan_running", "gauge", "1 while the scan runs, 0 after.", single(int(status == "running")))
    yield Family("liveness_scan_elapsed_seconds", "gauge", "Time since the session began.", single(progress.elapsed_s))
    yield Family("liveness_scan_eta_seconds", "gauge", "Time until the last probe leaves.", single(reading.eta_s))
    yield Family("liveness_probes_planned", "gauge", "Probes to send.", each([probe.planned for probe in probes]))
    yield Family("liveness_hit_ratio", "gauge", "Replies a probe sent.", each([probe.hit_rate for probe in probes]))
    rate = "liveness_rate_packets_per_second"
    yield Family(rate, "gauge", "The rate of each probe that senders keep to.", single(progress.rate_pps))
    yield Family("liveness_scan_silent", "gauge", "1 while replies have stopped, else 0.", single(int(progress.silent)))
    yield Family("liveness_blocks", "gauge", "Blocks of the schedule.", single(progress.blocks))
    paused = int(progress.problem is not None)
    yield Family("liveness_scan_paused", "gauge", "1 while the way to the targets is broken, else 0.", single(paused))
    yield Family("liveness_blocks_done", "gauge", "Blocks that are probed.", single(progress.blocks_drained))
    yield from _counters(reading)
    for gauge in progress.gauges:
        if isinstance(gauge.value, Mapping):
            samples: list[tuple[Labels, float | None]] = [({"probe": name}, n) for name, n in gauge.value.items()]
        else:
            samples = single(gauge.value)
        yield Family(f"liveness_{gauge.name}", "gauge", gauge.help, samples)


def _counters(reading: Reading) -> Iterator[Family]:
    """Yield the metrics of all counters as they are declared; counters of one metric differ by the label `where`."""
    found: dict[str, Family] = {}
    for name, counter in shown().items():
        metric = counter.metric or f"liveness_{name}_total"
        family = found.setdefault(metric, Family(metric, "counter", counter.metric_help or counter.help))
        if counter.each_probe:
            family.samples.extend(({"probe": probe.name}, probe.counts[name]) for probe in reading.probes)
        else:
            labels = {"where": counter.where} if counter.where else {}
            family.samples.append((labels, reading.progress.counts[name]))
    yield from found.values()


def metrics_text(census: str, run: str, reading: Reading, status: str, last_success_s: float | None = None) -> str:
    """Return all metrics as text. Every sample has the label ``census``."""
    return exposition({"census": census}, [*families(run, reading, status), _last_success(last_success_s)])


def success_text(census: str, last_success_s: float | None) -> str:
    """Return the only metric that is known before a scan begins, or an empty string if it is unknown."""
    return "" if last_success_s is None else exposition({"census": census}, [_last_success(last_success_s)])


def last_success_in(text: str, census: str) -> float | None:
    """Return the time of the last success in the metrics of an earlier scan of a census, or None."""
    sample = f'{LAST_SUCCESS.name}{{census="{escaped(census)}"}} '
    found = [line.removeprefix(sample) for line in text.splitlines() if line.startswith(sample)]
    try:
        value = float(found[-1])
    except (IndexError, ValueError):
        return None
    return value if 0 <= value < LATEST_S else None


def _last_success(time_s: float | None) -> Family:
    return replace(LAST_SUCCESS, samples=[({}, time_s)])
