"""Trinocular's raw outage data: files made by hand from the published layout, damage, and export against import."""

import base64
import bz2
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from liveness.analysis.survey.document import encode
from liveness.analysis.survey.results import analyze_survey
from liveness.errors import LivenessError, UsageError
from liveness.planes.blocks import Blocks
from liveness.planes.rundir import SurveyRun
from liveness.planes.verdicts import NO_VERDICT, verdicts_name
from liveness.survey import fsdb, trinocular_raw
from liveness.survey.exporting import parts_of
from liveness.survey.import_timing import Given
from liveness.survey.opening import import_any
from liveness.survey.trinocular_raw import HEADER, decode_log, encode_log
from tests.analysis.survey.brute import Truth
from tests.analysis.survey.test_sequences import PROBE, write_survey
from tests.survey.test_formats import states

NONE = Given()
START = 1_507_326_545
A20 = "#fsdb -F t block round_no round_start_epoch a_short a_oper status belief n_pos n_neg probe_log rtt_us"
SAMPLE = f"58bae200\t0\t{START}\t0.8766\t0.4383\t1\t0.01\t1\t0\tCiQ=\t219051"
"""The line that the format's page shows: one probe, to 88.186.226.36, answered."""


def line(number: int, status: int, log: bytes, positive: int, negative: int, block: str = "58bae200") -> str:
    text = base64.b64encode(log).decode()
    at = START + 660 * number
    return f"{block}\t{number}\t{at}\t0.8\t0.4\t{status}\t0.5\t{positive}\t{negative}\t{text}\t0"


def write(path: Path, *lines: str, header: str = A20) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def verdicts(run: SurveyRun) -> list[int]:
    found = np.frombuffer((run.path / verdicts_name(PROBE)).read_bytes(), np.uint8)
    return [int(state) for state in found]


@pytest.mark.parametrize("header", [A20, fsdb.HEADER])
def test_a_line_without_end_is_named_before_it_fills_the_memory(tmp_path: Path, header: str) -> None:
    path = tmp_path / "raw.fsdb.bz2"
    path.write_bytes(bz2.compress(f"{header}\n# read\n".encode() + bytes(1 << 26)))
    tracemalloc.start()
    try:
        with pytest.raises(LivenessError, match=r"raw\.fsdb\.bz2:3: a line of more than 65,536 characters"):
            import_any([path], tmp_path / "run", "name", NONE)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_made_by_hand_is_read_line_by_line(tmp_path: Path, *, compressed: bool) -> None:
    path = write(
        tmp_path / "raw.fsdb",
        SAMPLE,
        line(1, 0, bytes([3 << 3, 36, 37, 38]), 0, 3),  # three without an answer: down
        line(2, 2, bytes([2 << 3, 36, 40, 1 << 3 | 2, 41]), 1, 2),  # two without, then one that answers: unknown
        line(4, 1, bytes([1 << 3 | 2, 36]), 1, 0),  # no line for round 3
        line(5, 1, bytes([1 << 3 | 2, 37]), 0, 1),  # the log contradicts the counts
    )
    if compressed:
        path.write_bytes(bz2.compress(path.read_bytes()))
    run = import_any([path], tmp_path / "run", "hand", NONE)
    assert run.blocks.name(0) == "88.186.226.0/24"
    assert (run.manifest.interval_s, run.manifest.start_ns) == (660.0, START * 10**9)
    assert verdicts(run) == [1, 0, 2, NO_VERDICT, 1, 1]
    assert [states(run, f"88.186.226.{octet}") for octet in (36, 37, 40, 41, 42)] == [
        "pss.p.", ".s....", "..s...", "..p...", "......",
    ]  # fmt: skip
    assert run.manifest.origin is not None
    assert run.manifest.origin.format == "trinocular"
    assert run.manifest.origin.skipped == {"probe logs that contradict n_pos and n_neg": 1}
    found = json.loads(encode(analyze_survey(run)))
    (outage,) = found["outages"]["trinocular"]
    assert outage == {
        "block": "88.186.226.0/24", "probe": PROBE, "start": "2017-10-06T22:00:05Z", "end": "2017-10-06T22:33:05Z",
        "rounds": 2, "weekly": False,
    }  # fmt: skip


def test_older_files_have_other_columns_and_shorter_blocks(tmp_path: Path) -> None:
    header = "#fsdb -F t block round_no round_start_epoch a_short a_oper a_long status belief n_pos n_neg"
    lines = [f"58bae2\t{r}\t{START + 660 * r}\t.8\t.4\t.4\t{int(r != 2)}\t.01\t1\t0" for r in range(4)]
    run = import_any([write(tmp_path / "a7.fsdb", *lines, header=header)], tmp_path / "run", "old", NONE)
    assert run.blocks.name(0) == "88.186.226.0/24"
    assert verdicts(run) == [1, 1, 0, 1]
    assert run.manifest.probes[PROBE].sent == 0


@pytest.mark.parametrize("batch", [1, 1 << 14])
def test_a_second_line_of_a_round_is_counted(tmp_path: Path, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trinocular_raw, "BATCH", batch)
    path = write(tmp_path / "raw.fsdb", SAMPLE, line(1, 1, b"", 0, 0), line(1, 0, bytes([1 << 3, 9]), 0, 1))
    run = import_any([path], tmp_path / "run", "twice", NONE)
    assert verdicts(run) == [1, 1]
    assert run.manifest.origin is not None
    assert run.manifest.origin.skipped == {"second record of a round": 1}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (SAMPLE.replace("58bae200", "58bae201"), ":2: block '58bae201' is not a /24 in hexadecimal"),
        (SAMPLE.replace("58bae200", "pigeon"), ":2: block 'pigeon' is not a /24"),
        (SAMPLE.replace("\t1\t0.01", "\t3\t0.01"), ":2: status '3' is not 0 .down., 1 .up. or 2"),
        (SAMPLE.replace(str(START), "x"), ":2: round_start_epoch 'x' is not a number"),
        (SAMPLE.replace(str(START), "nan"), ":2: round_start_epoch 'nan' is not a number"),
        (SAMPLE.replace("CiQ=", "CiQ"), ":2: probe_log 'CiQ' is not base64"),
        (SAMPLE.replace("CiQ=", "EiQ="), "is not whole: the group at byte 0 has 2 addresses, and 1 follow"),
        (SAMPLE.replace("\t1\t0\tCiQ=", "\t-1\t0\tCiQ="), ":2: n_pos '-1' is not a number"),
        (SAMPLE.rpartition("\t")[0], ":2: 10 values, where the header has 11 columns"),
    ],
)
def test_damage_is_named_by_file_and_line(tmp_path: Path, wrong: str, words: str) -> None:
    path = write(tmp_path / "raw.fsdb", wrong)
    with pytest.raises(LivenessError, match=words):
        import_any([path], tmp_path / "run", "damaged", NONE)
    assert not (tmp_path / "run").exists()


def test_a_file_without_a_verdict_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no line below the header"):
        import_any([write(tmp_path / "a")], tmp_path / "run", "empty", NONE)
    with pytest.raises(UsageError, match="no column status in the header"):
        import_any([write(tmp_path / "a", header="#fsdb -F t block round_start_epoch")], tmp_path / "run", "a", NONE)
    path = write(tmp_path / "a", SAMPLE)
    path.write_bytes(bz2.compress(path.read_bytes())[:-9])
    with pytest.raises(LivenessError, match="cut short"):
        import_any([path], tmp_path / "run", "a", NONE)


def test_logs_are_read_as_they_were_written() -> None:
    rng = np.random.default_rng(4)
    assert decode_log("CiQ=") == [(36, True)]
    assert encode_log([(36, True)]) == "CiQ="
    for count in (0, 1, 31, 32, 90):
        probes = [(int(octet), bool(octet % 5)) for octet in rng.integers(0, 256, count)]
        assert decode_log(encode_log(probes)) == probes
    equal = [(octet, False) for octet in range(90)]
    assert decode_log(encode_log(equal)) == equal


def with_outages(rounds: int) -> Truth:
    """Return a survey of three /24s: two with outages, one of them sparse, and one that Trinocular does not judge."""
    rng = np.random.default_rng(12)
    truth = Truth(rounds, 660.0)
    for first, hosts, availability, down in (
        (0, 60, 0.9, range(40, 60)),
        (256, 90, 0.3, range(70, 90)),
        (512, 9, 1, ()),
    ):
        for address in rng.choice(256, hosts, replace=False).tolist():
            for r in range(rounds):
                truth.sent.add((first + address, r))
                if r not in down and rng.random() < availability:
                    truth.positive.add((first + address, r))
    return truth


def test_export_and_import_have_the_same_outages(tmp_path: Path) -> None:
    blocks = Blocks.of(np.array([0x0A0000, 0x0A0001, 0xC00002], np.uint32))
    run = write_survey(tmp_path / "run", with_outages(150), blocks)
    content = b"".join(parts_of(run, PROBE, "trinocular"))
    lines = content.decode().splitlines()
    assert lines[0] == HEADER
    assert len(lines) == 1 + 2 * 150
    (tmp_path / "raw").write_bytes(content)
    again = import_any([tmp_path / "raw"], tmp_path / "again", "again", NONE)
    before, after = (json.loads(encode(analyze_survey(survey))) for survey in (run, again))
    assert after["outages"]["trinocular"] == before["outages"]["trinocular"]
    assert len({outage["block"] for outage in after["outages"]["trinocular"]}) == 2
    cells = [text.split("\t") for text in lines[1:]]
    positive, negative = (sum(int(row[place]) for row in cells) for place in (7, 8))
    probe = after["probes"][PROBE]
    assert (probe["positive"], probe["sent"]) == (positive, positive + negative)
    assert (again.manifest.interval_s, again.manifest.rounds) == (660.0, 150)
    with pytest.raises(UsageError, match="imported from Trinocular's raw data"):
        list(parts_of(again, PROBE, "trinocular"))


def test_verdicts_of_another_size_are_named(tmp_path: Path) -> None:
    run = import_any([write(tmp_path / "raw", SAMPLE, line(1, 1, b"", 0, 0))], tmp_path / "run", "hand", NONE)
    path = run.path / verdicts_name(PROBE)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(LivenessError, match=r"icmp.states: 3 bytes, where the manifest's blocks and rounds take 2"):
        analyze_survey(run)
