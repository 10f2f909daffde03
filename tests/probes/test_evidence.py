"""Evidence: what docs/evidence.md says a forger's chances are, by its own formulas, and as a million forgeries fare."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pytest
from scapy.layers.dns import DNS
from scapy.layers.inet import UDP
from scapy.packet import Raw

from liveness.kernel import COMPILED
from liveness.replies import Kind, Tier
from tests.frames import (
    Reply,
    Scanner,
    Settings,
    back,
    datagram,
    dns_answer,
    echo,
    error,
    ntp_packet,
    quoted,
    segment,
    snmp_answer,
    ssdp_answer,
)
from tests.probes.forgery import QUOTED, TRANSPORT, Field, forge

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "evidence.md"
TARGET: Final = 0xC6336407
SCANNER: Final = Scanner()
SETTINGS: Final = Settings()
PACKETS: Final = 1_000_000 if COMPILED else 1_000
PORTS: Final = SETTINGS.port_last - SETTINGS.port_first + 1
A: Final = SETTINGS.attempts
WORD: Final = 2**-16
COLUMNS: Final = 5
"""Of the document's table of chances: reply, fields, bits, strong and weak in ten million."""

Chances = Mapping[str, float]
PORT: Final = Field(TRANSPORT + 2, 2, SETTINGS.port_first, SETTINGS.port_last)
QUOTED_PORT: Final = Field(QUOTED, 2, SETTINGS.port_first, SETTINGS.port_last)
QUOTED_ID: Final = Field(QUOTED - 16, 2)


@dataclass(frozen=True)
class Forgery:
    """One row of the document: a true reply, the fields that carry its cookie, and the chances that follow from theirs.

    `chance` tells for each field how likely a random value of it is right; `strong` and `weak` put them together.
    """

    frame: Callable[[], Any]
    fields: dict[str, list[Field]]
    chance: dict[str, float]
    strong: Callable[[Chances], float]
    weak: Callable[[Chances], float] = lambda _: 0.0


def _garbled_echo() -> Any:  # noqa: ANN401 - scapy
    packet = echo(SCANNER.frame("icmp", TARGET))
    packet[Raw].load = bytes(len(packet[Raw].load))
    return packet


def _from_another_port() -> Any:  # noqa: ANN401 - scapy
    sent = SCANNER.frame("dns", TARGET)
    answer = dns_answer(sent)
    return back(sent, UDP(sport=1024, dport=answer[UDP].dport) / Raw(bytes(answer[DNS])))


def _error(name: str) -> Callable[[], Any]:
    return lambda: error(sent := SCANNER.frame(name, TARGET), quote=quoted(sent)[:28])


def _two_of_three(chances: Chances) -> float:
    port, total, identifier = chances["port"], chances["checksum"], chances["IP ID"]
    either = total + identifier - total * identifier
    return port * either + (1 - port) * total * identifier


def _one_port(chances: Chances) -> float:
    return chances["port"] * (1 - chances["checksum"]) * (1 - chances["IP ID"])


ACK: Final = {"acknowledgment, high": [Field(TRANSPORT + 8, 2)], "acknowledgment, low": [Field(TRANSPORT + 10, 2)]}
STAMP: Final = {f"timestamp {n}": [Field(TRANSPORT + 32 + 2 * n, 2)] for n in range(4)}
REQUEST_ID: Final = {
    "request id, high": [Field(TRANSPORT + 25, 2, 0x4000, 0x7FFF)],  # behind the bits 0 and 1
    "request id, low": [Field(TRANSPORT + 27, 2)],
}
FORGERIES: Final = {
    "syn-ack": Forgery(
        lambda: segment(SCANNER.frame("tcp/80", TARGET), "SA"),
        {"port": [PORT], **ACK},
        {"port": A / PORTS, **dict.fromkeys(ACK, WORD)},
        lambda p: math.prod(p.values()),
    ),
    "rst with ACK": Forgery(
        lambda: segment(SCANNER.frame("tcp/80", TARGET), "RA"),
        {"port": [PORT], **ACK},
        {"port": A / PORTS, "acknowledgment, high": WORD, "acknowledgment, low": 2 * WORD},
        lambda p: math.prod(p.values()),
    ),
    "rst without ACK": Forgery(
        lambda: segment(SCANNER.frame("tcp/80", TARGET), "R"),
        {"port": [PORT]},
        {"port": A / PORTS},
        lambda _: 0.0,
        lambda p: p["port"],
    ),
    "echo-reply": Forgery(
        _garbled_echo,
        {"identifier": [Field(TRANSPORT + 4, 2)], "sequence number": [Field(TRANSPORT + 6, 2)]},
        {"identifier": WORD, "sequence number": A * WORD},
        lambda p: math.prod(p.values()),
    ),
    "answer, payload (dns)": Forgery(
        lambda: dns_answer(SCANNER.frame("dns", TARGET)),
        {"port": [PORT], "transaction id": [Field(TRANSPORT + 8, 2)]},
        {"port": A / PORTS, "transaction id": WORD},
        lambda p: math.prod(p.values()),
        lambda p: p["port"] * (1 - p["transaction id"]),
    ),
    "payload from another port (dns)": Forgery(
        _from_another_port,
        {"port": [PORT], "transaction id": [Field(TRANSPORT + 8, 2)]},
        {"port": A / PORTS, "transaction id": WORD},
        lambda p: math.prod(p.values()),
    ),
    "answer, payload (ntp)": Forgery(
        lambda: datagram(sent := SCANNER.frame("ntp", TARGET), Raw(ntp_packet(sent))),
        {"port": [PORT], **STAMP},
        {"port": A / PORTS, **dict.fromkeys(STAMP, WORD)},
        lambda p: math.prod(p.values()),
        lambda p: p["port"] * (1 - math.prod(p[name] for name in STAMP)),
    ),
    "answer, payload (udp/1900)": Forgery(
        lambda: ssdp_answer(SCANNER.frame("udp/1900", TARGET)),
        {"port": [PORT]},
        {"port": A / PORTS},
        lambda _: 0.0,
        lambda p: p["port"],
    ),
    "answer, payload (snmp)": Forgery(
        lambda: snmp_answer(SCANNER.frame("snmp", TARGET)),
        {"port": [PORT], **REQUEST_ID},
        {"port": A / PORTS, "request id, high": 4 * WORD, "request id, low": WORD},
        lambda p: math.prod(p.values()),
        lambda p: p["port"] * (1 - math.prod(p[name] for name in REQUEST_ID)),
    ),
    "error that quotes TCP": Forgery(
        _error("tcp/80"),
        {"port": [QUOTED_PORT], "sequence, high": [Field(QUOTED + 4, 2)], "sequence, low": [Field(QUOTED + 6, 2)]},
        {"port": A / PORTS, "sequence, high": WORD, "sequence, low": WORD},
        lambda p: p["sequence, high"] * p["sequence, low"],
    ),
    "error that quotes an echo": Forgery(
        _error("icmp"),
        {"identifier": [Field(QUOTED + 4, 2)], "sequence number": [Field(QUOTED + 6, 2)], "IP ID": [QUOTED_ID]},
        {"identifier": WORD, "sequence number": A * WORD, "IP ID": WORD},
        lambda p: p["sequence number"] * (p["identifier"] + p["IP ID"] - p["identifier"] * p["IP ID"]),
    ),
    "error that quotes UDP": Forgery(
        _error("dns"),
        {"port": [QUOTED_PORT], "checksum": [Field(QUOTED + 6, 2)], "IP ID": [QUOTED_ID]},
        {"port": A / PORTS, "checksum": WORD, "IP ID": WORD},
        _two_of_three,
        _one_port,
    ),
}
PORT_ALONE: Final = ("rst without ACK", "answer, payload (udp/1900)")
CASES: Final = [
    (name, guessed)
    for name, forgery in FORGERIES.items()
    for number in range(1, len(forgery.fields) + 1)
    for guessed in combinations(forgery.fields, number)
    # a quoted checksum covers the quoted port: to guess the port alone spoils both
    if name != "error that quotes UDP" or "port" not in guessed or "checksum" in guessed
]


def interval(packets: int, chance: float) -> tuple[float, float]:
    """Return bounds that a binomial count keeps but for one time in a million (Chernoff)."""
    mean, allowance = packets * chance, math.log(2e6)
    spread = math.sqrt(2 * mean * allowance)
    return mean - spread, mean + spread + allowance / 3 * 2


def chances(forgery: Forgery, guessed: tuple[str, ...]) -> tuple[float, float]:
    values = {name: chance if name in guessed else 1.0 for name, chance in forgery.chance.items()}
    return forgery.strong(values), forgery.weak(values)


@pytest.mark.parametrize("name", FORGERIES)
def test_what_is_forged_is_accepted_when_it_is_true(name: str) -> None:
    reply = SCANNER.read(FORGERIES[name].frame())
    assert isinstance(reply, Reply)
    assert (reply.target, reply.attempt) == (TARGET, 0)
    assert reply.tier == (Tier.WEAK if name in PORT_ALONE else Tier.STRONG)
    assert (reply.kind == Kind.PAYLOAD) == ("another port" in name)


@pytest.mark.parametrize(("name", "guessed"), CASES, ids=str)
def test_guessed_fields_are_accepted_as_often_as_their_bits_say(name: str, guessed: tuple[str, ...]) -> None:
    forgery = FORGERIES[name]
    fields = [field for part in guessed for field in forgery.fields[part]]
    packets = PACKETS if len(guessed) == len(forgery.fields) else PACKETS // 4
    counted = forge(SCANNER, forgery.frame(), fields, packets, seed=CASES.index((name, guessed)))
    for tier, chance in zip((Tier.STRONG, Tier.WEAK), chances(forgery, guessed), strict=True):
        low, high = interval(packets, chance)
        assert low <= counted[tier] <= high, (tier, chance * packets)
    if len(guessed) == len(forgery.fields):
        assert counted[Tier.STRONG] == 0


@pytest.mark.parametrize("protocol", [1, 6, 17])
def test_nothing_random_is_accepted(protocol: int) -> None:
    for length in (28, 60):
        frame = back(SCANNER.frame("icmp", TARGET), Raw(bytes(length)), proto=protocol)
        fields = [Field(TRANSPORT + at, 4) for at in range(0, length, 4)]
        assert set(forge(SCANNER, frame, fields, PACKETS, seed=protocol).values()) == {0}


@pytest.mark.parametrize("name", ["rst without ACK", "answer, payload (dns)"])
def test_few_ports_prove_little(name: str) -> None:
    settings = Settings(port_first=40000, port_last=40015, attempts=2)
    scanner = Scanner(settings)
    sent = scanner.frame("tcp/80" if name.startswith("rst") else "dns", TARGET)
    frame = segment(sent, "R") if name.startswith("rst") else dns_answer(sent, id=0)
    fields = [Field(TRANSPORT + 2, 2, settings.port_first, settings.port_last)]
    counted = forge(scanner, frame, fields, PACKETS // 10, seed=1)
    low, high = interval(PACKETS // 10, 2 / 16)
    assert low <= counted[Tier.WEAK] <= high


@cache
def documented() -> dict[str, list[str]]:
    """Return the rows of the document's table of chances by their first cell."""
    rows = [line.strip("| ").split("|") for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows if len(row) == COLUMNS}


@pytest.mark.parametrize("name", FORGERIES)
def test_the_document_shows_the_bits_and_the_chances(name: str) -> None:
    strong, weak = chances(FORGERIES[name], tuple(FORGERIES[name].fields))
    _, bits, of_strong, of_weak = documented()[name]
    assert bits == f"{-math.log2(strong or weak):.1f}"
    for cell, chance in ((of_strong, strong), (of_weak, weak)):
        assert cell == (_written(chance * 10_000_000) if chance else "-")


def _written(number: float) -> str:
    """Return a number with two significant digits, as the document writes it."""
    if number >= 100:
        return f"{float(f'{number:.2g}'):.0f}"
    mantissa, exponent = f"{number:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def test_the_document_speaks_of_the_default_ports() -> None:
    text = DOCUMENT.read_text()
    stride = PORTS // A
    assert f"{PORTS:,}" in text
    assert f"{stride:,}" in text
    assert re.search(rf"log2\({PORTS:,} / {A}\) = {math.log2(PORTS / A):.2f}", text)
