"""`liveness warm`: what it compiles is all that the commands need."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from liveness.cli import warm
from liveness.errors import LivenessError
from liveness.kernel import COMPILED
from liveness.system.exit_codes import exit_code_of
from liveness.system.warming import Step
from tests.cli.support import liveness

compiled_only = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")

LOADED = """
import sys
from pathlib import Path
from liveness import kernel

def loaded():
    return {f"{each.__module__}.{each.__name__}{types}" for each in kernel._kernels for types in each.overloads}

folder = Path(sys.argv[1])
"""
ANALYZE = """
from liveness.analysis.document import document
from liveness.analysis.results import analyze_runs
from liveness.cli.warm_samples import analyze_runs_of_samples
from liveness.runs.finding import find_runs
from tests.populations import town

analyze_runs_of_samples()
before = loaded()
town().write(folder)
document(analyze_runs(find_runs(folder)))
print(len(before) > 2, loaded() - before)
"""
PASSIVE = """
from liveness.cli.warm_samples import classify_samples
from tests.passive.drawn import LOCAL, draw
from tests.passive.judge import write_csv
from liveness.passive.config import Config
from liveness.passive.run import PassiveRun

classify_samples()
before = loaded()
write_csv(folder / "flows.csv", draw(7))
run = PassiveRun.create(
    Config(name="drawn", local=(LOCAL,), output=str(folder), inputs=(str(folder / "flows.csv"),)),
    None, forced=True, note=lambda _: None,
)
run.go((), follow=False)
run.release()
print(len(before) > 2, loaded() - before)
"""


def in_process(code: str, folder: Path) -> str:
    """Run code in a process of its own with the cache of all tests, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED + code, str(folder)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@compiled_only
@pytest.mark.parametrize("code", [ANALYZE, PASSIVE], ids=["analyze", "passive"])
def test_the_samples_load_every_kernel_that_a_command_loads(code: str, tmp_path: Path) -> None:
    assert in_process(code, tmp_path) == "True set()"


@compiled_only
def test_what_is_compiled_is_not_compiled_again(tmp_path: Path) -> None:
    """A part in place of the real ones, which take long."""
    (tmp_path / "little_kernel.py").write_text(
        "from liveness.kernel import kernel\n@kernel\ndef double(number):\n    return 2 * number\n"
        "def load():\n    assert double(4) == 8\n"
    )
    code = """
import little_kernel
from liveness.cli import main, warm
from liveness.system.warming import Step
warm.PARTS["scan"] = lambda: [Step("little", little_kernel.load)]
main.run()
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}

    def warmed(*words: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-c", code, "warm", *words], env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout, done.stderr

    assert warmed("scan") == (0, "", "liveness: kernels of scan: compiled\n")
    assert warmed("scan") == (0, "", "liveness: kernels of scan: were compiled already\n")
    assert warmed("scan", "-q") == (0, "", "")
    environment["NUMBA_DISABLE_JIT"] = "1"
    code_of_exit, _, message = warmed("scan")
    assert (code_of_exit, message.startswith("liveness: error: NUMBA_DISABLE_JIT is set")) == (1, True)


@compiled_only
def test_a_child_that_is_killed_leaves_no_files(tmp_path: Path) -> None:
    """Ctrl-C ends the children without any chance to remove what they have written."""
    (tmp_path / "killed_kernel.py").write_text(
        "import os\nimport signal\nfrom liveness.cli.warm_samples import _folder\n"
        "def load():\n    with _folder() as folder:\n"
        "        (folder / 'sample').touch()\n        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    code = """
import killed_kernel
from liveness.cli import main, warm
from liveness.system.warming import Step
warm.PARTS["scan"] = lambda: [Step("killed", killed_kernel.load)]
main.run()
"""
    (tmp_path / "temporary").mkdir()
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}",
        "TMPDIR": str(tmp_path / "temporary"),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, "warm", "scan"], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "too little memory" in done.stderr) == (1, True)
    assert list((tmp_path / "temporary").iterdir()) == []


@compiled_only
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_neither_files_nor_children(number: int, tmp_path: Path) -> None:
    """A child waits in the midst of its work, and would write again when its files are gone."""
    (tmp_path / "slow_kernel.py").write_text(
        "import os\nimport sys\nimport time\nfrom liveness.cli.warm_samples import _folder\n"
        "def load():\n    with _folder() as folder:\n"
        "        (folder / 'sample').touch()\n        os.write(1, b'%d' % os.getpid())\n        time.sleep(600)\n"
    )
    code = """
import slow_kernel
from liveness.cli import main, warm
from liveness.system.warming import Step
warm.PARTS["scan"] = lambda: [Step("slow", slow_kernel.load)]
main.run()
"""
    (tmp_path / "temporary").mkdir()
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}",
        "TMPDIR": str(tmp_path / "temporary"),
    }
    command = [sys.executable, "-c", code, "warm", "scan"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        child = int(os.read(running.stdout.fileno(), 16))
        running.send_signal(number)
    assert running.returncode == exit_code_of(number)
    assert list((tmp_path / "temporary").iterdir()) == []
    assert not Path(f"/proc/{child}").exists()


@compiled_only
def test_without_a_place_for_what_is_compiled_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liveness.kernel.keeps_compiled", False)
    monkeypatch.setitem(warm.PARTS, "scan", lambda: [Step("nothing", pytest.fail)])
    for place, reason in ((None, "there is no directory"), (Path("/image"), "/image cannot be written")):
        monkeypatch.setattr("liveness.kernel.kept_in", place)
        result = CliRunner().invoke(warm.command, ["scan"])
        assert isinstance(result.exception, LivenessError)
        assert str(result.exception).startswith(reason)
        assert "set NUMBA_CACHE_DIR" in str(result.exception)


def test_the_doctor_says_no_more_than_was_done(tmp_path: Path) -> None:
    done = liveness("doctor", "--compile", env={"NUMBA_DISABLE_JIT": "1", "NUMBA_CACHE_DIR": str(tmp_path)})
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("liveness: error: NUMBA_DISABLE_JIT is set")


@compiled_only
def test_what_is_not_kept_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(warm.PARTS, "scan", lambda: [Step("nothing", warm._scan)])
    monkeypatch.setattr("liveness.system.warming.compile_kernels", lambda _: True)
    result = CliRunner().invoke(warm.command, ["scan"])
    assert isinstance(result.exception, LivenessError)
    assert "could not be kept" in str(result.exception)


def test_parts_have_steps_with_different_names() -> None:
    steps = [step for part in warm.PARTS.values() for step in part()]
    assert len(steps) >= 10
    assert len({step.name for step in steps}) == len(steps)
