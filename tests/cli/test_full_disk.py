"""A disk without room: one line, exit code 1, and nothing half written is left."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.passive.drawn import write_config
from tests.passive.judge import write_csv
from tests.passive.test_command import answered
from tests.populations import town
from tests.runs.test_kinds import SURVEY


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    town().write(folder / "runs")
    (folder / "survey.csv").write_text(SURVEY)
    (folder / "a.txt").write_text("192.0.2.1\n")
    write_csv(folder / "flows.csv", answered(3))
    write_config(folder / "passive.yaml", folder / "disk" / "sets")
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "survey import survey.csv -o disk/survey",
        "passive run --config passive.yaml flows.csv",
        "analyze runs -o disk/a.txt",
        "analyze runs --html disk/a.html",
        "analyze runs --map disk/a.png",
        "sets cat a.txt -o disk/b.txt",
        "flows convert flows.csv -o disk/b.csv",
        "blocklist add 192.0.2.1 -b disk/b.txt",
        "config init disk/b.yaml",
    ],
)
def test_nothing_half_written_is_left(inputs: Path, command: str) -> None:
    """In a mount namespace of its own, on a file system of one page that a file fills."""
    (inputs / "disk").mkdir(exist_ok=True)
    program = shlex.join([sys.executable, "-m", "liveness"])
    script = (
        "mount -t tmpfs -o size=4k tmpfs disk && head -c 4096 /dev/zero > disk/full || exit 99\n"
        f"{program} {command}; code=$?; find disk -mindepth 1 ! -path disk/sets; exit $code"
    )
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script],
        cwd=inputs,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 1, done
    assert done.stdout == "disk/full\n"
    assert done.stderr.count("\n") == 1, done.stderr
    assert "No space left on device" in done.stderr
