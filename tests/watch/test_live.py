"""What a terminal shows of a scan, drawn by rich and read as text."""

import io
from dataclasses import replace
from itertools import pairwise

import pytest
from rich.console import Console

from liveness.cli.display import ScanDisplay
from liveness.cli.live import BARS, LiveView, clock, pace_text, sparkline, status_line, where_text
from liveness.compiling import display as compile_display
from liveness.scan.progress import ProbeProgress
from liveness.watch.status import state_of, status_of
from tests.watch.readings import progress, reading


def drawn(width: int, *moments: tuple[int, int]) -> str:
    """Return what a terminal of this width shows of moments (seconds, frames sent), without escape codes."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, height=40)
    view = LiveView(console)
    for (before_s, before), (now_s, now) in pairwise(moments):
        view.show(reading(progress(before_s, before), progress(now_s, now, now // 4, drops=now // 100)))
    view.stop()
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_nothing_else_shows_progress_next_to_the_view(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(compile_display, "_displays", [shown.append])
    view = LiveView(Console(file=io.StringIO(), force_terminal=True))
    for _ in range(2):
        view.show(reading(progress(0, 0), progress(1, 1)))
        compile_display.show(1, 2)
    view.stop()
    compile_display.show(2, 2)
    assert shown == ["compiling kernels, once: 2 of 2"]


@pytest.mark.parametrize("width", [80, 200])
def test_every_field_is_there(width: int) -> None:
    shown = drawn(width, (0, 0), (1, 100), (2, 200), (3, 400))
    for text in ("probe", "sent", "packets/s", "replies", "hit rate", "icmp", "tcp/443", "block 2 of 8", "ETA 00:03"):
        assert text in shown, text
    assert "25.00%" in shown
    assert "12.50%" in shown
    assert "40.0%" in shown
    assert "drops 24 (ring 4, interface 8, sending 12)" in shown
    assert any(bar in shown for bar in BARS[1:])
    assert all(len(line) <= width for line in shown.splitlines() if "\x1b" not in line)


def test_a_census_of_the_internet_fits_80_columns() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None, height=40)
    view = LiveView(console)
    names = ("icmp", "tcp/7547", "tcp/control")
    for second in range(1, 20):
        sent = 7_000_000_000 + 100_000 * second
        probes = tuple(
            ProbeProgress(name, 7_400_000_000, {"sent": sent, "replies": 99_900_000 + 9_876 * second}) for name in names
        )
        moment = replace(progress(300_000 + second, 1), probes=probes)
        view.show(reading(replace(moment, elapsed_s=moment.elapsed_s - 1), moment))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "…" not in shown
    for text in ("7,001.9M", "99,909,876", "100.0M", "94.6%", "1.43%", "3d 11:20:19"):
        assert text in shown, text


def test_it_waits_for_late_replies() -> None:
    assert "waiting for late replies" in drawn(80, (0, 0), (1, 1000))


def test_a_pause_is_reported_with_its_cause() -> None:
    paused = reading(progress(1, 10), progress(2, 10, problem="interface eth0 has no carrier"))
    assert where_text(paused).endswith("PAUSED: interface eth0 has no carrier")
    assert "PAUSED" in status_line(paused)
    assert state_of(paused) == "paused"
    assert status_of("weekly/1", paused, state_of(paused)).problem == "interface eth0 has no carrier"


def test_a_plain_line_says_the_same() -> None:
    line = status_line(reading(progress(10, 100), progress(20, 200, 50)))
    assert line == (
        "00:20  20.0% sent  block 2 of 8  ETA 01:20  30 packets/s  replies 100  hit rate 16.67%"
        "  received 200  rejected 100  drops 0"
    )


@pytest.mark.parametrize(("quiet", "plain"), [(False, True), (True, True), (False, False)])
def test_without_a_terminal_a_line_a_minute(capsys: pytest.CaptureFixture[str], *, quiet: bool, plain: bool) -> None:
    display = ScanDisplay(quiet=quiet, plain=plain)
    moments = [progress(second, min(1000, 3 * second)) for second in range(300)]
    for before, now in pairwise(moments):
        display.read(reading(before, now))
    display.close()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "\x1b" not in shown.err
    stamps = [line[:5] for line in shown.err.splitlines()]
    assert stamps == (["01:00", "02:00", "03:00", "04:00"] if plain and not quiet else [])


@pytest.mark.parametrize(
    ("numbers", "bars"),
    [([], ""), ([0, 0], "▁▁"), ([0, 7, 14], "▁▅█"), ([5], "█"), ([1, 2, 3, 4, 5, 6, 7], "▂▃▄▅▆▇█")],
)
def test_sparklines(numbers: list[float], bars: str) -> None:
    assert sparkline(numbers) == bars


@pytest.mark.parametrize(
    ("span_s", "text"),
    [
        (0, "00:00"),
        (59.6, "01:00"),
        (3_599, "59:59"),
        (3_600, "01:00:00"),
        (90_061, "1d 01:01:01"),
        (86_400, "1d 00:00:00"),
    ],
)
def test_clock(span_s: float, text: str) -> None:
    assert clock(span_s) == text


@pytest.mark.parametrize(
    ("per_second", "text"),
    [(0, "0"), (1 / 3600, "0.000278"), (0.2, "0.2"), (1.04, "1.0"), (9.96, "10.0"), (10, "10"), (123456.7, "123,457")],
)
def test_a_pace_has_the_precision_that_matters(per_second: float, text: str) -> None:
    assert pace_text(per_second) == text
