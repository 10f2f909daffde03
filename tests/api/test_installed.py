"""The package as users have it: a wheel, in an environment of its own, without the repository."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.populations import town

ROOT = Path(__file__).parents[2]

SCRIPT = """\
import sys
from pathlib import Path

import liveness


def alive(run: liveness.Run) -> int:
    manifest: liveness.Manifest = run.manifest
    if manifest.status != "complete":
        raise liveness.StoppedEarlyError(f"{run.path}: {manifest.status}")
    return len(run.set("tcp/443", "syn-ack") | run.set("tcp/443", "error", "target", (3, 13)))


def main(folder: str) -> None:
    runs: list[liveness.Run] = liveness.find_runs(folder)
    run = liveness.open_run(runs[0].path)
    keys: tuple[liveness.Key, ...] = run.keys
    results: liveness.Results = liveness.analyze(run)
    web = liveness.read_set(run.path / run.manifest.sets[0].file)
    liveness.write_set(web, Path(folder) / "web.txt")
    print(alive(run), len(keys), results.document()["runs"][0]["taxonomy"]["network_alive"], liveness.__file__)
    try:
        liveness.load_config(Path(folder) / "missing.yaml")
    except liveness.UsageError as error:
        print(error.exit_code, error)


if __name__ == "__main__":
    main(sys.argv[1])
"""
WRONG = """\
import liveness

count: str = liveness.open_run("run").manifest.targets
liveness.open_run(7)
liveness.scan()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        folder,
        ROOT,
    ]
    subprocess.run(build, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of an environment that has the wheel, and its dependencies from this environment."""
    place = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    python = place / "bin" / "python"
    install: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        wheel,
    ]
    subprocess.run(install, check=True, capture_output=True)
    # a folder named in a .pth file is searched, but its own .pth files are not read: the editable package stays hidden
    packages = place / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return python


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)
    return file


def test_a_script_runs_without_the_repository(python: Path, script: Path, tmp_path: Path) -> None:
    run = town().write(tmp_path / "sets")
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [python, script, tmp_path / "sets"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    alive, keys, network_alive, file = first.split()
    assert int(keys) == len(run.read_manifest().sets)
    assert 0 < int(alive) < int(network_alive)
    assert Path(file).is_relative_to(python.parents[1])
    assert second == f"2 {tmp_path}/sets/missing.yaml: cannot read the config: no such file or directory"
    asked: list[str | Path] = [python, "-m", "liveness", "--version"]
    version = subprocess.run(asked, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert version.stdout.startswith("liveness, version ")


def mypy(python: Path, script: Path) -> subprocess.CompletedProcess[str]:
    """Check a script as its author would, who has no config of ours."""
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--python-executable",
        python,
        "--config-file=",
        script.name,
    ]
    return subprocess.run(command, cwd=script.parent, capture_output=True, text=True, check=False)


def test_a_typed_script_passes_and_a_wrong_one_does_not(python: Path, script: Path) -> None:
    checked = mypy(python, script)
    assert checked.returncode == 0, checked.stdout
    script.write_text(WRONG)
    checked = mypy(python, script)
    assert [line.rpartition("[")[2] for line in checked.stdout.splitlines()[:-1]] == [
        "assignment]",
        "arg-type]",
        "attr-defined]",
    ], checked.stdout


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "liveness/py.typed" in names
    packed = {name for name in names if name.startswith("liveness/")}
    assert {name.split("/")[0] for name in set(names) - packed} == {wheel.name.rsplit("-", 3)[0] + ".dist-info"}
    on_disk = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "liveness").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == on_disk
