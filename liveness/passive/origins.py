"""Origins of remotes: their countries and autonomous systems, by the user's data on prefixes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.counting.partition import Partition
from liveness.analysis.counting.prefix_data import partition_by
from liveness.passive.clients import EventLog, Tally, clients_by_label
from liveness.passive.config import PREFIX_DATA
from liveness.passive.engine import Finished
from liveness.passive.records import INBOUND, TWO_WAY
from liveness.passive.rules import CLASSES, Rules
from liveness.passive.services import service_name

MOST_SERVICES: Final = 100
"""Services whose clients are listed by origin: those with most failed clients."""
MOST_LABELS: Final = 1_000
"""Origins that are listed at most, those with most flows or failed clients first."""


@dataclass(slots=True, eq=False)
class Origins:
    """Inbound one-way flows by origin of their remote, for one attribute."""

    partition: Partition
    rules: Rules
    sums: NDArray[np.int64] = field(init=False)
    """Flows, packets and bytes by label and class."""

    def __post_init__(self) -> None:
        """Make the sums."""
        self.sums = np.zeros((len(self.partition.names), len(CLASSES), 3), np.int64)

    def labels_of(self, remotes: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Return the labels of addresses, as places in the partition's names."""
        return self.partition.label[np.searchsorted(self.partition.first, remotes, "right") - 1].astype(np.int64)

    def add(self, finished: Finished) -> None:
        """Add an interval."""
        for part in finished.rows:
            rows = part[(part["marks"] & INBOUND != 0) & (part["state"] & TWO_WAY == 0)]
            place = self.labels_of(rows["remote"]) * len(CLASSES) + self.rules.table[rows["pattern"]]
            keys, at = np.unique(place, return_inverse=True)
            flat = self.sums.reshape(-1, 3)
            flat[keys, 0] += np.bincount(at, minlength=len(keys))
            for column, name in enumerate(("in_packets", "in_bytes"), 1):
                added = np.zeros(len(keys), np.int64)
                np.add.at(added, at, rows[name].astype(np.int64))
                flat[keys, column] += added

    def sources(self) -> list[dict[str, Any]]:
        """Return the origins of inbound one-way flows, those with most flows first."""
        totals, names = self.sums.sum(axis=1), self.partition.names
        chosen = sorted(np.flatnonzero(totals[:, 0]).tolist(), key=lambda at: (-int(totals[at, 0]), names[at] or ""))
        return [
            {
                "origin": names[at],
                **dict(zip(("flows", "packets", "bytes"), totals[at].tolist(), strict=True)),
                "classes": dict(zip(CLASSES, self.sums[at, :, 0].tolist(), strict=True)),
            }
            for at in chosen[:MOST_LABELS]
        ]

    def services(self, clients: Tally, log: EventLog) -> list[dict[str, Any]]:
        """Return the clients of services that failed for any, by origin."""
        order = sorted(np.flatnonzero(clients.failed).tolist(), key=lambda at: (-int(clients.failed[at]), at))
        chosen = np.sort(clients.services[order[:MOST_SERVICES]])
        found = clients_by_label(log, chosen, self.labels_of)
        rows: list[dict[str, Any]] = [
            {
                "service": service_name(int(chosen[place])),
                "origin": self.partition.names[label],
                "clients_ok": ok,
                "clients_failed": failed,
                "failed_share": failed / (ok + failed),
            }
            for (place, label), (ok, failed) in sorted(found.items())
        ]
        rows.sort(key=lambda row: (-row["clients_failed"], -row["clients_ok"], row["service"], row["origin"] or ""))
        return rows[:MOST_LABELS]


def load_origins(files: Mapping[str, str], rules: Rules) -> dict[str, Origins]:
    """Return the origins by attribute, from the files that a config names. UsageError names the file."""
    return {name: Origins(partition_by(name, Path(file)), rules) for name, file in _named(files)}


def _named(files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield from ((name, files[name]) for name in PREFIX_DATA if name in files)
