"""Builds a wheel of the package that brings kernels compiled, for processors like x86-64-v3.

What is compiled fits one version of Python and of Numba; with another one, and on lesser processors, commands compile
their kernels as they do without. The kernels that fill frames are left out: they gain much from newer processors.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import click

from liveness.cli.warm import PARTS, compile_steps
from liveness.compiling.cache import COMPILED_MARKS
from liveness.compiling.shipped import FOLDER, PROCESSOR, shipped_machine
from liveness.compiling.sources import PACKAGE
from liveness.errors import LivenessError
from liveness.kernel import kept_in
from liveness.system.warming import Step

ROOT: Final = Path(__file__).parents[1]
OF_PROJECT: Final = ("pyproject.toml", "README.md", "LICENSE")
FILLS_FRAMES: Final = ("sending", "survey")
"""How the names of steps begin whose kernels fill frames."""
HOOK: Final = """
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class CustomBuildHook(BuildHookInterface):
    def initialize(self, version, build_data):
        build_data["pure_python"] = False
        build_data["tag"] = "{tag}"
"""


def steps() -> dict[str, Step]:
    """Return the steps of `liveness warm` whose kernels a wheel brings, by name."""
    every = [step for part in PARTS.values() for step in part()]
    return {step.name: step for step in every if not step.name.startswith(FILLS_FRAMES)}


@click.command()
@click.option("-o", "--output", default="dist", show_default=True, type=click.Path(path_type=Path), help="Directory.")
@click.option("--step", "names", multiple=True, type=click.Choice(sorted(steps())), help="These kernels alone.")
@click.option("--compile", "only_compile", is_flag=True, hidden=True)
def main(output: Path, names: tuple[str, ...], *, only_compile: bool) -> None:
    """Build a wheel with compiled kernels, and print its path."""
    chosen = names or tuple(steps())
    if only_compile:
        compile_here(chosen)
        return
    if shipped_machine(ROOT) is None:
        raise click.ClickException(f"this machine cannot compile for {PROCESSOR}: it lacks a part of that")
    with tempfile.TemporaryDirectory(prefix="liveness-wheel-") as folder:
        cache, tree = Path(folder, "cache"), Path(folder, "tree")
        compile_into(cache, chosen)
        lay_out(tree, cache / "liveness-kernels")
        output.mkdir(parents=True, exist_ok=True)
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(output.resolve())]
        subprocess.run(build, cwd=tree, check=True, stdout=subprocess.DEVNULL)
    click.echo(max(output.glob("liveness-*.whl"), key=lambda path: path.stat().st_mtime_ns))


def compile_into(cache: Path, names: tuple[str, ...]) -> None:
    """Compile the kernels of some steps for PROCESSOR into an empty cache."""
    cache.mkdir()
    words = [word for name in names for word in ("--step", name)]
    processor = {"NUMBA_CPU_NAME": PROCESSOR, "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-P", __file__, "--compile", *words]
    if subprocess.run(command, env={**os.environ, **processor}, check=False).returncode:
        raise click.ClickException("there is no wheel: its kernels are not compiled")


def compile_here(names: tuple[str, ...]) -> None:
    """Compile the kernels of some steps into the cache that the environment names. ClickException if they are not."""
    if kept_in is not None and kept_in.parent != Path(os.environ["NUMBA_CACHE_DIR"]).resolve():
        raise click.ClickException(f"kernels would be kept in {kept_in}: others can change a folder above TMPDIR")
    try:
        compile_steps(steps()[name] for name in names)
    except LivenessError as error:
        raise click.ClickException(str(error)) from None


def lay_out(tree: Path, cache: Path) -> None:
    """Make a copy of the project in `tree` with what `cache` holds of kernels that Python calls."""
    package = tree / PACKAGE.name
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", FOLDER.name))
    for name in OF_PROJECT:
        shutil.copy(ROOT / name, tree)
    version = f"cp{sys.version_info.major}{sys.version_info.minor}"
    (tree / "hatch_build.py").write_text(HOOK.format(tag=f"{version}-{version}-linux_x86_64"), encoding="ascii")
    with (tree / "pyproject.toml").open("a", encoding="utf-8") as project:
        project.write("\n[tool.hatch.build.targets.wheel.hooks.custom]\n")
    shipped = package / FOLDER.relative_to(PACKAGE)
    for path in cache.glob("*/*"):
        place = shipped / path.relative_to(cache)
        if path.parent.name == COMPILED_MARKS:
            place.mkdir(parents=True)
            for mark in path.iterdir():  # wheels have no empty directories
                (place / mark.name).touch()
        else:
            shutil.copytree(path, place, ignore=shutil.ignore_patterns("*.part.*", "*.part"))


if __name__ == "__main__":
    main()
