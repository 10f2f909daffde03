"""`liveness analyze` as a user runs it."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from liveness.cli.analyze import command
from liveness.errors import LivenessError, UsageError
from tests.analysis import brute_force
from tests.populations import BASE, Population, town


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


def test_a_part_of_the_address_space(tmp_path: Path) -> None:
    run = town().write(tmp_path)
    listed = tmp_path / "list, with a comma.txt"
    listed.write_text("10.0.3.0/24  # a comment\n")
    given = ("--within", "10.0.0.0/24,10.0.1.0-10.0.1.255", "--within", listed)
    found = msgspec.json.decode(analyze(run.path, "--json", *given).stdout_bytes)["runs"][0]
    parts = (BASE, BASE + 256, BASE + 768)
    inside = [reply for reply in town().replies if reply.source & ~255 in parts]
    expected = brute_force.run_document(replace(town(), replies=inside))
    assert found["within"] == {"given": ["10.0.0.0/24", "10.0.1.0-10.0.1.255", str(listed)], "addresses": 768}
    assert found["coverage"] == expected["coverage"]
    assert found["taxonomy"] == expected["taxonomy"]
    assert "within 10.0.0.0/24" in " ".join(analyze(run.path, *given).stdout.split())


def test_slices(tmp_path: Path) -> None:
    run = town().write(tmp_path)
    data = tmp_path / "pfx2as"
    data.write_text("10.0.0.0\t24\t64500\n10.0.1.0\t24\t64501\n10.0.0.0\t8\t64502\n")
    arguments = (run.path, "--by", "asn", "--prefix-data", data)
    found = msgspec.json.decode(analyze(*arguments, "--json").stdout_bytes)["runs"][0]["slices"]
    assert found["by"] == "asn"
    assert {one["slice"] for one in found["slices"]} == {"64500", "64501", "64502"}
    inside = [reply for reply in town().replies if reply.source & ~255 == BASE + 256]
    expected = brute_force.run_document(replace(town(), replies=inside))
    assert [one for one in found["slices"] if one["slice"] == "64501"] == [
        {"slice": "64501", "taxonomy": expected["taxonomy"], "coverage": expected["coverage"]}
    ]
    table = analyze(*arguments, "--top", "1").stdout
    assert "The 1 largest of 3" in table
    assert "10.0.0.0/8" in analyze(run.path, "--by", "prefix8").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--within", "10.0.0.1/8"], "'10.0.0.1/8' has host bits set"),
        (["--within", "absent.txt"], "absent.txt: cannot read the address list: no such file"),
        (["--within", ","], "--within ',': no address in it"),
        (["--by", "country"], "--by country needs data on prefixes: give --prefix-data FILE"),
        (["--by", "asn", "--prefix-data", "absent"], "absent: cannot read this data on prefixes: No such file"),
    ],
)
def test_wrong_parts_and_slices_are_named(tmp_path: Path, arguments: list[str], message: str) -> None:
    run = town().write(tmp_path)
    with pytest.raises(UsageError, match=re.escape(message)):
        analyze(run.path, *arguments)


def test_data_on_prefixes_go_with_slices(tmp_path: Path) -> None:
    run = town().write(tmp_path)
    result = CliRunner().invoke(command, [str(run.path), "--prefix-data", "x"])
    assert result.exit_code == 2
    assert "--prefix-data goes with --by asn or --by country" in result.stderr


def test_every_option_has_help() -> None:
    text = analyze("--help").output
    assert "--json" in text
    assert "-o, --output-file" in text
    assert all(option.help for option in command.params if isinstance(option, click.Option))
