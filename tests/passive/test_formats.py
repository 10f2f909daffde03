"""The same figures whichever format flows come in; nfdump's own view of a capture gives the judge its records."""

import json
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liveness.flows.formats import FORMATS, recognise
from liveness.passive.config import load_config
from liveness.passive.manifest import load_results
from liveness.passive.run import PassiveRun
from tests.flows import nfcapd_files
from tests.flows.traffic import make_traffic
from tests.passive.drawn import LOCAL, draw, judge_of, write_config
from tests.passive.formats import MS, SECOND, formats_for
from tests.passive.judge import ICMP, Record, Setting
from tests.passive.test_command import liveness
from tests.passive.test_judge import check, run_of

FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128}


def report_of(folder: Path, name: str, *inputs: Path) -> dict[str, Any]:
    config = write_config(folder / f"{name}.yaml", folder / "out", inputs=[str(path) for path in inputs])
    run = PassiveRun.create(load_config(config), name, forced=True, note=lambda _line: None)
    run.go([], follow=False)
    return load_results(folder / "out/campus" / name)


def test_parquet_gives_what_csv_gives(tmp_path: Path) -> None:
    wanted = run_of(tmp_path, draw(4, hours=1))
    liveness("flows", "convert", tmp_path / "flows-0.csv", "-o", tmp_path / "flows.parquet")
    found = report_of(tmp_path, "parquet", tmp_path / "flows.parquet")
    assert {**found, "run": ""} == {**wanted, "run": ""}


def writable(seed: int) -> list[Record]:
    """Return drawn records that every format can hold: of possible times, in ms."""
    return [
        replace(record, start=record.start // MS * MS, end=record.end // MS * MS)
        for record in draw(seed, hours=1)
        if record.start > SECOND and record.start <= record.end
    ]


@pytest.mark.parametrize("seed", range(10))
def test_every_figure_equals_brute_force_through_every_format(tmp_path: Path, seed: int) -> None:
    """The judge has the records that each format can say; where these are the same, so are its figures."""
    records = writable(seed)
    expected: dict[str, dict[str, Any]] = {}
    for number, written in enumerate(formats_for(seed)):
        folder = tmp_path / f"{number}-{written.form}"
        folder.mkdir()
        held = written.write(folder, records, seed)
        files = sorted(folder.iterdir())
        assert {recognise(str(file)).name for file in files} == {written.form}
        key = repr(sorted(map(repr, held)))
        if key not in expected:
            expected[key] = judge_of(held, Setting([LOCAL], own=["203.0.113.9/32"])).document()
        check(report_of(tmp_path, folder.name, *files), expected[key])


def test_every_format_has_its_writer() -> None:
    assert {written.form for seed in (0, 1) for written in formats_for(seed)} == {form.name for form in FORMATS}


def nfdump_record(row: dict[str, Any]) -> Record:
    """Return a record as nfdump prints it."""
    first, last = (int(np.datetime64(row[name], "ms").astype(np.int64)) * 10**6 for name in ("first", "last"))
    ports = row.get("src_port", 0), row.get("dst_port", 0)
    if row["proto"] == ICMP:
        ports = 0, row["icmp_type"] * 256 + row["icmp_code"]
    flags = sum(FLAGS.get(letter, 0) for letter in row.get("tcp_flags", ""))
    return Record(first, last, row["src4_addr"], row["dst4_addr"], *ports, row["proto"], row["in_packets"],
                  row["in_bytes"], flags)  # fmt: skip


def test_nfcapd_files_of_nfpcapd_are_judged_by_what_nfdump_prints(tmp_path: Path) -> None:
    traffic = make_traffic(tmp_path / "traffic.pcap", count=3000, seed=5)
    folder = tmp_path / "nfcapd"
    folder.mkdir()
    subprocess.run(["nfpcapd", "-r", traffic.path, "-w", folder], check=True, capture_output=True)
    printed = subprocess.run(["nfdump", "-R", folder, "-o", "json"], check=True, capture_output=True, text=True)
    records = [nfdump_record(row) for row in json.loads(printed.stdout)]
    document = report_of(tmp_path, "nfcapd", folder)
    assert sum(document["totals"][name]["packets"] for name in ("two_way", "one_way", "one_way_out")) == 3000
    check(document, judge_of(records, Setting([LOCAL], own=["203.0.113.9/32"])).document())


@pytest.mark.parametrize("compression", [nfcapd_files.NONE, nfcapd_files.BZ2, nfcapd_files.LZ4])
def test_nfdump_reads_the_files_that_these_tests_write(tmp_path: Path, compression: int) -> None:
    path = tmp_path / "written.nfcapd"
    records = writable(1)
    path.write_bytes(nfcapd_files.written(records, compression))
    printed = subprocess.run(["nfdump", "-r", path, "-o", "json"], check=True, capture_output=True, text=True)
    found = Counter(repr(nfdump_record(row)) for row in json.loads(printed.stdout))
    assert found == Counter(repr(replace(record, exporter="e1")) for record in records)
