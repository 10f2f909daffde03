"""Runs of somebody else: one line that says whose they are, and runs that a group may read."""

import json
import os
import shlex
import stat
import sys
from pathlib import Path

import pytest

from liveness.files.directory import Directory
from liveness.files.sharing import share
from tests.census.as_root import run_as_root
from tests.cli.support import Run, liveness
from tests.populations import town

OTHER = 65533
"""A user without a name."""
GROUP = 65532
ROOT = Path(__file__).parents[2]
COMMANDS = [
    ("analyze", "RUN"),
    ("analyze", "SETS"),
    ("sets", "info", "RUN/sets/icmp.echo-reply.source.roaring"),
    ("replies", "RUN"),
    ("lab", "check", "RUN"),
    ("replay", "--run", "RUN", "--check"),
    ("scan", "--resume", "RUN"),
    ("census", "list", "SETS"),
    ("census", "show", "RUN"),
    ("census", "run", "-C", "census.yaml", "--quiet"),
]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of two users; CI runs as root")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = town().write(tmp_path / "sets").path
    (tmp_path / "census.yaml").write_text(
        f"name: {run.parent.name}\ntargets: {{allow: [192.88.98.0/30]}}\ncontact: x\noutput: {tmp_path}/sets\n"
    )
    for place in (tmp_path, *tmp_path.parents):
        if place.stat().st_uid == os.geteuid() and place != Path("/"):
            place.chmod(place.stat().st_mode | 0o055)
    return tmp_path


def private(folder: Path) -> Path:
    """Make the run its owner's alone, as scans do, and return it."""
    [manifest] = folder.rglob("manifest.json")
    for path in (manifest.parent.parent, manifest.parent, *manifest.parent.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return manifest.parent


def as_other(commands: list[list[str]], cwd: Path, group: int = OTHER) -> list[Run]:
    """Run command lines as a user who owns nothing and is in one group."""
    place = cwd / "out"
    place.mkdir(exist_ok=True)
    script = f"cd {shlex.quote(str(cwd))}\nexport PYTHONPATH={shlex.quote(str(ROOT))} HOME=/nonexistent\nset +e\n"
    for number, words in enumerate(commands):
        drop = ["setpriv", f"--reuid={OTHER}", f"--regid={group}", "--clear-groups", sys.executable, "-m", "liveness"]
        script += f"{shlex.join([*drop, *words])} > out/{number}.out 2> out/{number}.err; echo $? > out/{number}.code\n"
    done = run_as_root(script, cwd, timeout_s=240)
    assert done.returncode == 0, done.stderr
    return [
        Run(
            int((place / f"{number}.code").read_text()),
            (place / f"{number}.out").read_text(),
            (place / f"{number}.err").read_text(),
        )
        for number in range(len(commands))
    ]


@needs_root
def test_whose_a_run_is_and_what_to_do(folder: Path) -> None:
    run = private(folder)
    commands = [
        [word.replace("RUN", str(run)).replace("SETS", str(run.parent.parent)) for word in command]
        for command in COMMANDS
    ]
    for command, done in zip(commands, as_other(commands, folder), strict=True):
        assert done.code in (1, 2, 3), (command, done)
        assert done.err.count("\n") == 1, (command, done.err)
        assert done.err.startswith("liveness: error: "), (command, done.err)
        for part in ("belongs to root (mode ", "sudo -u root", "share: {group: NAME}"):
            assert part in done.err, (command, done.err)


@needs_root
def test_a_shared_run_is_read_by_the_group_and_its_key_is_not(folder: Path) -> None:
    run = private(folder)
    (run / "key").write_bytes(bytes(16))
    (run / "key").chmod(0o600)
    (run / "link").symlink_to("/etc/shadow")
    for path, inside in ((run.parent, False), (run, True)):
        with Directory.open(path) as directory:
            share(directory, GROUP, inside=inside)
    for path in (run.parent, run, run / "sets"):
        assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_gid) == (0o2750, GROUP)
    assert (stat.S_IMODE((run / "manifest.json").stat().st_mode), (run / "manifest.json").stat().st_gid) == (
        0o640,
        GROUP,
    )
    assert stat.S_IMODE((run / "key").stat().st_mode) == 0o600
    shadow = Path("/etc/shadow").stat()
    assert shadow.st_gid != GROUP
    (run / "later").mkdir()
    assert (run / "later").stat().st_gid == GROUP  # the set-group-ID bit
    [read] = as_other([["analyze", str(run), "--json"]], folder, GROUP)
    assert read.code == 0, read
    assert json.loads(read.out)["runs"]


def test_a_group_that_does_not_exist_is_refused_before(folder: Path) -> None:
    text = (folder / "census.yaml").read_text()
    (folder / "census.yaml").write_text(text + "share: {group: nosuchgroup}\n")
    refused = liveness("config", "check", "census.yaml", cwd=folder)
    assert refused.code == 2
    assert "share.group: 'nosuchgroup': no such group" in refused.err
