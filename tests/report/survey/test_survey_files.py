"""`survey analyze` as a user runs it: which files it writes, what it prints, and what it refuses."""

import csv
import json
from pathlib import Path

import pytest

from tests.cli.support import liveness
from tests.report.survey.surveys import truth, write_survey


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_survey(tmp_path_factory.mktemp("survey") / "run", truth(), ("icmp", "tcp/80")).path


def test_all_files_of_a_report(run: Path, tmp_path: Path) -> None:
    wanted = ("--figures", tmp_path / "figures", "--format", "both", "--html", tmp_path / "page.html")
    tables = ("--csv", tmp_path / "csv", "--latex", tmp_path / "latex")
    found = liveness("survey", "analyze", run, *wanted, *tables, "--block", "10.0.0.0/24", "--json")
    assert (found.code, [line.split(" wrote ")[0] for line in found.err.splitlines()]) == (0, ["liveness:"] * 4)
    document = json.loads(found.out)
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"density-icmp.svg", "density-tcp-80.png", "raster-10.0.0-tcp-80.svg"} <= names
    assert not any(name.startswith(("raster-10.0.1", "raster-10.3")) for name in names), "only the wanted block"
    assert len(names) == 2 * 2 * 10
    assert (tmp_path / "page.html").read_text().count("<figure>") == 2 * 10
    with (tmp_path / "csv" / "availability.csv").open() as file:
        rows = {(row["probe"], row["reading"], row["quantity"]): row for row in csv.DictReader(file)}
    for probe in ("icmp", "tcp/80"):
        expected = document["probes"][probe]["repaired"]
        assert float(rows[probe, "repaired", "A"]["value"]) == expected["A"]
        assert (
            float(rows[probe, "repaired", "median up, Kaplan-Meier"]["value"]) == (expected["median_up_kaplan_meier_s"])
        )
    with (tmp_path / "csv" / "estimates.csv").open() as file:
        estimates = {(row["probe"], row["estimate"]): row for row in csv.DictReader(file)}
    ours = document["probes"]["icmp"]["estimates"]["A"]
    assert [float(estimates["icmp", "A"][name] or "nan") for name in ("value", "low_95", "high_95")] == pytest.approx(
        [ours["value"], ours["low"], ours["high"]]
    )
    assert r"\input{availability}" in (tmp_path / "latex" / "tables.tex").read_text()
    assert r"\toprule" in (tmp_path / "latex" / "availability.tex").read_text()


def test_files_alone_print_no_tables(run: Path, tmp_path: Path) -> None:
    found = liveness("survey", "analyze", run, "--csv", tmp_path / "csv")
    assert (found.code, found.out) == (0, "")
    assert found.err.startswith("liveness: wrote ")
    assert "Availability" in liveness("survey", "analyze", run).out


def test_options_that_fit_nothing_are_refused(run: Path, tmp_path: Path) -> None:
    wrong: list[tuple[tuple[str, ...], str]] = [
        (("--format", "png"), "--format goes with --figures"),
        (("--block", "10.0.0.0/24"), "--block goes with --figures or --html"),
        (("--html", f"{tmp_path}/page.txt"), "give it that suffix"),
        (("--html", f"{tmp_path}/page.html", "--block", "192.0.2.0/24"), "not surveyed"),
    ]
    for arguments, complaint in wrong:
        found = liveness("survey", "analyze", run, *arguments)
        assert found.code == 2
        assert complaint in found.err
        assert "Traceback" not in found.err
    assert list(tmp_path.iterdir()) == []
