"""Exporters that send what they like, under any address: a collector's memory and time stay bounded."""

import random
import resource
import struct
import time
from collections.abc import Iterator

import pytest

from liveness.flows import domains as limits
from liveness.flows.exports import Exports
from liveness.flows.record import MOST_EXPORTERS, OTHER_EXPORTERS, Notes
from tests.flows.test_exports import ADDRESSES, decode, ipfix, record_of, set_of, template_of, v9
from tests.fuzzing.hostile import octets, with_tokens
from tests.fuzzing.kinds.flows import EXPORT_TOKENS, datagrams, seed

MOST_MB = 300
MOST_CPU_S = 60
"""On a slow machine; without the limits it would be hours."""


@pytest.fixture
def bounded() -> Iterator[None]:
    """See that a test takes no more memory and processor time than it may."""
    pages = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - pages < MOST_MB << 10
    assert time.process_time() - began < MOST_CPU_S


def many_templates(count: int, fields: int) -> bytes:
    """Return a set of templates of so many fields each."""
    content = b"".join(
        struct.pack(">HH", 256 + number, fields) + struct.pack(">HH", 4, 1) * fields for number in range(count)
    )
    return set_of(2, content)


def test_mutants_of_datagrams_are_decoded_or_counted() -> None:
    chance = random.Random(1)
    real = [*datagrams(), seed("softflowd-v5")[:600], seed("softflowd-v9"), seed("softflowd-v10")]
    exports = Exports(Notes())
    for number in range(1500):
        content = octets(chance, chance.choice(real), real)
        if number % 3 == 0:
            content = with_tokens(chance, content, EXPORT_TOKENS)
        exports.feed(content, f"192.0.2.{number % 7}")
        if exports.ready > 1000:
            exports.take()
    exports.finish()
    assert exports.domains.waiting_bytes == 0
    assert exports.domains.fields == sum(domain.fields for domain in exports.domains.known.values())


@pytest.mark.usefixtures("bounded")
def test_templates_of_many_domains() -> None:
    exports = Exports(Notes())
    message = many_templates(15, 1000)
    for number in range(200):
        exports.feed(ipfix(message, domain=number), "192.0.2.9")
    assert 0 < exports.domains.fields <= limits.MOST_FIELDS
    assert exports.domains.fields == sum(domain.fields for domain in exports.domains.known.values())


@pytest.mark.usefixtures("bounded")
def test_one_domain_announces_again_and_again() -> None:
    exports = Exports(Notes())
    for _ in range(200):
        exports.feed(ipfix(many_templates(15, 1000)), "192.0.2.9")
    (domain,) = exports.domains.known.values()
    assert (len(domain.templates), domain.fields, exports.domains.fields) == (15, 15_000, 15_000)


@pytest.mark.usefixtures("bounded")
def test_empty_data_sets_that_wait() -> None:
    """They have no bytes of content, but each is remembered; a template looks at its own alone."""
    exports = Exports(Notes())
    for number in range(100):
        exports.feed(ipfix(set_of(256 + number, b"") * 16_000), "192.0.2.9")
    for _ in range(20):
        exports.feed(ipfix(set_of(2, struct.pack(">HHHH", 900, 1, 4, 1) * 8000)), "192.0.2.9")
    waiting = sum(len(sets) for domain in exports.domains.known.values() for sets in domain.waiting.values())
    assert 0 < waiting <= limits.MOST_WAITING_BYTES // limits.WAITING_SET_BYTES
    exports.finish()
    assert exports.domains.waiting_bytes == 0
    assert exports.notes.undecoded["data sets without template"] == 1_600_000


def test_data_of_a_forgotten_domain_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_DOMAINS", 2)
    exports = Exports(Notes())
    for number in range(50):
        exports.feed(ipfix(set_of(256, bytes(1000)), domain=number), "192.0.2.9")
    assert exports.domains.waiting_bytes == 2 * (1000 + limits.WAITING_SET_BYTES)


@pytest.mark.usefixtures("bounded")
def test_records_of_one_byte_become_no_flows() -> None:
    """Addresses without a width, or of one byte, would make 130,000 flows of a datagram."""
    exports = Exports(Notes())
    for width in (0, 1, 0xFFFF):
        fields = [(8, width, 0), (12, width, 0), (4, 1, 6)]
        template = struct.pack(">HH", 256, 3) + b"".join(struct.pack(">HH", name, size) for name, size, _ in fields)
        exports.feed(ipfix(set_of(2, template)), "192.0.2.9")
        for _ in range(100):
            exports.feed(ipfix(set_of(256, bytes(65_000))), "192.0.2.9")
    assert exports.ready == 0
    assert len(exports._out) <= 1 << 17


@pytest.mark.usefixtures("bounded")
def test_options_of_a_thousand_fields_without_width() -> None:
    exports = Exports(Notes())
    options = struct.pack(">HHH", 256, 1000, 1) + struct.pack(">HH", 149, 1) + struct.pack(">HH", 34, 0) * 999
    exports.feed(ipfix(set_of(3, options)), "192.0.2.9")
    for _ in range(20):
        exports.feed(ipfix(set_of(256, bytes(65_000))), "192.0.2.9")
    assert exports.ready == 0
    assert [domain.sampling for domain in exports.domains.known.values()] == [0]


def test_fields_without_width_are_left_out() -> None:
    fields = [(1, 0, 0), *ADDRESSES, (2, 8, 7)]
    flows, notes, _ = decode(ipfix(set_of(2, template_of(fields)), set_of(256, record_of(fields))))
    assert (len(flows), notes.undecoded) == (1, {})
    assert int(flows["packets"][0]) == 7
    options = struct.pack(">HHH", 258, 4, 8) + struct.pack(">HHHHHH", 1, 0, 34, 4, 2, 0)
    _, _, exports = decode(v9(set_of(1, options), set_of(258, b"\0\0\0\x64")))
    assert [domain.sampling for domain in exports.domains.known.values()] == [100]


def test_exporters_beyond_all_numbers_share_one() -> None:
    notes = Notes()
    numbers = [notes.exporter(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}") for n in range(MOST_EXPORTERS + 3)]
    assert numbers[-3:] == [MOST_EXPORTERS] * 3
    assert notes.exporter("10.0.0.1") == 1
    assert notes.exporter_names()[-1] == OTHER_EXPORTERS
