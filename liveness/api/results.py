"""The analysis of runs, and its results."""

from collections.abc import Iterable
from typing import Any

import msgspec

from liveness.analysis import document, results
from liveness.api.run import Run
from liveness.errors import UsageError
from liveness.runs.rundir import RunDirectory


class Results:
    """The results of one run or several: taxonomy, coverage, error classes, ports, tarpits, gains, changes."""

    def __init__(self, found: results.Results) -> None:
        self._found = found

    def __repr__(self) -> str:
        return f"<Results of {', '.join(run.manifest.run for run in self._found.runs)}>"

    def document(self) -> dict[str, Any]:
        """Return the results as `liveness analyze --json` prints them: counts are integers, shares are fractions.

        A share whose denominator is 0 is None.
        """
        decoded: dict[str, Any] = msgspec.json.decode(document.encode(self._found))
        return decoded


def analyze(run: Run | Iterable[Run]) -> Results:
    """Analyse a run, or several in the order of their starts with what changed from each to the next.

    Runs of one census are compared with each other, runs of different censuses are not. Needs no privileges.

    Raises LivenessError that names the first file that is missing or damaged.
    """
    runs = [run] if isinstance(run, Run) else list(run)
    if not runs:
        raise UsageError("no run to analyse: give one run or more")
    return Results(results.analyze_runs([RunDirectory.open(given.path) for given in runs]))
