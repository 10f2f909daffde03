"""docs/sets.md names every command, format, suffix and option of `liveness sets`."""

from pathlib import Path

import click
import pytest

from liveness.cli.sets import command
from liveness.ipsets.formats.table import FORMATS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "sets.md").read_text(encoding="utf-8")
assert isinstance(command, click.Group)


@pytest.mark.parametrize("name", sorted(command.commands))
def test_every_command_is_reported(name: str) -> None:
    assert f"liveness sets {name} " in DOCUMENT or f"`{name}`" in DOCUMENT


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_has_its_row(name: str) -> None:
    row = next(line for line in DOCUMENT.splitlines() if line.startswith(f"| `{name}` |"))
    assert row.split("|")[2].split() == list(FORMATS[name].suffixes)


def test_every_option_is_reported() -> None:
    options = {
        name for below in command.commands.values() for option in below.params if isinstance(option, click.Option)
        for name in option.opts if name.startswith("--")
    }  # fmt: skip
    everywhere = {"--log-file", "--log-level"}  # of every command: see the reference
    assert {option for option in options - everywhere if option not in DOCUMENT} <= {
        "--output-file",
        "--quiet",
        "--size",
    }
