"""`liveness analyze` as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from liveness.cli.analyze import command
from liveness.errors import LivenessError, UsageError
from tests.analysis import brute_force
from tests.populations import Population, town


def analyze(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)


def test_json_is_one_document_of_all_runs_below(tmp_path: Path) -> None:
    later = Population(town().replies[:50], run_id="later", started="2026-11-22T00:00:00Z")
    town().write(tmp_path)
    later.write(tmp_path)
    result = analyze(tmp_path, "--json")
    document = msgspec.json.decode(result.stdout_bytes)
    assert document["runs"] == [brute_force.run_document(town()), brute_force.run_document(later)]
    names = {"from": "census/2026-11-21T000000Z", "to": "census/later"}
    assert document["changes"] == [{**names, **brute_force.turnover(town(), later)}]
    assert (result.exit_code, result.stderr) == (0, "")


def test_tables_of_one_run(tmp_path: Path) -> None:
    run = town().write(tmp_path)
    result = analyze(run.path)
    assert result.exit_code == 0
    assert "Coverage by family, addresses (figure 2a)" in result.stdout
    assert "Run census/2026-11-21T000000Z" in result.stdout


@pytest.mark.parametrize("json", [True, False])
def test_output_file(tmp_path: Path, *, json: bool) -> None:
    run = town().write(tmp_path)
    result = analyze(run.path, "-o", tmp_path / "out", *(["--json"] if json else []))
    assert (result.exit_code, result.output) == (0, "")
    content = (tmp_path / "out").read_text()
    assert content.startswith("{" if json else "Run census/")
    assert "\x1b" not in content


@pytest.mark.parametrize("status", ["partial", "running"])
def test_a_run_that_is_not_whole_is_told_on_stderr(tmp_path: Path, status: Literal["partial", "running"]) -> None:
    run = Population(town().replies, status=status).write(tmp_path)
    result = analyze(run.path, "--json")
    assert msgspec.json.decode(result.stdout_bytes)["runs"][0]["status"] == status
    assert result.stderr.startswith(f"liveness: warning: census/2026-11-21T000000Z: status {status} (interrupted): ")


def test_mistakes_are_errors_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run here or below"):
        analyze(tmp_path)
    run = town().write(tmp_path)
    with pytest.raises(UsageError, match=r"absent/out: cannot write the results here: No such file"):
        analyze(run.path, "-o", tmp_path / "absent" / "out")
    next((run.path / "sets").glob("icmp.echo-reply.source.*")).unlink()
    with pytest.raises(LivenessError, match=r"icmp\.echo-reply\.source\.roaring: cannot read this set"):
        analyze(run.path)


@pytest.mark.parametrize("population", [town(), Population([], ("icmp",), control=False)], ids=["long", "short"])
def test_a_reader_that_leaves_is_no_error(tmp_path: Path, population: Population) -> None:
    run = population.write(tmp_path)
    program = "from liveness.cli.main import run; run()"
    arguments = [sys.executable, "-W", "error", "-c", program, "analyze", str(run.path), "--json"]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # long before the first table is ready
        complaints = process.stderr.read()
    assert complaints == b""
    assert process.returncode == 0


def test_every_option_has_help() -> None:
    text = analyze("--help").output
    assert "--json" in text
    assert "-o, --output-file" in text
    assert all(option.help for option in command.params if isinstance(option, click.Option))
