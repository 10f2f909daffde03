"""Labels on disk, and the confusion matrix of a passive run that kept its flows."""

import json
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from liveness.errors import LivenessError, UsageError, count_of
from liveness.files.atomic import replaced
from liveness.lab.traffic.conversation import ICMP, Conversations, Label
from liveness.replylog.parquet import connect, first_line, quoted
from liveness.space.addresses import format_address

LABELS: Final = "labels.csv"
TRUTH: Final = "truth.json"
FLOWS: Final = "flows.parquet"
REPORT: Final = "passive.json"
_COLUMNS: Final = ("src", "dst", "sport", "dport", "protocol", "label")
_MOST_TRUTH_BYTES: Final = 64 << 20

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


def judge_passive_run(run: Path, traffic: Path) -> Judgement:
    """Compare a passive run over generated traffic with the truth in its folder. UsageError names what is missing."""
    truth, report = _document(traffic / TRUTH, "generated traffic"), _document(run / REPORT, "a passive run")
    try:
        return Judgement(
            report["run"], confusion(run / FLOWS, traffic / LABELS), _services(report, truth), _outages(report, truth)
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{traffic / TRUTH} or {run / REPORT}: not a document of these commands: {error!r}") from error


def _document(path: Path, what: str) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(_MOST_TRUTH_BYTES))
    except OSError as error:
        raise UsageError(f"{path}: not a folder of {what}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path}: not JSON: {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path}: not a JSON object")
    return document


def confusion(flows: Path, labels: Path) -> dict[str, Counter[str]]:
    """Return the kept flows by label and class; flows that no actor sent have the label ``unknown``."""
    import duckdb  # noqa: PLC0415 - only this command needs it

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
                matrix.setdefault(label, Counter())[name] += count
    except duckdb.Error as error:
        raise LivenessError(f"{flows}, {labels}: cannot compare: {first_line(error)}") from error
    return matrix


def _numbers(service: dict[str, Any]) -> dict[str, tuple[int, int]]:
    found = {"whole run": (int(service["clients_ok"]), int(service["clients_failed"]))}
    for interval in service["intervals"]:
        found[str(interval["start"])] = int(interval["clients_ok"]), int(interval["clients_failed"])
    return found


def _services(report: dict[str, Any], truth: dict[str, Any]) -> list[str]:
    reported = {service["service"]: _numbers(service) for service in report["services"]}
    lines = []
    for service in truth["services"]:
        name, expected = str(service["service"]), _numbers(service)
        found = reported.get(name)
        if found is None:
            lines.append(f"{name}: not in the report")
            continue
        lines += [
            f"{name}, {when}: {found.get(when, (0, 0))} clients ok and failed, expected {expected.get(when, (0, 0))}"
            for when in sorted(found.keys() | expected.keys())
            if found.get(when, (0, 0)) != expected.get(when, (0, 0))
        ]
    return lines


def _outages(report: dict[str, Any], truth: dict[str, Any]) -> list[str]:
    lines = []
    for outage in truth["outages"]:
        if outage["share"] < 1:
            continue
        found = [
            other for other in report["outages"]
            if outage["service"] in other["services"]
            and all(abs(_seconds(other[name]) - _seconds(outage[name])) <= _INTERVAL_S for name in ("start", "end"))
        ]  # fmt: skip
        if not found:
            lines.append(f"{outage['service']}: no outage in the report from {outage['start']} to {outage['end']}")
    return lines


_INTERVAL_S: Final = 600


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
