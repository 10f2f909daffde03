"""Terminals of 40 columns show every heading and value; streams without Unicode get ASCII forms, not escapes."""

import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from rich.console import Console, RenderableType
from rich.table import Table

from liveness.cli.display import ScanDisplay
from liveness.cli.live import LiveView
from liveness.cli.main import COMMANDS
from liveness.replylog.runlog import RunLog
from liveness.report.fitted import FittedTable
from liveness.report.tables import report_tables
from tests.populations import town
from tests.replylog.replies import PROBES, replies
from tests.report.runs import results, weekly
from tests.watch.readings import progress, reading

COLUMNS = 40
ROOT = Path(__file__).parents[2]
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ASCII = {"PYTHONIOENCODING": "ascii"}
FOLDED = 12
"""Characters from which on a word may be folded."""
MANY = 20
WIDE = 100
TABLES_ONLY = ("probes", "census list sets", "lab describe")
"""Commands that print nothing else: no warnings, names or commands to copy, which the terminal may break."""

PRINTING = {
    "probes": ("probe", "cookie in", "payload", "what counts as a reply", "icmp", "echo-reply", "dns", "ntp"),
    "doctor": ("feature", "here", "found", "needed by", "interface", "sending by", "result", "frames a call", "trial"),
    "census list sets": (
        *("run", "status", "targets", "alive", "born", "died", "took", "kept", "alarms"),
        *("weekly/2026-11-01", "weekly/2026-11-08", "complete"),
    ),
    "census show 2026-11-08 --directory sets": ("status", "complete", "sent", "answered", "icmp", "74.0 M"),
    "census diff 2026-11-01 2026-11-08 --directory sets": ("family", "born", "died", "stayed", "icmp"),
    "lab describe": ("network", "prefixes", "addresses", "what it does", "reply", "probe and targets", "echo-reply"),
    "lab describe paper": ("share", "published", "model", "difference", "sample"),
    "replies run": ("probe", "reply", "replies", "icmp", "echo-reply"),
    "analyze sets": ("74.0 M", "weekly/2026-11-01", "weekly/2026-11-08", "sent", "answered"),
    "sets info a.txt": ("257",),
    "--help": tuple(COMMANDS),
}
"""Commands that print tables, with headings and values of each."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("narrow")
    (made / "run").mkdir()
    for population in weekly(2):
        population.write(made / "sets")
    log = RunLog(made / "run", "parquet", PROBES)
    log.replies(replies(100))
    log.close()
    log.wait()
    (made / "a.txt").write_text("192.0.2.0/24\n198.51.100.7\n")
    return made


def on_terminal(words: str, folder: Path, environment: dict[str, str] | None = None, columns: int = COLUMNS) -> str:
    """Run a command on a terminal of so many columns; return what it shows, without escape codes."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "liveness", *words.split()],
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm", "LC_ALL": "C.UTF-8", **(environment or {})},
    )
    os.close(theirs)
    shown = b"".join(_read(ours))
    os.close(ours)
    assert process.wait(60) in (0, 3), shown
    return ESCAPE.sub("", shown.decode("utf-8", "strict"))


def _read(descriptor: int) -> Iterator[bytes]:
    while select.select([descriptor], [], [], 60)[0]:
        try:
            data = os.read(descriptor, 65536)
        except OSError:  # the other side is closed
            return
        if not data:
            return
        yield data


def assert_shown(shown: str, *parts: str) -> None:
    """Check that every word is there; a cell may wrap between words, and what is longer than the terminal is folded."""
    whole = "".join(shown.split())
    for word in " ".join(parts).split():
        assert word in shown or (len(word) > FOLDED and word in whole), (word, shown)


@pytest.mark.parametrize("words", PRINTING)
def test_forty_columns_show_every_heading_and_value(folder: Path, words: str) -> None:
    shown = on_terminal(words, folder)
    assert_shown(shown, *PRINTING[words])
    assert "\u2026" not in shown
    if words in TABLES_ONLY:
        assert all(len(line) <= COLUMNS for line in shown.splitlines()), shown


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        *((words, environment) for words in PRINTING for environment in (ASCII, {"LANG": "C", "LC_ALL": ""})),
        *(("probes", environment) for environment in ({"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C"})),
    ],
    ids=str,
)
def test_without_unicode_there_are_no_escapes(folder: Path, words: str, environment: dict[str, str]) -> None:
    shown = on_terminal(words, folder, environment, WIDE)
    assert_shown(shown, *PRINTING[words])
    assert shown.isascii(), set(shown) - set(map(chr, range(128)))
    assert not re.search(r"\\u[0-9a-f]{4}|\\x[0-9a-f]{2}", shown), shown


def test_what_has_no_ascii_form_is_escaped_under_ascii_and_kept_under_c(folder: Path) -> None:
    (folder / "caf\u00e9.txt").write_text("192.0.2.1\n")
    asked = "sets info caf\u00e9.txt"
    assert "caf\\u00e9.txt" in on_terminal(asked, folder, ASCII)
    assert "caf\u00e9.txt" in on_terminal(asked, folder, {"LANG": "C", "LC_ALL": ""})


@pytest.mark.parametrize("width", [20, 30, COLUMNS, 60, 80, 120])
def test_every_table_of_a_report_shows_every_cell(width: int) -> None:
    """Rich's own tables lose columns here: see the next test."""
    sections = [*report_tables(results(*weekly(2)))]
    assert len(sections) > MANY
    for section in sections:
        shown = drawn(section, width)
        for row in getattr(section, "rows", ()):
            assert_shown(shown, *getattr(section, "columns", ()), *map(str, row))
        assert max(map(len, shown.splitlines()), default=0) <= width


def test_a_table_of_rich_loses_what_ours_keeps() -> None:
    headings = [f"heading{number}" for number in range(12)]
    plain, ours = Table(*headings), FittedTable(*headings)
    for table in (plain, ours):
        table.add_row(*(f"value{number}" for number in range(12)))
    assert "value11" not in drawn(plain, COLUMNS)
    assert_shown(drawn(ours, COLUMNS), *headings, "value11")
    assert drawn(ours, 3 * WIDE) == drawn(plain, 3 * WIDE)


def test_rows_stack_as_names_and_values() -> None:
    table = FittedTable("probe", "sent", "answered", title="Probes")
    table.add_row("icmp", "1,234,567,890,123", "[red]987,654,321,012[/]")
    assert drawn(table, 30).splitlines() == [
        "Probes",
        "probe: icmp",
        "  sent: 1,234,567,890,123",
        "  answered: 987,654,321,012",
    ]


def test_a_running_scan_shows_every_field_on_forty_columns() -> None:
    console = Console(file=io.StringIO(), width=COLUMNS, force_terminal=True, color_system=None, height=50)
    view = LiveView(console)
    view.show(reading(progress(0, 0), progress(1, 100, 25)))
    view.stop()
    assert isinstance(console.file, io.StringIO)
    shown = ESCAPE.sub("", console.file.getvalue())
    names = ("sent", "done", "packets/s", "replies", "hit rate", "replies/s", "receiving")
    assert_shown(shown, "icmp", "tcp/443", *names, "25.00%", "12.50%")
    assert "\u2026" not in shown


def test_the_summary_of_a_scan_on_forty_columns() -> None:
    with patch.dict(os.environ, {"COLUMNS": str(COLUMNS)}), patch("sys.stderr", io.StringIO()) as errors:
        ScanDisplay(quiet=False).end(town().manifest())
    names = ("probe", "sent", "answered", "share", "recovered", "messages")
    assert_shown(errors.getvalue(), *names, "icmp", "tcp/7547", "dns", "echo-reply", "syn-ack")


def drawn(table: RenderableType, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
