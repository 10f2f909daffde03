"""What a passive run says of itself while it is at work: status file, live view, and results after each file."""

import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from liveness.cli.passive_display import PassiveDisplay
from liveness.compiling import display as compile_display
from liveness.passive import pace
from liveness.passive import run as run_module
from liveness.passive.config import load_config
from liveness.passive.gates import Counts
from liveness.passive.pace import Pace
from liveness.passive.progress import Activity, Progress, StatusLine, progress_lines, status_of
from liveness.passive.run import PassiveRun
from liveness.passive.state import State
from liveness.watch.ticking import Ticker
from tests.passive.drawn import draw, write_config
from tests.passive.judge import write_csv
from tests.passive.test_command import answered, liveness, one_sided
from tests.passive.test_watching import interval_of

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "passive.md"


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_last_line_has_the_numbers_of_the_report(tmp_path: Path) -> None:
    records = draw(5, hours=1)
    for at in range(3):
        write_csv(tmp_path / f"{at}.csv", records[at::3])
    config = write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["*.csv"])
    status = tmp_path / "status"
    status.write_text("of another run\n" * 100)
    run = Path(
        liveness(
            "passive", "run", "--config", config, "--run-id", "r", "--force", "--quiet", "--status-file", status
        ).stdout.strip()
    )
    document = json.loads((run / "passive.json").read_text())
    lines = lines_of(status)
    assert {line["run"] for line in lines} == {"campus/r"}
    assert {line["state"] for line in lines[:-1]} <= {"reading", "classifying", "reporting", "complete"}
    last, counts = lines[-1], document["records"]
    assert (last["state"], last["inputs"], last["inputs_waiting"]) == ("complete", 3, 0)
    assert last["records"] == counts["read"] == len(records)
    assert (last["invalid"], last["excluded"]) == tuple(sum(counts[name].values()) for name in ("invalid", "excluded"))
    names = ("outside", "own_probes", "duplicates", "late")
    assert [last[name] for name in names] == [counts[name] for name in names]
    assert last["duplicates"] > 0
    assert (last["intervals"], last["services"]) == (len(document["intervals"]), len(document["services"]))
    newest = datetime.fromisoformat(document["intervals"][-1]["start"])
    assert datetime.fromisoformat(last["newest_interval_end"]) == newest + timedelta(minutes=10)


def test_every_field_is_documented() -> None:
    documented = set(re.findall(r"^\| `(\w+)`", DOCUMENTATION.read_text(), re.MULTILINE))
    assert set(StatusLine.__struct_fields__) <= documented


def test_a_run_that_is_refused_says_so(tmp_path: Path) -> None:
    write_csv(tmp_path / "flows.csv", one_sided())
    config = write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["flows.csv"])
    liveness("passive", "run", "--config", config, "--status-file", tmp_path / "status", code=4)
    assert lines_of(tmp_path / "status")[-1]["state"] == "refused"


def test_a_status_file_that_cannot_be_written_leaves_no_run(tmp_path: Path) -> None:
    write_csv(tmp_path / "flows.csv", answered())
    config = write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["flows.csv"])
    done = liveness("passive", "run", "--config", config, "--status-file", "no/such", code=2)
    assert done.stderr == "liveness: error: no/such: cannot write the status here: No such file or directory\n"
    assert not (tmp_path / "out").exists()


def test_a_terminal_shows_what_the_run_does(tmp_path: Path) -> None:
    write_csv(tmp_path / "flows.csv", answered())
    config = write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["flows.csv"])
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "liveness", "passive", "run", "--config", str(config)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment, text=True) as process:
        os.close(theirs)
        seen = b""
        try:
            while part := os.read(ours, 1 << 16):
                seen += part
        except OSError:  # the terminal is closed at its other end
            pass
        assert process.stdout is not None
        assert Path(process.stdout.read().strip()).is_dir()
        assert process.wait() == 0
    os.close(ours)
    text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", seen).decode()
    assert f"{tmp_path}/flows.csv: 300 records" in text  # a message, above the view
    assert "inputs read 1, records 300" in text
    assert "intervals 1, services 0" in text


def test_a_plain_line_a_minute_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    line = StatusLine(
        time="", run="campus/r", state="reading", elapsed_s=59.0, input="a.csv", inputs=2, inputs_waiting=3,
        records=4000, records_per_s=10.0, invalid=0, outside=0, own_probes=0, excluded=0, duplicates=0, late=0,
        undecoded=0, damage=0, newest_record="2026-11-27T08:00:00.000Z", intervals=6, intervals_waiting=0,
        newest_interval_end=None, services=5, services_failing=1,
    )  # fmt: skip
    shown: list[str] = []
    with pytest.MonkeyPatch.context() as patch, PassiveDisplay() as display:
        patch.setattr("liveness.log.info", shown.append)
        for elapsed_s in (59.0, 60.0, 61.0, 119.0, 121.0):
            display.show(replace(line, elapsed_s=elapsed_s))
    said = (
        "reading a.csv; inputs read 2 (3 to go), records 4,000, 10 records/s, newest 2026-11-27T08:00:00.000Z;"
        " intervals 6, services 5 (1 failing)"
    )
    assert shown == [said, said]
    assert capsys.readouterr().err == ""


def test_a_file_name_moves_no_cursor() -> None:
    """Other users may put files into the folder of inputs, and name them."""
    activity = Activity()
    activity.read("in/\x1b]0;title\x07\nof\u202efile.csv", 0)
    line = status_of("n/r", Progress(activity, 0, Counts(), 0, 0, 0, 0, 600), 1.0, 0.0, None)
    assert progress_lines(line)[0] == "reading in/\\x1b]0;title\\x07\\nof\\u202efile.csv"


def test_a_file_name_that_is_no_utf8_ends_no_status_file() -> None:
    activity = Activity()
    activity.read(os.fsdecode(b"in/\xff.csv"), 0)
    line = status_of("n/r", Progress(activity, 0, Counts(), 0, 0, 0, 0, 600), 1.0, 0.0, None)
    assert json.loads(msgspec.json.encode(line))["input"] == "in/\\udcff.csv"


def test_kernels_that_a_run_compiles_are_counted_in_its_view(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second line of progress would break the view."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(compile_display, "_displays", [pytest.fail])
    with PassiveDisplay():
        compile_display.show(1, 3)
        assert "liveness: compiling kernels, once: 1 of 3" in terminal.getvalue()
        compile_display.clear()
    monkeypatch.setattr(compile_display, "_displays", [])
    before = terminal.tell()
    with PassiveDisplay():
        compile_display.show(2, 3)
    assert "compiling" not in terminal.getvalue()[before:]


def test_each_file_of_a_backlog_has_its_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that follows publishes after each file that it reads, also where others wait already."""
    monkeypatch.setattr(run_module, "POLL_S", 0.01)
    monkeypatch.setattr("liveness.passive.inputs.SETTLED_NS", -(1 << 62))
    monkeypatch.setattr(pace, "SHARE", 1.0)
    (tmp_path / "in").mkdir()
    for number in range(6):
        write_csv(tmp_path / f"in/{number}.csv", interval_of(number, failing=False))
    config = load_config(write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["in"], follow=True, lateness="0s"))
    opened = PassiveRun.create(config, "live", forced=True, note=lambda _line: None)
    seen: list[tuple[int, int, str]] = []

    def update(state: State) -> None:
        path = opened.path / "passive.json"
        if path.exists() and state.status == "running":
            seen.append((state.inputs, json.loads(path.read_text())["records"]["read"], opened.activity.state))
        opened.stopping = state.inputs == 6

    opened.on_state = update
    opened.go([], follow=True)
    records = len(interval_of(0, failing=False))
    assert seen == [(number, number * records, "reading") for number in range(1, 7)]


def test_documents_take_a_share_of_the_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    paced = Pace()
    assert paced.is_due()
    with paced:
        now_s += 2
    assert not paced.is_due()
    now_s += 17.9
    assert not paced.is_due()
    now_s += 0.2
    assert paced.is_due()


def test_a_failure_to_show_the_state_is_reported_once_and_ends_nothing() -> None:
    called: list[int] = []
    warned: list[str] = []
    done = threading.Event()

    def fail() -> None:
        called.append(1)
        raise ValueError("no view")

    def warn(text: str) -> None:
        warned.append(text)
        done.set()

    ticker = Ticker(fail, warn)
    ticker.begin()
    assert done.wait(60)
    ticker.end(lambda: called.append(2))
    assert called == [1]
    assert len(warned) == 1
    assert warned[0].startswith("the state is shown no more: ValueError: no view")
