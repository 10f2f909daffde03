"""One capture as argus, nfdump, softflowd, tshark and our meter read it: equal, but for differences that are stated."""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from liveness.flows.captures import meter_files
from liveness.flows.exports import Exports
from liveness.flows.record import PROTOCOL_UDP, Flows, Notes
from liveness.flows.table_queries import ARGUS_COLUMNS
from liveness.lab.traffic.packets import capture_bytes, packets_of
from liveness.lab.traffic.scene import make_scene
from tests.flows.test_files import read
from tests.flows.test_peers import datagrams_of_softflowd
from tests.flows.traffic import joined

IDLE_S, ACTIVE_S = 60, 300
ETHERNET_BYTES: Final = 14
DNS: Final = 53
SOFTFLOWD_PACKETS: Final = 3_000
DATAGRAMS_THAT_FIT: Final = 120
"""Softflowd sends all it has when the capture ends: a socket's buffer has to hold that."""

Sums = dict[int, tuple[int, int]]
"""Packets and bytes of IP, by protocol."""


@dataclass(frozen=True)
class Sample:
    """A capture, and the packets and bytes that tshark counts in it."""

    path: Path
    truth: Sums


def summed(pairs: Iterable[tuple[int, int, int]]) -> Sums:
    """Return the sums of (protocol, packets, bytes)."""
    found: Sums = {}
    for protocol, packets, size in pairs:
        before = found.get(protocol, (0, 0))
        found[protocol] = before[0] + packets, before[1] + size
    return found


def sums_of(flows: Flows) -> Sums:
    names = ("protocol", "packets", "bytes")
    return summed(zip(*(flows[name].tolist() for name in names), strict=True))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Return a capture of a network's border: scans, backscatter, clients of services, peers, routing, ICMP errors."""
    return make_sample(tmp_path_factory.mktemp("agreement") / "border.pcap", 60_000)


def make_sample(path: Path, packets: int) -> Sample:
    """Write a capture of so many packets, and have tshark count them."""
    path.write_bytes(b"".join(capture_bytes(packets_of(make_scene(5, 2.0, 0.1).conversations)[:packets])))
    printed = subprocess.run(
        ["tshark", "-r", path, "-T", "fields", "-e", "ip.proto", "-e", "ip.len"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    # An error has the fields of the packet that it quotes behind its own.
    rows = [[int(cell.partition(",")[0]) for cell in line.split("\t")] for line in printed.stdout.splitlines()]
    return Sample(path, summed((protocol, 1, size) for protocol, size in rows))


@pytest.fixture(scope="module")
def metered(sample: Sample) -> Flows:
    return joined(list(meter_files([str(sample.path)], Notes(), IDLE_S, ACTIVE_S, 1 << 17)))


def test_tshark_and_the_meter_agree(sample: Sample, metered: Flows) -> None:
    assert sums_of(metered) == sample.truth
    assert set(sample.truth) == {1, 6, 17, 89}


def test_nfdump_and_the_meter_agree(sample: Sample, metered: Flows, tmp_path: Path) -> None:
    """In flows too, with the same timeouts. But nfpcapd ends a flow of DNS answers with each of them."""
    folder = tmp_path / "nfcapd"
    folder.mkdir()
    timeouts = f"{ACTIVE_S},{IDLE_S}"
    subprocess.run(["nfpcapd", "-r", sample.path, "-w", folder, "-e", timeouts], check=True, capture_output=True)
    flows = joined([read(path) for path in sorted(folder.iterdir())])
    printed = subprocess.run(["nfdump", "-R", folder, "-o", "json"], check=True, capture_output=True, text=True)
    rows = json.loads(printed.stdout)
    assert summed((row["proto"], row["in_packets"], row["in_bytes"]) for row in rows) == sample.truth
    assert (len(rows), sums_of(flows)) == (len(flows), sample.truth)
    names = ["src", "dst", "sport", "dport", "protocol", "packets", "bytes"]
    ours, theirs = (
        sorted(each[names][~((each["protocol"] == PROTOCOL_UDP) & (each["sport"] == DNS))].tolist())
        for each in (metered, flows)
    )
    assert ours == theirs
    answers = flows[(flows["protocol"] == PROTOCOL_UDP) & (flows["sport"] == DNS)]
    assert int(answers["packets"].max()) == 1
    assert len(flows) - len(metered) == len(answers) - int((metered["sport"] == DNS).sum()) > 0


@pytest.mark.parametrize("version", [5, 9, 10])
def test_softflowd_and_the_meter_agree(version: int, tmp_path: Path) -> None:
    """In packets and bytes; softflowd keeps a flow until its own timeouts, so that the numbers of flows differ."""
    sample = make_sample(tmp_path / "border.pcap", SOFTFLOWD_PACKETS)
    exports = Exports(Notes())
    datagrams = datagrams_of_softflowd(sample.path, version)
    assert len(datagrams) < DATAGRAMS_THAT_FIT
    for datagram in datagrams:
        assert exports.feed(datagram, "127.0.0.1")
    exports.finish()
    assert sums_of(exports.take()) == sample.truth


def test_argus_and_the_meter_agree(sample: Sample, tmp_path: Path) -> None:
    """In packets; argus' bytes are those of frames. It takes both directions for one flow."""
    binary, text = tmp_path / "argus", tmp_path / "argus.csv"
    subprocess.run(["argus", "-r", sample.path, "-w", binary], check=True, capture_output=True)
    printed = subprocess.run(
        ["ra", "-r", binary, "-c,", "-u", "-n", "-s", *ARGUS_COLUMNS.split()], check=True, capture_output=True
    )
    text.write_bytes(printed.stdout)
    found = sums_of(read(text))
    assert found == {
        protocol: (packets, size + ETHERNET_BYTES * packets) for protocol, (packets, size) in sample.truth.items()
    }
