"""Files that nobody here wrote: what is decoded is what their projects, or tshark, say of them (files/README.md)."""

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from liveness.flows import formats
from liveness.flows.exports import Exports
from liveness.flows.record import MARK_REVERSE, Flows, Notes
from liveness.space.addresses import format_address
from tests.flows.test_files import read

FILES: Final = Path(__file__).parent / "files"
LOGSTASH: Final = FILES / "logstash"
IPFIX: Final = FILES / "ipfixcol2/example_flows.ipfix"
EXPECTED: Final[list[dict[str, Any]]] = json.loads((LOGSTASH / "expected.json").read_text())
Row = tuple[str, str, int, int, int, int, int]


def rows_of(flows: Flows) -> Counter[Row]:
    """Return addresses, ports, protocol, packets and bytes of records."""
    return Counter(
        (
            format_address(int(flow["src"])), format_address(int(flow["dst"])), int(flow["sport"]), int(flow["dport"]),
            int(flow["protocol"]), int(flow["packets"]), int(flow["bytes"]),
        )
        for flow in flows
    )  # fmt: skip


@pytest.mark.parametrize("case", EXPECTED, ids=[case["title"] for case in EXPECTED])
def test_datagrams_of_many_vendors(case: dict[str, Any]) -> None:
    """Every event that the project prints is a record of ours, and the events that it counts are all accounted for."""
    notes = Notes()
    exports = Exports(notes)
    for name in case["files"]:
        exports.feed((LOGSTASH / name).read_bytes(), "192.0.2.1")
    exports.finish()
    flows = exports.take()
    found = rows_of(flows)
    for row in case["flows"]:
        assert found[tuple(row)], row
    if case["events"] is not None:
        forward = int((flows["marks"] & MARK_REVERSE == 0).sum())
        set_aside = notes.undecoded["IPv6 records"] + notes.undecoded["records without addresses"]
        assert forward + set_aside + case["others"] - case.get("early", 0) == case["events"]
    assert set(notes.undecoded) <= {
        "IPv6 records",
        "records without addresses",  # of stations of a wireless network, by MAC address
        "data sets without template",
        "sets with a wrong length",  # filled up with zeros
        "messages with a wrong length",  # several messages, as netcat wrote them into one file
    }


def test_an_ipfix_file_as_tshark_reads_it(tmp_path: Path) -> None:
    """Each message becomes a datagram of a capture. tshark prints the values of a message field by field."""
    from scapy.layers.inet import IP, UDP  # noqa: PLC0415 - heavy
    from scapy.layers.l2 import Ether  # noqa: PLC0415
    from scapy.utils import PcapWriter  # noqa: PLC0415

    data = IPFIX.read_bytes()
    capture = tmp_path / "messages.pcap"
    with PcapWriter(str(capture)) as writer:
        at = 0
        while at < len(data):
            size = int.from_bytes(data[at + 2 : at + 4], "big")
            link = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
            message = IP(src="192.0.2.9", dst="192.0.2.1") / UDP(sport=9, dport=4739) / data[at : at + size]
            writer.write(Ether(bytes(link / message)))
            at += size
    names = ("srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "octets")
    options = [word for name in names for word in ("-e", f"cflow.{name}")]
    printed = subprocess.run(
        ["tshark", "-r", capture, "-T", "fields", "-d", "udp.port==4739,cflow", *options],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    theirs: dict[str, Counter[str]] = {name: Counter() for name in names}
    for line in printed.stdout.splitlines():
        for name, cell in zip(names, line.split("\t"), strict=True):
            theirs[name].update(cell.split(",") if cell else [])
    notes = Notes()
    flows = read(IPFIX, notes)
    assert (notes.damage, dict(notes.undecoded)) == ([], {"IPv6 records": 20})
    for name, field in (("srcaddr", "src"), ("dstaddr", "dst")):
        assert theirs[name] == Counter(format_address(int(address)) for address in flows[field])
    assert sum(theirs["packets"].values()) == len(flows) + 20
    for name, field in (("packets", "packets"), ("octets", "bytes"), ("protocol", "protocol")):
        ours = Counter(str(value) for value in flows[field].tolist())
        assert ours <= theirs[name], name  # theirs has IPv6 too
        assert sum(theirs[name].values()) - len(flows) == 20
    assert rows_of(read(capture)) == rows_of(flows)


def test_logs_of_zeek() -> None:
    """A connection whose SYN was not seen, its direction turned round by Zeek."""
    flows = read(FILES / "zeek/missing-syn.conn.log")
    assert rows_of(flows) == {
        ("141.42.64.125", "125.190.109.199", 56730, 80, 6, 11, 670): 1,
        ("125.190.109.199", "141.42.64.125", 80, 56730, 6, 10, 9945): 1,
    }
    assert int(flows["start_ns"][0]) == 1_128_727_435_633_408_000
    assert int(flows["end_ns"][0]) == 1_128_727_435_633_408_000 + 1_550_793_000


def test_a_log_of_zeek_without_times(tmp_path: Path) -> None:
    """The project's baselines have no times any more: rows are counted. With a time they are what Zeek says."""
    path = tmp_path / "conn.log"
    text = (FILES / "zeek/gre.conn.log").read_text().partition("\n")[2]  # the first line is of the tests
    path.write_text(text)
    notes = Notes()
    assert len(read(path, notes)) == 0
    assert dict(notes.undecoded) == {"rows without time, address or protocol": 12}
    path.write_text(text.replace("XXXXXXXXXX.XXXXXX", "1128727435.633408"))
    wanted: Counter[Row] = Counter()
    for line in text.splitlines():
        cells = line.split("\t")
        if line.startswith("#"):
            continue
        src, sport, dst, dport, protocol = cells[2], int(cells[3]), cells[4], int(cells[5]), cells[6]
        number = {"tcp": 6, "udp": 17, "icmp": 1}[protocol]
        there = (sport, dport) if number != 1 else (0, sport * 256 + dport)
        back = (dport, sport) if number != 1 else (0, 0)  # an echo reply
        for ends, ports, packets, size in (
            ((src, dst), there, int(cells[16]), int(cells[17])),
            ((dst, src), back, int(cells[18]), int(cells[19])),
        ):
            if packets:
                wanted[*ends, *ports, number, packets, size] += 1
    assert rows_of(read(path)) == wanted


def test_the_format_of_each_file_is_recognised() -> None:
    assert formats.recognise(str(IPFIX)).name == "ipfix"
    assert formats.recognise(str(FILES / "zeek/missing-syn.conn.log")).name == "zeek-tsv"
    versions = {
        formats.recognise(str(path)).name for path in LOGSTASH.glob("netflow5*.dat") if "invalid" not in path.name
    }
    assert versions == {"netflow-v5"}
