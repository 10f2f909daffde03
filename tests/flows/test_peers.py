"""Files and datagrams that other tools make of a capture: what we read of them is what they were made of."""

import json
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest
import zstandard

from liveness.flows import formats, table_queries
from liveness.flows.exports import Exports
from liveness.flows.nfcapd import BLOCK_BYTES, HEADER_BYTES
from liveness.flows.record import PROTOCOL_ICMP, Flows, Notes
from liveness.system.child import run_in_child
from liveness.system.namespace import enter_private_network
from tests.flows.traffic import EPOCH_S, Traffic, joined, make_traffic, totals, totals_of

NFDUMP_COMPRESSIONS = {"none": [], "lzo": ["-z"], "lz4": ["-y"], "bz2": ["-j"]}


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Traffic:
    return make_traffic(tmp_path_factory.mktemp("traffic") / "traffic.pcap")


@pytest.fixture(scope="module")
def nfcapd_folder(traffic: Traffic, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nfcapd")
    subprocess.run(["nfpcapd", "-r", traffic.path, "-w", folder], check=True, capture_output=True)
    return folder


def read(path: Path, notes: Notes | None = None) -> Flows:
    return joined(list(formats.recognise(str(path)).read(str(path), notes or Notes(), formats.Options())))


@pytest.mark.parametrize("compression", NFDUMP_COMPRESSIONS)
def test_files_of_nfdump(compression: str, nfcapd_folder: Path, traffic: Traffic, tmp_path: Path) -> None:
    path = tmp_path / "flows"
    options = NFDUMP_COMPRESSIONS[compression]
    subprocess.run(["nfdump", "-R", nfcapd_folder, *options, "-w", path], check=True, capture_output=True)
    notes = Notes()
    flows = read(path, notes)
    assert (notes.undecoded, notes.damage) == ({}, [])
    assert totals_of(flows) == totals(traffic.packets)
    printed = subprocess.run(["nfdump", "-r", path, "-o", "json"], check=True, capture_output=True, text=True)
    theirs = json.loads(printed.stdout)
    assert len(theirs) == len(flows)
    for row, theirs_row in zip(flows, theirs, strict=True):
        for ours, name in (("start_ns", "first"), ("end_ns", "last")):
            assert int(row[ours]) == int(np.datetime64(theirs_row[name], "ms").astype(np.int64)) * 1_000_000
        assert (int(row["packets"]), int(row["bytes"])) == (theirs_row["in_packets"], theirs_row["in_bytes"])


def test_blocks_compressed_with_zstd(nfcapd_folder: Path, traffic: Traffic, tmp_path: Path) -> None:
    """Debian's nfdump has no zstd: the blocks of an uncompressed file are compressed by hand."""
    plain = tmp_path / "plain"
    subprocess.run(["nfdump", "-R", nfcapd_folder, "-w", plain], check=True, capture_output=True)
    data = bytearray(plain.read_bytes())
    packed = bytearray(data[:HEADER_BYTES])
    packed[16] = 4
    at = HEADER_BYTES
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        kind = int.from_bytes(data[at + 8 : at + 10], "little")
        content = bytes(data[at + BLOCK_BYTES : at + BLOCK_BYTES + size])
        head = bytearray(data[at : at + BLOCK_BYTES])
        if kind in (3, 4) and not head[10] & 1:
            content = zstandard.ZstdCompressor().compress(content)
            head[4:8] = len(content).to_bytes(4, "little")
        packed += head + content
        at += BLOCK_BYTES + size
    path = tmp_path / "zstd"
    path.write_bytes(packed)
    assert totals_of(read(path)) == totals(traffic.packets)


def datagrams_of_softflowd(capture: Path, version: int) -> list[bytes]:
    """Return what softflowd exports of a capture, in a private network."""

    def inside() -> tuple[list[bytes], str]:
        enter_private_network()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            receiver.bind(("127.0.0.1", 0))
            receiver.settimeout(0.5)
            where = f"127.0.0.1:{receiver.getsockname()[1]}"
            done = subprocess.run(
                ["softflowd", "-r", str(capture), "-n", where, "-v", str(version), "-d"],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            received = []
            while True:
                try:
                    received.append(receiver.recv(65535))
                except TimeoutError:
                    return received, done.stderr

    datagrams, said = run_in_child(inside)
    assert datagrams, said
    return datagrams


@pytest.mark.parametrize("version", [5, 9, 10])
def test_datagrams_of_softflowd(version: int, traffic: Traffic) -> None:
    notes = Notes()
    exports = Exports(notes)
    for datagram in datagrams_of_softflowd(traffic.path, version):
        assert exports.feed(datagram, "127.0.0.1")
    exports.finish()
    flows = exports.take()
    assert notes.undecoded == {}
    assert totals_of(flows) == totals(traffic.packets)
    assert exports.lost <= 1  # softflowd numbers IPFIX messages by their last record
    lengths_ns = flows["end_ns"] - flows["start_ns"]
    assert lengths_ns.min() >= 0
    # softflowd shifts a file's times to now; how long everything took stays
    took_ns = int(flows["end_ns"].max() - flows["start_ns"].min())
    truth_ns = round((float(traffic.packets[-1].time) - float(traffic.packets[0].time)) * 1e9)
    assert abs(took_ns - truth_ns) < 2_100_000_000  # IPFIX and v9 of softflowd have whole seconds in their headers


def test_the_meter_agrees_with_nfpcapd(traffic: Traffic, nfcapd_folder: Path) -> None:
    theirs = joined([read(path) for path in sorted(nfcapd_folder.iterdir())])
    ours = read(traffic.path)
    assert totals_of(ours) == totals_of(theirs) == totals(traffic.packets)
    assert int(ours["start_ns"].min()) // 10**9 == EPOCH_S


def test_what_ra_prints(traffic: Traffic, tmp_path: Path) -> None:
    """Argus counts bytes with the link layer, and joins both directions: compared by packets of TCP and UDP."""
    binary, text = tmp_path / "argus", tmp_path / "argus.csv"
    subprocess.run(["argus", "-r", traffic.path, "-w", binary], check=True, capture_output=True)
    columns = table_queries.ARGUS_COLUMNS.split()
    printed = subprocess.run(
        ["ra", "-r", binary, "-c,", "-u", "-n", "-s", *columns], check=True, capture_output=True, text=True
    )
    text.write_text(printed.stdout)
    notes = Notes()
    flows = read(text, notes)
    rows = [line.split(",") for line in printed.stdout.splitlines()[1:]]
    wanted = sum(int(row[8]) + int(row[9]) for row in rows if row[2] in ("tcp", "udp", "icmp"))
    assert int(flows["packets"].sum()) == wanted
    truth = totals(traffic.packets)
    for key, (packets, _) in totals_of(flows).items():
        if key[4] != PROTOCOL_ICMP:  # of which argus keeps codes and types in ways of its own
            assert packets <= truth[key][0], key
    assert wanted > 0.9 * len(traffic.packets)
