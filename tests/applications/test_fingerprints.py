"""Fingerprints: the first flight of each protocol is known, and nothing outside the data has a say."""

import re
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.applications.fingerprints.conditions import (
    SEARCHED,
    Among,
    Bytes,
    Condition,
    Counts,
    Holds,
    Length,
    Printable,
    Text,
)
from liveness.applications.fingerprints.matching import protocol_of
from liveness.applications.fingerprints.table import NAMES, PROTOCOLS
from liveness.applications.registry import ENTRIES, definition_of
from tests.applications.flights import FLIGHTS, NO_PROTOCOL

PINNED = [
    "unknown", "echo", "http", "http2", "tls", "ssh", "rtsp", "sip", "ftp", "smtp",
    "dict", "nntp", "pop3", "imap", "managesieve", "irc", "xmpp", "rfb", "rdp", "iso-tsap",
    "pptp", "smb", "netbios", "mysql", "postgresql", "tds", "redis", "memcached", "beanstalkd", "stomp",
    "nats", "mongodb", "cassandra", "ldap", "amqp", "mqtt", "rsync", "svn", "x11", "bgp",
    "giop", "ajp", "nbd", "zabbix", "munin", "mpd", "gpsd", "asterisk", "chargen", "dns",
    "telnet",
]  # fmt: skip
"""Numbers of protocols are in spools and segments on disk: the names of these never move."""
KNOWN = [flight for flights in FLIGHTS.values() for flight in flights]


def named(data: bytes, before: bytes = b"", behind: bytes = b"") -> str:
    """Return the protocol of data that lies between other bytes of a frame."""
    frame = np.frombuffer(before + data + behind, np.uint8)
    return NAMES[protocol_of(frame, len(before), len(data))]


@pytest.mark.parametrize(
    ("name", "flight"), [(name, flight) for name, flights in FLIGHTS.items() for flight in flights]
)
def test_the_first_flight_of_each_protocol_is_known(name: str, flight: bytes) -> None:
    assert named(flight) == name


def test_each_protocol_has_a_flight_a_source_and_a_number_that_stays() -> None:
    assert list(FLIGHTS) == list(NAMES[1:])
    assert all(protocol.source and protocol.patterns for protocol in PROTOCOLS)
    assert list(NAMES[: len(PINNED)]) == PINNED
    assert len(set(NAMES)) == len(NAMES) <= 256


@pytest.mark.parametrize("data", NO_PROTOCOL)
def test_other_data_has_no_protocol(data: bytes) -> None:
    assert named(data) == "unknown"


@pytest.mark.parametrize("name", FLIGHTS)
def test_the_beginning_of_a_flight_is_no_other_protocols(name: str) -> None:
    """A first segment may be short: what it shows is the whole flight's protocol, or nothing yet."""
    for flight in FLIGHTS[name]:
        assert {named(flight[:size]) for size in range(len(flight))} <= {name, "unknown"}, flight


def _lower(data: bytes) -> bytes:
    return bytes(byte + 32 if ord("A") <= byte <= ord("Z") else byte for byte in data)


def _holds(condition: Condition, data: bytes) -> bool:  # noqa: PLR0911 - one branch for each kind of condition
    """Return whether a condition holds, in plain Python."""
    match condition:
        case Bytes(at, text):
            return data[at : at + len(text)] == text
        case Text(at, text):
            return _lower(data[at : at + len(text)]) == _lower(text)
        case Holds(text):
            return _lower(text) in _lower(data[:SEARCHED])
        case Among(at, low, high):
            return len(data) > at and data[at] in range(low, high + 1)
        case Counts(at, size, more, order, exact):
            number = int.from_bytes(data[at : at + size], order) + more
            return len(data) >= at + size and (number == len(data) if exact else number <= len(data))
        case Length(low, high):
            return len(data) in range(low, high + 1)
        case Printable(size):
            return all(byte in range(32, 127) or byte in b"\t\n\v\f\r" for byte in data[:size])


def oracle(data: bytes) -> str:
    """Return the first protocol of the table that data fits."""
    for protocol in PROTOCOLS:
        if data and any(all(_holds(condition, data) for condition in pattern) for pattern in protocol.patterns):
            return protocol.name
    return "unknown"


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return a flight with some bytes changed and its end cut or followed by more."""
    data = bytearray(draw(st.sampled_from([*KNOWN, *NO_PROTOCOL])))
    for _ in range(draw(st.integers(0, 3))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    del data[draw(st.integers(0, len(data))) :]
    return bytes(data) + draw(st.binary(max_size=300))


@given(st.one_of(damaged(), st.binary(max_size=400)), st.binary(max_size=80), st.binary(max_size=80))
def test_any_data_has_the_protocol_of_plain_python_whatever_lies_around_it(
    data: bytes, before: bytes, behind: bytes
) -> None:
    assert named(data, before, behind) == oracle(data)


def test_what_counts_as_an_answer_has_the_applications_protocol() -> None:
    for entry in ENTRIES:
        answers = FLIGHTS[entry.protocol]
        is_answer = definition_of(entry).is_answer
        taken = [flight for flight in answers if is_answer(np.frombuffer(flight, np.uint8), 0, len(flight))]
        assert len(taken) > 1, entry.name


@pytest.mark.parametrize("version", ["tls1", "tls1_1", "tls1_2", "tls1_3"])
@pytest.mark.parametrize("request_of", ["tls", "http"])
def test_a_real_tls_server_is_known(tmp_path: Path, version: str, request_of: str) -> None:
    """It is known by its ServerHello, and by the alert that it sends to a GET, if it sends anything to that."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*new, "-subj", "/CN=x", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    served = ["openssl", "s_server", f"-{version}", "-cipher", "DEFAULT:@SECLEVEL=0", "-accept", "127.0.0.1:0"]
    server = subprocess.Popen(
        [*served, "-key", key, "-cert", certificate], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with server:
        try:
            assert server.stdout is not None
            port = next(int(line.rpartition(":")[2]) for line in server.stdout if line.startswith("ACCEPT"))
            entry = next(entry for entry in ENTRIES if entry.name == request_of)
            with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
                client.sendall(definition_of(entry).request("").text_for("127.0.0.1"))
                first = client.recv(1460)
            assert named(first) == ("tls" if first else "unknown")
            assert first or request_of == "http"
        finally:
            server.kill()


def test_the_document_names_every_protocol() -> None:
    text = (Path(__file__).parents[2] / "docs" / "applications.md").read_text()
    listed = re.findall(r"^> (.*)$", text, re.MULTILINE)
    assert " ".join(listed).split(", ") == sorted(NAMES[1:])
