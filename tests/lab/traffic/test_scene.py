"""Generated traffic: its packets, records and datagrams carry the same flows, as tshark and nfdump read them too."""

import json
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveness.errors import UsageError
from liveness.lab.traffic.artefacts import ACTIVE_TIMEOUT_NS, with_artefacts
from liveness.lab.traffic.conversation import Answer, Label, conversations
from liveness.lab.traffic.exports import export_capture
from liveness.lab.traffic.network import LOCAL_FIRST
from liveness.lab.traffic.packets import capture_bytes, packets_of
from liveness.lab.traffic.records import records_of
from liveness.lab.traffic.scene import Scene, clients_of, make_scene, service_name

HOURS = 2.0


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(5, HOURS)


def by_protocol(pairs: list[tuple[int, int, int]]) -> dict[int, tuple[int, int]]:
    """Return packets and bytes by protocol."""
    packets, size = Counter[int](), Counter[int]()
    for protocol, count, octets in pairs:
        packets[protocol] += count
        size[protocol] += octets
    return {protocol: (packets[protocol], size[protocol]) for protocol in packets}


def records_by_protocol(scene: Scene) -> dict[int, tuple[int, int]]:
    flows = records_of(scene.conversations)
    names = ("protocol", "packets", "bytes")
    return by_protocol(list(zip(*(flows[name].tolist() for name in names), strict=True)))


def tshark(path: Path, *fields: str) -> list[list[str]]:
    """Return the values of fields of every packet, as tshark prints them."""
    options = [word for name in fields for word in ("-e", name)]
    done = subprocess.run(
        ["tshark", "-r", path, "-T", "fields", "-d", "udp.port==2055,cflow", *options],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_tshark_reads_the_packets_of_the_records(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "packets.pcap"
    path.write_bytes(b"".join(capture_bytes(packets_of(scene.conversations))))
    rows = tshark(path, "ip.proto", "ip.len", "ip.checksum.status")
    # An error has the fields of the packet it quotes behind its own.
    found = by_protocol([(int(proto.split(",")[0]), 1, int(size.split(",")[0])) for proto, size, _ in rows])
    assert found == records_by_protocol(scene)


def test_tshark_finds_no_wrong_header(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "packets.pcap"
    path.write_bytes(b"".join(capture_bytes(packets_of(scene.conversations)[:20_000])))
    options = ["-o", "ip.check_checksum:TRUE", "-Y", "ip.checksum.status == 0 || (!icmp && ip.len > frame.len - 14)"]
    done = subprocess.run(["tshark", "-r", path, *options], check=True, capture_output=True, text=True)
    assert done.stdout == ""


@pytest.mark.parametrize("version", ["v5", "v9", "ipfix"])
def test_tshark_reads_the_datagrams_of_the_records(scene: Scene, version: str, tmp_path: Path) -> None:
    path = tmp_path / "exports.pcap"
    flows = records_of(scene.conversations)
    path.write_bytes(b"".join(export_capture(flows, version, late_template=False)))
    rows = tshark(path, "cflow.protocol", "cflow.packets", "cflow.octets")
    pairs = [
        (int(protocol), int(packets), int(octets))
        for row in rows
        for protocol, packets, octets in zip(*(cell.split(",") for cell in row), strict=True)
    ]
    assert by_protocol(pairs) == records_by_protocol(scene)
    assert len(pairs) == len(flows)


def test_nfdump_reads_the_flows_of_the_packets(scene: Scene, tmp_path: Path) -> None:
    path, folder = tmp_path / "packets.pcap", tmp_path / "nfcapd"
    folder.mkdir()
    path.write_bytes(b"".join(capture_bytes(packets_of(scene.conversations))))
    subprocess.run(["nfpcapd", "-r", path, "-w", folder], check=True, capture_output=True)
    printed = subprocess.run(["nfdump", "-R", folder, "-o", "json"], check=True, capture_output=True, text=True)
    rows = [(row["proto"], row["in_packets"], row["in_bytes"]) for row in json.loads(printed.stdout)]
    assert by_protocol(rows) == records_by_protocol(scene)


@given(st.integers(0, 2**32), st.sets(st.sampled_from(["split", "duplicated", "skewed", "reordered"])))
@settings(max_examples=8, deadline=None)
def test_artefacts_take_nothing_away(seed: int, names: set[str]) -> None:
    flows = records_of(make_scene(3, HOURS, 0.1).conversations)
    found = with_artefacts(seed, flows.copy(), tuple(names))
    first = found[found["exporter"] == 0]
    for name in ("packets", "bytes"):
        assert first[name].sum() == flows[name].sum()
    assert (found["end_ns"] >= found["start_ns"]).all()
    if "split" in names:
        assert (found["end_ns"] - found["start_ns"]).max() <= ACTIVE_TIMEOUT_NS + 1_000_000
    assert ("duplicated" in names) == (found["exporter"] == 1).any()


def test_lost_records_are_gone() -> None:
    flows = records_of(make_scene(3, HOURS, 0.1).conversations)
    assert 0.98 < len(with_artefacts(1, flows.copy(), ("lost",))) / len(flows) < 1


def test_one_seed_gives_one_scene() -> None:
    first, again, other = (make_scene(seed, HOURS, 0.2).conversations for seed in (8, 8, 9))
    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_clients_fail_where_nothing_answers_near() -> None:
    """One service: an answer in an interval, an attempt in the next, another in the one after that."""
    scene = make_scene(1, HOURS, 0.1)
    service = scene.network.services[0]
    start_ms = scene.network.start_ms
    made = conversations(
        4, src=[1, 1, 1, 2], dst=service.address, dport=service.port, protocol=service.protocol,
        start_ms=start_ms + np.array([0, 600_000, 1_200_000, 599_900]), sport=[1, 2, 3, 4],
        answer=[Answer.REPLY, Answer.NONE, Answer.NONE, Answer.RESET], delay_ms=[0, 0, 0, 200],
    )  # fmt: skip
    intervals, whole = clients_of(Scene(1, scene.network, made), service)
    found = {(when - start_ms) // 600_000: (clients.ok, clients.failed) for when, clients in intervals.items()}
    # The reset comes in the second interval: the client failed in both.
    assert found == {0: (1, 1), 1: (0, 1), 2: (0, 1)}
    assert (whole.ok, whole.failed) == (1, 1)


def test_every_label_and_both_kinds_of_outage_are_there(scene: Scene) -> None:
    made = scene.conversations
    assert set(made["label"].tolist()) == set(map(int, Label))
    assert set(made["answer"].tolist()) == set(map(int, Answer))
    inside = (made["dst"] >= LOCAL_FIRST) & (made["dst"] < LOCAL_FIRST + 1024)
    assert np.isin(made["label"][~inside], [Label.ORDINARY, Label.EXCLUDED]).all()
    assert len({service_name(service) for service in scene.network.services}) == 7


@pytest.mark.parametrize("hours", [1.9, 49, float("nan")])
def test_hours_out_of_range_are_named(hours: float) -> None:
    with pytest.raises(UsageError, match="--hours"):
        make_scene(1, hours)
