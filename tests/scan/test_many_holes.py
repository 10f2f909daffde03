"""A blocklist of a million single addresses: memory and files grow with its intervals, not with their prefixes."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.config.load import load_config, resolve_targets
from liveness.runs.optout_record import load_opt_outs
from liveness.runs.rundir import RunDirectory
from liveness.scan.optouts import OptOutWatch
from liveness.scan.plan import Plan
from liveness.scan.send.withdrawn import WithdrawnList
from liveness.space.addresses import format_address
from liveness.space.intervals import Intervals
from liveness.space.prefixes import parse_lines
from liveness.system.child import run_in_child

HOLES = 1_000_000
LIMIT_KIB = 300 << 10
"""Above what the process had as it began, which is what pytest has by then."""


def memory_kib(field: str) -> int:
    """Return a field of this process's status, in KiB."""
    return int(re.findall(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[0])


BOUNDS = st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**17)), max_size=30)


@given(BOUNDS)
def test_the_entries_of_intervals_are_the_intervals(bounds: list[tuple[int, int]]) -> None:
    first = [low for low, _ in bounds]
    last = [min(low + size, 2**32 - 1) for low, size in bounds]
    intervals = Intervals.from_bounds(first, last)
    entries = list(intervals.entries())
    assert len(entries) == len(intervals)
    read = parse_lines(entries)
    assert (read.first.tolist(), read.last.tolist()) == (intervals.first.tolist(), intervals.last.tolist())


def test_an_entry_is_as_people_write_it() -> None:
    intervals = Intervals.from_bounds([0, 16, 0x0A000000, 0xC0000200], [2, 16, 0x0AFFFFFF, 0xC00002FE])
    assert list(intervals.entries()) == ["0.0.0.0-0.0.0.2", "0.0.0.16", "10.0.0.0/8", "192.0.2.0-192.0.2.254"]
    assert list(Intervals.everything().entries()) == ["0.0.0.0/0"]
    assert list(Intervals.empty().entries()) == []


@pytest.mark.slow
def test_a_million_opt_outs_take_little_memory_and_small_files(tmp_path: Path) -> None:
    """Planned, written, read again, and withdrawn while the scan runs: the peak of the process is the judge."""
    holes = (np.arange(HOLES, dtype=np.uint64) * 1_237 + 0x20000001).tolist()
    blocklist = tmp_path / "block.txt"
    blocklist.write_text("".join(f"{format_address(hole)}\n" for hole in holes))
    config = tmp_path / "census.yaml"
    config.write_text(
        "name: holes\ncontact: https://example.org/scan\ntargets: {allow: [0.0.0.0/0], block: [block.txt, later.txt]}\n"
    )
    (tmp_path / "later.txt").write_text("")

    def supervisor() -> tuple[int, int, int, int]:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins here (proc_pid_clear_refs(5))
        begun_kib = memory_kib("VmRSS")
        loaded = load_config(config)
        targets = resolve_targets(loaded, lab=False)
        directory = RunDirectory.create(tmp_path, "holes", "one")
        plan = Plan(loaded, targets, 50_000, bytes(16))
        directory.write_targets(plan.intervals.entries())
        read = directory.read_targets()
        assert bool((read.first == plan.intervals.first).all())
        notices: list[str] = []
        watch = OptOutWatch(plan, directory.path, WithdrawnList(), notices.append)
        (tmp_path / "later.txt").write_text("".join(f"{format_address(hole + 1)}\n" for hole in holes[::2]))
        watch.look_again()
        peak = memory_kib("VmHWM") - begun_kib
        size = (directory.path / "targets.txt").stat().st_size
        return peak, size, len(notices), load_opt_outs(directory.path).withdrawn.count

    peak_kib, size, notices, withdrawn = run_in_child(supervisor)
    assert notices == 1
    assert HOLES * 0.49 < withdrawn <= HOLES // 2  # some neighbours lie in special-purpose space
    assert size < 40 << 20
    assert peak_kib < LIMIT_KIB, peak_kib
