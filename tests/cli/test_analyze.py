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

from liveness.census.history import history
from liveness.cli.analyze import command
from liveness.errors import LivenessError, UsageError
from liveness.runs.finding import find_runs
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
    left_out = {"targets": {"from": 0, "to": 0}, "probes": {"from": [], "to": []}}
    assert document["changes"] == [{**names, **brute_force.turnover(town(), later), "left_out": left_out}]
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
def test_a_run_that_is_not_whole_is_reported_on_stderr(tmp_path: Path, status: Literal["partial", "running"]) -> None:
    run = Population(town().replies, status=status).write(tmp_path)
    result = analyze(run.path, "--json")
    assert msgspec.json.decode(result.stdout_bytes)["runs"][0]["status"] == status
    assert result.stderr.startswith(f"liveness: warning: census/2026-11-21T000000Z: status {status} (interrupted): ")


def test_mistakes_are_errors_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run here or below"):
        analyze(tmp_path)
    run = town().write(tmp_path)
    with pytest.raises(UsageError, match=r"absent/out: cannot write the results here: there is no directory"):
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
    assert {part["slice"] for part in found["slices"]} == {"64500", "64501", "64502"}
    inside = [reply for reply in town().replies if reply.source & ~255 == BASE + 256]
    expected = brute_force.run_document(replace(town(), replies=inside))
    assert [part for part in found["slices"] if part["slice"] == "64501"] == [
        {"slice": "64501", "taxonomy": expected["taxonomy"], "coverage": expected["coverage"]}
    ]
    table = analyze(*arguments, "--top", "1").stdout
    assert "The 1 largest of 3" in table
    assert "10.0.0.0/8" in analyze(run.path, "--by", "prefix8").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--within", "10.0.0.1/8"], "'10.0.0.1/8' has host bits set"),
        (["--within", "absent.txt"], "absent.txt: cannot read this address list: No such file"),
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


def test_figures_of_one_run_and_of_several(tmp_path: Path) -> None:
    run = town().write(tmp_path / "runs")
    done = analyze(run.path, "--figures", tmp_path / "one")
    assert (done.exit_code, done.stdout) == (0, "")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert done.stderr == f"liveness: wrote {len(names)} files of figures below {tmp_path / 'one'}\n"
    assert "figure-4a-ports-answered.svg" in names
    assert {Path(name).suffix for name in names} == {".svg"}
    later = Population(town().replies[:50], name="../../x", run_id="later", started="2026-11-22T00:00:00Z")
    moved = replace(later, name="x").write(tmp_path / "runs")
    moved.write_manifest(msgspec.structs.replace(moved.read_manifest(), name="../../x"))
    Population(town().replies[:60], run_id="third", started="2026-11-23T00:00:00Z").write(tmp_path / "runs")
    several = analyze(tmp_path / "runs", "--figures", tmp_path / "several", "--format", "both", "--json")
    assert len(msgspec.json.decode(several.stdout_bytes)["runs"]) == 3
    folders = sorted(path.name for path in (tmp_path / "several").iterdir())
    assert folders == [
        "census-2026-11-21T000000Z",
        "census-third",
        "retention.png",
        "retention.svg",
        "turnover.png",
        "turnover.svg",
        "x-later",
    ]
    assert len(list((tmp_path / "several" / "census-2026-11-21T000000Z").iterdir())) == 2 * len(names)


def test_a_page_and_a_map(tmp_path: Path) -> None:
    run = town().write(tmp_path)
    page, drawn = tmp_path / "report.html", tmp_path / "map.png"
    result = analyze(
        run.path, "--html", page, "--map", drawn, "--zoom", "10", "--zoom", "203.0.0.0/8", "-o", tmp_path / "t"
    )
    assert (result.exit_code, result.stdout) == (0, "")
    files = [drawn, tmp_path / "map-10.png", tmp_path / "map-203.png", page]
    assert result.stderr == "".join(f"liveness: wrote {path}\n" for path in files)
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert page.read_text().count('class="map"') == 3
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in files[:3])
    assert (tmp_path / "t").read_text().startswith("Run census/")


def test_files_that_cannot_be_written_are_named_before_the_work_begins(tmp_path: Path) -> None:
    run = town().write(tmp_path / "runs")
    (run.path / run.read_manifest().sets[0].file).unlink()  # analysing it would fail
    taken = tmp_path / "taken"
    taken.write_text("")
    (tmp_path / "folder.html").mkdir()
    wrong: list[tuple[list[str | Path], str]] = [
        (["--html", tmp_path / "report.pdf"], "report.pdf: the page is written as .html or .htm: give it that suffix"),
        (["--html", tmp_path / "folder.html"], "folder.html: cannot write the page here: it is a directory"),
        (["--map", tmp_path / "map.svg"], "map.svg: the map is written as .png: give it that suffix"),
        (
            ["--map", tmp_path / "absent" / "map.png"],
            f"map.png: cannot write the map here: there is no directory {tmp_path}",
        ),
        (["--figures", taken], "taken: cannot make this directory for figures: File exists"),
        (["--map", tmp_path / "map.png", "--zoom", "256"], "--zoom: '256' is no /8: expected 0 to 255"),
    ]
    for arguments, message in wrong:
        with pytest.raises(UsageError, match=re.escape(message)):
            analyze(run.path, *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--format", "png"], "--format goes with --figures"), (["--zoom", "1"], "--zoom goes with --map or --html")],
)
def test_options_that_go_with_others(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(command, [str(tmp_path), *arguments])
    assert result.exit_code == 2
    assert message in result.stderr


def test_who_may_not_write_is_reported_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = town().write(tmp_path / "runs")
    for option, name in (("--html", "r.html"), ("--map", "m.png")):
        with pytest.raises(LivenessError, match=f"^/proc/{name}: cannot write: .*$"):  # where even root may not
            analyze(run.path, option, f"/proc/{name}")
    monkeypatch.setattr("liveness.report.options.os.access", lambda _, mode: not mode & os.W_OK)
    for option, name in (("--html", "r.html"), ("--map", "m.png"), ("--figures", "figures")):
        with pytest.raises(
            UsageError, match=rf"^{tmp_path}/{name}: cannot write .* here: no permission to write in .*$"
        ):
            analyze(run.path, option, tmp_path / name)


def test_drawing_prints_nothing(tmp_path: Path) -> None:
    """Neither where fonts are cached nor what a user's own settings of matplotlib say is our output."""
    run = town().write(tmp_path / "runs")
    settings = tmp_path / "matplotlibrc"
    settings.write_text("no.such.setting: 1\nsvg.fonttype: none\nfont.size: 99\naxes.facecolor: red\n")
    analyze(run.path, "--figures", tmp_path / "usual")
    command_line = [sys.executable, "-W", "error", "-m", "liveness", "analyze", str(run.path), "--figures"]
    odd = {**os.environ, "MPLCONFIGDIR": "/proc/none", "MATPLOTLIBRC": str(settings)}
    done = subprocess.run([*command_line, str(tmp_path / "odd")], capture_output=True, text=True, check=True, env=odd)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert done.stderr.startswith("liveness: wrote ")
    for path in (tmp_path / "usual").iterdir():
        assert path.read_bytes() == (tmp_path / "odd" / path.name).read_bytes()


def test_without_figures_nothing_that_draws_is_imported(tmp_path: Path) -> None:
    run = town().write(tmp_path)
    program = "import sys; from liveness.cli.main import group; group.main(sys.argv[1:], standalone_mode=False)"
    program += "; print([name for name in ('matplotlib', 'PIL', 'jinja2') if name in sys.modules], file=sys.stderr)"
    for arguments in (["--json"], []):
        done = subprocess.run(
            [sys.executable, "-c", program, "analyze", str(run.path), *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == "[]\n"


def test_a_damaged_run_is_named_and_the_others_are_printed(tmp_path: Path) -> None:
    town().write(tmp_path)
    bad = Population(town().replies[:50], run_id="later", started="2026-11-22T00:00:00Z").write(tmp_path)
    good = Population(town().replies[:70], run_id="last", started="2026-11-23T00:00:00Z").write(tmp_path)
    victim = bad.path / bad.read_manifest().sets[0].file
    victim.write_bytes(victim.read_bytes()[:-1])
    result = analyze(tmp_path, "--json")
    document = msgspec.json.decode(result.stdout_bytes)
    assert [run["run"] for run in document["runs"]] == ["census/2026-11-21T000000Z", "census/last"]
    assert [(change["from"], change["to"]) for change in document["changes"]] == [
        ("census/2026-11-21T000000Z", "census/last")
    ]
    assert result.exit_code == 0
    [line] = result.stderr.splitlines()
    assert line.startswith(f"liveness: warning: {victim}: damaged")
    (good.path / "manifest.json").write_bytes(b"{")
    assert "manifest.json: " in analyze(tmp_path, "--json").stderr
    with pytest.raises(LivenessError, match="damaged"):
        analyze(bad.path)


def test_runs_behind_symbolic_links_are_found_once(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    town().write(elsewhere)
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "census").symlink_to(elsewhere / "census")
    (tmp_path / "sets" / "loop").symlink_to(tmp_path / "sets")
    (tmp_path / "sets" / "again").symlink_to(elsewhere)
    (tmp_path / "sets" / "nowhere").symlink_to(tmp_path / "nothing")
    assert [run.path.name for run in find_runs(tmp_path / "sets")] == ["2026-11-21T000000Z"]
    assert len(msgspec.json.decode(analyze(tmp_path / "sets", "--json").stdout_bytes)["runs"]) == 1
    assert [past.run_id for past in history(tmp_path / "sets")] == ["2026-11-21T000000Z"]
    Population([], run_id="direct").write(tmp_path / "sets" / "real")
    (tmp_path / "sets" / "a-link").symlink_to(tmp_path / "sets" / "real")
    assert [run.path.relative_to(tmp_path).parts[1] for run in find_runs(tmp_path / "sets")] == ["again", "real"]
