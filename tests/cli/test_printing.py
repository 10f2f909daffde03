"""Commands print tables and documents in one way: by `cli/printing.py`, from data that the rooms below build."""

import ast
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

import liveness as package
from liveness.analysis.tables import Column, Marked, Table
from liveness.report.text import plain_text
from tests.cli.support import liveness

ROOT = Path(package.__file__).parent
DRAWING = {
    "cli/live.py": "the view of a running scan, redrawn each second",
    "report/fitted.py": "the table of rich that ours is made of",
    "report/layout.py": "the layout of all tables",
}
"""Files that make tables of rich, and why."""
ENCODING = {"cli/messages.py": "log lines", "cli/printing.py": "documents"}
"""Files of the command line that encode JSON, and what."""


def uses(tree: ast.AST, names: set[str]) -> bool:
    """Return whether code calls or imports any of these, by their last name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and names & {f"{node.module}.{name.name}" for name in node.names}:
            return True
        if isinstance(node, ast.Call) and ast.unparse(node.func) in names:
            return True
    return False


def files_that_use(folder: Path, *names: str) -> set[str]:
    trees = {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in folder.rglob("*.py")}
    return {name for name, tree in trees.items() if uses(tree, set(names))}


def test_tables_are_laid_out_in_one_place() -> None:
    found = files_that_use(ROOT, "rich.table.Table", "liveness.report.fitted.FittedTable")
    assert found == set(DRAWING)


def test_documents_are_printed_in_one_place() -> None:
    assert files_that_use(ROOT / "cli", "json.dumps", "msgspec.json.encode", "msgspec.json.format") == set(ENCODING)


def test_a_list_has_no_title_rules_or_indentation() -> None:
    rows = [("a", 1_234, Marked("yes", "good")), ("b", None, Marked("no", "alarm"))]
    columns = (Column("name"), Column("size", "bytes"), Column("there"))
    lines = [line.rstrip() for line in plain_text([Table("list", "", columns, rows)]).splitlines()]
    assert lines == ["name   size  there", "a     1,234  yes", "b         -  no"]
    titled = plain_text([Table("list", "All", columns, rows, ["a note"])]).splitlines()
    assert titled[0] == "All"
    assert titled[-1] == ""
    assert all(line.startswith("  ") for line in titled[1:-1])


@dataclass
class Sample:
    name: str
    share: float
    when: datetime


@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}, {"LC_ALL": "C.UTF-8"}], ids=str
)
def test_a_document_is_json_on_every_stream(environment: dict[str, str]) -> None:
    """Quotes that a plain terminal gets in ASCII must not end a string; bytes that are no text are kept."""
    program = (
        "from liveness.cli.streams import take_streams\n"
        "from liveness.cli.printing import print_document\n"
        "from tests.cli.test_printing import Sample, SAMPLES\n"
        "take_streams()\n"
        "print_document({'schema': 1, 'samples': SAMPLES, 80: None})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT.parent), **environment},
    )
    document = json.loads(done.stdout)
    assert document["80"] is None
    assert [sample["name"] for sample in document["samples"]] == [sample.name for sample in SAMPLES]
    assert [sample["share"] for sample in document["samples"]] == [0.5, None]
    assert document["samples"][0]["when"] == "2026-11-27T00:00:00Z"


MIDNIGHT = datetime(2026, 11, 27, tzinfo=UTC)
SAMPLES = [Sample("\u201cquoted\u201d \u540d", 0.5, MIDNIGHT), Sample("caf\udce9", float("inf"), MIDNIGHT)]


def test_commands_print_documents_of_names_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xe9.txt")).write_text("192.0.2.1\n")
    done = liveness("sets", "info", "--json", os.fsdecode(b"\xe9.txt"), cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)[0]["file"] == "\udce9.txt"
