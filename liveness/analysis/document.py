"""The JSON document of the analysis: counts are integers, shares are fractions in [0, 1] or null."""

from typing import Any

import msgspec

from liveness.analysis.across.changes import Change
from liveness.analysis.measure import RunResults, plain
from liveness.analysis.results import Results

SCHEMA = 1
"""The version of the document's format."""

Document = dict[str, Any]


def document(results: Results) -> Document:
    """Return the results of all runs as a document for other tools."""
    return {
        "schema": SCHEMA,
        "runs": [_run(run) for run in results.runs],
        "changes": [_change(entry) for entry in results.changes],
        "retention": [plain(entry) for entry in results.retention],
        "not_compared": [plain(entry) for entry in results.left_out],
    }


def encode(results: Results) -> bytes:
    """Return the document as indented JSON, UTF-8, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(document(results)), indent=2) + b"\n"


def _run(run: RunResults) -> Document:
    """Return the part of one run: its status and targets, then every measure under its id."""
    part: Document = {
        "run": run.manifest.run,
        "status": run.manifest.status,
        "targets": run.targets,
        **_not_probed(run),
    }
    if run.sampling.kind == "sample":
        part["sample"] = {"targets": run.sampling.targets, "of": run.sampling.listed}
    for measure in run.measures:
        value = run.values[measure.id]
        if measure.document is not None and value is not None:
            part[measure.id] = measure.document(value)
    if run.within is not None:
        part["within"] = {"given": list(run.within.given), "addresses": run.within.intervals.count}
    return part


def _not_probed(run: RunResults) -> Document:
    """Return the numbers of targets that do not count, if there are any."""
    manifest, found = run.manifest, {}
    if manifest.status != "complete":
        found["planned"] = manifest.targets
    if run.opted_out:
        found["opted_out"] = run.opted_out
    return found


def _change(entry: Change) -> Document:
    """Return one comparison: its runs, common targets and probes, turnovers, and what is left out."""
    return {
        "from": entry.before,
        "to": entry.after,
        "targets": entry.targets,
        "probes": entry.probes,
        "born": entry.all.born,
        "died": entry.all.died,
        "stayed": entry.all.stayed,
        "by_family": plain(entry.families),
        "by_port": plain(entry.ports),
        "left_out": {
            "targets": {"from": entry.left_out.targets_before, "to": entry.left_out.targets_after},
            "probes": {"from": entry.left_out.probes_before, "to": entry.left_out.probes_after},
        },
    }
