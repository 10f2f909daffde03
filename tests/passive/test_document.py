"""The worked example of docs/passive.md gives what the document says."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_worked_example_runs_as_it_is_printed(tmp_path: Path) -> None:
    blocks = BLOCK.findall((ROOT / "docs/passive.md").read_text())
    (tmp_path / "example.csv").write_text(next(text for kind, text in blocks if kind == "csv"))
    (tmp_path / "example.yaml").write_text(next(text for kind, text in blocks if kind == "yaml"))
    commands = [text for kind, text in blocks if kind == "text" and text.startswith("$ liveness passive ")]
    assert len(commands) == 2
    for block in commands:
        line, _, expected = block.partition("\n")
        words = line.removeprefix("$ liveness ").split()
        done = subprocess.run(
            [sys.executable, "-m", "liveness", *words], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert (done.returncode, done.stdout) == (0, expected), done.stderr
    document = json.loads((tmp_path / "sets/example/demo/passive.json").read_text())
    wanted = json.loads(next(text for kind, text in blocks if kind == "json"))
    assert document["services"] == wanted["services"]
