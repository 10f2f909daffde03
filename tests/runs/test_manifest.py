"""The manifest: the contract's own example loads, what is written reads back, what is wrong is named."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from liveness.errors import LivenessError
from liveness.ipsets.roaring import SetDigest
from liveness.replies import Kind, ReplyKey, Role, SetKey
from liveness.runs.course import Lag, LanePassing, Timeline
from liveness.runs.manifest import (
    BlockStatus,
    Log,
    LogFile,
    Manifest,
    Missed,
    Privileges,
    ProbeCounts,
    Replay,
    TopSource,
)
from liveness.runs.manifest_file import load_manifest, write_manifest
from liveness.runs.optout_record import Application, Change, ListProblem, OptOuts, Withdrawal
from liveness.runs.set_entry import SetEntry

GOLDEN = Path(__file__).with_name("manifest.golden.json")

CONTRACT = """
{"schema": 1, "name": "sept5", "run_id": "2026-11-21T000000Z", "status": "complete", "seed": 73,
 "config": {"name": "sept5", "rate": "100kpps"},
 "started": "2026-11-21T00:00:00Z", "finished": "2026-11-21T23:00:00Z", "targets": 123,
 "probes": {"tcp/443": {"sent": [123, 122], "send_errors": 0}},
 "sets": [{"probe": "tcp/443", "kind": "error", "icmp_type": 3, "icmp_code": 13, "role": "source",
           "file": "sets/tcp-443.error-3-13.source.roaring", "cardinality": 7, "sha256": "00ff"}],
 "messages": {"tcp/443": {"syn-ack": 10, "error-3-13": 9}},
 "weak": {"tcp/443": {"rst": 4}}, "control_port": 51833,
 "attempts": {"icmp": {"11": 90, "10": 3, "01": 2}}, "recovered_by_retransmit": {"icmp": 2},
 "rejected": {"bad-cookie": 3},
 "receive": {"packets": 0, "kernel_drops": 0, "nic_drops": 0}, "lag": {},
 "blocks": [{"block": "0.0.0.0/3", "targets": 0, "status": "done"}]}
"""


def contract(**changes: object) -> dict[str, Any]:
    return {**msgspec.json.decode(CONTRACT, type=dict[str, Any]), **changes}


def full_manifest() -> Manifest:
    error = SetKey(ReplyKey("tcp/443", Kind.ERROR, 3, 0), Role.DIRECT)
    reply = SetKey(ReplyKey("icmp", Kind.ECHO_REPLY), Role.SOURCE)
    return Manifest(
        name="golden",
        run_id="2026-11-21T000000Z",
        status="partial",
        reason="interrupted",
        seed=73,
        config={"rate": "1kpps", "limits": {"max_targets": None}},
        started="2026-11-21T00:00:00Z",
        finished="2026-11-21T00:00:07Z",
        targets=123,
        probes={"icmp": ProbeCounts(sent=[123, 100]), "tcp/443": ProbeCounts(sent=[123, 99], send_errors=1)},
        sets=[SetEntry.of(error, SetDigest(7, "ab" * 32)), SetEntry.of(reply, SetDigest(9, "cd" * 32))],
        messages={"icmp": {"echo-reply": 12}, "tcp/443": {"error-3-0": 9}},
        log=Log(
            complete=False,
            problems=["the log lacks 3 of 12 replies: replies/x.spool: No space left on device"],
            files=[LogFile(file="replies/2026-11-21T00Z.0.000001.parquet", rows=9, bytes=4711)],
        ),
        replay=Replay(captures=["there.pcapng"], packets=30, passed=21, unread=["there.pcapng: cut"]),
        opt_outs=OptOuts(
            withdrawals=[Withdrawal(at="2026-11-21T00:00:03Z", after_s=3.5, addresses=256, lists=["block.txt"])],
            list_problems=[ListProblem(at="2026-11-21T00:00:04Z", problem="block.txt:3: 'x' is not a prefix")],
            applied=[
                Application(
                    at="2026-11-22T00:00:00Z",
                    lists=["block.txt"],
                    sha256=["ef" * 32],
                    blocked=256,
                    sets=[Change(file="sets/icmp.echo-reply.source.roaring", before=10, after=9)],
                )
            ],
        ),
        privileges=Privileges(user="nobody", uid=65534, confined=["landlock", "seccomp"], notes=["none"]),
        lag=Lag(
            every_targets=1000000,
            lanes=[LanePassing(block="0.0.0.0/3", probe="icmp", attempt=0, passed_s=[0.5, None])],
            max_s=0.1,
            p80_s=0.05,
        ),
        attempts_by_kind={"icmp": {"positive": {"11": 7, "01": 1}, "error": {"10": 1}}},
        missed={"icmp": Missed(estimate=1.5, low=0.5, high=4.5)},
        duplicates={"icmp": {"echo-reply": [3, 0]}},
        busiest_sources=[TopSource(source="198.51.100.7", messages=1000)],
        timeline=Timeline(
            end_s=[1.0, 2.0],
            sent=[100, 23],
            completed=[99, 24],
            send_errors=[0, 0],
            packets=[7, 6],
            accepted=[6, 6],
            rejected=[1, 0],
            kernel_drops=[0, 1],
            nic_drops=[0, 0],
            interface_sent=[99, 25],
            interface_received=[9, 9],
        ),
        blocks=[BlockStatus(block="0.0.0.0/3", targets=123, status="done")],
        version="0.1.0",
        source_addresses=["10.0.0.1"],
    )


def test_contract_example_loads(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(CONTRACT)
    manifest = load_manifest(path)
    assert manifest.sets[0].key == SetKey(ReplyKey("tcp/443", Kind.ERROR, 3, 13), Role.SOURCE)
    assert manifest.sets[0].file == manifest.sets[0].key.file
    assert manifest.probes["tcp/443"].sent == [123, 122]
    assert manifest.run == "sept5/2026-11-21T000000Z"
    assert manifest.lag == Lag()


def test_every_field_of_the_contract_is_written_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(CONTRACT)
    manifest = load_manifest(path)
    written = msgspec.to_builtins(manifest)
    example = contract()
    del example["lag"], written["lag"]
    assert written["receive"].items() >= example.pop("receive").items()
    assert {name: written[name] for name in example} == example


def test_golden_file(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    write_manifest(path, full_manifest())
    assert path.read_text() == GOLDEN.read_text()
    assert load_manifest(GOLDEN) == full_manifest()


def test_icmp_type_and_code_are_absent_where_there_is_no_error() -> None:
    error, reply = msgspec.to_builtins(full_manifest())["sets"]
    assert (error["icmp_type"], error["icmp_code"]) == (3, 0)
    assert "icmp_type" not in reply
    assert "icmp_code" not in reply


def test_unknown_fields_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(msgspec.json.encode(contract(added_later=1)))
    assert load_manifest(path).targets == 123


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, r"\$\.schema: 2: newer to liveness .*, which reads schema 1"),
        ({"schema": 0}, r"\$\.schema: 0: unknown to"),
        ({"status": "done"}, r"\$\.status: 'done': expected one of complete, partial, running"),
        ({"targets": "many"}, r"\$\.targets: 'many': expected a whole number, not text"),
        (
            {"probes": {"icmp": {"sent": [1, None]}}},
            r"\$\.probes\[\.\.\.\]\.sent\[1\]: expected a whole number, not nothing",
        ),
        (
            {"sets": [{**contract()["sets"][0], "kind": "fin"}]},
            r"\$\.sets\[0\]: no reply kind 'fin'",
        ),
        (
            {"sets": [{**contract()["sets"][0], "kind": "rst"}]},
            r"\$\.sets\[0\]: icmp_type and icmp_code belong to errors",
        ),
        (
            {"sets": [{**contract()["sets"][0], "file": "../../etc/passwd"}]},
            r"\$\.sets\[0\]: a set lies below its run directory: '\.\./\.\./etc/passwd'",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(msgspec.json.encode(contract(**changes)))
    with pytest.raises(LivenessError, match=rf"manifest\.json: {message}"):
        load_manifest(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": -1}, r"\$\.targets: '-1': expected a number from 0"),
        ({"targets": 2**32 + 1}, r"\$\.targets: .*as many as there are addresses"),
        ({"seed": -(10**30)}, r"\$\.seed: "),
        ({"probes": {"tcp/abc": {"sent": [1]}}}, r"\$\.probes: 'tcp/abc': no probe that this version knows"),
        ({"probes": {"tcp/65536": {"sent": [1]}}}, r"\$\.probes: 'tcp/65536'"),
        ({"probes": {"tcp/080": {"sent": [1]}}}, r"\$\.probes: 'tcp/080'"),
        ({"probes": {"quic": {"sent": [1]}}}, r"\$\.probes: 'quic'"),
        ({"probes": {"icmp": {"sent": [1, -1]}}}, r"\$\.probes\.icmp\.sent\[1\]: '-1'"),
        ({"messages": {"icmp": {"error-x": 1}}}, r"\$\.messages\.icmp: 'error-x': no class of replies"),
        ({"messages": {"icmp": {"error-3": 1}}}, r"\$\.messages\.icmp: 'error-3'"),
        ({"messages": {"icmp": {"error-3-256": 1}}}, r"\$\.messages\.icmp: 'error-3-256'"),
        ({"messages": {"icmp": {"error": 1}}}, r"\$\.messages\.icmp: 'error'"),
        ({"weak": {"quic": {}}}, r"\$\.weak: 'quic'"),
        ({"attempts": {"icmp": {"1x": 1}}}, r"\$\.attempts\.icmp: '1x'"),
        ({"source_addresses": ["10.0.0.300"]}, r"\$\.source_addresses\[0\]: '10\.0\.0\.300'"),
        ({"busiest_sources": [{"source": "x", "messages": 1}]}, r"\$\.busiest_sources\[0\]\.source: 'x'"),
        ({"blocks": [{"block": "0/33", "targets": 1, "status": "done"}]}, r"\$\.blocks\[0\]\.block"),
        ({"finished": "soon"}, r"\$\.finished: 'soon': expected a time"),
        ({"control_port": 70000}, r"\$\.control_port"),
        ({"timeline": {"end_s": [1.0], "sent": [1, 2]}}, r"\$\.timeline"),
        ({"timeline": {"end_s": [2.0, 1.0], "sent": [1, 2]}}, r"\$\.timeline\.end_s"),
        ({"timeline": {"sent": [1, 2]}}, r"\$\.timeline\.end_s"),
        ({"attempts_by_kind": {"icmp": {"positive": {"": 1}}}}, r"\$\.attempts_by_kind\.icmp\.positive: ''"),
        ({"sets": [{**contract()["sets"][0], "probe": "tcp/x"}]}, r"\$\.sets\[0\]\.probe: 'tcp/x'"),
        ({"config": {"a": "x" * (17 << 20)}}, r"\$\.config: .* bytes: no config is larger"),
    ],
)
def test_what_no_run_can_say_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(msgspec.json.encode(contract(**changes)))
    with pytest.raises(LivenessError, match=rf"manifest\.json: {message}"):
        load_manifest(path)


def test_nothing_in_a_manifest_moves_a_cursor(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(msgspec.json.encode(contract(reason="\x1b[2Jgone\nand\u202eback\x9b", host="münchen 1")))
    manifest = load_manifest(path)
    assert manifest.reason == "\\x1b[2Jgone\\nand\\u202eback\\x9b"
    assert manifest.host == "münchen 1"


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"schema": 1, "config": ' + b"[" * 100_000])
def test_a_document_of_brackets_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(LivenessError, match=r"manifest\.json: "):
        load_manifest(path)


def test_a_manifest_of_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(LivenessError, match="1,073,741,824 bytes"):
        load_manifest(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"schema": "1"}', b"{}"])
def test_what_is_no_manifest_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(LivenessError, match=r"manifest\.json: "):
        load_manifest(path)


def test_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(LivenessError, match=r"manifest\.json: cannot read this manifest: No such file"):
        load_manifest(tmp_path / "manifest.json")
