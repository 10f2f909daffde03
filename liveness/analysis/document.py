"""The JSON document of the analysis: counts are integers, shares are fractions in [0, 1] or null."""

from typing import Any

import msgspec

from liveness.analysis.measure import RunResults
from liveness.analysis.results import Results

SCHEMA = 1
"""The version of the document's format."""

Document = dict[str, Any]


def document(results: Results) -> Document:
    """Return the results of all runs as a document for other tools."""
    return {
        "schema": SCHEMA,
        "runs": [_run(run) for run in results.runs],
        **{measure.id: [measure.document(value) for value in results[measure]] for measure in results.measures},
        **({} if results.origins is None else {"origins": results.origins.document()}),
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
