"""The Containerfile: what it must hold, its steps where no builder is, and the image where there is one."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from liveness.kernel import COMPILED
from tests.cli.support import liveness

ROOT = Path(__file__).parents[2]


def builder() -> str | None:
    """Return a program that builds images here; docker's client alone builds none."""
    for name in ("podman", "buildah", "docker"):
        if shutil.which(name) and not subprocess.run([name, "info"], check=False, capture_output=True).returncode:
            return name
    return None


BUILDER = builder()
INSTRUCTIONS = {"FROM", "WORKDIR", "COPY", "RUN", "LABEL", "ENV", "USER", "VOLUME", "ENTRYPOINT", "CMD"}


def instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", "", (ROOT / "Containerfile").read_text())
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_it_has_two_stages_a_user_without_privileges_and_an_entry() -> None:
    found = instructions()
    assert {word for word, _ in found} <= INSTRUCTIONS
    stages = [rest for word, rest in found if word == "FROM"]
    assert len(stages) == 2
    assert all(re.search(r":\S+", stage) and ":latest" not in stage for stage in stages)
    last = found[max(at for at, (word, _) in enumerate(found) if word == "FROM") :]
    words = [word for word, _ in last]
    user = dict(last)["USER"]
    assert user not in ("root", "0")
    assert any("useradd --system --uid 10001" in rest for _, rest in last)
    assert words.index("USER") < max(at for at, (word, rest) in enumerate(last) if rest == "liveness warm")
    assert dict(last)["ENTRYPOINT"] == '["liveness"]'
    assert any(rest.startswith("--from=build ") for word, rest in last if word == "COPY")


def test_it_copies_what_is_there_and_all_that_the_build_needs() -> None:
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    names = {name for names in copied for name in names}
    assert all((ROOT / name).exists() for name in names)
    project = (ROOT / "pyproject.toml").read_text()
    assert {"pyproject.toml", "README.md", "LICENSE", "liveness"} <= names
    assert 'readme = "README.md"' in project
    assert 'license-files = ["LICENSE"]' in project
    ignored = (ROOT / ".containerignore").read_text().split()
    assert not set(ignored) & names


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_kernels_are_compiled_by_a_command_without_privileges() -> None:
    done = liveness("doctor", "--compile")
    assert (done.code, done.out) == (0, "all kernels are compiled\n")


@pytest.mark.slow
@pytest.mark.skipif(
    BUILDER is None, reason="no podman, buildah or docker on this machine: the image is built elsewhere"
)
def test_it_is_built_and_answers() -> None:
    assert BUILDER is not None
    build = [BUILDER, "bud" if BUILDER == "buildah" else "build", "-t", "liveness-test", "-f", "Containerfile", "."]
    built = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    if "dial tcp" in built.stderr or "no such host" in built.stderr or "pinging container registry" in built.stderr:
        pytest.skip("the registry of base images cannot be reached from here")
    assert built.returncode == 0, built.stderr
    if BUILDER == "buildah":
        return
    run = subprocess.run(
        [BUILDER, "run", "--rm", "liveness-test", "version"], capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith("liveness, version ")
