"""The state of a passive run while it is at work, and its metrics."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from liveness.passive.gates import Counts
from liveness.passive.outages import Stretch
from liveness.passive.services import service_name
from liveness.watch.exposition import Family, exposition

DIRECTIONS = ("two_way", "one_way", "one_way_out")
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class State:
    """What a run has read and found so far. `stretches` are those of the last report document."""

    run: str
    """Run id."""
    status: str
    inputs: int
    """Inputs that were read whole."""
    counts: Counts
    newest_ns: int
    """Start of the newest record."""
    interval_ns: int
    newest: int | None
    """The newest interval with results."""
    intervals: int
    """Intervals with results."""
    totals: Mapping[str, Any]
    """Sums of the report document: by direction and by class."""
    services: int
    """Services that are or were known."""
    stretches: list[Stretch]

    @classmethod
    def of_results(cls, run: str, status: str, inputs: int, document: Mapping[str, Any]) -> "State":
        """Return the state of a run that has ended, from its report document: the newest record is not known then."""
        interval_ns = round(document["interval_s"] * _NS_PER_S)
        starts = [each["start"].removesuffix("Z") for each in document["intervals"]]
        newest = int(np.datetime64(starts[-1], "ns").astype(np.int64)) // interval_ns if starts else None
        counts = Counts(**{field.name: document["records"][field.name] for field in fields(Counts)})
        return cls(
            run=run, status=status, inputs=inputs, counts=counts, newest_ns=0, interval_ns=interval_ns, newest=newest,
            intervals=len(starts), totals=document["totals"], services=len(document["services"]), stretches=[],
        )  # fmt: skip

    @property
    def failing(self) -> list[Stretch]:
        """The services that fail in the newest interval with results, in the order of addresses."""
        newest = self.newest
        now = [] if newest is None else [each for each in self.stretches if each.until(newest) == newest]
        return sorted(now, key=lambda stretch: stretch.service)


def metrics_of(name: str, state: State) -> str:
    """Return the metrics of a run in Prometheus' text format; every sample has the label ``passive``."""
    return exposition({"passive": name}, _families(state))


def _families(state: State) -> Iterator[Family]:
    counts, failing = state.counts, state.failing
    info = {"run": state.run, "status": state.status}
    records = [
        ("outside", counts.outside), ("own-probes", counts.own_probes), ("duplicate", counts.duplicates),
        ("late", counts.late),
        *((f"invalid: {reason}", number) for reason, number in counts.invalid.items()),
        *((f"excluded: {reason}", number) for reason, number in counts.excluded.items()),
    ]  # fmt: skip
    running = int(state.status == "running")
    newest_end_s = None if state.newest is None else (state.newest + 1) * state.interval_ns / _NS_PER_S
    yield Family("liveness_passive_info", "gauge", "The run that these metrics are about, always 1.", [(info, 1)])
    yield Family("liveness_passive_running", "gauge", "1 while the run is at work, 0 after.", [({}, running)])
    yield Family("liveness_passive_inputs_total", "counter", "Inputs that were read whole.", [({}, state.inputs)])
    yield Family("liveness_passive_records_total", "counter", "Flow records that were read.", [({}, counts.read)])
    yield Family(
        "liveness_passive_records_left_out_total", "counter", "Flow records that do not count, by reason.",
        [({"reason": reason}, number) for reason, number in records],
    )  # fmt: skip
    yield Family(
        "liveness_passive_newest_record_timestamp_seconds", "gauge", "Start of the newest record, Unix time.",
        [({}, state.newest_ns / _NS_PER_S if state.newest_ns else None)],
    )  # fmt: skip
    yield Family("liveness_passive_intervals_total", "counter", "Intervals with results.", [({}, state.intervals)])
    yield Family(
        "liveness_passive_newest_interval_end_timestamp_seconds", "gauge",
        "End of the newest interval with results, Unix time.", [({}, newest_end_s)],
    )  # fmt: skip
    for what in ("flows", "packets", "bytes"):
        yield Family(
            f"liveness_passive_{what}_total", "counter", f"{what.title()} by direction, of intervals with results.",
            [({"direction": name.replace("_", "-")}, state.totals[name][what]) for name in DIRECTIONS],
        )  # fmt: skip
    yield Family(
        "liveness_passive_one_way_flows_total", "counter", "Inbound one-way flows by class.",
        [({"class": name}, sums["flows"]) for name, sums in state.totals["classes"].items()],
    )  # fmt: skip
    yield Family("liveness_passive_services", "gauge", "Services that are or were known.", [({}, state.services)])
    yield Family("liveness_passive_services_failing", "gauge", "Services that fail now.", [({}, len(failing))])
    yield Family(
        "liveness_passive_service_failed_clients", "gauge",
        "Most clients for which a service that fails now has failed in one interval.",
        [({"service": service_name(stretch.service)}, stretch.clients) for stretch in failing],
    )  # fmt: skip
