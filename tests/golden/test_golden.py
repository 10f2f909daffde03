"""Each cell of the reply matrix: read as expected in every field, seen by tshark as named, and made by its script."""

import csv
import subprocess
from functools import cache
from typing import Any

import pytest
import yaml
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether

from liveness.replies import REPLY_DTYPE, Kind, Rejection, Tier
from tests.frames import CONTROL_PORT, NAMES, Scanner, address, dotted, intervals
from tests.golden import sent
from tests.golden.captures import DIRECTORY, TABLES, capture_of, expectations_of, read_capture

SCANNER = Scanner()
TARGETS = intervals(*((address(low), address(high)) for low, high in sent.TARGETS))
TSHARK_OPTIONS = ("ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE", "ip.defragment:FALSE")
COMMON_FIELDS = {"reply_ttl": "ip.ttl", "ip_id": "ip.id", "length": "ip.len", "source": "ip.src"}
TCP_FIELDS = {"tcp_window": "tcp.window_size_value"}
ICMP_FIELDS = {"icmp_type": "icmp.type", "icmp_code": "icmp.code"}


@cache
def entries(name: str) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = yaml.safe_load((DIRECTORY / f"{name}.yaml").read_text())
    return loaded


def read(time_ns: int, frame: bytes, *, verify: bool) -> dict[str, str | int]:
    """Return what our parser and matcher make of a frame, in the words of the golden files."""
    record = SCANNER.record(frame, time_ns, check_ip=verify, check_transport=verify, targets=TARGETS)
    if isinstance(record, Rejection):
        return {"rejected": record.label}
    words: dict[str, str | int] = {field: int(record[field]) for field in REPLY_DTYPE.fields or ()}
    return words | {
        "probe": NAMES[record["probe"]],
        "kind": Kind(record["kind"]).label,
        "tier": Tier(record["tier"]).name.lower(),
        "source": dotted(int(record["source"])),
        "target": dotted(int(record["target"])),
    }


@pytest.mark.parametrize("name", TABLES)
def test_every_cell_is_read_as_expected(name: str) -> None:
    packets = read_capture(DIRECTORY / f"{name}.pcap")
    for entry, (time_ns, frame) in zip(entries(name), packets, strict=True):
        expected = entry["expected"]
        assert read(time_ns, frame, verify=True) == expected, entry["name"]
        assert read(time_ns, frame, verify=False) == entry.get("with checksums ignored", expected), entry["name"]


def test_the_matrix_holds_every_kind_tier_and_rejection() -> None:
    expected = [entry["expected"] for name in TABLES for entry in entries(name)]
    assert len(expected) > 600
    rejections = {cell.get("rejected") for cell in expected} - {None}
    assert rejections == {rejection.label for rejection in Rejection}
    kinds = {(cell["kind"], cell["tier"]) for cell in expected if "kind" in cell}
    talks = (Kind.CLOSED, Kind.ACKED, Kind.MUTE, Kind.ZERO_WINDOW)  # of scans with applications: tests/applications
    assert kinds == {(kind.label, "strong") for kind in Kind if kind not in talks} | {
        ("rst", "weak"),
        ("answer", "weak"),
        ("payload", "weak"),
        ("error", "weak"),
    }
    assert {cell["probe"] for cell in expected if "probe" in cell} == set(NAMES)


@pytest.mark.parametrize("name", TABLES)
def test_captures_and_expectations_are_what_their_script_makes(name: str) -> None:
    table = TABLES[name]()
    assert (DIRECTORY / f"{name}.pcap").read_bytes() == capture_of(table)
    assert (DIRECTORY / f"{name}.yaml").read_text() == expectations_of(table)


@pytest.mark.parametrize("name", NAMES)
def test_golden_replies_answer_the_probes_that_we_send(name: str) -> None:
    assert sent.CONTROL_PORT == CONTROL_PORT
    for attempt in range(sent.ATTEMPTS):
        ours = Ether(SCANNER.frame(name, address(sent.TARGET), attempt, sent.SENT_NS))[IP]
        assert bytes(ours) == bytes(sent.Sent(name, attempt).packet)


def seen_by_tshark(name: str, fields: list[str]) -> list[dict[str, str]]:
    """Return the named fields of each packet of a capture as tshark prints them, several values joined by commas."""
    command = ["tshark", "-n", "-r", str(DIRECTORY / f"{name}.pcap"), "-T", "fields"]
    command += ["-E", "separator=;", "-E", "occurrence=a", "-E", "quote=d", "-E", "header=n"]
    for option in TSHARK_OPTIONS:
        command += ["-o", option]
    for field in fields:
        command += ["-e", field]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    return [dict(zip(fields, row, strict=True)) for row in csv.reader(output.splitlines(), delimiter=";")]


@pytest.mark.parametrize("name", TABLES)
def test_tshark_sees_what_a_cell_is_named_for(name: str) -> None:
    cells = entries(name)
    common = [
        *COMMON_FIELDS.values(),
        *TCP_FIELDS.values(),
        *ICMP_FIELDS.values(),
        "ip.checksum.status",
        "frame.time_epoch",
    ]
    special = {field for entry in cells for field in entry.get("tshark", {})}
    packets = seen_by_tshark(name, sorted({*common, *special}))
    for entry, packet in zip(cells, packets, strict=True):
        for field, value in entry.get("tshark", {}).items():
            values = packet[field].split(",")  # of an error, those of what it quotes come behind its own
            assert values[: value.count(",") + 1] == value.split(","), (entry["name"], field, packet[field])
        expected = entry["expected"]
        if "rejected" in expected:
            continue
        seconds, nanoseconds = divmod(expected["time_ns"], 10**9)
        assert packet["frame.time_epoch"] == f"{seconds}.{nanoseconds:09d}"
        numbers = COMMON_FIELDS | (TCP_FIELDS if expected["kind"] in ("syn-ack", "rst") else {})
        numbers |= ICMP_FIELDS if expected["kind"] == "error" else {}
        for word, field in numbers.items():
            outer = packet[field].split(",")[0]  # of an error, what it quotes follows
            number = outer if word == "source" else int(outer, 0)
            assert number == expected[word], (entry["name"], field)
        assert packet["ip.checksum.status"].split(",")[0] == "1", entry["name"]
        if expected["kind"] == "error":
            assert int(packet["ip.ttl"].split(",")[1]) == expected["quoted_ttl"], entry["name"]
