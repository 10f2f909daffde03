"""Manifests and journals of runs that did not end: what is damaged in them is named, and the lock is let go."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liveness.errors import LivenessError
from liveness.passive.run import PassiveRun
from tests.fuzzing.kinds.passive import unfinished

Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("manifest.json", lambda tree: tree["config"].update(local=["::1"]), r"\$\.config\.local.*::1"),
        ("manifest.json", lambda tree: tree["config"].update(local=[""]), r"\$\.config\.local"),
        ("work/journal.json", lambda tree: tree["lengths"].update(x=1), "expected a whole number"),
        ("work/journal.json", lambda tree: tree.update(lengths={"1": -1}), r"\$\.lengths"),
        ("work/journal.json", lambda tree: tree.update(lengths={"1": 1 << 40}), "1.observations: cannot be resumed"),
        (
            "work/journal.json",
            lambda tree: tree["lengths"].update(dict.fromkeys(tree["lengths"], 1 << 40)),
            "less than",
        ),
        ("work/journal.json", lambda tree: tree.update(counts=[1]), r"\$\.counts: a damaged journal"),
    ],
)
def test_what_is_damaged_is_named(tmp_path: Path, file: str, change: Change, words: str) -> None:
    unfinished(tmp_path)
    run = tmp_path / "run"
    tree = json.loads((run / file).read_text())
    change(tree)
    (run / file).write_text(json.dumps(tree))
    for _ in range(2):  # the second finds no lock
        with pytest.raises(LivenessError, match=words):
            PassiveRun.resume(run, forced=True, note=print)


def test_files_of_no_interval_go(tmp_path: Path) -> None:
    unfinished(tmp_path)
    stray = tmp_path / "run" / "work" / "x.observations"
    stray.touch()
    PassiveRun.resume(tmp_path / "run", forced=True, note=print).release()
    assert not stray.exists()
