"""SiLK IPsets: bytes that rwsetbuild wrote, a second writer of all versions, and what is damaged or foreign."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.errors import UsageError
from tests.ipsets.silk_files import END, NOTE, silk_file
from tests.ipsets.support import SMALL_RANGES, Range, bitmap, read, written

# What rwsetbuild --invocation-strip of SiLK 3.19.1 makes of these members: with --record-version=2, with 4 and
# --note-add=a, and with 4 and --compression-method=zlib.
MEMBERS = [
    (0x01020304, 0x01020304),
    (0x0A000000, 0x0A0000FF),
    (0x0A000205, 0x0A000205),
    (0x0A0002FF, 0x0A0002FF),
    (2**32 - 1, 2**32 - 1),
]
HEADER = "deadbeef001d1000002e10f9000100020000000000000008"
FULL, NONE = "ff" * 32, "00" * 31
FIFTH_AND_LAST = "20" + "00" * 30 + "80"
VERSION_2 = f"0003020110{NONE}0000000a{FULL}0002000a{FIFTH_AND_LAST}00ffffff{NONE}80"
IPV4_ENTRY = "0000000700000020" + "00" * 8 + "00000004" + "00" * 12 + "0000000000000008"
VERSION_4 = (
    f"deadbeef001d1000002e10f900010004000000030000000a6100{IPV4_ENTRY}"
    f"000302018110{NONE}0000000a180002000a81{FIFTH_AND_LAST}00ffffff81{NONE}80"
)
ZLIB = (
    f"deadbeef001d1001002e10f900010004{IPV4_ENTRY}"
    "0000002400000074789c636066626c14602008b824189818b81a15f0ab6a60f8ffff7f2301a31a00088705e5"
)


@pytest.mark.parametrize("content", [HEADER + VERSION_2, VERSION_4, ZLIB], ids=["2", "4", "zlib"])
def test_what_silk_wrote(content: str) -> None:
    assert read(bytes.fromhex(content), "silk") == bitmap(MEMBERS)


def test_records_are_written_as_silk_writes_them() -> None:
    content = written(bitmap(MEMBERS), "silk")
    assert content[24:].hex() == VERSION_2
    assert content[:8].hex() + content[12:24].hex() == HEADER[:16] + HEADER[24:]  # all but the version of SiLK
    assert content[8:12] == bytes(4)


@given(SMALL_RANGES)
def test_records_are_those_of_the_second_writer(ranges: list[Range]) -> None:
    assert written(bitmap(ranges), "silk")[24:] == silk_file(ranges, 2, note=b"")[24:]


@given(
    ranges=SMALL_RANGES,
    version=st.integers(0, 4),
    order=st.sampled_from("<>"),
    block=st.sampled_from([0, 40, 1000, 1 << 20]),
)
def test_every_version_is_read(ranges: list[Range], version: int, order: str, block: int) -> None:
    assert read(silk_file(ranges, version, order, block=block), "silk") == bitmap(ranges)


@given(SMALL_RANGES)
def test_files_older_than_header_entries_are_read(ranges: list[Range]) -> None:
    records = silk_file(ranges, 2, note=b"")[24:]
    assert read(bytes.fromhex("deadbeef001d0200") + records, "silk") == bitmap(ranges)


def header(version: int, entry: bytes = b"", compression: int = 0, form: int = 0x1D) -> bytes:
    return struct.pack(">IBBBBIHH", 0xDEADBEEF, 0, form, 16, compression, 0, 1, version) + entry + END


V4 = struct.pack(">8I", 7, 32, 0, 0, 4, 0, 0, 0)
IPV6 = struct.pack(">8I", 7, 32, 0, 0, 16, 0, 0, 0)
V3 = struct.pack(">8I", 7, 32, 16, 3, 8, 0, 0x50, 0)

ERRORS = [
    (b"10.0.0.1", "file: not a SiLK file"),
    (b"\xde\xad\xbe\xef", "file: cut within the header"),
    (header(2)[:-1], "file: cut within the header"),
    (header(2)[:-8] + NOTE[:-1], "file: cut within the header"),
    (header(2)[:-8] + bytes(8), "file: damaged: a header entry of 0 bytes"),
    (header(2, form=0x16), "file: a SiLK file of format 0x16, not an IPset"),
    (header(2, compression=2), "file: compressed by lzo1x: rwsettool --union --compression-method=none"),
    (header(2, compression=3), "file: compressed by snappy"),
    (header(2, compression=9), "file: compressed by method 9"),
    (header(5, IPV6), "file: an IPset of IPv6 addresses"),
    (header(4, IPV6), "file: an IPset of IPv6 addresses"),
    (header(6), "file: an IPset of record version 6"),
    (header(4), "file: damaged: its header does not describe its records"),
    (header(2) + bytes(35), "file: cut within a record of 36 bytes"),
    (header(2) + b"\x01" + bytes(35), "file: damaged: a record of 256 addresses does not begin at a multiple"),
    (header(3, V3) + bytes(16), "file: damaged: 3 leaves announced, 2 found"),
    (header(3, V3) + bytes(12), "file: cut within a record of 8 bytes"),
    (header(4, V4) + b"\0\0\0\x0a\x21", "file: damaged: 0x0a000000/33 is no prefix"),
    (header(4, V4) + b"\1\0\0\x0a\x08", "file: damaged: 0x0a000001/8 is no prefix"),
    (header(4, V4) + b"\0\0\0\x0a\x81" + bytes(31), "file: cut within a record"),
    (header(4, V4) + b"\0\0", "file: cut within a record"),
    (
        header(2, compression=1) + struct.pack(">II", 4, 36) + b"junk",
        "file: damaged: a compressed block cannot be opened",
    ),
    (header(2, compression=1) + struct.pack(">II", 2**31, 36), "file: damaged: a compressed block cannot be opened"),
    (silk_file([(1, 9)], 2, block=36)[:-1], "file: damaged: a compressed block cannot be opened"),
    (
        header(2, compression=1) + struct.pack(">II", 8, 9) + bytes.fromhex("789c030000000001"),
        "file: damaged: a block of 0 bytes",
    ),
]


@pytest.mark.parametrize(("content", "message"), ERRORS, ids=range(len(ERRORS)))
def test_what_is_wrong_is_reported(content: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        read(content, "silk")
    assert "\n" not in str(caught.value)
