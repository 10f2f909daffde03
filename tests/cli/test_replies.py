"""``liveness replies``: what people and programs are shown of a log, and clean output into a pipe."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from liveness.applications.fingerprints.table import NAMES
from liveness.replies import NO_DATA, REPLY_DTYPE
from liveness.replylog.runlog import RunLog
from liveness.replylog.spool import spool_header
from tests.cli.support import assert_one_line, liveness
from tests.replylog.replies import PROBES, replies, rows, shown

BATCH = replies(1500)
ROWS = rows(BATCH)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    made = RunLog(folder, "parquet", PROBES)
    made.replies(BATCH)
    made.close()
    made.wait()
    return folder


def by_kind() -> Counter[tuple[str, str]]:
    """Return how many replies there are of each probe and kind, errors by type and code."""
    return Counter(
        (row["probe"], f"error-{row['icmp_type']}-{row['icmp_code']}" if row["kind"] == "error" else row["kind"])
        for row in ROWS
    )


def test_the_summary(log: Path) -> None:
    run = liveness("replies", log)
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith("1,500 replies from 2026-06-21 00:00:00.123456789 to 2026-06-21 00:00:")
    lines = [line.split() for line in run.out.splitlines()]
    for (probe, kind), count in by_kind().items():
        (line,) = [line for line in lines if line[:2] == [probe, kind]]
        assert line[2] == f"{count:,}"
    known = np.array([row["rtt_ns"] for row in ROWS if row["probe"] == "icmp" and row["rtt_ns"] is not None]) / 1e6
    (icmp,) = [line for line in lines if line[:2] == ["icmp", str(len(known))]]
    assert icmp[2:] == [f"{np.quantile(known, share):,.3f}" for share in (0, 0.25, 0.5, 0.75, 0.9, 0.99, 1)]


def test_replies_of_no_known_kind_or_probe_are_unknown_in_the_summary(tmp_path: Path) -> None:
    batch = replies(3)
    batch["kind"][0], batch["probe"][1] = 255, 255
    (tmp_path / "a.spool").write_bytes(spool_header(PROBES, REPLY_DTYPE) + batch.tobytes())
    run = liveness("replies", tmp_path / "a.spool")
    assert (run.code, run.err) == (0, "")
    assert sum("unknown" in line for line in run.out.splitlines()) >= 2
    assert liveness("replies", tmp_path / "a.spool", "--json").code == 0


def test_the_summary_as_a_document_and_as_csv(log: Path) -> None:
    document = json.loads(liveness("replies", log, "--json").out)
    assert {(reply["probe"], reply["reply"]): reply["messages"] for reply in document["replies"]} == by_kind()
    assert sum(m["replies"] for m in document["rtt_ms"]) == sum(row["rtt_ns"] is not None for row in ROWS)
    assert document["first"] == "2026-06-21 00:00:00.123456789"
    for reply in document["replies"]:
        of_class = [
            row
            for row in ROWS
            if row["probe"] == reply["probe"]
            and reply["reply"]
            == (f"error-{row['icmp_type']}-{row['icmp_code']}" if row["kind"] == "error" else row["kind"])
        ]
        assert reply["weak"] == sum(row["tier"] == "weak" for row in of_class)
        assert reply["targets"] == len({row["target"] for row in of_class})
        assert reply["sources"] == len({row["source"] for row in of_class})
    table = list(csv.DictReader(io.StringIO(liveness("replies", log, "--csv").out)))
    assert {(entry["probe"], entry["reply"]): int(entry["messages"]) for entry in table} == by_kind()


def test_rows_as_a_document(log: Path) -> None:
    run = liveness("replies", log, "--json", "--sql", "SELECT * EXCLUDE (time) FROM replies ORDER BY time_ns")
    document = json.loads(run.out)
    assert document["rows"] == [shown(row) for row in ROWS]
    assert document["columns"] == list(document["rows"][0])
    odd = "SELECT 'inf'::DOUBLE AS a, 1.5::DECIMAL(4, 2) AS b, [1] AS c, DATE '2026-01-02' AS d"
    document = json.loads(liveness("replies", log, "--json", "--sql", odd).out)
    assert document["rows"] == [{"a": None, "b": "1.50", "c": [1], "d": "2026-01-02"}]


def test_rows_as_csv(log: Path) -> None:
    run = liveness("replies", log, "--csv", "--sql", "SELECT target, rtt_ns, time FROM replies ORDER BY time_ns")
    table = list(csv.reader(io.StringIO(run.out)))
    assert table[0] == ["target", "rtt_ns", "time"]
    expected = [shown(row) for row in ROWS]
    assert [line[:2] for line in table[1:]] == [
        [row["target"], "" if row["rtt_ns"] is None else str(row["rtt_ns"])] for row in expected
    ]
    assert table[1][2] == "2026-06-21 00:00:00.123456789"


def test_rows_as_lines(log: Path) -> None:
    run = liveness("replies", log, "--sql", "SELECT probe, count(*) AS n, NULL AS x FROM replies GROUP BY 1 ORDER BY 1")
    header, rule, *lines = run.out.splitlines()
    assert header.split() == ["probe", "n", "x"]
    assert set(rule) == {"-", " "}
    counts = Counter(row["probe"] for row in ROWS)
    assert [line.split() for line in lines] == [[probe, str(counts[probe])] for probe in sorted(counts)]
    assert len({re.search(r"\d+$", line.rstrip()).end() for line in lines if re.search(r"\d+$", line.rstrip())}) == 1  # type: ignore[union-attr]  # they match
    run = liveness("replies", log, "--sql", "SELECT 1 FROM replies")
    assert len(run.out.splitlines()) == 1002
    assert run.err == "liveness: only the first 1,000 rows are shown: --csv and --json print all\n"
    assert liveness("replies", log, "--sql", "-", stdin="SELECT 7 AS seven").out == "seven\n-----\n    7\n"
    assert liveness("replies", log, "--sql", "").out == ""


def test_errors_are_one_line(log: Path, tmp_path: Path) -> None:
    assert_one_line(liveness("replies", log, "--sql", "SELEC 1"), 2, "SQL: ", "SELEC")
    assert_one_line(liveness("replies", log, "--csv", "--sql", "SELECT kind::INT FROM replies ORDER BY 1"), 2, "SQL: ")
    assert_one_line(liveness("replies", tmp_path / "none"), 2, "none", "no such file")
    assert_one_line(liveness("replies", tmp_path), 2, str(tmp_path), "no log of replies here")
    (tmp_path / "x.parquet").write_text("no")
    assert_one_line(liveness("replies", tmp_path), 1, "x.parquet", "not a Parquet file")
    assert liveness("replies", log, "--csv", "--json").code == 2


def test_a_log_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "replies").mkdir()
    run = liveness("replies", tmp_path)
    assert (run.code, run.out, run.err) == (0, "no reply in this log\n", "")
    assert json.loads(liveness("replies", tmp_path, "--json").out)["replies"] == []


@pytest.mark.parametrize("option", ["--csv", "--json", ""])
def test_a_reader_that_goes_away_is_no_error(log: Path, option: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "liveness", "replies", str(log), "--sql", "SELECT * FROM replies, range(50)"]
    run = subprocess.run(
        [*command, *filter(None, [option])], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert run.returncode == 0
    assert "Traceback" not in run.stderr


def test_nothing_is_left_behind(log: Path, tmp_path: Path) -> None:
    before = sorted(log.rglob("*"))
    assert liveness("replies", log, "--sql", "SELECT * FROM replies ORDER BY random()", "--csv", cwd=tmp_path).code == 0
    assert sorted(log.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []


def test_the_summary_has_the_protocols_of_data(tmp_path: Path) -> None:
    """Of a run that talked to services; other logs have no such table."""
    batch, ssh, tls = replies(5), NAMES.index("ssh"), NAMES.index("tls")
    batch["probe"], batch["target"] = PROBES.index("tcp/443"), [1, 1, 2, 3, 4]
    made = RunLog(tmp_path, "parquet", PROBES, first_bytes=9)
    protocols = np.array([tls, tls, ssh, 0, NO_DATA], np.uint8)
    lengths, data = np.array([9, 9, 9, 9, 0], np.uint16), np.frombuffer(b"SSH\x1b[2J\xff\n" * 5, np.uint8).reshape(5, 9)
    made.replies(batch, (protocols, lengths, data))
    made.close()
    made.wait()
    lines = [line.split() for line in liveness("replies", tmp_path).out.splitlines()]
    (place,) = [at for at, line in enumerate(lines) if line == ["probe", "protocol", "messages", "targets"]]
    expected = [("tls", 2, 1), ("ssh", 1, 1), ("unknown", 1, 1)]
    assert lines[place + 2 : place + 5] == [["tcp/443", *map(str, row)] for row in expected]
    document = json.loads(liveness("replies", tmp_path, "--json").out)
    assert [tuple(row.values()) for row in document["protocols"]] == [("tcp/443", *row) for row in expected]
    shown = liveness("replies", tmp_path, "--csv", "--sql", "SELECT data FROM replies WHERE data IS NOT NULL LIMIT 1")
    assert shown.out == "data\nSSH\\x1B[2J\\xFF\\x0A\n"


def test_a_log_without_talks_has_no_protocols(log: Path) -> None:
    assert "protocol" not in liveness("replies", log).out
    assert "protocols" not in json.loads(liveness("replies", log, "--json").out)
