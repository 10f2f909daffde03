"""Flows that an ICMP error quotes are answered negatively: two-way for the shares, failures for services and walks."""

from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror
from scapy.layers.l2 import Ether
from scapy.packet import Packet
from scapy.utils import wrpcap

from liveness.passive.config import load_config
from liveness.passive.manifest import load_results
from liveness.passive.run import PassiveRun
from tests.passive.drawn import EPOCH_S, write_config


def run_of_packets(folder: Path, packets: list[Packet], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - of a config
    for number, packet in enumerate(packets):
        packet.time = EPOCH_S + number / 100
    wrpcap(str(folder / "packets.pcap"), [Ether() / packet for packet in packets])
    config = write_config(folder / "c.yaml", folder / "out", inputs=["packets.pcap"], **more)
    run = PassiveRun.create(load_config(config), "run", forced=True, note=lambda _line: None)
    run.go([], follow=False)
    return load_results(folder / "out/campus/run")


def refusing(remote: str, local: str = "10.0.0.1", port: int = 161, by: str = "") -> list[Packet]:
    """Return a datagram from outside and the port unreachable that answers it."""
    question = IP(src=remote, dst=local) / UDP(sport=5000, dport=port) / b"question"
    quote = IPerror(bytes(question)[:28])
    return [question, IP(src=by or local, dst=remote) / ICMP(type=3, code=3) / quote]


def test_a_refused_datagram_is_two_way_and_a_failure(tmp_path: Path) -> None:
    packets = [packet for host in range(40) for packet in refusing("80.0.0.1", f"10.0.0.{host + 1}")]
    document = run_of_packets(tmp_path, packets, services={"known": ["10.0.0.1/udp/161"]})
    assert document["records"]["read"] == 80
    assert document["totals"]["two_way"]["flows"] == 40
    assert document["totals"]["one_way"]["flows"] == 0
    assert document["totals"]["one_way_out"]["flows"] == 40  # the errors: ICMP errors pair with nothing
    service = document["services"][0]
    assert (service["clients_ok"], service["clients_failed"], service["scanners_left_out"]) == (0, 0, 1)


def test_a_router_may_answer_for_the_host(tmp_path: Path) -> None:
    document = run_of_packets(tmp_path, refusing("80.0.0.1", by="10.0.255.1"), services={"known": ["10.0.0.1/udp/161"]})
    assert document["totals"]["two_way"]["flows"] == 1
    assert document["services"][0]["clients_failed"] == 1


def test_an_error_from_outside_answers_an_outbound_flow(tmp_path: Path) -> None:
    question = IP(src="10.0.0.1", dst="80.0.0.1") / UDP(sport=5000, dport=53) / b"question"
    error = IP(src="80.9.9.9", dst="10.0.0.1") / ICMP(type=11, code=0) / IPerror(bytes(question)[:28])
    document = run_of_packets(tmp_path, [question, error])
    assert document["totals"]["two_way"]["flows"] == 1
    assert document["totals"]["one_way_out"]["flows"] == 0
    assert document["totals"]["one_way"]["flows"] == 1  # the error itself


@pytest.mark.parametrize("cut", [0, 4, 19, 22])
def test_a_quote_that_is_cut_short_or_of_another_sender_says_nothing(tmp_path: Path, cut: int) -> None:
    question = IP(src="80.0.0.1", dst="10.0.0.1") / UDP(sport=5000, dport=161) / b"question"
    error = IP(src="10.0.0.1", dst="80.0.0.1") / ICMP(type=3, code=3) / bytes(question)[:cut]
    stranger = IP(src="10.0.0.1", dst="80.0.0.2") / ICMP(type=3, code=3) / bytes(question)[:28]
    document = run_of_packets(tmp_path, [question, error, stranger])
    assert document["totals"]["two_way"]["flows"] == 0
    assert document["totals"]["one_way"]["flows"] == 1


def test_refused_by_error_makes_no_pair_productive(tmp_path: Path) -> None:
    packets = [*refusing("80.0.0.1"), IP(src="80.0.0.1", dst="10.0.0.1") / TCP(sport=1, dport=2, flags="S")]
    document = run_of_packets(tmp_path, packets)
    assert document["totals"]["signs"]["PotOk"] == 0
