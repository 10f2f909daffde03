"""Shards that were agreed for different times are parts of different censuses."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from liveness.errors import UsageError
from liveness.runs.manifest import Shard
from liveness.runs.shards import open_shards
from tests.populations import town

TODAY, LATER = "2026-12-01T00:00:00.000Z", "2026-12-02T00:00:00.000Z"


def written(folder: Path, index: int, start_at: str | None, slot: str | None) -> Path:
    """Write a run that says which shard it is, and what was agreed."""
    run = town().write(folder / str(index))
    manifest = run.read_manifest()
    config: dict[str, Any] = {**manifest.config, "shard": {"index": index, "of": 2}, "slot": slot}
    shard = Shard(index=index, of=2, start_at=start_at)
    run.write_manifest(msgspec.structs.replace(manifest, config=config, shard=shard))
    return run.path


@pytest.mark.parametrize(
    ("mine", "theirs", "words"),
    [
        ((TODAY, None), (LATER, None), f"start_at is '{TODAY}' and '{LATER}'"),
        ((TODAY, "3h"), (TODAY, "4h"), "slot is '3h' and '4h'"),
        ((TODAY, "3h"), (TODAY, None), "slot is '3h' and None"),
    ],
)
def test_shards_of_different_times_are_refused(
    tmp_path: Path, mine: tuple[str, str | None], theirs: tuple[str, str | None], words: str
) -> None:
    paths = [written(tmp_path, index, *agreed) for index, agreed in enumerate((mine, theirs))]
    with pytest.raises(UsageError, match=re.escape(f"no shards of one census: {words}")):
        open_shards(paths)


def test_shards_without_an_agreed_start_go_with_any_other(tmp_path: Path) -> None:
    paths = [written(tmp_path, index, start_at, None) for index, start_at in enumerate((None, TODAY))]
    assert [run.index for run in open_shards(paths)] == [0, 1]
