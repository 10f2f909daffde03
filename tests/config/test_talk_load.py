"""The load of talks: frames and bits of a talk as scapy makes them, and what `config check` prints of them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from liveness.applications.registry import ENTRIES, definition_of
from liveness.cli.config import command
from liveness.config.model import Config, from_document
from liveness.config.talk_load import talk_load

CONTACT = "https://example.org/scan"
TEXT = (
    "name: talks\ntargets: {allow: [8.0.0.0/16]}\ncontact: https://example.org/scan\n"
    "probes: [icmp, tcp/22, tcp/443]\ntalk: {rate: 1kpps}\nnetwork: {source_ports: 20000-29999}\n"
)


def config_of(**changes: object) -> Config:
    probes = [entry.probe for entry in ENTRIES]
    return from_document(
        {"name": "talks", "targets": {"allow": ["8.0.0.0/16"]}, "probes": probes, "contact": CONTACT} | changes
    )


def wire_bits(data: bytes) -> int:
    """Return the bits of a segment on Ethernet: preamble, gap and check sequence are 24 bytes (IEEE 802.3)."""
    return 8 * (max(60, len(Ether() / IP() / TCP() / data)) + 24)


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_a_service_gets_its_request_twice_and_a_reset_of_every_connection_at_most(attempts: int) -> None:
    load = talk_load(config_of(applications=["tls", "ssh", "http"], retransmit={"attempts": attempts}))
    assert load is not None
    assert [service.application for service in load.services] == ["ssh", "http", "tls"]
    for service in load.services:
        entry = next(entry for entry in ENTRIES if entry.name == service.application)
        asking = wire_bits(definition_of(entry).request(CONTACT).text_for("255.255.255.255"))
        assert service.frames == 2 + attempts
        assert service.bits == 2 * asking + attempts * wire_bits(b"")


def test_services_add_up() -> None:
    load = talk_load(config_of(applications=["ssh", "http"], talk={"rate": "100pps"}))
    assert load is not None
    ssh, http = load.services
    burden = load.burden_of({"tcp/22": 10, "tcp/80": 5, "tcp/443": 1_000})
    assert (burden.services, burden.frames, burden.seconds) == (15, 60, 0.6)
    assert burden.bits == 10 * ssh.bits + 5 * http.bits


def test_a_run_without_applications_has_no_load_of_talks() -> None:
    assert talk_load(config_of()) is None


def test_check_prints_what_talks_send(tmp_path: Path) -> None:
    file = tmp_path / "talks.yaml"
    file.write_text(f"{TEXT}applications: [ssh, tls]\n")
    printed = CliRunner().invoke(command, ["check", str(file)]).stdout.splitlines()
    mbit = wire_bits(definition_of(ENTRIES[3]).request("").text_for("")) / 1000
    assert printed[-5:-3] == [
        f"  talks     ssh, tls: at most 1,000 packets/s, {mbit:.3g} Mbit/s on the wire; 4 packets to an open port",
        "  at 1%     at most 5,243 packets, 751 kB, 5 s at talk.rate, if so many targets have these ports open",
    ]
    talks = json.loads(CliRunner().invoke(command, ["check", str(file), "--json"]).stdout)["talks"]
    assert talks["example"]["packets"] == pytest.approx(65_536 * 0.01 * 2 * 4)
    assert talks["bandwidth_bps"] == pytest.approx(1e6 * mbit)


def test_check_prints_nothing_of_talks_without_applications(tmp_path: Path) -> None:
    file = tmp_path / "silent.yaml"
    file.write_text(TEXT)
    assert "talks: " not in CliRunner().invoke(command, ["check", str(file)]).stdout
    assert json.loads(CliRunner().invoke(command, ["check", str(file), "--json"]).stdout)["talks"] is None
