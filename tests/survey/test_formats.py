"""Surveys in the formats of others: files made by hand from the published layout, damage, and export against import."""

import bz2
import json
import re
import struct
from pathlib import Path

import duckdb
import numpy as np
import pytest

from liveness.analysis.survey.document import encode
from liveness.analysis.survey.results import analyze_survey
from liveness.errors import LivenessError, UsageError
from liveness.planes.blocks import Blocks, encode_blocks
from liveness.planes.delays import delays_name, read_delays
from liveness.planes.manifest import write_manifest
from liveness.planes.matrix import Planes, write_planes
from liveness.planes.rundir import SurveyRun
from liveness.survey.address_file import address_file
from liveness.survey.conclusion import Record, conclude
from liveness.survey.exporting import parts_of, rows_of
from liveness.survey.import_timing import Given
from liveness.survey.opening import import_any
from tests.analysis.survey.brute import Truth
from tests.analysis.survey.test_sequences import PROBE, drawn, write_survey
from tests.survey.virtual import CONTROL_PORT, Reply, survey_config, virtual_survey

NONE = Given()


def ant(kind: int, time_s: int, rtt_us: int, probe: str, reply: str, record_type: int = 5, length: int = 24) -> bytes:
    """Return one record by the published layout, field by field."""
    packed = [bytes(map(int, address.split("."))) for address in (probe, reply)]
    return struct.pack(">BBBBHBBII", record_type, length, kind, 0, 0, 0, 60, time_s, rtt_us) + packed[0] + packed[1]


HOST, QUIET, NONE_THERE = "192.0.2.7", "192.0.2.8", "0.0.0.0"  # noqa: S104 - nobody's address
START = 1_163_000_000
BY_HAND = [
    ant(0, START, 0, NONE_THERE, NONE_THERE, record_type=6),  # text about the file
    ant(0, START, 31_000, HOST, NONE_THERE),  # round 0: answers for itself
    ant(8, START + 5, 0, QUIET, NONE_THERE),  # round 0: silent
    ant(8, START + 660, 0, HOST, NONE_THERE),  # round 1: silent at first
    ant(0, START + 700, 0, NONE_THERE, HOST),  # and late: belongs to round 1
    ant(3, START + 665, 12_000, QUIET, "10.0.0.1"),  # round 1: a router says no
    ant(0, START + 1320, 20_000, HOST, HOST),  # round 2: names itself
    ant(0, START + 1325, 5_000, QUIET, "192.0.2.9"),  # round 2: another answers for it
    ant(0, START + 1980, 700_000_000, HOST, NONE_THERE),  # round 3: matched after more than an interval
    ant(0xFF, START + 1985, 0, QUIET, NONE_THERE),  # round 3: silent, as older files write it
    ant(0, START + 1990, 0, NONE_THERE, "198.51.100.1"),  # nobody probed that one
    ant(11, START + 2640, 100, HOST, "10.0.0.1"),  # round 4: a router has seen too many hops
    ant(13, START + 2645, 100, QUIET, NONE_THERE),  # round 4: another ICMP type
    ant(5, START + 2641, 0, HOST, NONE_THERE, record_type=9),  # another kind of record
]


def states(run: SurveyRun, address: str) -> str:
    """Return a letter for each round: . not sent, s silent, p, n, l."""
    row = int(address.rsplit(".", 1)[1])
    with run.matrix() as matrix:
        planes = matrix.planes("icmp", 0, 1)
    letters = []
    for r in range(run.manifest.rounds):
        sent, positive, negative, late = (
            int(plane[row, r >> 3]) >> (r & 7) & 1
            for plane in (planes.sent, planes.positive, planes.negative, planes.late)
        )
        assert positive + negative + late <= sent
        letters.append("p" if positive else "n" if negative else "l" if late else "s" if sent else ".")
    return "".join(letters)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_made_by_hand_is_read_record_by_record(tmp_path: Path, *, compressed: bool) -> None:
    content = b"".join(BY_HAND)
    (tmp_path / "survey").write_bytes(bz2.compress(content) if compressed else content)
    run = import_any([tmp_path / "survey"], tmp_path / "run", "hand", NONE)
    assert run.manifest.interval_s == 660
    assert run.manifest.start_ns == START * 10**9
    assert (states(run, HOST), states(run, QUIET)) == ("plpln", "snnss")
    assert run.manifest.origin is not None
    assert run.manifest.origin.records == len(BY_HAND)
    assert run.manifest.origin.skipped == {
        "text": 1,
        "other record types": 1,
        "reply of an address that was not probed": 1,
        "other ICMP types": 1,
    }


def test_the_time_that_each_reply_took_is_kept(tmp_path: Path) -> None:
    twice = [
        *BY_HAND[:5],
        ant(0, START + 701, 0, NONE_THERE, HOST),  # the late reply again
        *BY_HAND[5:7],
        ant(0, START + 1400, 0, NONE_THERE, HOST),  # the reply of round 2 again
        *BY_HAND[7:],
    ]
    (tmp_path / "survey").write_bytes(b"".join(twice))
    run = import_any([tmp_path / "survey"], tmp_path / "run", "hand", NONE)
    assert run.manifest.delays == ["icmp"]
    (delays,) = read_delays(run.path, "icmp", 256)
    assert delays["row"].tolist() == [7] * 4  # 192.0.2.9, which answered for 192.0.2.8, was not probed
    assert delays["rtt_us"].tolist() == [31_000, 40_000_000, 20_000, 700_000_000]


def test_damaged_times_of_replies_are_named(tmp_path: Path) -> None:
    (tmp_path / "survey").write_bytes(b"".join(BY_HAND))
    run = import_any([tmp_path / "survey"], tmp_path / "run", "hand", NONE)
    path = run.path / delays_name("icmp")
    content = path.read_bytes()
    for damaged, words in (
        (content[:-3], "29 bytes, where each reply takes 8"),
        (content[:8] + b"\xff" * 4 + content[12:], "offset 0: a row above 256"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(LivenessError, match=words):
            list(read_delays(run.path, "icmp", 256))


@pytest.mark.parametrize("separator", ["\t", " "])
def test_text_is_read_like_binary(tmp_path: Path, separator: str) -> None:
    header = "#fsdb -F t\treply_type time_s" + separator + "rtt_us ttl probe_addr\treply_addr\n"
    lines = [
        f"0\t{START}\t31000\t60\t{HOST}\t0.0.0.0",
        f"8\t{START + 5}\t0\t0\tc0000208\t00000000",
        f"8\t{START + 660}\t0\t0\t{HOST}\t-",
        "# a comment",
        f"0\t{START + 700}\t0\t60\t0.0.0.0\t0xc0000207",
    ]
    (tmp_path / "survey.fsdb").write_text(header + "\n".join(lines) + "\n")
    run = import_any([tmp_path / "survey.fsdb"], tmp_path / "run", "text", NONE)
    assert (states(run, HOST), states(run, QUIET)) == ("pl", "s.")


@pytest.mark.parametrize("form", ["ant", "fsdb", "csv", "parquet"])
def test_export_and_import_give_the_same_figures(tmp_path: Path, form: str) -> None:
    blocks = Blocks.of(np.array([0x0A0000, 0xC00002], np.uint32))
    truth = drawn(3, len(blocks), 50)
    for address in {address for address, _ in truth.sent}:  # import counts rounds from the first record of an address
        truth.sent.add((address, 0))
    run = write_survey(tmp_path / "run", truth, blocks)
    add_late_and_negative(run, truth)
    (tmp_path / "exported").write_bytes(b"".join(parts_of(run, PROBE, form)))
    again = import_any([tmp_path / "exported"], tmp_path / "again", "again", NONE)
    before, after = (json.loads(encode(analyze_survey(survey))) for survey in (run, again))
    assert after["interval_s"] == 660.0
    for part in ("sent", "positive", "negative", "late", "plain", "repaired", "responding_blocks"):
        assert after["probes"][PROBE][part] == before["probes"][PROBE][part], part
    assert before["probes"][PROBE]["late"] > 0
    assert before["probes"][PROBE]["negative"] > 0
    assert after["outages"] == before["outages"]
    kept = ("block", "plain", "repaired", "diurnal")
    assert [{key: block[key] for key in kept} for block in after["by_block"]] == [
        {key: block[key] for key in kept} for block in before["by_block"]
    ]


def add_late_and_negative(run: SurveyRun, truth: Truth) -> None:
    planes = Planes.empty(256 * len(run.blocks), truth.rounds)
    silent = np.array(sorted(truth.sent - truth.positive), np.int64)
    for plane, pairs in (
        ("sent", np.array(sorted(truth.sent), np.int64)),
        ("positive", np.array(sorted(truth.positive), np.int64)),
        ("late", silent[::7]),
        ("negative", silent[1::7]),
    ):
        planes.put(plane, pairs[:, 0], pairs[:, 1])
    write_planes(run.path, PROBE, iter([planes]))


def test_damage_is_named_by_file_and_offset(tmp_path: Path) -> None:
    content = b"".join(BY_HAND)
    for damaged, words in (
        (content[:-5], f"offset {24 * (len(BY_HAND) - 1):,}: a record is cut short"),
        (content[: 24 * 4] + ant(0, START, 0, HOST, HOST, length=30) + content, "offset 96: a record of 30 bytes"),
        (bz2.compress(content)[:-9], "cut short: its bzip2 stream has no end"),
    ):
        (tmp_path / "survey").write_bytes(damaged)
        with pytest.raises(LivenessError, match=words):
            import_any([tmp_path / "survey"], tmp_path / "run", "damaged", NONE)
        assert not (tmp_path / "run").exists()
    (tmp_path / "survey").write_text(
        "#fsdb -F t reply_type time_s rtt_us ttl probe_addr reply_addr\n8\tx\t0\t0\t1.2.3.4\t-\n"
    )
    with pytest.raises(LivenessError, match=r"survey:2: time_s 'x' is not a whole number"):
        import_any([tmp_path / "survey"], tmp_path / "run", "damaged", NONE)
    (tmp_path / "survey").write_bytes(b"\x7fELF")
    with pytest.raises(UsageError, match="neither ANT's binary"):
        import_any([tmp_path / "survey"], tmp_path / "run", "damaged", NONE)


def test_the_interval_is_exact_and_may_be_given(tmp_path: Path) -> None:
    records = [ant(8, START + round(10.25 * r), 0, HOST, NONE_THERE) for r in range(2000)]
    (tmp_path / "survey").write_bytes(b"".join(records))
    run = import_any([tmp_path / "survey"], tmp_path / "run", "name", NONE)
    assert run.manifest.interval_s == pytest.approx(10.25, abs=0.001)
    assert run.manifest.rounds == 2000
    given = import_any([tmp_path / "survey"], tmp_path / "given", "name", Given(41.0, START - 82.0))
    assert (given.manifest.interval_s, given.manifest.rounds) == (41.0, 503)


def test_addresses_in_a_file_of_columns(tmp_path: Path) -> None:
    run = write_survey(tmp_path / "run", drawn(1, 1, 40), Blocks.of(np.array([0xC00002], np.uint32)))
    for suffix in ("csv", "parquet"):
        path = tmp_path / f"addresses.{suffix}"
        with address_file(path, run.blocks.addresses, 660.0) as sink:
            results = analyze_survey(run, sink)
        found = duckdb.connect().execute(f"SELECT * FROM '{path}'")
        names = [column[0] for column in found.description or ()]
        assert names[:8] == ["address", "probe", "sent", "positive", "periods", "A", "U", "median_up_s"]
        assert names[8:] == ["periods_repaired", "A_repaired", "U_repaired"]
        rows = found.fetchall()
        assert [row[0] for row in rows] == [f"192.0.2.{octet}" for octet in range(256)]
        reading = results.probes[0].readings[0]
        assert sum(row[4] for row in rows) == reading.up_periods
        assert sum(row[5] for row in rows if row[4]) / reading.ever == pytest.approx(reading.availability)
    with pytest.raises(UsageError, match="written as"), address_file(tmp_path / "a.txt", run.blocks.addresses, 1.0):
        pass


def test_gaps_far_apart_have_an_interval(tmp_path: Path) -> None:
    """Their median is one of them: nothing lies near the middle between two."""
    records = [ant(8, START + at, 0, HOST, NONE_THERE) for at in (0, 10, 100_000_010)]
    (tmp_path / "survey").write_bytes(b"".join(records))
    with pytest.raises(UsageError, match=r"10,000,002 rounds of 10 s from .*: give --interval and --start"):
        import_any([tmp_path / "survey"], tmp_path / "run", "name", NONE)


OUTSIDE = "round 0 would have been before 1970 or after 2200"


@pytest.mark.parametrize(
    ("form", "given", "message"),
    [
        ("csv", Given(start_s=-5.0), OUTSIDE),
        ("csv", Given(start_s=1e11), OUTSIDE),
        (
            "csv",
            Given(interval_s=86_400.0 * 365, start_s=0.0),
            "1,000 rounds of 3.1536e[+]07 s would end after the year 2400",
        ),
        ("ant", Given(start_s=-5.0, interval_s=86_400.0 * 30), OUTSIDE),
    ],
)
def test_times_that_no_survey_has_are_named(tmp_path: Path, form: str, given: Given, message: str) -> None:
    content = b"".join(BY_HAND)
    if form == "csv":
        lines = [f"{r},{START + 660 * r}.0,192.0.2.7,icmp,positive" for r in range(1000)]
        content = ("\n".join(["round,time_s,address,probe,state", *lines]) + "\n").encode()
    (tmp_path / "survey").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        import_any([tmp_path / "survey"], tmp_path / "run", "odd", given)
    assert not (tmp_path / "run").exists()


def test_every_probe_of_our_surveys_is_exported_with_the_time_of_its_slot(tmp_path: Path) -> None:
    config = survey_config(probes=["icmp", "tcp/80", "tcp/control"], survey={"blocks": "x", "duration": "22m"})
    virtual = virtual_survey(tmp_path / "run", config, ("10.1.0.0", "10.1.7.0"), lambda *_: (Reply(10**7, "positive"),))
    (tmp_path / "run").mkdir()
    virtual.open()
    virtual.run()
    survey, order = virtual.survey, virtual.survey.order
    record = Record("run", CONTROL_PORT)
    manifest = conclude(survey, virtual.recorder, record, complete=True, now_ns=virtual.network.now_ns)
    write_manifest(manifest, tmp_path / "run")
    (tmp_path / "run" / "blocks.csv").write_bytes(encode_blocks(survey.blocks))
    run = SurveyRun.open(tmp_path / "run")
    for number, probe in enumerate(survey.probes):
        rows = np.concatenate(list(rows_of(run, probe)))
        assert len(rows) == 2 * 512
        slots = dict(zip(survey.blocks.addresses.tolist(), order.address_slots(number).tolist(), strict=True))
        due_s = [order.due_ns(row["round"] * order.slots + slots[int(row["address"])]) / 1e9 for row in rows]
        assert np.abs(rows["time_s"] - due_s).max() < 0.002, probe
    (tmp_path / "control.csv").write_bytes(b"".join(parts_of(run, "tcp/control", "csv")))
    again = import_any([tmp_path / "control.csv"], tmp_path / "again", "again", NONE)
    assert list(again.manifest.probes) == ["tcp/control"]
    assert again.manifest.probes["tcp/control"].sent == 2 * 512


def test_parquet_of_others_is_read_with_numbers_as_addresses_and_damage_is_named(tmp_path: Path) -> None:
    table = (
        "SELECT range AS round, 1e9 + 660 * range AS time_s, {address} AS address, 'icmp' AS probe, {state} AS state"
        " FROM range(4)"
    )
    path = tmp_path / "survey.parquet"

    def write(address: str = "'192.0.2.7'", state: str = "'positive'", renamed: str = "*") -> None:
        query = table.format(address=address, state=state)
        duckdb.connect().execute(f"COPY (SELECT {renamed} FROM ({query})) TO '{path}' (FORMAT parquet)")

    write(address=str(0xC0000207))
    run = import_any([path], tmp_path / "run", "numbers", NONE)
    assert (states(run, HOST), run.manifest.interval_s, run.manifest.start_ns) == ("pppp", 660.0, 10**18)
    assert run.manifest.origin is not None
    assert run.manifest.origin.format == "parquet"
    for change, words in (
        ({"address": "'192.0.2.700'"}, "row 0: '0,1000000000.0,--,icmp,1' is not a round, time, address"),
        ({"state": "CASE WHEN range = 2 THEN 'up' ELSE 'silent' END"}, "row 2: "),
        ({"renamed": "round, time_s, address, probe"}, "no column state"),
        ({"renamed": "* REPLACE ('pigeon' AS probe)"}, "row 0: probe 'pigeon' is not a probe"),
        ({"renamed": "* REPLACE (-1 AS round)"}, "row 0: '-1,"),
        ({"renamed": "* REPLACE ('nan'::DOUBLE AS time_s)"}, "row 0: '0,nan,"),
    ):
        write(**change)
        with pytest.raises((LivenessError, UsageError), match=re.escape(words)):
            import_any([path], tmp_path / "again", "damaged", NONE)
        assert not (tmp_path / "again").exists()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(LivenessError, match=r"survey.parquet: not Parquet, or damaged: "):
        import_any([path], tmp_path / "again", "damaged", NONE)


def test_files_of_two_kinds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"".join(BY_HAND))
    (tmp_path / "b").write_text("round,time_s,address,probe,state\n")
    with pytest.raises(UsageError, match=r"a is a survey of ANT and .*b is CSV: files of one survey are of one kind"):
        import_any([tmp_path / "a", tmp_path / "b"], tmp_path / "run", "both", NONE)
