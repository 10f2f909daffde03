"""A call that is cut off at any of its writes, and disks that are full or read-only: nothing good is ever lost."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liveness.census.retention import verified
from liveness.config.model import Keep
from liveness.files.directory import Directory
from liveness.system.child import fork
from tests.census.recurring import TOWN, Weekly
from tests.census.support import ROOT

PLACES = ((Directory, "write"), (Directory, "move"), (Directory, "remove"), (Directory, "remove_tree"))
"""What a call does to the disk around its scan."""


def take_until(weekly: Weekly, writes: int, *, after: bool) -> bool:
    """Take a census in a child that is killed before or after a write; return whether it came that far."""
    pid = fork()
    if pid == 0:
        left = writes

        def killing(function: Callable[..., Any]) -> Callable[..., Any]:
            def step(*arguments: Any, **named: Any) -> object:  # noqa: ANN401 - whatever the function takes
                nonlocal left
                left -= 1
                if left == 0 and not after:
                    os.kill(os.getpid(), signal.SIGKILL)
                result = function(*arguments, **named)
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return result

            return step

        for module, name in PLACES:
            setattr(module, name, killing(getattr(module, name)))
        scanner = weekly.scanner()
        scanner.logs = True
        weekly.take(scanner)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("after", [False, True])
def test_cut_off_at_any_write(tmp_path: Path, *, after: bool) -> None:
    keep, replies = Keep(runs=1, replies=0), list(TOWN.replies[:4])
    first = Weekly(tmp_path / "first", keep, replies=replies)
    scanner = first.scanner()
    scanner.logs = True
    scanner.begin("by-hand")
    earlier = first.taken(scanner)
    writes, cut = 0, True
    while cut:
        writes += 1
        weekly = Weekly(tmp_path / str(writes), keep, replies=replies)
        shutil.copytree(first.folder, weekly.folder)
        cut = take_until(weekly, writes, after=after)
        lying = [path for path in weekly.home.path.iterdir() if (path / "manifest.json").is_file()]
        assert any(verified(weekly.home.run(path.name)) for path in lying if path.name != "by-hand"), writes
        begun = [record for record in weekly.records() if record.run_id != earlier.run_id]
        last = weekly.taken()
        states = {record.run_id: record.state for record in weekly.records()}
        assert states.pop(last.run_id) == "reported"
        assert set(states.values()) <= {"removed"}, (writes, states)
        assert all(record.run_id in (*states, last.run_id) for record in begun if record.status), writes
        left = {path.name for path in weekly.home.path.iterdir() if path.is_dir()}
        assert left == {"by-hand", "reports", last.run_id}, writes
        assert (weekly.home.run("by-hand").path / "replies").is_dir()
        assert weekly.warnings == []
    assert writes > 8, "there are writes to be cut off at"


DISK = """
import sys
from pathlib import Path
from liveness.errors import LivenessError
from tests.census.recurring import Weekly

weekly = Weekly(Path(sys.argv[1]))
try:
    print("state", weekly.taken().state)
except LivenessError as error:
    print("error", error.exit_code, error)
"""


def on_disk(folder: Path, *steps: str) -> list[str]:
    """Take censuses on a small disk of their own, mounted where nobody else sees it; return what each call printed."""
    take = f"{sys.executable} -c '{DISK}' {folder}/disk"
    commands = ["mkdir disk", "mount -t tmpfs -o size=4m tmpfs disk", *steps]
    script = "; ".join(take if step == "take" else step for step in commands)
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_read_only_disk_is_one_line(tmp_path: Path) -> None:
    lines = on_disk(tmp_path, "take", "mount -o remount,ro disk", "take", "mount -o remount,rw disk", "take")
    lock = f"{tmp_path}/disk/weekly/census.lock"
    assert lines == [
        "state reported",
        f"error 1 {lock}: cannot take this lock: Read-only file system",
        "state reported",
    ]


def test_a_full_disk_is_one_line_and_nothing_is_lost(tmp_path: Path) -> None:
    fill = "dd if=/dev/zero of=disk/filler bs=4096 status=none 2>/dev/null"
    lines = on_disk(tmp_path, "take", fill, "take", "rm disk/filler", "take", "ls disk/weekly | grep -c 2")
    assert [lines[0], lines[2]] == ["state reported", "state reported"]
    assert lines[1].startswith("error 1 ")
    assert "No space left on device" in lines[1]
    assert lines[3] == "2", "the run that could not begin has left nothing"
