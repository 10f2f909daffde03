"""The recipes of CONTRIBUTING.md: each is made as it is printed, in a copy of the package, and what it adds is used."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from liveness.replies import Kind
from tests.census.support import ROOT
from tests.populations import Population, Reply, town

BLOCK = re.compile(
    r"^```python\n# (?:new file: (?P<new>\S+)|(?P<old>\S+), in (?P<table>\w+))\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Recipe:
    """What one section says to write."""

    new: dict[str, str]
    rows: list[tuple[str, str, str]]
    """File, table, and the row to add to it."""

    @classmethod
    def of(cls, section: str) -> "Recipe":
        text = (ROOT / "CONTRIBUTING.md").read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        blocks = list(BLOCK.finditer(text))
        return cls(
            {block["new"]: block["text"] for block in blocks if block["new"]},
            [(block["old"], block["table"], block["text"]) for block in blocks if block["old"]],
        )

    def make(self, folder: Path) -> None:
        """Write it into a copy of the package below `folder`."""
        shutil.copytree(ROOT / "liveness", folder / "liveness", ignore=shutil.ignore_patterns("__pycache__"))
        for name, text in self.new.items():
            assert not (folder / name).exists()
            (folder / name).write_text(text)
        for name, table, row in self.rows:
            lines = (folder / name).read_text().splitlines(keepends=True)
            (start,) = [
                number for number, line in enumerate(lines) if line.startswith((f"{table}:", f"class {table}:"))
            ]
            indent = row[: len(row) - len(row.lstrip())]
            at = next(number for number in range(start, len(lines)) if lines[number].startswith(indent))
            lines.insert(at, row)
            (folder / name).write_text("".join(lines))


def run(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line of the copy."""
    command = [sys.executable, "-m", "liveness", *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("section", ["New set format", "New command"])
def test_a_recipe_is_two_files(section: str) -> None:
    recipe = Recipe.of(section)
    assert (len(recipe.new), len(recipe.rows)) == (1, 1)


def test_a_new_set_format(tmp_path: Path) -> None:
    Recipe.of("New set format").make(tmp_path)
    (tmp_path / "a.txt").write_text("10.0.0.1\n192.0.2.0/31\n")
    made = run(tmp_path, "sets", "convert", "a.txt", "a.hex")
    assert (made.returncode, made.stderr) == (0, "")
    assert (tmp_path / "a.hex").read_text() == "0a000001\nc0000200\nc0000201\n"
    back = run(tmp_path, "sets", "cat", "a.hex")
    assert back.stdout == "10.0.0.1\n192.0.2.0/31\n"
    assert "hexadecimal" in run(tmp_path, "sets", "info", "a.hex").stdout
    (tmp_path / "b.hex").write_text("0a000001\nxyz\n")
    wrong = run(tmp_path, "sets", "cat", "b.hex")
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "liveness: error: b.hex:2: 'xyz' is no address in hexadecimal\n",
    )


def test_a_new_number(tmp_path: Path) -> None:
    Recipe.of("New number").make(tmp_path)
    registry = tmp_path / "liveness" / "analysis" / "measures" / "registry.py"
    imported = "from liveness.analysis.measures.dns_only import DNS_ONLY\n"
    registry.write_text(registry.read_text().replace("from liveness", f"{imported}from liveness", 1))
    kinds = (Kind.ANSWER, Kind.PAYLOAD, Kind.ANSWER)
    dns = [Reply("dns", kind, address, address) for address, kind in enumerate(kinds, 1)]
    census = Population([*dns, Reply("tcp/80", Kind.RST, 1, 1), Reply("icmp", Kind.ECHO_REPLY, 4, 4)])
    run_dir = census.write(tmp_path / "sets").path
    done = run(tmp_path, "analyze", run_dir, "--json", "--csv", "tables", "--latex", "latex")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["runs"][0]["dns_only"] == 2
    assert "dns only,addresses,2,addresses" in (tmp_path / "tables" / "dns_only.csv").read_text()
    assert "dns only" in (tmp_path / "latex" / "dns_only.tex").read_text()


def test_a_new_command(tmp_path: Path) -> None:
    Recipe.of("New command").make(tmp_path)
    census = town().write(tmp_path / "sets")
    assert "Print the largest sets of a run." in " ".join(run(tmp_path, "--help").stdout.split())
    done = run(tmp_path, "largest", census.path, "-n", "2", "--log-file", "log")
    sizes = sorted((entry.cardinality for entry in census.read_manifest().sets), reverse=True)
    assert [int(line.split()[-1].replace(",", "")) for line in done.stdout.splitlines()[1:]] == sizes[:2]
    assert done.stderr == f"liveness: {len(sizes)} sets in all\n"
    assert (tmp_path / "log").read_text().count("\n") == 1
    wrong = run(tmp_path, "largest", tmp_path)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
