"""The command line documents itself: every command has help, every option a text, and help imports nothing heavy."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import liveness.cli
from liveness.cli.main import COMMANDS, group
from tests.cli.support import liveness as run_liveness

HELPERS = {
    "__init__",
    "main",
    "messages",
    "mistakes",
    "interrupts",
    "streams",
    "plain",
    "display",
    "live",
    "lab_traffic",
    "following",
    "survey_compare",
    "survey_display",
    "survey_run",
    "population",
    "watching",
    "options",
    "passive_display",
    "printing",
    "flow_inputs",
    "flow_notes",
    "set_options",
    "compiling",
    "warm_samples",
}
"""Files that hold no command of the first level."""

GROUPS = ("census", "fleet", "survey", "passive", "flows", "sets", "config", "blocklist", "lab")

HEAVY = (
    "numba",
    "numpy",
    "scapy",
    "pyroute2",
    "pyroaring",
    "rich",
    "msgspec",
    "yaml",
    "duckdb",
    "matplotlib",
    "PIL",
    "jinja2",
    "dask",
    "distributed",
    "obstore",
)


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, (*path, name))


ALL = dict(commands(group))


def test_a_command_a_file_and_a_file_a_command() -> None:
    files = {path.stem for path in Path(liveness.cli.__file__).parent.glob("*.py")}
    assert files - HELPERS == set(COMMANDS)
    for name in COMMANDS:
        assert importlib.import_module(f"liveness.cli.{name}").command.name == name


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_help_and_every_option_a_text(path: tuple[str, ...]) -> None:
    command = ALL[path]
    assert command.help
    assert command.help.strip()[0].isupper()
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, (path, parameter.name)
            assert parameter.help.endswith("."), (path, parameter.name)
    run = run_liveness(*path, "--help")
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith("Usage: ")


def test_help_and_version_import_nothing_heavy() -> None:
    code = f"""
import sys
from liveness.cli.main import group
for option in ("--help", "--version"):
    try:
        group.main([option], prog_name="liveness", standalone_mode=True)
    except SystemExit as end:
        assert end.code == 0
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
    for name in COMMANDS:
        assert f"\n  {name} " in run.stdout


def test_a_scan_is_ready_without_what_only_a_fleet_needs(tmp_path: Path) -> None:
    """Dask and obstore are an extra: where they cannot be imported everything else works, and a fleet says why not."""
    extra = ("dask", "distributed", "obstore")
    code = f"""
import sys
for name in {extra!r}:
    sys.modules[name] = None
from liveness.cli.main import run
sys.argv = ["liveness", *sys.argv[1:]]
run()
"""

    def called(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)

    preview = called("scan", "--dryrun", "9.9.0.0/28", "--contact", "a@example.org", "-o", str(tmp_path))
    assert preview.returncode == 0, preview.stderr
    (tmp_path / "census.yaml").write_text("name: a\ntargets: {allow: [9.9.0.0/28]}\n")
    vantages = tmp_path / "vantages.yaml"
    vantages.write_text("config: census.yaml\nmode: split\nstore: {url: runs}\nvantages: [{name: a}]\n")
    fleet = called("fleet", "status", "-C", str(vantages))
    assert fleet.returncode == 2
    assert "pip install 'liveness[fleet]'" in fleet.stderr


@pytest.mark.parametrize("name", GROUPS)
def test_the_help_of_a_group_cuts_no_sentence(name: str) -> None:
    listed = run_liveness(name, "--help").out.partition("Commands:")[2].partition("Formats:")[0]
    assert listed
    assert "..." not in listed
