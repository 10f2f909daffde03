"""The twins of UDP probes: what they must define, and how their servers and the model answer, judged by scapy."""

from types import ModuleType

import numpy as np
import pytest
from scapy.asn1.asn1 import ASN1_OID
from scapy.layers.inet import UDP
from scapy.layers.l2 import Ether
from scapy.layers.snmp import SNMP, SNMPget, SNMPnext, SNMPresponse, SNMPvarbind

from liveness.errors import UsageError
from liveness.lab.hosts.truth import expected_sets
from liveness.lab.load import parse_internet
from liveness.lab.model.population.answer import PROBES
from liveness.lab.model.population.truth import truth
from liveness.lab.model.responder.verdict import Verdict
from liveness.lab.twins import registry, snmp, ssdp
from liveness.lab.twins.registry import TWINS, Twin, TwinError, file_of
from liveness.probes.registry import listed_probes
from liveness.replies import Kind
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from tests.frames import Reply, Scanner
from tests.lab.model.responder.support import CONSTANTS, SENT, FarEnd, answering, packaged, probe_frame, sample

ADDED = ("udp/1900", "snmp")
SEARCH = b'M-SEARCH * HTTP/1.1\r\nHOST: 192.0.2.1:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: %s\r\n\r\n'
SYSTEM = "1.3.6.1.2.1.1.1.0"


def request(name: str = SYSTEM, kind: type = SNMPget, number: int = 1 << 30, **fields: object) -> bytes:
    pdu = kind(id=number, varbindlist=[SNMPvarbind(oid=ASN1_OID(name))])
    return bytes(SNMP(**{"version": "v2c", "community": "public", **fields, "PDU": pdu}))


def test_every_udp_probe_has_a_twin() -> None:
    probes = {probe.name: probe.port for probe in listed_probes() if probe.protocol == 17}
    assert probes == {twin.name: twin.port for twin in TWINS}
    assert set(PROBES) >= set(probes)


def test_a_twin_without_a_verb_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for verb in registry.VERBS:
        lame = ModuleType("lame")
        vars(lame).update({name: object() for name in registry.VERBS if name != verb})
        monkeypatch.setattr(registry, "import_module", lambda _, lame=lame: lame)
        with pytest.raises(TwinError, match=f"^twin of probe 'odd/{verb}' .lame.: '{verb}' is missing"):
            file_of(Twin(f"odd/{verb}", "lame", 9))


@pytest.mark.parametrize("wanted", [b"upnp:rootdevice", b"ssdp:all"])
def test_a_device_answers_a_search(wanted: bytes) -> None:
    answer = ssdp.respond(SEARCH % wanted)
    assert answer is not None
    start, *lines = answer.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines if ": " in line)
    assert start == "HTTP/1.1 200 OK"
    assert answer.endswith(b"\r\n\r\n")
    assert fields["ST"] == "upnp:rootdevice"
    assert fields["USN"].startswith("uuid:")
    assert fields["USN"].endswith("::upnp:rootdevice")


@pytest.mark.parametrize(
    "asked",
    [
        b"",
        b"\xff" * 40,
        SEARCH % b"urn:schemas-upnp-org:device:Printer:1",
        (SEARCH % b"ssdp:all").replace(b"MX: 1\r\n", b""),
        (SEARCH % b"ssdp:all").replace(b"discover", b"alive"),
        (SEARCH % b"ssdp:all").replace(b"M-SEARCH", b"NOTIFY"),
    ],
)
def test_a_device_answers_nothing_else(asked: bytes) -> None:
    assert ssdp.respond(asked) is None


def test_an_agent_answers_a_get() -> None:
    answer = snmp.respond(request(number=(1 << 30) + 77))
    assert answer is not None
    message = SNMP(answer)
    assert isinstance(message.PDU, SNMPresponse)
    assert (message.version.val, message.community.val, message.PDU.id.val) == (1, b"public", (1 << 30) + 77)
    assert message.PDU.varbindlist[0].value.val == b"lab"


@pytest.mark.parametrize(
    "asked",
    [
        b"",
        b"\x30\x80",
        b"\xff" * 40,
        request(community="secret"),
        request(version="v1"),
        request(kind=SNMPnext),
        request()[:-1],
        request()[:20],
    ],
)
def test_an_agent_answers_nothing_else(asked: bytes) -> None:
    assert snmp.respond(asked) is None


def test_twins_survive_any_bytes() -> None:
    random = np.random.default_rng(1900)
    whole = {"udp/1900": SEARCH % b"ssdp:all", "snmp": request(), "dns": b"", "ntp": b"\x23" + bytes(47)}
    for twin in TWINS:
        for _ in range(500):
            data = bytearray(whole[twin.name] + random.bytes(int(random.integers(1, 30))))
            for _ in range(3):
                data[int(random.integers(0, len(data)))] = int(random.integers(0, 256))
            answer = file_of(twin).respond(bytes(data))
            assert answer is None or answer, "an answer has at least a byte"


@pytest.mark.parametrize("name", ADDED)
@pytest.mark.parametrize(("label", "kind"), [("answer", Kind.ANSWER), ("payload", Kind.PAYLOAD)])
def test_the_scanner_reads_the_model_as_its_truth_says(name: str, label: str, kind: Kind) -> None:
    scanner = Scanner(probes=SENT)
    assert scanner.constants.numbers.tobytes() == CONSTANTS.numbers.tobytes()
    for target in answering(packaged(), name, label)[:20]:
        (reply,) = FarEnd().replies(probe_frame(name, target))
        read = scanner.read(reply)
        assert isinstance(read, Reply)
        assert (read.probe, read.kind, read.target) == (name, kind, target)


@pytest.mark.parametrize("name", ADDED)
def test_a_request_with_a_wrong_byte_is_malformed(name: str) -> None:
    packet = Ether(probe_frame(name, 0x08080808))
    data = bytearray(bytes(packet[UDP].payload))
    for at in (0, 3, 30 if name == "snmp" else 60, len(data) - 1):
        changed = data.copy()
        changed[at] ^= 0x11
        broken = packet.copy()
        broken[UDP].remove_payload()
        broken = broken / bytes(changed)
        del broken[UDP].chksum
        assert FarEnd().take(bytes(broken)) is Verdict.UDP_REQUEST, at


def test_the_truth_of_a_lab_holds_the_services_of_a_host() -> None:
    text = """
name: services
networks:
  - {name: a, kind: host, prefixes: [10.1.0.0/31], services: {udp/1900: answer, snmp: payload}}
  - {name: b, kind: host, prefixes: [10.1.0.2/31], services: {udp/1900: silent}}
"""
    first = parse_address("10.1.0.0")
    found = expected_sets(parse_internet(text, "x"), Intervals.from_bounds([first], [first + 3]), list(ADDED), None, 64)
    kinds = {
        (key.reply.probe, key.reply.label): [a - first for a in v] for key, v in found.items() if key.role == "target"
    }
    assert kinds == {
        ("udp/1900", "answer"): [0, 1],
        ("snmp", "payload"): [0, 1],
        ("snmp", "error-3-3"): [2, 3],
    }


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("dns: answer", "services: 'dns': it has a field of its own: write dns: answer"),
        ("snmpd: answer", "services: 'snmpd': expected one of udp/1900, snmp"),
        ("snmp: maybe", "'maybe'"),
    ],
)
def test_a_wrong_service_is_named(service: str, expected: str) -> None:
    text = f"name: x\nnetworks: [{{name: a, kind: host, prefixes: [10.1.0.0/31], services: {{{service}}}}}]"
    with pytest.raises(UsageError, match=expected):
        parse_internet(text, "x")


def test_the_model_answers_added_probes_by_kinds_of_hosts() -> None:
    sets = truth(packaged(), sample(), list(ADDED))
    for name in ADDED:
        labels = {key.reply.label for key in sets if key.reply.probe == name}
        assert {"answer", "payload", "error-3-3"} <= labels
