"""The JSON document of the analysis: counts are integers, shares fractions in [0, 1] or null."""

from typing import Any

import msgspec

from liveness.analysis.across.changes import Change
from liveness.analysis.measures.coverage import Coverage
from liveness.analysis.measures.slices import Slice
from liveness.analysis.results import Results, RunResults

SCHEMA = 1
"""The version of the document's form."""

Document = dict[str, Any]


def document(results: Results) -> Document:
    """Return the results of all runs in the form other tools read."""
    return {
        "schema": SCHEMA,
        "runs": [_run(run) for run in results.runs],
        "changes": [_change(entry) for entry in results.changes],
        "retention": [_plain(entry) for entry in results.retention],
        "not_compared": [_plain(entry) for entry in results.left_out],
    }


def encode(results: Results) -> bytes:
    """Return the document as indented JSON, UTF-8, one newline at its end."""
    return msgspec.json.format(msgspec.json.encode(document(results)), indent=2) + b"\n"


def _run(run: RunResults) -> Document:
    """Return one run's part."""
    error_only = run.error_only
    part: Document = {
        "run": run.manifest.run,
        "status": run.manifest.status,
        "targets": run.targets,
        **_not_probed(run),
        "taxonomy": _plain(run.taxonomy),
        "coverage": {"addresses": _coverage(run.addresses), "prefixes24": _coverage(run.prefixes24)},
        "reply_types": _plain(run.reply_types),
        "error_only": {"all": error_only.all, **error_only.families},
        "error_categories": _plain(run.error_categories),
        "error_messages": run.error_messages,
        "error_sources": _plain(run.error_sources),
        "transport": _plain(run.transport),
        "tarpits": _plain(run.tarpits),
        "conditional": _plain(run.conditional),
        "patterns": _plain(run.patterns),
        "gains": _plain(run.gains),
        "loss": _plain(run.loss),
    }
    if run.within is not None:
        part["within"] = {"given": list(run.within.given), "addresses": run.within.intervals.count}
    if run.slices is not None:
        part["slices"] = {"by": run.slices.by, "slices": [_slice(one) for one in run.slices.slices]}
    return part


def _not_probed(run: RunResults) -> Document:
    """Return which targets of a run do not count, where there are any."""
    manifest, found = run.manifest, {}
    if manifest.status != "complete":
        found["planned"] = manifest.targets
    if run.opted_out:
        found["opted_out"] = run.opted_out
    return found


def _slice(one: Slice) -> Document:
    """Return one slice's part."""
    return {
        "slice": one.name,
        "taxonomy": _plain(one.taxonomy),
        "coverage": {"addresses": _coverage(one.addresses), "prefixes24": _coverage(one.prefixes24)},
    }


def _coverage(coverage: Coverage) -> Document:
    """Return coverage with its families beside their union."""
    return {"all": coverage.all, **_plain(coverage.families)}


def _change(entry: Change) -> Document:
    """Return one comparison: its runs, their common targets and probes, the turnover of IPall; what is left out."""
    return {
        "from": entry.before,
        "to": entry.after,
        "targets": entry.targets,
        "probes": entry.probes,
        **_plain(entry.all),
        "by_family": _plain(entry.families),
        "by_port": _plain(entry.ports),
        "left_out": {
            "targets": {"from": entry.left_out.targets_before, "to": entry.left_out.targets_after},
            "probes": {"from": entry.left_out.probes_before, "to": entry.left_out.probes_after},
        },
    }


def _plain(result: object) -> Document:
    """Return a result dataclass, or a mapping of them, as JSON's own types; ports become strings, as JSON keys must."""
    plain: Document = msgspec.to_builtins(result, str_keys=True)
    return plain
