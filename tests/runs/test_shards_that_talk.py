"""Shards of one census, as their manifests say: what they must have in common."""

from pathlib import Path
from typing import Any, Final

import pytest

from liveness.errors import UsageError
from liveness.runs.manifest import Manifest
from liveness.runs.rundir import RunDirectory
from liveness.runs.shards import open_shards

HTTP: Final = {"applications": ["http"], "talk": {"rate": "20kpps", "wait": "5s"}}


def shards(folder: Path, *fields: dict[str, Any]) -> list[Path]:
    """Write the runs of shards whose configs have these fields."""
    paths = []
    for index, config in enumerate(fields):
        directory = RunDirectory.create(folder, "shards", f"run{index}")
        directory.write_manifest(
            Manifest(
                name="shards",
                run_id=f"run{index}",
                status="complete",
                seed=1,
                config={"name": "shards", "shard": {"index": index, "of": len(fields)}} | config,
                started="2026-11-21T00:00:00Z",
                targets=2,
                targets_sha256="0" * 64,
                probes={},
                sets=[],
            )
        )
        paths.append(directory.path)
    return paths


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"applications": []}, r"applications is \['http'\] and \[\]"),
        ({}, r"applications is \['http'\] and \[\]"),
        (HTTP | {"talk": {"wait": "3s"}}, r"talk\.wait is '5s' and '3s'"),
    ],
)
def test_shards_that_talk_differently_are_no_census(tmp_path: Path, other: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        open_shards(shards(tmp_path, HTTP, other))


@pytest.mark.parametrize("others", [(HTTP, HTTP), ({}, {"applications": [], "talk": {"wait": "3s"}})])
def test_shards_that_talk_alike_or_not_at_all_are_one_census(
    tmp_path: Path, others: tuple[dict[str, Any], ...]
) -> None:
    assert [run.index for run in open_shards(shards(tmp_path, *others))] == [0, 1]
