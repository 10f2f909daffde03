"""A wheel with compiled kernels: nothing is compiled where they fit, everything where they do not."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from liveness.compiling import shipped
from liveness.compiling.shipped import FEATURES, shipped_machine
from liveness.kernel import COMPILED

ROOT = Path(__file__).parents[2]
STEP = "sink FirstReplySinks"
"""The step whose kernels compile fastest."""
LOAD = f"""
import sys
from pathlib import Path
import liveness
from liveness import kernel
from liveness.scan.session import scan_steps

(step,) = (step for step in scan_steps() if step.name == {STEP!r})
print(Path(liveness.__file__).is_relative_to(sys.prefix), kernel.needs_compiling(step.name, step.load))
step.load()
for counts in ("cache_hits", "cache_misses"):
    print(any(sum(getattr(each.stats, counts).values()) for each in kernel._kernels))
"""


@pytest.mark.slow
@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_a_wheel_with_kernels_compiles_nothing_where_they_fit(tmp_path: Path) -> None:
    build = [sys.executable, "-P", str(ROOT / "scripts" / "wheel.py"), "--step", STEP, "-o", str(tmp_path / "dist")]
    done = subprocess.run(build, stdout=subprocess.PIPE, text=True, check=True)
    wheel = Path(done.stdout.strip())
    version = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert wheel.name.endswith(f"-{version}-{version}-linux_x86_64.whl")

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "venv")}))
    zipfile.ZipFile(wheel).extractall(packages)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    assert not list((packages / "liveness" / "compiling" / "shipped").rglob("*.part.*"))

    def loaded(cache: str, **environment: str) -> list[str]:
        """Load the kernels with an empty cache; say if they are of the wheel, to compile, some found, some compiled."""
        command = [str(tmp_path / "venv" / "bin" / "python"), "-P", "-c", LOAD]
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment = {**kept, "NUMBA_CACHE_DIR": str(tmp_path / cache), **environment}
        done = subprocess.run(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True)
        words: list[str] = done.stdout.split()
        return words

    assert loaded("fits") == ["True", "False", "True", "False"]
    assert not list((tmp_path / "fits").rglob("*.nbc"))
    assert loaded("other processor", NUMBA_CPU_NAME="generic") == ["True", "True", "False", "True"]
    with (packages / "liveness" / "kernel.py").open("a") as source:
        source.write("# changed\n")
    assert loaded("other sources") == ["True", "True", "False", "True"]


@pytest.mark.skipif(shipped_machine(ROOT) is None, reason="no kernels of a wheel are compiled on this machine")
@pytest.mark.parametrize("why", ["NUMBA_DISABLE_JIT is set", "TMPDIR"])
def test_without_kernels_there_is_no_wheel(why: str, tmp_path: Path) -> None:
    """Others may change what lies in the second TMPDIR: nothing that will run is kept there."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    variable = {"TMPDIR": str(tmp_path / "open")} if why == "TMPDIR" else {"NUMBA_DISABLE_JIT": "1"}
    build = [sys.executable, "-P", str(ROOT / "scripts" / "wheel.py"), "--step", STEP, "-o", str(tmp_path / "dist")]
    done = subprocess.run(build, env={**os.environ, **variable}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert [why in line for line in done.stderr.splitlines()] == [True, False]
    assert not list(tmp_path.glob("dist/*"))


@pytest.mark.parametrize(
    ("system", "lacks", "fits"),
    [
        ("x86_64-unknown-linux-gnu", "", True),
        ("x86_64-unknown-linux-gnu", "avx2", False),
        ("x86_64-unknown-linux-gnu", "movbe", False),
        ("aarch64-unknown-linux-gnu", "", False),
    ],
)
def test_shipped_kernels_are_for_processors_with_all_that_they_use(
    system: str, lacks: str, fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = ",".join(f"{'-' if name == lacks else '+'}{name}" for name in [*FEATURES.split(), "avx512f"])
    monkeypatch.setattr(shipped, "machine", lambda: (system, "rocketlake", features))
    assert shipped_machine(tmp_path) == ((system, "x86-64-v3", "") if fits else None)
    assert shipped_machine(tmp_path / "missing") is None
