"""Mutated golden packets: no exception, nothing read outside them, nothing strong without its cookie, one meaning.

scripts/fuzz runs the same campaign for as long as one likes.
"""

import json
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from liveness.kernel import COMPILED
from liveness.packets.parse import ACCEPTED
from liveness.replies import VERDICTS, Kind, Rejection, Tier
from tests.frames import NAMES
from tests.fuzzing import oracle
from tests.fuzzing.campaign import BATCH, Campaign, golden_frames
from tests.fuzzing.examiner import Examiner
from tests.fuzzing.mutation import DRAWS, LONGEST, MAC_BYTES, mutate
from tests.fuzzing.other import REPOSITORY, OtherForm, other_environment, other_form

NUMBERS = st.lists(st.integers(0, 2**32 - 1), min_size=DRAWS, max_size=DRAWS)
EXAMINER = Examiner()
CAMPAIGN = Campaign(0)
SAMPLE = 4 * BATCH if COMPILED else 256


@pytest.fixture(scope="module")
def other() -> Iterator[OtherForm]:
    with other_form() as child:
        yield child


def mutation(numbers: list[int]) -> bytes:
    memory = np.zeros(LONGEST, np.uint8)
    length = mutate(memory, np.array(numbers, np.uint32), CAMPAIGN.seeds, CAMPAIGN.lengths)
    return memory[:length].tobytes()


@given(st.lists(NUMBERS, min_size=1, max_size=5), st.booleans())
def test_a_mutated_packet_keeps_the_invariants(other: OtherForm, changes: list[list[int]], verify: bool) -> None:
    for numbers in changes:
        frame = mutation(numbers)
        assert EXAMINER.problems(frame, verify=verify) == []
        status, records = EXAMINER.outcome(frame, verify=verify)
        assert other.outcome(frame, verify=verify) == (status, records.tobytes())


@given(st.binary(max_size=160), st.booleans())
@example(data=b"", verify=False)
def test_any_bytes_keep_the_invariants(other: OtherForm, data: bytes, verify: bool) -> None:
    for frame in (data, bytes(12) + b"\x08\0" + data, bytes(12) + b"\x08\0\x45" + data):
        assert EXAMINER.problems(frame, verify=verify) == []
        status, records = EXAMINER.outcome(frame, verify=verify)
        assert other.outcome(frame, verify=verify) == (status, records.tobytes())


def test_a_campaign_finds_nothing_and_reaches_everything() -> None:
    campaign = Campaign(7)
    for batch in range(-(-SAMPLE // BATCH)):
        _, findings = campaign.run(batch, min(BATCH, SAMPLE))
        assert findings == []
    assert campaign.counts.sum() == SAMPLE
    reached = np.flatnonzero(campaign.counts)
    assert len(reached) == len(Rejection) + len(Tier) or not COMPILED, reached


def test_compiled_and_plain_kernels_agree_on_a_campaign(tmp_path_factory: pytest.TempPathFactory) -> None:
    path, count = tmp_path_factory.mktemp("fuzz") / "outcomes.npz", 500
    command = [sys.executable, "-m", "tests.fuzzing.campaign", "3", str(count), str(path)]
    done = subprocess.run(
        command, check=True, cwd=REPOSITORY, env=other_environment(), capture_output=True, text=True, timeout=300
    )
    assert done.stderr == ""
    outcomes, findings = Campaign(3).run(0, count)
    assert findings == []
    with np.load(path) as theirs:
        assert np.array_equal(theirs["statuses"], outcomes.statuses)
        assert theirs["records"].tobytes() == outcomes.records.tobytes()


def test_the_oracle_finds_a_wrong_cookie() -> None:
    for column in (
        oracle.OUR_PORT,
        oracle.SEQUENCE,
        oracle.ECHO,
        oracle.TRANSACTION,
        oracle.STAMP_LOW,
        oracle.REQUEST_ID,
    ):
        campaign = Campaign(5)
        campaign.table[:, :, column] ^= 1 << 13
        _, findings = campaign.run(0, 1000)
        assert findings, column
        assert all("without its cookie" in finding.what for finding in findings)


def test_mutations_are_many_and_leave_the_ethernet_addresses() -> None:
    frames = [CAMPAIGN.frame(0, index) for index in range(300)]
    assert len(set(frames)) > 280
    golden = {frame[:MAC_BYTES] for frame in golden_frames()}
    assert {frame[:MAC_BYTES] for frame in frames if len(frame) > MAC_BYTES} <= golden
    assert len({len(frame) for frame in frames}) > 40


def cookie_bytes(kind: Kind, probe: str) -> list[int]:
    """Return the bytes behind the IP header in which one changed bit ends the evidence, or weakens it."""
    if kind is Kind.ECHO_REPLY:
        return [*range(4, 7)]  # the last bit of the number is the attempt's
    if kind in (Kind.SYN_ACK, Kind.RST):
        return [2, 3, *range(8, 11)]  # a reset may acknowledge the number or the next
    if kind is Kind.ERROR and probe.startswith("tcp"):
        return [*range(32, 36)]
    if kind is Kind.ERROR:
        return [34] if probe == "icmp" else []  # of a UDP quote two fields of three are enough
    return [2, 3, *{"dns": range(8, 10), "ntp": range(32, 40), "snmp": range(25, 29)}[probe]]


def test_no_single_bit_of_a_cookie_may_be_wrong() -> None:
    seen = set()
    for frame in golden_frames():
        status, records = EXAMINER.outcome(frame, verify=False)
        record = records[0]
        kind, probe = Kind(record["kind"]), int(record["probe"])
        plain = frame[12:15] == b"\x08\0\x45"
        if status != ACCEPTED or record["tier"] != Tier.STRONG or not plain or (kind, probe) in seen:
            continue
        seen.add((kind, probe))
        for bit in range(MAC_BYTES * 8, len(frame) * 8):
            changed = bytearray(frame)
            changed[bit // 8] ^= 1 << bit % 8
            assert EXAMINER.problems(bytes(changed), verify=False) == [], (kind, probe, bit)
        for at in cookie_bytes(kind, NAMES[probe]):
            for bit in range(8):
                changed = bytearray(frame)
                changed[34 + at] ^= 1 << bit
                status, records = EXAMINER.outcome(bytes(changed), verify=False)
                assert status != ACCEPTED or records[0]["tier"] == Tier.WEAK, (kind, probe, at, bit)
    talks = {Kind.CLOSED, Kind.ACKED, *VERDICTS}  # of scans with applications: tests/applications
    assert {kind for kind, _ in seen} == set(Kind) - talks


def test_the_script_reports_packets_and_findings() -> None:
    command = ["scripts/fuzz.py", "--packets", "20000" if COMPILED else "300", "--sample", "200", "--json"]
    done = subprocess.run(
        [sys.executable, *command], check=False, cwd=REPOSITORY, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["packets"] == int(command[2])
    assert report["findings"] == []
    assert report["agreed"] == 200
    assert sum(report["outcomes"].values()) == report["packets"]
