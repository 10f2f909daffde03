"""The difference between two runs of a census: who was born, died and stayed, and how hit rates moved."""

from collections.abc import Iterator
from dataclasses import dataclass

from liveness.analysis.across.changes import CHANGES
from liveness.analysis.results import Results
from liveness.analysis.tables import Table
from liveness.census.history import PastRun
from liveness.census.hit_rate_drop import hit_rate_drops, hit_rates
from liveness.census.report import compare
from liveness.config.model import Notify
from liveness.errors import UsageError
from liveness.report.views.hit_rates import hit_rate_table
from liveness.runs.manifest import Manifest

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class RunDifference:
    """Two runs compared: the change of addresses, and the hit rates of both."""

    results: Results

    @property
    def before(self) -> Manifest:
        """The manifest of the earlier run."""
        return self.results.runs[0].manifest

    @property
    def after(self) -> Manifest:
        """The manifest of the later run."""
        return self.results.runs[1].manifest

    @property
    def shares(self) -> dict[str, tuple[float | None, float]]:
        """The hit rate of each probe of the later run, before and after; None if the earlier run lacks the probe."""
        before = hit_rates(self.before)
        return {
            probe: (before[probe].share if probe in before else None, rate.share)
            for probe, rate in hit_rates(self.after).items()
        }

    @property
    def dropped(self) -> set[str]:
        """The probes whose hit rate dropped so far that a census would raise an alarm, by the default threshold."""
        return {drop.probe for drop in hit_rate_drops(self.after, self.before, Notify().fall)}

    def document(self) -> dict[str, object]:
        """Return the difference as a JSON document."""
        dropped = self.dropped
        moved = {
            probe: {"from": then, "to": now, "fell": probe in dropped} for probe, (then, now) in self.shares.items()
        }
        change = CHANGES.document(self.results.changes[0])
        return {"schema": SCHEMA, **change, "hit_rates": moved}

    def tables(self) -> Iterator[Table]:
        """Yield the tables of the change, and of the hit rates."""
        yield from CHANGES.tables(self.results.changes[:1])
        yield hit_rate_table(self.shares, self.dropped)


def compare_two(earlier: PastRun, later: PastRun) -> RunDifference:
    """Compare two runs. Raises UsageError for a run without sets, or for runs that have nothing in common."""
    for past in (earlier, later):
        if past.manifest is None:
            raise UsageError(
                f"{past.run.path}: {past.damage or 'this run is gone'}: only runs with sets can be compared"
            )
    results = compare([earlier.run, later.run])
    if not results.changes:
        raise UsageError(f"{later.run.path}: {results.left_out[0].reason}")
    return RunDifference(results)
