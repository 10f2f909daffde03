"""Origins of remotes: sums and clients by country and autonomous system, against dictionaries."""

import ipaddress
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.passive.drawn import draw, write_config
from tests.passive.judge import Record, write_csv
from tests.passive.test_command import liveness
from tests.passive.test_judge import run_of
from tests.passive.test_watching import interval_of

COUNTRIES = "80.0.0.0\t4\tBE\n80.0.0.0\t15\tIN\n80.1.1.0\t24\tIT\n81.0.0.0\t8\tDE\n"


def country_of(address: str) -> str | None:
    """Return the label of the longest prefix that covers an address."""
    found = [
        (int(length), label)
        for base, length, label in (line.split("\t") for line in COUNTRIES.splitlines())
        if ipaddress.ip_address(address) in ipaddress.ip_network(f"{base}/{length}")
    ]
    return max(found)[1] if found else None


def kept(tmp_path: Path, records: list[Record]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the report of a run with data on prefixes, and its inbound one-way flows."""
    (tmp_path / "countries.txt").write_text(COUNTRIES)
    document = run_of(tmp_path, records, keep_flows=True, prefix_data={"country": "countries.txt"})
    with duckdb.connect() as connection:
        flows = connection.execute(f"FROM '{tmp_path / 'out/campus/run/flows.parquet'}'")
        names = [column[0] for column in flows.description or ()]
        return document, [dict(zip(names, row, strict=True)) for row in flows.fetchall()]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_way_flows_by_country_are_those_of_the_kept_flows(tmp_path: Path, seed: int) -> None:
    document, flows = kept(tmp_path, draw(seed))
    sums: dict[str | None, Counter[str]] = defaultdict(Counter)
    classes: dict[str | None, Counter[str]] = defaultdict(Counter)
    for flow in flows:
        origin = country_of(flow["remote"])
        sums[origin] += Counter(flows=1, packets=flow["packets"], bytes=flow["bytes"])
        classes[origin][flow["class"]] += 1
    found = {row["origin"]: row for row in document["sources"]["country"]}
    assert found.keys() == sums.keys()
    assert len(found) >= 3
    for origin, row in found.items():
        assert {name: row[name] for name in ("flows", "packets", "bytes")} == sums[origin]
        assert {name: number for name, number in row["classes"].items() if number} == classes[origin]
    assert sum(row["flows"] for row in found.values()) == document["totals"]["one_way"]["flows"]
    order = [row["flows"] for row in document["sources"]["country"]]
    assert order == sorted(order, reverse=True)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_clients_by_country_add_up_to_those_of_the_service(tmp_path: Path, seed: int) -> None:
    document, _ = kept(tmp_path, draw(seed))
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for row in document["services_by_origin"]["country"]:
        sums[row["service"]] += Counter(ok=row["clients_ok"], failed=row["clients_failed"])
        assert row["failed_share"] == row["clients_failed"] / (row["clients_ok"] + row["clients_failed"])
    failing = {each["service"]: each for each in document["services"] if each["clients_failed"]}
    assert failing
    assert sums.keys() == failing.keys()
    for name, service in failing.items():
        assert sums[name] == Counter(ok=service["clients_ok"], failed=service["clients_failed"])


def test_a_country_whose_clients_are_filtered_stands_out(tmp_path: Path) -> None:
    """As in the paper: a server that answers most of the world, and hardly a client of one country."""
    records = interval_of(0, failing=False)
    for place, record in enumerate(interval_of(4, failing=True)):
        records.append(Record(record.start, record.end, f"81.0.0.{place}", *vars_of(record)))
    write_csv(tmp_path / "flows.csv", records)
    (tmp_path / "c.txt").write_text(COUNTRIES)
    config = write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["flows.csv"], prefix_data={"country": "c.txt"})
    liveness("passive", "run", "--config", config, "--run-id", "r")
    report = liveness("passive", "report", tmp_path / "out/campus/r").stdout
    line = next(line for line in report.splitlines() if " DE " in line and "/tcp/80" in line)
    assert line.split() == ["10.0.0.1/tcp/80", "DE", "0", "12", "100.0%"]


def vars_of(record: Record) -> tuple[Any, ...]:
    """Return the fields of a record after its source."""
    return (
        record.dst, record.sport, record.dport, record.protocol, record.packets, record.bytes, record.flags,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"country": "nothing.txt"}, "nothing.txt: cannot read this data on prefixes"),
        ({"continent": "c.txt"}, "$.prefix_data: 'continent': expected some of country, asn"),
        ({"asn": "c.txt"}, "c.txt:1: 'no prefix': expected an IPv4 prefix"),
    ],
)
def test_wrong_data_on_prefixes_is_one_line_and_no_run(tmp_path: Path, data: dict[str, str], message: str) -> None:
    write_csv(tmp_path / "flows.csv", draw(1, hours=0.2))
    (tmp_path / "c.txt").write_text("no prefix\n")
    config = write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["flows.csv"], prefix_data=data)
    done = liveness("passive", "run", "--config", config, code=2)
    assert message in done.stderr
    assert not (tmp_path / "out").exists()
