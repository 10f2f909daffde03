"""Labels on disk, and the confusion matrix of a passive run that kept its flows."""

from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from liveness.errors import LivenessError, UsageError, count_of, one_line
from liveness.files.atomic import replaced
from liveness.files.documents import decoded
from liveness.files.reading import TooLargeError, read_bytes
from liveness.lab.traffic.conversation import ICMP, Conversations, Label
from liveness.space.addresses import format_address
from liveness.sql.connection import connect, duckdb_errors, first_line
from liveness.sql.text import quoted

LABELS: Final = "labels.csv"
TRUTH: Final = "truth.json"
FLOWS: Final = "flows.parquet"
REPORT: Final = "passive.json"
_COLUMNS: Final = ("src", "dst", "sport", "dport", "protocol", "label")
_MOST_BYTES: Final = 64 << 20
_INTERVAL: Final = timedelta(minutes=10)

CLASSES_OF: Final[dict[Label, tuple[str, ...]]] = {
    Label.SCAN: ("MalScan", "OtherMal"),
    Label.BACKSCATTER: ("Backscatter",),
    Label.UNREACHABLE: ("SrvUnreach",),
    Label.PEER: ("BenignP2P",),
    Label.BENIGN: ("SuspBenign",),
    Label.BOGON: ("Bogon",),
}
"""The classes that are right for a label."""


def write_labels(made: Conversations, path: Path) -> None:
    """Write the label of each key of the conversations as CSV; ICMP has ports 0.

    A key that was answered at first and then was not has the label of its unanswered flows.
    """
    rows = np.stack([made[name].astype(np.int64) for name in _COLUMNS], axis=1)
    rows[made["protocol"] == ICMP, 2:4] = 0
    rows = np.unique(rows, axis=0)
    last_of_key = np.append((rows[1:, :-1] != rows[:-1, :-1]).any(axis=1), True)  # ORDINARY is the lowest label
    rows = rows[last_of_key]
    with replaced(path) as file:
        file.write((",".join(_COLUMNS) + "\n").encode())
        for src, dst, sport, dport, protocol, label in rows.tolist():
            name = Label(label).name.lower()
            file.write(f"{format_address(src)},{format_address(dst)},{sport},{dport},{protocol},{name}\n".encode())


@dataclass(frozen=True, slots=True)
class Judgement:
    """How the classes and services of a passive run compare with the truth about its traffic."""

    run: str
    matrix: dict[str, Counter[str]]
    """Inbound one-way flows by label, then by class."""
    services: list[str]
    """A line for each number about a service that differs from the truth."""
    outages: list[str]
    """A line for each outage of a whole service that was not found within an interval of its start and end."""

    @property
    def equal(self) -> bool:
        """Return whether every number about the services, and every outage, is the true one."""
        return not self.services and not self.outages

    def right(self, label: Label) -> float | None:
        """Return the share of a label's flows that have a right class; None if it has no flow."""
        row = self.matrix.get(label.name.lower(), Counter())
        total = row.total()
        return sum(row[name] for name in CLASSES_OF[label]) / total if total else None

    def document(self) -> dict[str, Any]:
        """Return the comparison as JSON."""
        return {
            "schema": 1,
            "run": self.run,
            "equal": self.equal,
            "matrix": {label: dict(sorted(row.items())) for label, row in sorted(self.matrix.items())},
            "right": {label.name.lower(): self.right(label) for label in CLASSES_OF},
            "services": self.services,
            "outages": self.outages,
        }

    def lines(self) -> list[str]:
        """Return what differs, a line each, and one line that sums up."""
        different = [*self.services, *self.outages]
        if self.equal:
            return ["services: every client count and every outage is as generated"]
        return [*different, f"services: {count_of(len(different), 'difference')} from what was generated"]


class _Interval(msgspec.Struct):
    start: datetime
    clients_ok: int
    clients_failed: int


class _Service(msgspec.Struct):
    service: str
    clients_ok: int
    clients_failed: int
    intervals: list[_Interval]

    def numbers(self) -> dict[str, tuple[int, int]]:
        """Return the clients that succeeded and failed, by interval and over the whole run."""
        found = {each.start.isoformat(): (each.clients_ok, each.clients_failed) for each in self.intervals}
        return {"whole run": (self.clients_ok, self.clients_failed), **found}


class _TrueOutage(msgspec.Struct):
    service: str
    start: datetime
    end: datetime
    share: float


class _Outage(msgspec.Struct):
    services: list[str]
    start: datetime
    end: datetime


class _Truth(msgspec.Struct):
    services: list[_Service]
    outages: list[_TrueOutage]


class _Report(msgspec.Struct):
    run: str
    services: list[_Service]
    outages: list[_Outage]


def judge_passive_run(run: Path, traffic: Path) -> Judgement:
    """Compare a passive run over generated traffic with the truth in its folder.

    UsageError names a file that is missing, LivenessError the field of a document that is wrong.
    """
    truth = decoded(_content(traffic / TRUTH, "generated traffic"), _Truth, traffic / TRUTH, "not JSON")
    report = decoded(_content(run / REPORT, "a passive run"), _Report, run / REPORT, "not JSON")
    matrix = confusion(run / FLOWS, traffic / LABELS)
    return Judgement(report.run, matrix, _services(report, truth), _outages(report, truth))


def _content(path: Path, what: str) -> bytes:
    try:
        return read_bytes(path, _MOST_BYTES)
    except TooLargeError as error:
        raise UsageError(f"{path}: {error}") from error
    except OSError as error:
        raise UsageError(f"{path.parent}: not the folder of {what}: {path.name}: {error.strerror}") from error


def confusion(flows: Path, labels: Path) -> dict[str, Counter[str]]:
    """Return the kept flows by label and class; flows that no actor sent have the label ``unknown``."""
    if not flows.is_file():
        raise UsageError(f"{flows}: the run kept no flows: set keep_flows: true in its config and run it again")
    if not labels.is_file():
        raise UsageError(f"{labels}: no labels: give the folder that `liveness lab traffic` wrote")
    query = (
        "SELECT coalesce(l.label, 'unknown'), f.class, count(*) "  # noqa: S608 - file names, quoted
        f"FROM read_parquet({quoted(str(flows))}) f LEFT JOIN "
        f"read_csv({quoted(str(labels))}, header = true, all_varchar = true) l "
        "ON l.src = f.remote AND l.dst = f.local AND l.sport = f.rport::VARCHAR AND l.dport = f.lport::VARCHAR "
        "AND l.protocol = f.protocol::VARCHAR GROUP BY ALL"
    )
    matrix: dict[str, Counter[str]] = {}
    try:
        with closing(connect()) as connection:
            for label, name, count in connection.execute(query).fetchall():
                matrix.setdefault(one_line(label), Counter())[one_line(name)] += count
    except duckdb_errors() as error:
        raise LivenessError(f"{flows}, {labels}: cannot compare: {first_line(error)}") from error
    return matrix


def _services(report: _Report, truth: _Truth) -> list[str]:
    reported = {service.service: service.numbers() for service in report.services}
    lines = []
    for service in truth.services:
        expected, found = service.numbers(), reported.get(service.service)
        if found is None:
            lines.append(f"{service.service}: not in the report")
            continue
        lines += [
            f"{service.service}, {when}: {found.get(when, (0, 0))} clients ok and failed, "
            f"expected {expected.get(when, (0, 0))}"
            for when in sorted(found.keys() | expected.keys())
            if found.get(when, (0, 0)) != expected.get(when, (0, 0))
        ]
    return lines


def _outages(report: _Report, truth: _Truth) -> list[str]:
    return [
        f"{outage.service}: no outage in the report from {outage.start.isoformat()} to {outage.end.isoformat()}"
        for outage in truth.outages
        if outage.share >= 1 and not any(_same(outage, other) for other in report.outages)
    ]


def _same(outage: _TrueOutage, other: _Outage) -> bool:
    """Return whether a reported outage is of the service, and begins and ends within an interval of the true times."""
    try:
        apart = (abs(other.start - outage.start), abs(other.end - outage.end))
    except (TypeError, OverflowError):  # one has no time zone, or lies at the end of the calendar
        return False
    return outage.service in other.services and max(apart) <= _INTERVAL
