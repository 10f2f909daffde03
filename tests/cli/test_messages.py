"""Messages: one way to say things, by level, for people on standard error and for machines as JSON lines."""

import ast
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import liveness as package
from liveness import log
from liveness.cli import messages
from liveness.log import LEVELS, LOGGER
from liveness.system.child import run_in_child
from tests.census.support import EXEC, LIVENESS, clean_environment, lab_config, run, write_yaml
from tests.cli.support import liveness

WRITERS = {
    "cli/messages.py": "the handler itself",
    "cli/display.py": "the live view and the summary of a scan, tables for people",
    "cli/replay.py": "a line that is redrawn while captures are read",
    "cli/compiling.py": "a line that is redrawn while kernels are compiled",
    "cli/passive_display.py": "the live view of a passive run",
    "cli/streams.py": "the streams themselves",
    "cli/main.py": "flushes both streams",
    "cli/census.py": "a question, and whether there is a terminal",
    "fleet/bound.py": "a program of its own, whose only message is that it cannot start the command",
    "fleet/scans.py": "the scans of a process of its own, whose standard error is the log of its job",
    "system/child.py": "flushes both streams before a fork",
}
"""Files that touch standard error, and why."""
SERVERS = "lab/hosts/"
"""Daemons of the lab are processes of their own."""


def said(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def touches_stderr(tree: ast.AST) -> bool:
    """Return whether code writes to standard error, or prints, in any of the usual ways."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "stderr" and ast.unparse(node.value) == "sys":
            return True
        if isinstance(node, ast.Call):
            named = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if named.get("err") == "True" or named.get("stderr") == "True":
                return True
            if ast.unparse(node.func) == "print":
                return True
    return False


def test_messages_are_written_in_one_place() -> None:
    root = Path(package.__file__).parent
    found = {
        name
        for path in root.rglob("*.py")
        if touches_stderr(ast.parse(path.read_text())) and not (name := str(path.relative_to(root))).startswith(SERVERS)
    }
    assert found == set(WRITERS)


def test_the_judge_of_that_sees_each_way() -> None:
    for code in ("print(1)", "sys.stderr.write('')", "click.echo('', err=True)", "Console(stderr=True)"):
        assert touches_stderr(ast.parse(code)), code
    assert not touches_stderr(ast.parse("done.stderr.strip(); console.print(1); click.echo('')"))


@pytest.mark.parametrize("before", [True, False], ids=["before the command", "after the command"])
def test_a_file_of_messages(tmp_path: Path, before: bool) -> None:
    option = ["--log-file", "log.jsonl"]
    words = ["sets", "info", "missing.set"]
    for _ in range(2):
        done = liveness(*(option + words if before else words + option), cwd=tmp_path)
        assert done.code == 2
        assert done.err == "liveness: error: missing.set: cannot read this set: No such file or directory\n"
    entries = said(tmp_path / "log.jsonl")
    assert len(entries) == 2, "a file is appended to"
    for entry in entries:
        assert entry["level"] == "error"
        assert entry["message"] == "missing.set: cannot read this set: No such file or directory"
        assert datetime.fromisoformat(entry["time"]).utcoffset() is not None
        assert entry["process"] > 1


def test_levels_decide_what_people_see(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("10.0.0.1\n10.0.0.2\n")
    for level in LEVELS:
        done = liveness("sets", "sample", "-n", "1", "a.txt", "--log-level", level, "--log-file", level, cwd=tmp_path)
        assert done.code == 0
        shown = level in ("info", "debug")
        assert done.err.startswith("--seed ") is shown
        assert [entry["message"].split()[0] for entry in said(tmp_path / level)] == ["--seed"]
    wrong = liveness("sets", "info", "a.txt", "--log-level", "loud", cwd=tmp_path)
    assert (wrong.code, "--log-level: 'loud': expected one of error, warning" in wrong.err) == (2, True)


@pytest.mark.parametrize(("file", "reason"), [("no/log", "there is no directory no"), (".", "it is a directory")])
def test_a_file_that_cannot_be_written_stops_the_command(tmp_path: Path, file: str, reason: str) -> None:
    done = liveness("doctor", "--log-file", file, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"liveness: error: {file}: cannot write messages here: {reason}\n"


def test_a_message_is_one_line_whatever_is_in_it(tmp_path: Path) -> None:
    name = "a\n\x1b[2Jb\udcff"
    done = liveness("sets", "info", name, "--log-file", "log", cwd=tmp_path)
    assert done.err.count("\n") == 1
    assert "\x1b" not in done.err
    assert len(said(tmp_path / "log")) == 1


def test_a_descriptor_that_is_another_file_now_is_left_alone(tmp_path: Path) -> None:
    def inside() -> tuple[bytes, bytes]:
        descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        handler = messages.ForMachines(descriptor, LEVELS["info"])
        LOGGER.addHandler(handler)
        LOGGER.setLevel(LEVELS["debug"])
        log.info("before")
        os.close(descriptor)
        with (tmp_path / "set").open("wb") as other:
            os.dup2(other.fileno(), descriptor)
            log.warning("after")
            handler.close()
            os.fstat(descriptor)  # it was not closed either
        return (tmp_path / "log").read_bytes(), (tmp_path / "set").read_bytes()

    kept, other = run_in_child(inside)
    assert json.loads(kept)["message"] == "before"
    assert other == b""


@pytest.mark.lab
def test_a_quiet_scan_says_nothing_and_keeps_its_messages(tmp_path: Path) -> None:
    config = lab_config(targets={"allow": ["10.10.0.0/28"]}, cooldown="100ms", probe_spacing="10ms", rate="1kpps")
    words = ["scan", "-q", "--config", str(write_yaml(tmp_path / "c.yaml", config)), "--log-file", "log.jsonl"]
    done = run(*EXEC, "--", *LIVENESS, *words, cwd=tmp_path, env=clean_environment())
    assert (done.returncode, done.stderr) == (0, "")
    directory = tmp_path / done.stdout.strip()
    kept = said(directory / messages.RUN_FILE)
    assert kept == said(tmp_path / "log.jsonl")
    assert len({entry["process"] for entry in kept}) == 1, "senders and receivers write nothing"
    assert kept[0]["message"].startswith("scanning 16 addresses with 9 probes")
    assert kept[-1]["message"].endswith(" sets")
