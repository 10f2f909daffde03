"""What goes wrong on a machine that nobody watches: each ends clean, in one line, and the run can be gone on with."""

import time
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.census.support import LIVENESS, ROOT, Census, clean_environment, run, write_yaml

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("compiled")]

LAB: Final = """
name: small
networks:
  - {name: hosts, kind: host, prefixes: [10.1.0.0/24], listen: [80], dns: answer}
  - {name: dark, kind: silent, prefixes: [10.2.0.0/25]}
"""
TARGETS: Final = 256 + 128
CONFIG: Final[dict[str, object]] = {
    "name": "sturdy",
    "targets": {"allow": ["10.1.0.0/24", "10.2.0.0/25"]},
    "probes": ["icmp", "tcp/80", "dns"],
    "rate": "100pps",  # 8 s of sending
    "probe_spacing": "20ms",
    "cooldown": "500ms",
    "checkpoint": "200ms",
    "retransmit": {"attempts": 2, "queue": 100},
}
END_S: Final = 100.0
RESUMED_TRUE: Final = "complete"


def in_lab(folder: Path, script: str, *, path: str = "", **changes: object) -> Any:  # noqa: ANN401 - what run() returns
    """Run a shell script in a lab; {scan} begins the run {run}, {resume} goes on with it."""
    (folder / "lab.yaml").write_text(LAB)
    config = write_yaml(folder / "census.yaml", CONFIG | {"output": str(folder / "sets")} | changes)
    words = {
        "scan": f"{' '.join(LIVENESS)} scan -q -C {config} --run-id one",
        "resume": f"{' '.join(LIVENESS)} scan -q --resume {folder}/sets/sturdy/one",
        "run": folder / "sets" / "sturdy" / "one",
        "folder": folder,
        "begun": f"while [ ! -f {folder}/sets/sturdy/one/checkpoint.json ] && kill -0 $scan; do sleep 0.05; done",
    }
    lab = (*LIVENESS, "lab", "exec", "--plain", "--internet", folder / "lab.yaml", "--")
    options = {"env": clean_environment(PYTHONPATH=path)} if path else {}
    return run(*lab, "sh", "-c", script.format(**words), timeout=END_S, **options)


def check_true(folder: Path, path: Path | None = None) -> Census:
    """Check that a run is complete and its sets are the truth."""
    path = path or folder / "sets" / "sturdy" / "one"
    census = Census(path)
    assert (census.manifest.status, census.manifest.targets) == (RESUMED_TRUE, TARGETS)
    checked = run(*LIVENESS, "lab", "check", "--plain", "--internet", folder / "lab.yaml", path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    return census


def lines_of(text: str) -> list[str]:
    """Return the lines of standard error less the hints of a shell."""
    return [line for line in text.splitlines() if line.startswith("liveness: ")]


def test_a_directory_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    script = """
    mkdir {folder}/sets
    unshare -m sh -c 'mount -t tmpfs -o ro none {folder}/sets && {scan}'
    """
    done = in_lab(tmp_path, script)
    assert done.returncode == 2, done.stderr
    message = f"{tmp_path}/sets/sturdy/one: cannot make this run directory: Read-only file system"
    assert done.stderr == f"liveness: error: {message}\n"


def test_a_disk_that_fills_up_ends_a_scan_which_continues_when_there_is_room(tmp_path: Path) -> None:
    """The file system is filled by somebody else in mid-run, and has room again before the run goes on."""
    script = """
    mkdir {folder}/sets
    unshare -m sh -c '
      mount -t tmpfs -o size=8m none {folder}/sets
      {scan} & scan=$!
      {begun}
      sleep 2
      dd if=/dev/zero of={folder}/sets/filler bs=4k 2>/dev/null
      wait $scan; echo ended with $? >&2
      rm {folder}/sets/filler
      {resume}; echo resumed with $? >&2
      cp -r {folder}/sets {folder}/kept
    '
    """
    done = in_lab(tmp_path, script)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    ended, resumed = (line for line in done.stderr.splitlines() if " with " in line)
    assert ended in ("ended with 1", "ended with 5")
    assert resumed == "resumed with 0", done.stderr
    assert "No space left on device" in "".join(lines_of(done.stderr))
    assert len(lines_of(done.stderr)) == 1, done.stderr
    check_true(tmp_path, tmp_path / "kept" / "sturdy" / "one")


CLOCK: Final = """
import os, time
from pathlib import Path

_true_ns, _began = time.time_ns, time.monotonic()


def time_ns():
    '''The time of day of somebody who sets it by an hour, there and back and to the other side.'''
    try:
        hours = int(Path(os.environ["CLOCK_FILE"]).read_text() or 0)
    except (OSError, KeyError):
        hours = time_ns.hours
    time_ns.hours = hours
    return _true_ns() + hours * 3_600_000_000_000


time_ns.hours = 0
time.time_ns = time_ns
time.time = lambda: time_ns() / 1e9
"""


def test_a_clock_that_is_set_by_an_hour_both_ways_changes_nothing(tmp_path: Path) -> None:
    """The clock is that of senders and supervisor, as a module of Python's own start sets it."""
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(CLOCK)
    script = """
    export CLOCK_FILE={folder}/hours
    echo 0 > $CLOCK_FILE
    {scan} & scan=$!
    {begun}
    sleep 2; echo 1 > $CLOCK_FILE
    sleep 2; echo -1 > $CLOCK_FILE
    sleep 2; echo 0 > $CLOCK_FILE
    wait $scan
    """
    begun = time.monotonic()
    done = in_lab(tmp_path, script, path=f"{tmp_path}/clock:{ROOT}")
    assert (done.returncode, lines_of(done.stderr)) == (0, []), done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - begun < END_S
    manifest = check_true(tmp_path).manifest
    ends = manifest.timeline.end_s
    assert ends == sorted(ends)
    assert ends[-1] < END_S
    assert {tuple(counts.sent) for counts in manifest.probes.values()} == {(TARGETS, TARGETS)}


@pytest.mark.parametrize("transport", ["af_xdp", "af_packet"])
def test_an_interface_that_stays_down_ends_a_scan_which_resumes_when_it_is_back(tmp_path: Path, transport: str) -> None:
    script = """
    {scan} & scan=$!
    {begun}
    sleep 2
    route=$(ip route show default)
    ip link set scan0 down
    wait $scan; echo ended with $? >&2
    ip link set scan0 up
    ip route replace $route 2>/dev/null
    {resume}; echo resumed with $? >&2
    """
    done = in_lab(tmp_path, script, network={"transport": transport}, senders=1, limits={"max_pause": "2s"})
    run = f"{tmp_path}/sets/sturdy/one"
    kept = f"what was received is kept in {run}; `liveness scan --resume {run}` continues it"
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert lines[0] == "liveness: paused: interface scan0 is down"
    assert lines[-3:] == [
        f"liveness: error: interface scan0 is down, for 2 s by now: {kept}",
        "ended with 5",
        "resumed with 0",
    ], lines
    check_true(tmp_path)


def test_a_config_that_is_edited_and_a_lock_of_a_dead_process_do_not_matter_to_a_run(tmp_path: Path) -> None:
    """A run goes on as it began: by the copy of its config in its manifest. The kernel frees the lock of the dead."""
    script = """
    {scan} & scan=$!
    {begun}
    sleep 2
    sed -i 's/name: sturdy/name: other/; s/100pps/1pps/; s|10.1.0.0/24|10.9.0.0/24|' {folder}/census.yaml
    kill -9 $scan; wait $scan
    ls {run}/lock && echo 99999 >> {run}/lock
    {resume}
    """
    done = in_lab(tmp_path, script)
    assert (done.returncode, lines_of(done.stderr)) == (0, []), done.stderr
    edited = yaml.safe_load((tmp_path / "census.yaml").read_text())
    assert edited["rate"] == "1pps"
    manifest = check_true(tmp_path).manifest
    assert (manifest.name, manifest.config["rate"], len(manifest.resumed)) == ("sturdy", "100pps", 1)
