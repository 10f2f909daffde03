"""The status file: lines as documented, and nothing that happens to it harms the scan."""

import json
import os
import re
from pathlib import Path

import pytest

from liveness.errors import UsageError
from liveness.watch.status import ProbeLine, StatusFile, StatusLine, status_of
from tests.census.recurring import TOWN
from tests.watch.readings import progress, reading

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "census.md"


def written(path: Path, moments: int = 3) -> list[str]:
    """Write some moments and the end, and return what was warned of."""
    warnings: list[str] = []
    file = StatusFile(path, warnings.append)
    file.open()
    for moment in range(moments):
        file.read(reading(progress(moment, moment), progress(moment + 1, 100 * (moment + 1), 7)))
    file.end(TOWN.manifest())
    file.close()
    return warnings


def test_a_line_a_reading_and_one_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "status"
    path.write_text("of the scan before\n" * 100)
    assert written(path) == []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["state"] for line in lines] == ["sending"] * 3 + ["complete"]
    assert [line["sent"] for line in lines] == [300, 600, 900, 900]
    assert lines[2]["probes"]["tcp/443"] == {
        "sent": 600,
        "planned": 2000,
        "replies": 7,
        "sent_pps": 596.0,
        "replies_pps": 7.0,
        "hit_rate": round(7 / 600, 6),
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", lines[0]["time"])
    assert (lines[0]["blocks_done"], lines[0]["blocks"], lines[0]["rate_pps"]) == (1, 8, 100.0)


def test_every_field_is_documented() -> None:
    documented = set(re.findall(r"^\| `(\w+)`", DOCUMENTATION.read_text(), re.MULTILINE))
    assert set(StatusLine.__struct_fields__) | set(ProbeLine.__struct_fields__) <= documented


def test_it_waits_once_all_is_sent() -> None:
    line = status_of("weekly/1", reading(progress(1, 1000)), "waiting")
    assert (line.run, line.state, line.eta_s) == ("weekly/1", "waiting", 0.0)


def test_a_file_that_cannot_be_opened_stops_the_scan_before_it_begins(tmp_path: Path) -> None:
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "no" / "such", "No such file or directory")):
        with pytest.raises(UsageError, match=f"{path}: cannot write the status here: {reason}"):
            written(path)


def test_a_full_disk_is_reported_once() -> None:
    assert written(Path("/dev/full")) == ["/dev/full: no more status: No space left on device"]


def test_a_pipe_is_read_line_by_line(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="No such device or address"):
        written(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert written(pipe) == []
    assert os.read(reader, 1 << 16).count(b"\n") == 4
    assert written(pipe, moments=500) == [], "a reader that is slow misses lines, the scan waits for nobody"
    content = os.read(reader, 1 << 20)
    os.close(reader)
    assert content.endswith(b"\n")
    assert all(json.loads(line) for line in content.splitlines())
