"""Damaged files of a survey that did not end: one line names the file, nothing stays open, and whole lines count."""

import gc
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from liveness.errors import LivenessError
from liveness.planes.live import LISTENED_NS, MAGIC, START_NS, STORED
from liveness.survey.progress import progress_of
from liveness.survey.recorder import rounds_of_record
from tests.fuzzing.kinds.surveys import _resume, _unfinished


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("survey")
    _unfinished(folder)
    return folder / "run"


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


def refused(run: Path, words: str) -> None:
    """Go on with a survey: one line names a file of it, and no descriptor stays open."""
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names
    with pytest.raises(LivenessError, match=words) as caught:
        _resume(run)
    assert str(caught.value).isprintable()
    del caught  # its frames hold the mapping, which has a descriptor of its own
    gc.collect()
    assert set(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208 - names


def with_header(run: Path, place: int, value: int) -> None:
    content = np.fromfile(run / "rounds/live", np.int64)
    content[place] = value
    content.tofile(run / "rounds/live")


def test_a_survey_is_gone_on_with(run: Path) -> None:
    _resume(run)
    assert len(rounds_of_record(run)) == 6


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (0, MAGIC + 1, "rounds/live: a damaged file, or one of another survey"),
        (STORED, 1 << 61, "rounds/live: a damaged file: 2305843009213693952 rounds stored"),
        (STORED, -1, "rounds/live: a damaged file: -1 rounds stored"),
        (START_NS, -1, "rounds/live: a damaged file: start: -1 is no time from 1970 to 2200"),
        (LISTENED_NS, (1 << 63) - 1, "rounds/live: a damaged file: last reply: 9223372036854775807 is no time"),
    ],
)
def test_numbers_that_no_survey_has(run: Path, place: int, value: int, words: str) -> None:
    with_header(run, place, value)
    refused(run, words)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"planned_rounds": 1 << 20, "interval_s": 31_536_000.0}, "rounds of 3.1536e\\+07 s end after the year 2400"),
        ({"rounds": 1 << 20, "interval_s": 31_536_000.0}, "rounds: 1048576 is more than planned_rounds, "),
        ({"planned_rounds": 1 << 62}, "planned_rounds: 4611686018427387904 is not between 1 and 1048576"),
    ],
)
def test_a_survey_that_never_ends(run: Path, fields: dict[str, object], words: str) -> None:
    tree = json.loads((run / "manifest.json").read_bytes())
    (run / "manifest.json").write_text(json.dumps({**tree, **fields}))
    with pytest.raises(LivenessError, match=words):
        progress_of(run, 5)


@pytest.mark.parametrize(
    "content",
    [
        b'{"gaps": [{"start_ns": -1, "end_ns": 5, "cause": ""}]}',
        b'{"gaps": [{"start_ns": 1, "end_ns": 1%b, "cause": ""}]}' % (b"0" * 400),
        b'{"withdrawals": [{"at_ns": 1e300, "targets": []}]}',
    ],
)
def test_gaps_at_no_time(run: Path, content: bytes) -> None:
    (run / "rounds/gaps.json").write_bytes(content)
    refused(run, r"rounds/gaps\.json: ")


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [*lines, b'{"round": "\xff"'],
        lambda lines: [b"[" * 5000, *lines],
        lambda lines: [*lines[:2], b'{"round": 1, "x": ' + b"[" * 5000, *lines[2:]],
    ],
)
def test_lines_of_the_record_that_are_damaged_are_left_out(
    run: Path, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    _resume(run)
    path = run / "rounds.jsonl"
    path.write_bytes(b"\n".join(change(path.read_bytes().splitlines())))
    assert [line.round for line in rounds_of_record(run)] == [0, 1, 2, 3, 4, 5]
