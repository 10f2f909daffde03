"""The table of timeouts against one computed value by value, from an import and from a log of replies."""

import json
import math
import random
from pathlib import Path

import msgspec
import numpy as np
import pytest

from liveness.analysis.survey import delays
from liveness.analysis.survey.delays import PERCENTILES, delay_table
from liveness.analysis.survey.document import encode
from liveness.analysis.survey.results import analyze_survey
from liveness.planes.blocks import Blocks
from liveness.planes.manifest import SurveyManifest, write_manifest
from liveness.planes.rundir import SurveyRun
from liveness.reference.padmanabhan_2015 import TIMEOUT_S
from liveness.replylog.parquet import COLUMNS
from liveness.replylog.runlog import REPLIES
from liveness.report.views.survey import survey_tables
from liveness.sql.connection import connect
from liveness.survey.import_timing import Given
from liveness.survey.opening import import_any
from tests.analysis.survey.brute import Truth
from tests.analysis.survey.test_sequences import write_survey
from tests.survey.test_formats import NONE_THERE, START, ant


def by_hand(times_us: dict[int, list[int]]) -> list[list[float]]:
    """Return the table: the smallest value that so many per cent do not exceed, of addresses of replies."""

    def percentile(share: int, values: list[int]) -> int:
        return sorted(values)[math.ceil(share * len(values) / 100) - 1]

    used = [values for values in times_us.values() if len(values) >= 10]
    return [[percentile(y, [percentile(x, values) for values in used]) / 1e6 for x in PERCENTILES] for y in PERCENTILES]


def drawn(chance: random.Random, addresses: int, rounds: int) -> dict[int, list[int]]:
    """Return round-trip times in microseconds of the addresses that reply, by their last octet."""
    times = {}
    for octet in range(addresses):
        slow = chance.random() < 0.2
        replies = [r for r in range(rounds) if chance.random() < chance.choice((0.1, 0.9))]
        times[octet] = [int(chance.lognormvariate(11, 2 if slow else 0.5)) + 1 for _ in replies]
    return times


@pytest.mark.parametrize("at_once", [1 << 24, 50])
def test_an_import_has_the_table_of_its_records(tmp_path: Path, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delays, "REPLIES_AT_ONCE", at_once)  # so that addresses come in several parts
    times = drawn(random.Random(3), 60, 40)
    records = []
    for r in range(40):
        for octet, values in times.items():
            rtt_us = values[r] if r < len(values) else 0
            at = START + 660 * r + octet
            records.append(ant(0 if rtt_us else 8, at, rtt_us, f"192.0.2.{octet}", NONE_THERE))
    (tmp_path / "survey").write_bytes(b"".join(records))
    run = import_any([tmp_path / "survey"], tmp_path / "run", "delays", Given())
    table = delay_table(run, "icmp")
    assert table is not None
    assert np.allclose(table.timeout_s, by_hand(times), rtol=0, atol=1e-9)
    used = [values for values in times.values() if len(values) >= 10]
    assert (table.addresses, table.replies) == (len(used), sum(map(len, used)))
    results = analyze_survey(run)
    found = json.loads(encode(results))["probes"]["icmp"]["delays"]
    assert found["timeout_s"] == table.timeout_s.tolist()
    (shown,) = [one for one in survey_tables(results, 5) if one.id == "delays"]
    assert str(shown.rows[1][2]).endswith(f"({TIMEOUT_S[1][1]:g})")


def test_a_log_of_replies_has_the_same_table(tmp_path: Path) -> None:
    chance = random.Random(4)
    times = drawn(chance, 40, 60)
    run = write_survey(tmp_path / "run", Truth(60, 660.0, {(0, 0)}), Blocks.of(np.array([0xC00002], np.uint32)))
    write_manifest(_with_log(run), run.path)
    rows = []
    for octet, values in times.items():
        target = 0xC0000200 + octet
        for r, rtt_us in enumerate(values):
            sent_ns = (START + 660 * r + octet) * 10**9
            rows.append((sent_ns + rtt_us * 1000, "icmp", "echo-reply", target, target, rtt_us * 1000))
            if chance.random() < 0.2:  # a duplicate
                rows.append((sent_ns + rtt_us * 5000, "icmp", "echo-reply", target, target, rtt_us * 5000))
        rows.append((START * 10**9, "icmp", "error", target, 5, 7))
        rows.append((START * 10**9, "icmp", "echo-reply", target, 5, 7))  # from another address
        rows.append((START * 10**9, "tcp/80", "syn-ack", target, target, 7))
    _write_log(run.path, rows)
    table = delay_table(SurveyRun.open(run.path), "icmp")
    assert table is not None
    assert np.allclose(table.timeout_s, by_hand(times), rtol=0, atol=1e-9)
    assert delay_table(run, "icmp") is None  # its manifest says that there is no log


def test_without_its_log_of_replies_a_survey_has_all_other_results(tmp_path: Path) -> None:
    run = write_survey(tmp_path / "run", Truth(60, 660.0, {(0, 0)}), Blocks.of(np.array([0xC00002], np.uint32)))
    without = json.loads(encode(analyze_survey(run)))
    write_manifest(_with_log(run), run.path)
    results = analyze_survey(SurveyRun.open(run.path))
    (problem,) = results.problems
    assert problem.startswith("no delays of replies: ")
    assert str(run.path) in problem
    assert json.loads(encode(results))["probes"] == without["probes"]


def test_too_few_replies_make_no_table(tmp_path: Path) -> None:
    records = [ant(0, START + 660 * r, 1000, "192.0.2.7", NONE_THERE) for r in range(9)]
    (tmp_path / "survey").write_bytes(b"".join(records))
    run = import_any([tmp_path / "survey"], tmp_path / "run", "few", Given())
    assert delay_table(run, "icmp") is None
    assert json.loads(encode(analyze_survey(run)))["probes"]["icmp"]["delays"] is None
    assert "delays" not in {table.id for table in survey_tables(analyze_survey(run), 5)}


def _with_log(run: SurveyRun) -> SurveyManifest:
    return msgspec.structs.replace(run.manifest, config={"replies": "parquet"})


def _write_log(run: Path, rows: list[tuple[int, str, str, int, int, int]]) -> None:
    """Write a log of replies: time, probe, kind, target, source and round-trip time, all other columns null."""
    given = ("time_ns", "probe", "kind", "target", "source", "rtt_ns")
    columns = ", ".join(
        f"{'col' + str(given.index(name)) if name in given else 'NULL'}::{kind} AS {name}"
        for name, (kind, _) in COLUMNS.items()
    )
    (run / REPLIES).mkdir()
    with connect() as connection:
        values = ", ".join(map(str, rows))
        names = ", ".join(f"col{place}" for place in range(len(given)))
        query = f"SELECT {columns} FROM (VALUES {values}) AS rows({names})"
        connection.execute(f"COPY ({query}) TO '{run / REPLIES / 'a.parquet'}' (FORMAT parquet)")
