"""The report of a passive run: CSV files, trends, rules, exporters, and the map of local space."""

import csv
import ipaddress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from liveness.report.passive.export import passive_csv
from liveness.report.passive.exporter_figures import exporters_figure
from liveness.report.passive.exporter_tables import exporters_table
from liveness.report.passive.grey_map import (
    GREY_CELL,
    ONE_WAY,
    OUTSIDE,
    SILENT,
    TWO_WAY,
    cells_of,
    grey_map,
    squares_of,
)
from liveness.report.passive.space import LocalSpace
from liveness.report.passive.tables import halves, passive_tables
from liveness.space.intervals import Intervals
from tests.passive.drawn import EPOCH_S, SECOND, draw, write_config
from tests.passive.judge import TCP, Record, write_csv
from tests.passive.test_command import answered, liveness
from tests.passive.test_judge import run_of

COUNTRIES = "80.0.0.0\t8\tBE\n"
Made = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Return a run of drawn traffic, and its document."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "countries.txt").write_text(COUNTRIES)
    document = run_of(folder, draw(4), keep_flows=True, prefix_data={"country": "countries.txt"})
    return folder / "out/campus/run", document


def table_of(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv_files_have_the_numbers_of_the_document(made: Made, tmp_path: Path) -> None:
    run, document = made
    liveness("passive", "report", run, "--csv", tmp_path)
    assert {file.stem for file in tmp_path.iterdir()} == {name for name, _, _ in passive_csv(document)}
    assert {row["sign"]: int(row["flows"]) for row in table_of(tmp_path, "signs")} == document["totals"]["signs"]
    totals = {row["what"]: row for row in table_of(tmp_path, "totals")}
    for name in ("two_way", "one_way", "one_way_out"):
        assert {what: int(totals[name][what]) for what in ("flows", "packets", "bytes")} == document["totals"][name]
    one_way = [int(row["flows"]) for row in table_of(tmp_path, "intervals") if row["what"] == "one_way"]
    assert sum(one_way) == int(totals["one_way"]["flows"])
    services = table_of(tmp_path, "services")
    assert [(row["service"], int(row["clients_ok"])) for row in services] == [
        (each["service"], each["clients_ok"]) for each in document["services"]
    ]
    outages = [row["services"].split() for row in table_of(tmp_path, "outages")]
    assert outages == [outage["services"] for outage in document["outages"]]
    failed = sum(int(row["clients_failed"]) for row in table_of(tmp_path, "service_intervals"))
    assert failed == sum(each["clients_failed"] for service in document["services"] for each in service["intervals"])
    records = {row["reason"]: int(row["records"]) for row in table_of(tmp_path, "records")}
    assert records["read"] == document["records"]["read"]
    assert records["excluded: dhcp"] == document["records"]["excluded"]["dhcp"]


def test_no_output_names_a_remote_address(made: Made, tmp_path: Path) -> None:
    run, _ = made
    remotes = {str(ipaddress.ip_address(record.src)) for record in draw(4)}
    remotes = {address for address in remotes if address.startswith("80.")}
    liveness(
        "passive", "report", run, "--csv", tmp_path / "csv", "--html", tmp_path / "page.html",
        "--figures", tmp_path / "figures",
    )  # fmt: skip
    outputs = [file.read_text() for file in tmp_path.rglob("*") if file.is_file()]
    outputs.append(liveness("passive", "report", run).stdout)
    assert len(outputs) > 20
    assert len(remotes) > 20
    for output in outputs:
        assert not [address for address in remotes if address in output]


def test_rules_decide_what_their_classes_count(made: Made) -> None:
    _, document = made
    decided: dict[str, int] = {}
    for rule in document["rule_hits"]:
        assert rule["decided"] <= rule["matched"]
        decided[rule["class"]] = decided.get(rule["class"], 0) + rule["decided"]
        matched = sum(each["flows"] for each in document["combinations"] if rule["rule"] in each["rules"])
        assert rule["matched"] == matched
    classes = document["totals"]["classes"]
    assert decided == {name: classes[name]["flows"] for name in classes if name != "Other"}


def test_local_addresses_are_those_of_the_sets(made: Made) -> None:
    run, document = made
    lines = [line.split("\t") for line in liveness("passive", "sets", run).stdout.splitlines()]
    sets = {kind.replace("-", "_"): int(number) for _, kind, number in lines}
    assert document["local_addresses"] == {"inside": 1 << 16, **sets}


def test_invalid_records_are_counted_by_exporter(tmp_path: Path) -> None:
    good, at = answered(3), EPOCH_S * SECOND
    wrong = Record(at, at - 1, "80.0.0.9", "10.0.0.1", 1, 80, TCP, 1, 40)
    early = Record(5, 6, "80.0.0.9", "10.0.0.1", 1, 80, TCP, 1, 40)
    write_csv(tmp_path / "a.csv", good)
    write_csv(tmp_path / "b.csv", [replace(each, exporter="b") for each in (wrong, good[0], wrong, early)])
    config = write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["a.csv", "b.csv"])
    liveness("passive", "run", "--config", config, "--run-id", "r")
    liveness("passive", "report", tmp_path / "out/campus/r", "--csv", tmp_path / "csv")
    found = [(int(row["records"]), int(row["invalid"])) for row in table_of(tmp_path / "csv", "exporters")]
    assert sorted(found) == [(4, 3), (6, 0)]


def test_exporters_and_their_silence_are_in_every_output(tmp_path: Path) -> None:
    """One exporter stops after half of the time; copies are named by the pair that saw them."""
    records = [each for each in draw(6) if each.exporter != "e2" or each.start < (EPOCH_S + 5400) * SECOND]
    document = run_of(tmp_path, records)
    liveness(
        "passive", "report", tmp_path / "out/campus/run", "--csv", tmp_path / "csv", "--html", tmp_path / "page.html",
        "--figures", tmp_path / "figures",
    )  # fmt: skip
    silent = {row["exporter"]: int(row["silent_intervals"]) for row in table_of(tmp_path / "csv", "exporters")}
    assert silent["e2"] >= 9 > silent["e1"]
    by_interval = table_of(tmp_path / "csv", "exporter_intervals")
    last = document["intervals"][-1]
    assert {row["exporter"] for row in by_interval if row["start"] == last["start"]} == set(last["exporters"])
    assert "e2" not in last["exporters"]
    assert sum(int(row["records"]) for row in by_interval) == sum(each["records"] for each in document["intervals"])
    pairs = {
        (row["exporter"], row["other"]): int(row["records"]) for row in table_of(tmp_path / "csv", "duplicate_pairs")
    }
    assert sum(pairs.values()) == document["records"]["duplicates"]
    assert set(pairs) == {("e1", "e2"), ("e1", "e3")}
    tables = {table.id: table for table in passive_tables(document)}
    shown = [row[:2] for row in tables["duplicate_pairs"].rows]
    assert shown == sorted(map(list, pairs), key=lambda pair: -pairs[pair[0], pair[1]])
    page = (tmp_path / "page.html").read_text()
    assert "exporters were silent for an interval or longer" in page
    assert (tmp_path / "figures/exporters.svg").exists()


def test_a_document_that_names_exporters_in_its_intervals_alone_is_drawn() -> None:
    """The shape of results allows it: what is missing counts as nothing."""
    document = {"interval_s": 600.0, "intervals": [{"start": "2026-11-27T00:00:00Z", "exporters": {"e1": 7}}]}
    assert "e1 (7)" in exporters_figure(document).alt
    assert exporters_table({"exporters": [{"exporter": "e1", "records": 7, "sampling": None}]}).rows[0][0] == "e1"


def test_the_trend_of_a_service_is_the_failed_share_of_both_halves() -> None:
    starts = [f"2026-11-27T0{hour}:00:00Z" for hour in range(4)]
    document = {"intervals": [{"start": start} for start in starts]}
    numbers = zip(starts, [(9, 1), (10, 0), (0, 5), (5, 0)], strict=True)
    intervals = [{"start": start, "clients_ok": ok, "clients_failed": failed} for start, (ok, failed) in numbers]
    assert halves(document, {"intervals": intervals}) == [1 / 20, 5 / 10]
    assert halves(document, {"intervals": []}) == [None, None]


def test_tables_name_rules_trends_and_local_addresses(made: Made) -> None:
    _, document = made
    tables = {table.id: table for table in passive_tables(document)}
    assert len(tables["rules"].rows) == 16
    assert "trend" in [column.name for column in tables["services"].columns]
    assert tables["local_addresses"].rows[2][0] == "grey"


ADDRESS = st.integers(10 << 24, (10 << 24) + 1023)
SOME = st.sets(ADDRESS, max_size=30)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(ADDRESS, ADDRESS), min_size=1, max_size=4), SOME, SOME, SOME)
def test_cells_show_what_was_seen_of_their_addresses(
    bounds: list[tuple[int, int]], two: set[int], one: set[int], grey: set[int]
) -> None:
    local = Intervals.from_bounds([min(each) for each in bounds], [max(each) for each in bounds])
    inside = {address for low, high in bounds for address in range(min(low, high), max(low, high) + 1)}
    two &= inside
    grey = (grey & inside) - two
    one = ((one & inside) - two) | grey
    seen = set()
    for square in squares_of(local):
        cells = cells_of(square, LocalSpace(local, BitMap(two), BitMap(one), BitMap(grey)))
        assert square.shift == 0
        for address, state in enumerate(cells.tolist(), square.base):
            seen.add(address)
            assert (state == TWO_WAY) == (address in two)
            assert (state == ONE_WAY) == (address in one - grey)
            assert (state == GREY_CELL) == (address in grey)
            assert (state == OUTSIDE) == (address not in inside)
            assert (state == SILENT) == (address in inside - two - one)
    assert inside <= seen


def test_large_networks_are_drawn_with_several_addresses_a_cell() -> None:
    ten = 10 << 24
    space = LocalSpace(
        Intervals.from_bounds([ten, 1], [ten + (1 << 24) - 1, 1]), BitMap([ten + 5]), BitMap([ten + 1, ten + 700]),
        BitMap([ten + 1, ten + 700]),
    )  # fmt: skip
    large = squares_of(space.local)[-1]
    assert (str(large), large.order, 1 << large.shift) == ("10.0.0.0/8", 9, 64)
    cells = cells_of(large, space)
    assert np.flatnonzero(cells == TWO_WAY).tolist() == [0], "the greater state of two"
    assert np.flatnonzero(cells == GREY_CELL).tolist() == [700 // 64]
    drawing = grey_map(space)
    assert drawing is not None
    assert "10.0.0.0/8" in drawing.alt
    assert drawing.rendered("png").startswith(b"\x89PNG")
