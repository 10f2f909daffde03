"""Analysis of the runs of a census, each compared with the previous one."""

from collections.abc import Callable, Sequence

from liveness.analysis.counting.opened import verified_in
from liveness.analysis.counting.probed import Probed
from liveness.analysis.counting.scope import WHOLE, Scope
from liveness.analysis.results import Results, analyze_sets
from liveness.errors import LivenessError
from liveness.runs.rundir import RunDirectory


def compare(runs: Sequence[RunDirectory], scope: Scope = WHOLE) -> Results:
    """Analyse runs in the order given, whatever their start times, each compared with the previous one.

    Raises LivenessError that names the first file that is missing or damaged.
    """
    manifests = [run.read_manifest() for run in runs]
    probed = [Probed.by(manifest, run) for manifest, run in zip(manifests, runs, strict=True)]
    pairs = [(manifest, verified_in(run)) for manifest, run in zip(manifests, runs, strict=True)]
    return analyze_sets(pairs, scope, probed=probed)


def analyze_with(run: RunDirectory, before: RunDirectory | None, warn: Callable[[str], None]) -> Results:
    """Analyse a run for its report, compared with the run before it (None: not compared).

    Raises LivenessError if a set of the run is damaged. If the run before is damaged, `warn` is called and the results
    lack the comparison.
    """
    by24 = Scope(alive24=True)  # the report's map shows /24s
    damage = ""
    if before is not None:
        try:
            return compare([before, run], by24)
        except LivenessError as error:
            damage = str(error)
    results = compare([run], by24)
    if before is not None:
        warn(f"{before.path}: not compared with: {damage}")
    return results
