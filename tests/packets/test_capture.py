"""Captures of every format are read as their writers meant them, and as far as they go where they are damaged."""

import gzip
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.errors import LivenessError, UsageError
from liveness.packets import capture as capture_module
from liveness.packets.capture import Capture, count_packets
from liveness.packets.reply_filter import reply_filter
from tests.frames import NAMES, NOW_NS, Scanner, sample_replies
from tests.packets.captures import Packet, block, interface, option, packet_block, pcap, pcapng, read, section

SCANNER = Scanner()
FRAMES = [frame for name in NAMES[:3] for _, frame in sample_replies(SCANNER, name, 0xC6336407, 0)]
PACKETS: list[Packet] = [(NOW_NS + number * 1_234_567, frame) for number, frame in enumerate(FRAMES)]
IN_MICROSECONDS = [(time_ns // 1000 * 1000, frame) for time_ns, frame in PACKETS]
TIMES = st.integers(0, 2**32 * 10**9 - 1)


@given(
    st.lists(st.tuples(TIMES, st.binary(min_size=14, max_size=100)), max_size=12),
    st.sampled_from("<>"),
    st.booleans(),
    st.lists(st.integers(1, 50), min_size=1, max_size=5),
)
def test_pcap_of_both_orders_and_both_units_in_any_pieces(
    packets: list[Packet], order: str, nano: bool, sizes: list[int]
) -> None:
    packets = [(time_ns, data[:12] + b"\x08\x00" + data[14:]) for time_ns, data in packets]
    found, capture = read(pcap(packets, order=order, nano=nano), sizes)
    assert found == [(time_ns if nano else time_ns // 1000 * 1000, data) for time_ns, data in packets]
    assert (capture.packets, capture.ipv4_packets, capture.passed, capture.unread) == (len(packets),) * 3 + ([],)


def test_pcapng_as_scapy_writes_it() -> None:
    for sizes in ([1 << 20], [1], [7, 3]):
        found, capture = read(pcapng(PACKETS), sizes)
        assert (found, capture.unread) == (IN_MICROSECONDS, [])


@pytest.mark.parametrize("kind", ["pcapng", "pcap", "nsecpcap"])
def test_what_wireshark_s_editcap_makes_of_it(tmp_path: Path, kind: str) -> None:
    (tmp_path / "in.pcap").write_bytes(pcap(PACKETS))
    subprocess.run(["editcap", "-F", kind, "in.pcap", "out"], cwd=tmp_path, check=True)
    found, capture = read((tmp_path / "out").read_bytes())
    assert (found, capture.unread) == (IN_MICROSECONDS if kind == "pcap" else PACKETS, [])


def test_what_tcpdump_makes_of_it(tmp_path: Path) -> None:
    (tmp_path / "in.pcap").write_bytes(pcap(PACKETS))
    done = subprocess.run(["tcpdump", "-q", "-r", "in.pcap", "-w", "-"], cwd=tmp_path, check=True, capture_output=True)
    assert read(done.stdout)[0] == IN_MICROSECONDS


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("resolution", "stamp", "time_ns"),
    [
        (6, 1_795_305_600_123_456, 1_795_305_600_123_456_000),
        (9, 1_795_305_600_123_456_789, 1_795_305_600_123_456_789),
        (3, 1_795_305_600_123, 1_795_305_600_123_000_000),
        (0, 1_795_305_600, 1_795_305_600_000_000_000),
        (10, 12_345_678_901, 1_234_567_890),
        (0x80 | 10, (7 << 10) + 512, 7_500_000_000),
        (0x80 | 32, (7 << 32) + (1 << 30), 7_250_000_000),
    ],
)
def test_clocks_of_pcapng(order: str, resolution: int, stamp: int, time_ns: int) -> None:
    options = option(order, 9, bytes([resolution])) + option(order, 0, b"")
    content = section(order) + interface(order, options=options) + packet_block(FRAMES[0], stamp, order)
    assert read(content)[0] == [(time_ns, FRAMES[0])]


def test_an_offset_of_the_clock() -> None:
    options = option("<", 2, b"eth0") + option("<", 14, struct.pack("<q", 1000))
    content = section() + interface(options=options) + packet_block(FRAMES[0], 5)
    assert read(content)[0] == [(1_000_000_005_000, FRAMES[0])]


def test_sections_interfaces_and_old_blocks() -> None:
    """Each section has its own order and interfaces; unknown blocks are passed over; three kinds hold packets."""
    frame = FRAMES[0]
    simple = struct.pack("<I", len(frame)) + frame
    old = struct.pack("<HHIIII", 1, 0, 0, 2_000_000, len(frame), len(frame)) + frame
    first = section() + interface() + interface(options=option("<", 9, b"\x03")) + block("<", 0x0BAD, b"1234")
    first += packet_block(frame, 7, number=1) + block("<", 3, simple) + block("<", 2, old)
    second = section(">") + interface(">") + packet_block(frame, 9, ">")
    found, capture = read(first + second, [11])
    assert found == [(7_000_000, frame), (0, frame), (2_000_000_000_000, frame), (9_000, frame)]
    assert capture.unread == []


def test_a_simple_packet_block_is_cut_at_the_snapshot_length() -> None:
    content = section() + interface(snaplen=40) + block("<", 3, struct.pack("<I", 60) + FRAMES[0][:40])
    assert read(content)[0] == [(0, FRAMES[0][:40])]


def cooked(frame: bytes, kind: int) -> bytes:
    return struct.pack(">HHH8s", kind, 1, 6, bytes(8)) + frame[12:]


def cooked_2(frame: bytes, kind: int) -> bytes:
    return frame[12:14] + struct.pack(">HIHBB8s", 0, 3, 1, kind, 6, bytes(8)) + frame[14:]


def bare(frame: bytes) -> bytes:
    """Return a frame as it reads where there was no Ethernet header."""
    return bytes(12) + frame[12:]


@pytest.mark.parametrize(
    ("link", "data", "expected"),
    [
        (101, FRAMES[0][14:], bare(FRAMES[0])),
        (12, FRAMES[0][14:], bare(FRAMES[0])),
        (228, FRAMES[0][14:], bare(FRAMES[0])),
        (101, b"\x60" + bytes(39), bytes(12) + b"\x86\xdd\x60" + bytes(39)),
        (113, cooked(FRAMES[0], 0), bare(FRAMES[0])),
        (276, cooked_2(FRAMES[0], 0), bare(FRAMES[0])),
        (1, FRAMES[0][:12] + b"\x81\x00\x00\x07" + FRAMES[0][12:], FRAMES[0]),
        (1, FRAMES[0][:12] + b"\x88\xa8\x00\x07" + FRAMES[0][12:], FRAMES[0]),
        (
            1,
            FRAMES[0][:12] + b"\x81\x00\x00\x07" * 2 + FRAMES[0][12:],
            FRAMES[0][:12] + b"\x81\x00\x00\x07" + FRAMES[0][12:],
        ),
    ],
)
def test_links_of_other_machines(link: int, data: bytes, expected: bytes) -> None:
    assert read(pcap([(5, data)], link=link))[0] == [(5, expected)]
    assert read(section() + interface(link=link) + packet_block(data, 0))[0] == [(0, expected)]


@pytest.mark.parametrize(
    ("link", "data"),
    [
        (113, cooked(FRAMES[0], 4)),
        (276, cooked_2(FRAMES[0], 4)),
        (113, b"12345"),
        (276, b"12345"),
        (101, b""),
        (1, b"1"),
    ],
)
def test_what_this_host_sent_and_what_is_no_frame_is_counted_only(link: int, data: bytes) -> None:
    found, capture = read(pcap([(5, data), (6, data)], link=link))
    assert (found, capture.packets, capture.ipv4_packets, capture.unread) == ([], 2, 0, [])


def test_an_interface_that_is_not_read_is_reported_and_the_others_are_read() -> None:
    wifi = interface(link=105)
    clock = interface(options=option("<", 9, bytes([0x80 | 60])))
    content = section() + wifi + clock + interface() + packet_block(FRAMES[0], 1) + packet_block(FRAMES[1], 2, number=2)
    found, capture = read(content)
    assert found == [(2000, FRAMES[1])]
    assert capture.unread == [
        "test: interface 0 with link type 105 is not read",
        "test: interface 1 with a clock of 2^-60 s is not read",
    ]


def test_only_what_the_filter_accepts_is_given_on() -> None:
    port_first, port_last = SCANNER.settings.port_first, SCANNER.settings.port_last
    program = reply_filter(SCANNER.settings.sources, port_first, port_last, (0, 3, 11))
    probes = [(1, SCANNER.frame(name, 0xC6336407)) for name in NAMES]
    content = iter([pcap([*probes, *PACKETS, *probes])])
    capture = Capture("test", lambda _: next(content, b""), program)
    assert len(list(capture.blocks())) == 1
    assert (capture.packets, capture.passed) == (len(PACKETS) + 2 * len(probes), len(PACKETS))


def test_more_than_a_block_and_more_than_a_chunk() -> None:
    jumbo = FRAMES[0] + bytes(60_000)
    packets = [(number, jumbo) for number in range(300)]
    for content in (pcap(packets), section() + interface() + b"".join(packet_block(jumbo, n) for n in range(300))):
        found, capture = read(content)
        assert [data for _, data in found] == [jumbo] * 300
        assert capture.unread == []


def test_gzip(tmp_path: Path) -> None:
    for content, expected in ((pcap(PACKETS), PACKETS), (pcapng(PACKETS), IN_MICROSECONDS)):
        for sizes in ([1 << 20], [1]):
            assert read(gzip.compress(content), sizes)[0] == expected
    found, capture = read(gzip.compress(pcap(PACKETS * 50))[:-300])
    assert found == (PACKETS * 50)[: len(found)]
    assert 0 < len(found) < len(PACKETS) * 50
    (note,) = capture.unread
    assert note.startswith("test: cannot be read beyond")
    (tmp_path / "a.pcap.gz").write_bytes(gzip.compress(pcap(PACKETS)))
    assert count_packets(tmp_path / "a.pcap.gz") == len(PACKETS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\xd4", "not a capture"),
        (b"name: census\ntargets: {}\n", "not a capture: it begins with 6e616d65"),
        (bytes(100), "not a capture"),
        (gzip.compress(b"hello"), "not a capture"),
        (b"\x1f\x8b", "empty"),
        (pcap([], link=105), "link type 105"),
        (pcap([])[:4] + b"\x07" + pcap([])[5:], "version 7"),
    ],
)
def test_what_is_no_capture_is_reported(content: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=f"^test: .*{words}"):
        read(content)


def test_a_capture_without_packets() -> None:
    for content in (pcap([]), section(), section() + interface()):
        found, capture = read(content)
        assert (found, capture.packets, capture.unread) == ([], 0, [])


def test_cut_at_every_byte_what_was_whole_is_read() -> None:
    for content, header, packets, extra in (
        (pcap(PACKETS), 24, PACKETS, 16),
        (pcapng(PACKETS), len(pcapng([])), IN_MICROSECONDS, 32),
    ):
        ends = [header]
        for _, data in packets:
            padding = -len(data) % 4 if extra == 32 else 0
            ends.append(ends[-1] + extra + len(data) + padding)
        assert ends[-1] == len(content)
        for length in range(24, len(content) + 1):
            found, capture = read(content[:length])
            whole = sum(end <= length for end in ends[1:])
            assert found == packets[:whole], length
            left = length - max((end for end in ends if end <= length), default=length)
            if length in ends:
                assert capture.unread == []
            elif length > header:
                assert capture.unread == [f"test: cut: its last {left} bytes are no whole packet"]
    for length in range(4, 24):
        found, capture = read(pcap(PACKETS)[:length])
        assert (found, len(capture.unread)) == ([], 1)


@pytest.mark.parametrize("make", [pcap, pcapng])
def test_damage_at_every_byte_costs_nothing_that_came_before(
    make: Callable[[list[Packet]], bytes],
) -> None:
    content, few = make(PACKETS[:4]), PACKETS[:4] if make is pcap else IN_MICROSECONDS[:4]
    begins = [len(make(PACKETS[:number])) for number in range(4)]
    for at in range(len(content)):
        for change in (0x01, 0x80, 0xFF):
            damaged = bytearray(content)
            damaged[at] ^= change
            found, complaints = read_if_capture(bytes(damaged))
            assert all("\n" not in line for line in complaints)
            if at >= begins[0]:
                before = sum(begin <= at for begin in begins[1:])
                assert found[:before] == few[:before], (at, change)


def read_if_capture(content: bytes) -> tuple[list[Packet], list[str]]:
    """Return the packets of what may be a capture, and what is said of it."""
    try:
        found, capture = read(content, [1 << 20])
    except UsageError as error:
        return [], [str(error)]
    return found, capture.unread


def test_damage_says_where_and_how_much() -> None:
    content = bytearray(pcap(PACKETS[:3]))
    at = 24 + 16 + len(PACKETS[0][1])
    content[at + 8 : at + 12] = b"\xff\xff\xff\x7f"
    found, capture = read(bytes(content))
    assert found == PACKETS[:1]
    assert capture.unread == [f"test: damaged at byte {at}: the {len(content) - at} bytes from there on cannot be read"]


def test_an_endless_stream_takes_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_module, "CHUNK_BYTES", 1 << 16)
    packets = pcap(PACKETS)[24:]
    pieces = iter([pcap([]), *[packets] * 3000])
    capture = Capture("test", lambda _: next(pieces, b""), reply_filter([1], 1, 2, (0,)))
    assert list(capture.blocks()) == []
    assert capture.packets == 3000 * len(PACKETS)
    assert len(capture._data) <= 4 << 16


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(LivenessError, match=r"none\.pcap: cannot read this capture: No such file"):
        count_packets(tmp_path / "none.pcap")
    (tmp_path / "folder").mkdir()
    with pytest.raises(LivenessError, match="folder: cannot read"):
        count_packets(tmp_path / "folder")


def test_a_block_whose_two_lengths_differ_is_damaged() -> None:
    content = bytearray(pcapng(PACKETS[:3]))
    content[-4] ^= 4
    found, capture = read(bytes(content))
    assert found == IN_MICROSECONDS[:2]
    at = len(pcapng(PACKETS[:2]))
    assert capture.unread == [f"test: damaged at byte {at}: the {len(content) - at} bytes from there on cannot be read"]
