"""`liveness analyze --across` as a user runs it."""

import csv
import random
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from liveness.analysis.results import analyze_runs
from liveness.cli.analyze import command
from liveness.errors import UsageError
from liveness.report.figures.drawers import drawn
from liveness.runs.course import Timeline
from liveness.runs.finding import find_runs
from liveness.runs.manifest import Vantage
from liveness.runs.rundir import RunDirectory
from tests.populations import Population, town

PLACES = ("ams1", "fra1", "nyc1")


def analyze(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)


def write(output: Path, place: int, trial: int, *, silent: bool = False) -> RunDirectory:
    """Write a run of the town from one place, without some replies."""
    drawn = random.Random(10 * trial + place)
    probes = ("icmp", "tcp/80")
    seen = [reply for reply in town().replies if reply.probe in probes and drawn.random() > 0.05]
    population = Population(
        seen,
        probes,
        control=False,
        name="weekly",
        run_id=f"{PLACES[place]}-{trial}",
        started=f"2026-11-{7 * trial + 1:02}T00:00:0{place}Z",
    )
    run = population.write(output)
    columns = {name: [0] * 40 for name in Timeline.__struct_fields__}
    replies = [300] * 20 + [0 if silent else 300] * 20
    timeline = Timeline(**columns | {"end_s": [*range(1, 41)], "sent": [1000] * 40, "accepted": replies})
    vantage = Vantage(name=PLACES[place])
    run.write_manifest(msgspec.structs.replace(run.read_manifest(), vantage=vantage, timeline=timeline))
    return run


def test_json_has_the_origins_beside_the_runs(tmp_path: Path) -> None:
    for place in range(3):
        write(tmp_path, place, 0)
    plain = msgspec.json.decode(analyze(tmp_path, "--json").stdout_bytes)
    document = msgspec.json.decode(analyze(tmp_path, "--across", "--json").stdout_bytes)
    assert document["schema"] == 1
    assert document["runs"] == plain["runs"]
    assert "origins" not in plain
    origins = document["origins"]
    assert list(origins) == [
        "runs", "coverage", "gain", "classes", "differences", "estimates", "bursts", "slices", "published"
    ]  # fmt: skip
    assert origins["runs"]["vantages"] == list(PLACES)
    assert (origins["classes"], origins["slices"]) == (None, None)
    whole = next(entry for entry in origins["coverage"] if entry["probe"] == "all")
    assert whole["any"] == sum(whole["exactly"])


def test_runs_are_given_one_by_one_and_each_counts_once(tmp_path: Path) -> None:
    runs = [write(tmp_path / PLACES[place], place, 0).path for place in range(2)]
    document = msgspec.json.decode(analyze(*runs, tmp_path / "ams1", "--across", "--json").stdout_bytes)
    assert [run["run"] for run in document["runs"]] == ["weekly/ams1-0", "weekly/fra1-0"]


def test_places_at_one_time_are_no_change_but_trials_of_one_place_are(tmp_path: Path) -> None:
    for trial in range(2):
        for place in range(2):
            write(tmp_path, place, trial)
    document = msgspec.json.decode(analyze(tmp_path, "--across", "--json").stdout_bytes)
    assert [(change["from"], change["to"]) for change in document["changes"]] == [
        ("weekly/ams1-0", "weekly/ams1-1"),
        ("weekly/fra1-0", "weekly/fra1-1"),
    ]
    assert sorted(document["origins"]["classes"][0]["vantages"]) == ["ams1", "fra1"]


def test_runs_of_one_place_are_refused(tmp_path: Path) -> None:
    write(tmp_path, 0, 0)
    with pytest.raises(UsageError, match="here is 1 complete run: give runs from two or more"):
        analyze(tmp_path, "--across")


def test_a_place_that_fell_silent_stands_out(tmp_path: Path) -> None:
    for place in range(2):
        write(tmp_path, place, 0, silent=place == 1)
    result = analyze(tmp_path, "--across", "--html", tmp_path / "report.html", "-o", tmp_path / "report.txt")
    sentence = "weekly/fra1-0: vantage point fra1 was silent from 20.0 s after its start to the end"
    assert sentence in result.stderr
    page = (tmp_path / "report.html").read_text()
    assert sentence in page
    assert all(f'id="origins-origins_{name}"' in page for name in ("runs", "coverage", "gain", "bursts"))
    assert "What each vantage point saw" in (tmp_path / "report.txt").read_text()


def test_every_form_of_output_has_the_tables(tmp_path: Path) -> None:
    runs, out = tmp_path / "runs", tmp_path / "out"
    for trial in range(2):
        for place in range(2):
            write(runs, place, trial)
    result = analyze(runs, "--across", "--by", "prefix8", "--csv", out / "csv", "--latex", out / "latex")
    assert result.exit_code == 0
    expected = {
        "runs", "coverage", "exactly", "gain", "classes", "differences", "pairs", "estimates", "hit_rates", "slices",
        "concentration", "published",
    }  # fmt: skip
    assert {path.stem.removeprefix("origins_") for path in (out / "csv").glob("origins_*")} == expected
    assert {path.stem.removeprefix("origins_") for path in (out / "latex").glob("origins_*")} == expected
    rows = list(csv.DictReader((out / "csv" / "origins_coverage.csv").read_text().splitlines()))
    # Readers see positive replies only; files have every kind.
    assert {row["kind"] for row in rows} >= {"alive", "syn-ack", "rst"}
    [share] = [
        row for row in rows
        if (row["probe"], row["kind"], row["trial"], row["vantage"], row["quantity"])
        == ("icmp", "echo-reply", "1", "ams1", "coverage")
    ]  # fmt: skip
    assert 0.9 < float(share["value"]) < 1
    assert share["denominator"] == "any"


def test_figures_show_what_the_tables_say(tmp_path: Path) -> None:
    for trial in range(2):
        for place in range(3):
            write(tmp_path, place, trial, silent=(place, trial) == (2, 1))
    origins = analyze_runs(find_runs(tmp_path), across=True).origins
    assert origins is not None
    figures = {drawing.name: drawing.rendered("svg").decode() for drawing in map(drawn, origins.figures())}
    assert set(figures) == {
        "origins-exactly", "origins-gain", "origins-classes-icmp", "origins-classes-tcp-80", "origins-hit-rates",
        "origins-hit-rates-2",
    }  # fmt: skip
    assert 'id="gain:tcp/80"' in figures["origins-gain"]
    assert 'id="published"' in figures["origins-gain"]
    assert "burst:" not in figures["origins-hit-rates"]
    assert 'id="burst:nyc1"' in figures["origins-hit-rates-2"]
    assert all(f'id="rate:{name}"' in figures["origins-hit-rates-2"] for name in PLACES)
    assert 'id="by 1:icmp"' in figures["origins-exactly"]
    assert {figure.table for figure in origins.figures() if figure.table} <= {table.id for table in origins.tables()}
