"""Results of a passive run: the report document, and the figures for it. They name no remote address."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from liveness.clock import utc_brief
from liveness.passive.clients import EventLog, Tally, tally
from liveness.passive.config import Config
from liveness.passive.engine import Finished
from liveness.passive.exporters import ExporterTimes
from liveness.passive.gates import Counts
from liveness.passive.origins import Origins, load_origins
from liveness.passive.outages import Stretch, dead_services, failing_stretches, find_outages
from liveness.passive.rules import CLASSES, PATTERNS, SIGNS, Rules, load_rules, signs_of
from liveness.passive.services import Services, service_name
from liveness.passive.signs import INBOUND_ACK, UNANSWERED_ACK

SCHEMA: Final = 1
KIND: Final = "passive"
TOP_PORTS: Final = 20
MOST_EMPTY: Final = 1 << 16
"""Intervals without a flow that are listed at most."""
_SUMS: Final = ("two_way", "one_way", "one_way_out")
_NS_PER_S: Final = 1_000_000_000


def start_of(interval: int, interval_ns: int) -> str:
    """Return the start of an interval in UTC, to the nanosecond where it is no whole second."""
    return utc_brief(interval * interval_ns, 9)


def _sums(numbers: Any) -> dict[str, int]:  # noqa: ANN401 - three numbers of an array
    flows, packets, size = (int(number) for number in numbers)
    return {"flows": flows, "packets": packets, "bytes": size}


@dataclass(slots=True)
class Results:
    """Gathers the results of intervals."""

    config: Config
    rules: Rules
    intervals: dict[int, dict[str, Any]] = field(default_factory=dict)
    patterns: Any = field(default_factory=lambda: np.zeros((PATTERNS, 3), np.int64))
    symmetry: Any = field(default_factory=lambda: np.zeros(2, np.int64))
    ports: Any = field(default_factory=lambda: np.zeros((2, 1 << 16), np.int64))
    origins: Mapping[str, Origins] = field(default_factory=dict)
    """By attribute, where the config names data on prefixes."""
    stretches: list[Stretch] = field(default_factory=list)
    """When services failed, as of the last document."""
    _signs: Any = field(init=False)

    def __post_init__(self) -> None:
        """Make the table of signs by pattern."""
        bits = np.arange(PATTERNS)
        self._signs = np.stack([bits >> bit & 1 for bit in range(len(SIGNS))])

    def add(self, finished: Finished) -> None:
        """Add an interval."""
        sums = finished.sums
        self.patterns += sums.patterns
        self.symmetry += sums.symmetry
        self.ports += sums.ports
        for origins in self.origins.values():
            origins.add(finished)
        classes = np.zeros((len(CLASSES), 3), np.int64)
        np.add.at(classes, self.rules.table, sums.patterns)
        by_sign = self._signs @ sums.patterns[:, 0]
        top = np.argsort(-sums.ports.reshape(-1), kind="stable")[:TOP_PORTS]
        flat = sums.ports.reshape(-1)
        self.intervals[finished.interval] = {
            **{name: _sums(sums.totals[at]) for at, name in enumerate(_SUMS)},
            "classes": {name: _sums(classes[at]) for at, name in enumerate(CLASSES)},
            "signs": {name: int(by_sign[at]) for at, name in enumerate(SIGNS)},
            "ports": {_port(int(place)): int(flat[place]) for place in top if flat[place]},
        }

    def one_sided(self) -> bool:
        """Return whether the capture looks as if it saw one direction."""
        return (
            int(self.symmetry[INBOUND_ACK]) >= self.config.symmetry.flows
            and (self.unanswered or 0.0) > self.config.symmetry.share
        )

    @property
    def unanswered(self) -> float | None:
        """Share of inbound TCP flows with ACK whose key has no outbound flow; None without such flows."""
        seen = int(self.symmetry[INBOUND_ACK])
        return int(self.symmetry[UNANSWERED_ACK]) / seen if seen else None

    def document(
        self, run: str, status: str, counts: Counts, services: Services, log: EventLog, exporters: ExporterTimes
    ) -> dict[str, Any]:
        """Return the report document."""
        clients = tally(log, services.known())
        length_ns = self.config.interval_ns
        self.stretches = failing_stretches(clients, self.config.outages)
        outages = find_outages(clients, log, self.stretches)
        return {
            "schema": SCHEMA,
            "kind": KIND,
            "run": run,
            "status": status,
            "interval_s": length_ns / _NS_PER_S,
            "rules": self.rules.name,
            "records": {
                "read": counts.read, "duplicates": counts.duplicates, "outside": counts.outside,
                "own_probes": counts.own_probes, "excluded": counts.excluded, "invalid": counts.invalid,
                "late": counts.late,
            },
            "totals": self.totals(),
            "intervals": [{**self._interval(number), **exporters.interval(number)} for number in self._numbers()],
            "services": [
                self._service(clients, place)
                for place in range(len(clients.services))
                if clients.of(place) or int(clients.services[place]) not in services.unnamed
            ],
            "outages": [
                {
                    "start": start_of(outage.first, length_ns),
                    "end": start_of(outage.last + 1, length_ns),
                    "services": [service_name(key) for key in outage.services],
                    "clients": outage.clients,
                }
                for outage in outages
            ],
            "dead": [service_name(key) for key in dead_services(clients)],
            "symmetry": {
                "verdict": "one-sided" if self.one_sided() else "ok",
                "tcp_inbound_established_unanswered": self.unanswered,
                "tcp_inbound_established": int(self.symmetry[INBOUND_ACK]),
            },
            "duplicate_pairs": exporters.pairs(),
            "combinations": self._combinations(),
            "rule_hits": self._rule_hits(),
            "sources": {name: origins.sources() for name, origins in self.origins.items()},
            "services_by_origin": {name: origins.services(clients, log) for name, origins in self.origins.items()},
        }  # fmt: skip

    def _numbers(self) -> list[int]:
        """Return the intervals from the first to the last one, also those without flows, unless there are too many."""
        if not self.intervals:
            return []
        first, last = min(self.intervals), max(self.intervals)
        if last - first > len(self.intervals) + MOST_EMPTY:
            return sorted(self.intervals)
        return list(range(first, last + 1))

    def _interval(self, number: int) -> dict[str, Any]:
        nothing = _sums((0, 0, 0))
        empty = {
            **dict.fromkeys(_SUMS, nothing),
            "classes": dict.fromkeys(CLASSES, nothing),
            "signs": dict.fromkeys(SIGNS, 0),
            "ports": {},
        }
        return {"start": start_of(number, self.config.interval_ns), **self.intervals.get(number, empty)}

    def totals(self) -> dict[str, Any]:
        """Return the sums of all intervals so far, by direction, class and sign."""
        classes = np.zeros((len(CLASSES), 3), np.int64)
        np.add.at(classes, self.rules.table, self.patterns)
        by_sign = self._signs @ self.patterns[:, 0]
        summed = {
            name: {
                what: sum(interval[name][what] for interval in self.intervals.values())
                for what in ("flows", "packets", "bytes")
            }
            for name in _SUMS
        }
        return {
            **summed,
            "classes": {name: _sums(classes[at]) for at, name in enumerate(CLASSES)},
            "signs": {name: int(by_sign[at]) for at, name in enumerate(SIGNS)},
        }

    def _combinations(self) -> list[dict[str, Any]]:
        """Return every combination of signs that was met: flows, the rules that match, the class. Commonest first."""
        observed = [int(pattern) for pattern in np.flatnonzero(self.patterns[:, 0])]
        observed.sort(key=lambda pattern: (-int(self.patterns[pattern, 0]), pattern))
        return [
            {
                "signs": signs_of(pattern),
                "rules": [rule.number for rule in self.rules.matching(pattern)],
                "class": self.rules.class_of(pattern),
                "conflict": self.rules.conflicting(pattern),
                **_sums(self.patterns[pattern]),
            }
            for pattern in observed
        ]

    def _rule_hits(self) -> list[dict[str, Any]]:
        """Return for each rule how many flows match it, and how many have its class by it."""
        matched, won = dict.fromkeys(self.rules.rules, 0), dict.fromkeys(self.rules.rules, 0)
        for pattern in np.flatnonzero(self.patterns[:, 0]).tolist():
            flows = int(self.patterns[pattern, 0])
            for rule in self.rules.matching(pattern):
                matched[rule] += flows
            winner = self.rules.winner(pattern)
            if winner is not None:
                won[winner] += flows
        return [
            {
                "rule": rule.number,
                "class": rule.name,
                "signs": rule.words,
                "matched": matched[rule],
                "decided": won[rule],
            }
            for rule in self.rules.rules
        ]

    def _service(self, clients: Tally, place: int) -> dict[str, Any]:
        rows = clients.rows_of(place)
        ok, failed = int(clients.ok[place]), int(clients.failed[place])
        return {
            "service": service_name(int(clients.services[place])),
            "clients_ok": ok,
            "clients_failed": failed,
            "failed_share": failed / (ok + failed) if ok + failed else None,
            "scanners_left_out": int(clients.left_out[place]),
            "intervals": [
                {
                    "start": start_of(number, self.config.interval_ns),
                    "clients_ok": good,
                    "clients_failed": bad,
                }
                for number, good, bad in zip(
                    clients.interval[rows].tolist(),
                    clients.ok_then[rows].tolist(),
                    clients.failed_then[rows].tolist(),
                    strict=True,
                )
                if good + bad
            ],
        }


def _port(place: int) -> str:
    return f"{'udp' if place >> 16 else 'tcp'}/{place & 0xFFFF}"


def results_of(config: Config) -> Results:
    """Return the results before any interval. UsageError for rules or data on prefixes that cannot be read."""
    rules = load_rules(config.rules)
    return Results(config, rules, origins=load_origins(config.prefix_data, rules))
