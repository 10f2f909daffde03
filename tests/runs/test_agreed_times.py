"""Times in a manifest with which a reader computes are times, or the manifest is refused, with the wrong one named."""

import json
from pathlib import Path

import pytest

from liveness.errors import LivenessError
from liveness.runs.manifest_file import load_manifest

GOOD: dict[str, object] = {
    "schema": 1,
    "name": "places",
    "run_id": "1",
    "status": "complete",
    "seed": 1,
    "config": {},
    "started": "2026-12-01T00:00:00Z",
    "targets": 1,
    "probes": {},
    "sets": [],
}


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"lag": {"began": "soon"}}, "$.lag.began"),
        (
            {"vantage": {"name": "a", "clock": {"source": "chrony", "synchronised": True, "checked": "noon"}}},
            "$.vantage.clock.checked",
        ),
        (
            {
                "blocks": [
                    {"block": "0.0.0.0/3", "targets": 1, "status": "done"},
                    {
                        "block": "32.0.0.0/3",
                        "targets": 1,
                        "status": "done",
                        "start": {"agreed": "midnight", "late_ms": 0.0, "synchronised": True},
                    },
                ]
            },
            "$.blocks[1].start.agreed",
        ),
    ],
)
def test_what_is_no_time_is_named(tmp_path: Path, fields: dict[str, object], path: str) -> None:
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(GOOD | fields))
    with pytest.raises(LivenessError) as caught:
        load_manifest(file)
    assert str(caught.value).startswith(f"{file}: {path}: ")
    assert "expected a time" in str(caught.value)
