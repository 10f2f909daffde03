"""Export datagrams built field by field: templates, options, lengths, reverse elements, times, gaps, damage."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.flows.exports import Exports
from liveness.flows.record import MARK_REVERSE, Flows, Notes

T_S = 1_700_000_000
NTP_S = 2_208_988_800
ADDRESSES = [(8, 4, 0x0A000001), (12, 4, 0xC0000201)]

Field = tuple[int, int, int]
"""Element (with enterprise << 16), width, value."""


def set_of(set_id: int, content: bytes) -> bytes:
    return struct.pack(">HH", set_id, 4 + len(content)) + content


def template_of(fields: list[Field], number: int = 256) -> bytes:
    content = struct.pack(">HH", number, len(fields))
    for element, width, _ in fields:
        enterprise = element >> 16
        content += struct.pack(">HH", element & 0xFFFF | (0x8000 if enterprise else 0), width)
        content += struct.pack(">I", enterprise) if enterprise else b""
    return content


def record_of(fields: list[Field]) -> bytes:
    return b"".join(value.to_bytes(width, "big") for _, width, value in fields)


def ipfix(*sets: bytes, sequence: int = 0, domain: int = 0) -> bytes:
    content = b"".join(sets)
    return struct.pack(">HHIII", 10, 16 + len(content), T_S, sequence, domain) + content


def v9(*sets: bytes, sequence: int = 0, source: int = 0, uptime_ms: int = 1_000_000) -> bytes:
    return struct.pack(">HHIIII", 9, len(sets), uptime_ms, T_S, sequence, source) + b"".join(sets)


def decode(*datagrams: bytes) -> tuple[Flows, Notes, Exports]:
    notes = Notes()
    exports = Exports(notes)
    for datagram in datagrams:
        assert exports.feed(datagram, "192.0.2.9")
    exports.finish()
    return exports.take(), notes, exports


def ntp(seconds: int, fraction: int = 0) -> int:
    return (seconds + NTP_S) << 32 | fraction


@pytest.mark.parametrize(
    ("fields", "start_ns", "end_ns"),
    [
        ([(150, 4, T_S - 7), (151, 4, T_S - 3)], (T_S - 7) * 10**9, (T_S - 3) * 10**9),
        ([(152, 8, T_S * 1000 + 1), (153, 8, T_S * 1000 + 2)], T_S * 10**9 + 1_000_000, T_S * 10**9 + 2_000_000),
        ([(154, 8, ntp(T_S, 1 << 31)), (155, 8, ntp(T_S + 1))], T_S * 10**9 + 500_000_000, (T_S + 1) * 10**9),
        ([(156, 8, ntp(T_S, 1 << 30)), (157, 8, ntp(T_S + 2))], T_S * 10**9 + 250_000_000, (T_S + 2) * 10**9),
        ([(158, 4, 5_000_000), (159, 4, 1_000_000)], (T_S - 5) * 10**9, (T_S - 1) * 10**9),
        ([(160, 8, (T_S - 100) * 1000), (22, 4, 10_000), (21, 4, 20_000)], (T_S - 90) * 10**9, (T_S - 80) * 10**9),
        ([(152, 8, T_S * 1000), (161, 4, 1500)], T_S * 10**9, T_S * 10**9 + 1_500_000_000),
        ([], T_S * 10**9, T_S * 10**9),
    ],
)  # fmt: skip
def test_times_of_every_kind(fields: list[Field], start_ns: int, end_ns: int) -> None:
    fields = [*ADDRESSES, (2, 4, 3), (1, 4, 120), *fields]
    flows, _, _ = decode(ipfix(set_of(2, template_of(fields)), set_of(256, record_of(fields))))
    assert [(int(row["start_ns"]), int(row["end_ns"])) for row in flows] == [(start_ns, end_ns)]


def test_uptimes_of_v9_are_of_its_header_and_may_have_wrapped() -> None:
    fields = [*ADDRESSES, (2, 4, 1), (22, 4, 999_000), (21, 4, 999_500)]
    flows, _, _ = decode(v9(set_of(0, template_of(fields)), set_of(256, record_of(fields))))
    assert int(flows["start_ns"][0]) == T_S * 10**9 - 10**9
    fields = [*ADDRESSES, (2, 4, 1), (22, 4, 2**32 - 1000), (21, 4, 500)]
    flows, _, _ = decode(v9(set_of(0, template_of(fields)), set_of(256, record_of(fields)), uptime_ms=1000))
    assert int(flows["start_ns"][0]) == T_S * 10**9 - 2 * 10**9
    assert int(flows["end_ns"][0]) == T_S * 10**9 - 5 * 10**8


def test_both_directions_of_a_biflow() -> None:
    fields = [*ADDRESSES, (7, 2, 5000), (11, 2, 80), (4, 1, 6), (6, 2, 0x1B), (2, 4, 3), (1, 4, 120),
              (10, 4, 1), (14, 4, 2), (29305 << 16 | 2, 4, 2),
              (29305 << 16 | 1, 4, 90), (29305 << 16 | 6, 1, 0x12)]  # fmt: skip
    flows, _, _ = decode(ipfix(set_of(2, template_of(fields)), set_of(256, record_of(fields))))
    forward, back = flows
    assert (int(forward["packets"]), int(forward["bytes"]), int(forward["flags"])) == (3, 120, 0x1B)
    assert (int(back["packets"]), int(back["bytes"]), int(back["flags"])) == (2, 90, 0x12)
    assert (int(back["src"]), int(back["dst"])) == (0xC0000201, 0x0A000001)
    assert (int(back["sport"]), int(back["dport"]), int(back["input"])) == (80, 5000, 2)
    assert (int(forward["marks"]), int(back["marks"])) == (0, MARK_REVERSE)


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=300)), min_size=1, max_size=9), st.booleans())
def test_variable_lengths_short_and_long(rows: list[tuple[int, bytes]], long: bool) -> None:
    fields = [*ADDRESSES, (82, 0xFFFF, 0), (2, 4, 0)]
    content = b""
    for packets, text in rows:
        head = b"\xff" + struct.pack(">H", len(text)) if long or len(text) >= 255 else bytes([len(text)])
        content += record_of(ADDRESSES) + head + text + struct.pack(">I", packets)
    flows, notes, _ = decode(ipfix(set_of(2, template_of(fields)), set_of(256, content)))
    assert flows["packets"].tolist() == [packets for packets, _ in rows]
    assert notes.undecoded == {}


def test_data_before_its_template_waits_and_without_one_is_counted() -> None:
    fields = [*ADDRESSES, (2, 4, 7)]
    data = ipfix(set_of(256, record_of(fields)))
    flows, notes, _ = decode(data, data, ipfix(set_of(2, template_of(fields))))
    assert flows["packets"].tolist() == [7, 7]
    flows, notes, _ = decode(data, ipfix(set_of(2, template_of(fields)), domain=5))  # another domain's template
    assert len(flows) == 0
    assert notes.undecoded == {"data sets without template": 1}


def test_a_template_that_changes_holds_from_then_on() -> None:
    old, new = [*ADDRESSES, (2, 4, 7)], [(2, 2, 9), *ADDRESSES]
    flows, _, _ = decode(
        ipfix(set_of(2, template_of(old)), set_of(256, record_of(old))),
        ipfix(set_of(2, template_of(new)), set_of(256, record_of(new))),
    )
    assert flows["packets"].tolist() == [7, 9]
    assert flows["src"].tolist() == [0x0A000001] * 2


def test_sampling_of_options_and_of_records() -> None:
    fields = [*ADDRESSES, (2, 4, 7)]
    options = struct.pack(">HHHHHHHHH", 257, 2, 1, 149, 4, 305, 4, 0, 0)[:-4]
    values = struct.pack(">II", 0, 100)
    flows, _, _ = decode(
        ipfix(set_of(3, options), set_of(257, values), set_of(2, template_of(fields)), set_of(256, record_of(fields)))
    )
    assert flows["sampling"].tolist() == [100]
    v9_options = struct.pack(">HHHHHHH", 257, 4, 4, 1, 4, 34, 4)
    flows, _, _ = decode(
        v9(set_of(1, v9_options), set_of(257, values), set_of(0, template_of(fields)), set_of(256, record_of(fields)))
    )
    assert flows["sampling"].tolist() == [100]


def test_ipv6_and_records_without_addresses_are_counted() -> None:
    six = [(27, 16, 1), (28, 16, 2), (2, 4, 1)]
    none = [(2, 4, 1), (1, 4, 1)]
    _, notes, _ = decode(
        ipfix(
            set_of(2, template_of(six) + template_of(none, 300)),
            set_of(256, record_of(six) * 2),
            set_of(300, record_of(none)),
        )
    )
    assert notes.undecoded == {"IPv6 records": 2, "records without addresses": 1}


@pytest.mark.parametrize("version", [9, 10])
def test_gaps_of_sequence_numbers(version: int) -> None:
    """NetFlow v9 counts datagrams, IPFIX records."""
    fields = [*ADDRESSES, (2, 4, 7)]
    make, template = (v9, 0) if version == 9 else (ipfix, 2)
    step = 1 if version == 9 else 3
    sets = set_of(256, record_of(fields) * 3)
    first = make(set_of(template, template_of(fields)), sets, sequence=100)
    _, _, exports = decode(first, make(sets, sequence=100 + step), make(sets, sequence=100 + 4 * step))
    assert exports.lost == 2 * step
    _, _, exports = decode(
        first, make(sets, sequence=100 + 2 * step), make(sets, sequence=100 + step), make(sets, sequence=100 + 3 * step)
    )
    assert exports.lost == 0  # they have changed places


def test_a_v5_datagram() -> None:
    row = struct.pack(
        ">IIIHHIIIIHHBBBBHHBBH",
        0x0A000001,
        0xC0000201,
        0,
        1,
        2,
        3,
        120,
        900,
        950,
        5000,
        80,
        0,
        0x1B,
        6,
        0,
        0,
        0,
        0,
        0,
        0,
    )
    datagram = struct.pack(">HHIIIIBBH", 5, 2, 1000, T_S, 500_000_000, 7, 0, 3, 0x4064) + row * 2
    flows, notes, _ = decode(datagram)
    assert len(flows) == 2
    first = flows[0]
    assert int(first["start_ns"]) == T_S * 10**9 + 400_000_000
    assert int(first["end_ns"]) == T_S * 10**9 + 450_000_000
    assert (int(first["packets"]), int(first["bytes"]), int(first["flags"]), int(first["sampling"])) == (
        3,
        120,
        0x1B,
        100,
    )
    assert notes.exporter_names() == ["192.0.2.9/3"]
    _, notes, _ = decode(datagram[:-10])
    assert notes.undecoded == {"datagrams cut short": 1}


@given(st.binary(max_size=200), st.sampled_from([9, 10]), st.randoms())
def test_whatever_comes_is_decoded_or_counted(noise: bytes, version: int, draw: np.random.Generator) -> None:
    """Damaged datagrams raise nothing and say nothing that is not counted."""
    fields = [*ADDRESSES, (82, 0xFFFF, 0), (2, 4, 0)]
    make, template = (v9, 0) if version == 9 else (ipfix, 2)
    good = bytearray(make(set_of(template, template_of(fields)), set_of(256, noise), set_of(3, noise), noise))
    for _ in range(3):
        good[draw.randint(0, len(good) - 1)] = draw.randint(0, 255)  # type: ignore[attr-defined]  # random.Random
    exports = Exports(Notes())
    exports.feed(bytes(good), "192.0.2.9")
    exports.finish()
    assert exports.ready == len(exports.take())


def test_templates_that_are_withdrawn() -> None:
    """One by its number, in four bytes also where it is one of options; all of a kind by the number of their set."""
    fields = [*ADDRESSES, (2, 4, 7)]
    options = struct.pack(">HHH", 300, 2, 1) + struct.pack(">HHHH", 149, 4, 34, 4)
    announced = ipfix(set_of(2, template_of(fields)), set_of(2, template_of(fields, 257)), set_of(3, options))
    for withdrawal, left in (
        (set_of(2, struct.pack(">HH", 256, 0)), [257, 300]),
        (set_of(3, struct.pack(">HH", 300, 0)), [256, 257]),
        (set_of(2, struct.pack(">HH", 2, 0)), [300]),
        (set_of(3, struct.pack(">HH", 3, 0)), [256, 257]),
    ):
        _, _, exports = decode(announced, ipfix(withdrawal))
        (domain,) = exports.domains.known.values()
        assert sorted(domain.templates) == left
