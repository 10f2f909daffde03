"""Classification of a run's intervals: from the records in partitions to results, the log of events and kept flows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liveness.passive.below import remove_all
from liveness.passive.clients import EventLog
from liveness.passive.config import Config
from liveness.passive.directory import LOGS
from liveness.passive.engine import Engine, Finished
from liveness.passive.gates import Counts
from liveness.passive.kept_flows import KeptFlows
from liveness.passive.manifest import SetRecord
from liveness.passive.measured import Measured
from liveness.passive.partitions import Partitions
from liveness.passive.progress import CLASSIFYING, Activity
from liveness.passive.results import Results
from liveness.passive.sets import seen_counts, write_sets


@dataclass(slots=True, eq=False)
class Classification:
    """The classification of one session of a run."""

    config: Config
    partitions: Partitions
    results: Results
    activity: Activity
    _engine: Engine
    _events: EventLog
    _kept: KeptFlows | None

    @classmethod
    def open(
        cls,
        config: Config,
        partitions: Partitions,
        results: Results,
        activity: Activity,
        measured: Measured,
        work: Path,
        parts: int,
        *,
        nothing_leaves: bool = False,
    ) -> "Classification":
        """Begin with the first interval, in `parts` parts. `nothing_leaves`: the run is shorter than the history."""
        remove_all(work / LOGS)
        engine = Engine(config, parts, None if nothing_leaves else work / LOGS, measured)
        kept = KeptFlows(work, results.rules, config.interval_ns) if config.keep_flows else None
        return cls(config, partitions, results, activity, engine, EventLog(work, parts), kept)

    def close(self) -> None:
        """Close the files of the engine."""
        self._engine.close()

    @property
    def duplicates(self) -> int:
        """Number of records that another exporter has reported too."""
        return self._engine.duplicates

    @property
    def services(self) -> int:
        """Number of services that are known."""
        return len(self._engine.services.known())

    def take(self, number: int) -> None:
        """Take the records of an interval."""
        partitions = self.partitions
        names = partitions.notes.exporter_names()
        counted = self._engine.exporters.counted(number, partitions.observations(number), names)
        for finished in self._engine.add(number, counted, several=partitions.several):
            self._note(finished)

    def take_last(self, numbers: Sequence[int]) -> None:
        """Take the last intervals, and give the verdict about those that wait for later ones."""
        self.activity.turn_to(CLASSIFYING)
        for at, number in enumerate(numbers, 1):
            self.activity.intervals_waiting = len(numbers) - at
            self.take(number)
        for finished in self._engine.finish():
            self._note(finished)
        self._engine.forget()

    def _note(self, finished: Finished) -> None:
        self.results.add(finished)
        self.activity.newest_interval = finished.interval
        self._events.append(finished.events)
        if self._kept is not None:
            self._kept.append(finished)

    def write(self, run: Path) -> list[SetRecord]:
        """Write the sets, and the flows that are kept, into the run; return the entries of the sets."""
        entries = write_sets(run, self._engine.locals)
        if self._kept is not None:
            self._kept.write(run / "flows.parquet")
        return entries

    def document(self, run: str, status: str, counts: Counts) -> dict[str, Any]:
        """Return the report document of what is finished."""
        times = self._engine.exporters
        document = self.results.document(run, status, counts, self._engine.services, self._events, times)
        document["exporters"] = times.health(self.partitions.health(), self.config.interval_ns)
        document["undecoded"] = dict(self.partitions.notes.undecoded)
        document["local_addresses"] = seen_counts(self._engine.locals, self.config.local_space)
        return document
