"""Set files: every format gives back the set it was given, and is read as those who write it spell it."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from liveness.errors import LivenessError, UsageError
from liveness.ipsets import source
from liveness.ipsets.files import Reader, write_set
from liveness.ipsets.formats.codec import PLAIN, Choice
from liveness.ipsets.formats.table import FORMATS, by_content, by_suffix, output_format
from liveness.space.prefixes import Skipped
from tests.ipsets.support import RANGES, SMALL_RANGES, Range, bitmap, read, written

COMPACT = ("roaring", "text", "ranges", "silk", "ipset", "nft")
BY_ADDRESS = ("addresses", "csv", "jsonl")
READ_AS = {"addresses": "text", "ranges": "text"}


@pytest.mark.parametrize("style", COMPACT)
@given(ranges=RANGES)
def test_back_from_a_compact_format(style: str, ranges: list[Range]) -> None:
    addresses = bitmap(ranges)
    assert read(written(addresses, style), style) == addresses


@pytest.mark.parametrize("style", BY_ADDRESS)
@given(ranges=SMALL_RANGES)
def test_back_from_a_format_by_address(style: str, ranges: list[Range]) -> None:
    addresses = bitmap(ranges)
    content = written(addresses, style)
    assert read(content, style) == addresses
    assert content.count(b"\n") == len(addresses) + (style == "csv")


@pytest.mark.parametrize("style", COMPACT)
@pytest.mark.parametrize("addresses", [BitMap(), BitMap(range(2**32)), BitMap([0, 2**32 - 1])], ids=len)
def test_nothing_and_everything(style: str, addresses: BitMap) -> None:
    if style == "silk" and len(addresses) == 2**32:
        addresses = BitMap(range(2**32 - 2**20, 2**32))  # everything takes 600 MB there
    assert read(written(addresses, style), style) == addresses


@pytest.mark.parametrize("style", [*COMPACT, *BY_ADDRESS])
@given(ranges=SMALL_RANGES, chunk=st.integers(1, 200))
def test_where_a_file_is_cut_into_parts_changes_nothing(style: str, ranges: list[Range], chunk: int) -> None:
    addresses = bitmap(ranges)
    content = written(addresses, style)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "CHUNK_BYTES", chunk)
        patch.setattr(source, "HEAD_BYTES", 7)
        patch.setattr("liveness.ipsets.formats.silk.CHUNK_BYTES", 37 + chunk)
        assert read(content, style) == addresses


@given(ranges=SMALL_RANGES.filter(bool))
def test_formats_are_recognised_by_their_content(ranges: list[Range]) -> None:
    for style in FORMATS:
        content = written(bitmap(ranges), style)
        form = by_content(content[: source.HEAD_BYTES], "file", "saddr")
        assert (form.name if form is not None else "text") == READ_AS.get(style, style)


@pytest.mark.parametrize("style", list(FORMATS))
def test_the_content_has_the_say_over_the_suffix(tmp_path: Path, style: str) -> None:
    path = tmp_path / "set.txt"
    path.write_bytes(written(BitMap([1, 2, 9]), style))
    found = Reader().read(str(path))
    assert (found.addresses, found.format) == (BitMap([1, 2, 9]), READ_AS.get(style, style))
    assert found.size_bytes == path.stat().st_size


def test_every_suffix_names_one_format() -> None:
    suffixes = [suffix for form in FORMATS.values() for suffix in form.suffixes]
    assert len(suffixes) == len(set(suffixes))
    for form in FORMATS.values():
        for suffix in form.suffixes:
            assert by_suffix(f"dir.txt/a{suffix.upper()}") is form
            assert output_format(f"a{suffix}", None) is form
    assert output_format(None, None) is output_format("-", None) is FORMATS["text"]
    assert output_format("a.txt", "silk") is FORMATS["silk"]
    with pytest.raises(UsageError, match=r"a\.dat: its suffix names no format: use one of \.roaring, .*--to FORMAT"):
        output_format("a.dat", None)


IPSET = rb"""create a hash:ip family inet hashsize 1024 maxelem 65536 timeout 300
# x

add a 10.0.0.1 timeout 12
add a 10.0.0.2 comment "nomatch \" add # x"
add -exist a 10.0.0.4-10.0.0.5
-A a 10.0.0.7
COMMIT
"""
NFT = b"""table inet t {
\tset a {
\t\ttype ipv4_addr
\t\tflags interval,timeout
\t\tcounter
\t\telements = { 10.0.0.1 counter packets 0 bytes 0 timeout 1h expires 59m3s,
\t\t\t     10.0.0.4-10.0.0.5, # }
\t\t\t     10.0.0.8/31 comment "a, } b" }
\t}
\tchain c {
\t\tip saddr { 10.9.9.9, 10.9.9.8 } drop comment "}"
\t}
}
"""
TWO_AND_MORE_IPSETS = b"""create a hash:ip
create b hash:net
add a 0.0.0.1
add b 0.0.0.8/30
add a 0.0.0.2
create c hash:mac
add c 01:02:03:04:05:06
"""
TWO_AND_MORE_NFT = b"""table ip t {
  set a {
    type ipv4_addr
    elements = { 0.0.0.1, 0.0.0.2 }
  }
  set b { type ipv4_addr; elements = { 0.0.0.8/30 } }
  set c {
    type inet_service
    elements = { 80, 443 }
  }
}
"""
TEXTS = [
    ("text", b"", []),
    (
        "text",
        b"\xef\xbb\xbf# ours\r\n\r\n10.0.0.0/30 # four\r\n  10.0.0.9 - 10.0.0.10\t\n10.0.0.20",
        [0, 1, 2, 3, 9, 10, 20],
    ),
    ("text", b"10.0.0.1#a\n10.0.0.2 # b # c\n#10.0.0.3\n", [1, 2]),
    ("csv", b"saddr\n10.0.0.1\n10.0.0.2\n", [1, 2]),
    ("csv", b"10.0.0.1\n10.0.0.2\n", [1, 2]),
    ("csv", b'ttl,"saddr",data\r\n3,10.0.0.1,x\r\n\r\n"a,""b",10.0.0.2,\r\n7,"10.0.0.3","x,y"\r\n', [1, 2, 3]),
    ("csv", b"saddr,daddr\n 10.0.0.1 ,x\n10.0.0.2,y", [1, 2]),
    ("jsonl", b'{"saddr":"10.0.0.1"}\n\n{ "ttl": 3, "saddr" : "10.0.0.2" }\r\n', [1, 2]),
    ("jsonl", b'{"x":{"saddr":"10.9.9.9"},"y":["saddr","10.9.9.8"],"z":"\\"saddr\\":","saddr":"10.0.0.3"}\n', [3]),
    ("jsonl", b'{"a":"saddr","saddr":"10.0.0.4","b":"}{"}\n{"saddr":"10.0.0.\\u0035"}\n', [4, 5]),
    ("jsonl", b'{"saddr":"10.0.0.6","saddr":"10.0.0.7"}', [7]),
    ("ipset", IPSET, [1, 2, 4, 5, 7]),
    ("ipset", b"create n hash:ip family inet netmask 31\nadd n 10.0.0.4\nadd n 10.0.0.8\n", [4, 5, 8, 9]),
    ("ipset", b"create b bitmap:ip range 10.0.0.0-10.0.0.255\nadd b 10.0.0.3\n", [3]),
    ("ipset", b"add elsewhere 10.0.0.3\nadd elsewhere 10.0.0.4 packets 0 bytes 0\n", [3, 4]),
    ("nft", NFT, [1, 4, 5, 8, 9]),
    ("nft", b"add element inet t a { 10.0.0.1, 10.0.0.2 }\nadd element inet t a {10.0.0.3}\n", [1, 2, 3]),
    ("nft", b"define bad = { 10.0.0.1,\n 10.0.0.2, }\ntable ip x { chain y { ip saddr $bad drop; } }\n", [1, 2]),
    ("nft", b"table ip t { set a { typeof ip saddr; elements={10.0.0.1}; } }", [1]),
    ("nft", b"add set ip t a { type ipv4_addr; flags interval; elements = { 10.0.0.1 } }\n", [1]),
]


@pytest.mark.parametrize(("style", "content", "offsets"), TEXTS, ids=[f"{n}-{t[0]}" for n, t in enumerate(TEXTS)])
def test_what_people_and_programs_write(style: str, content: bytes, offsets: list[int]) -> None:
    expected = BitMap([0x0A000000 + offset for offset in offsets])
    assert read(content, style) == expected
    form = by_content(content, "file", "saddr")
    assert form is None or form.name == style


def test_a_column_of_ones_own() -> None:
    choice = Choice(column="daddr")
    assert read(b"saddr,daddr\n10.9.9.9,0.0.0.1\n", "csv", choice) == BitMap([1])
    assert read(b'{"saddr":"10.9.9.9","daddr":"0.0.0.2"}\n', "jsonl", choice) == BitMap([2])


def test_a_set_by_name() -> None:
    for style, content in (("ipset", TWO_AND_MORE_IPSETS), ("nft", TWO_AND_MORE_NFT)):
        assert read(content, style, Choice(set_name="a")) == BitMap([1, 2])
        assert read(content, style, Choice(set_name="b")) == BitMap([8, 9, 10, 11])
        with pytest.raises(UsageError, match="it holds 3 sets: choose one with --set NAME: a, b, c"):
            read(content, style)
        with pytest.raises(UsageError, match="file: no set 'd': it holds a, b, c"):
            read(content, style, Choice(set_name="d"))
        with pytest.raises(UsageError, match="the set 'c' has the type"):
            read(content, style, Choice(set_name="c"))
    named = Choice(set_name="mine")
    assert b"create mine hash:net" in written(BitMap([1]), "ipset", named)
    assert b"set mine {" in written(BitMap([1]), "nft", named)


ERRORS = [
    ("text", b"10.0.0.1\n\n10.0.0.300 # x\n", r"file:3: '10\.0\.0\.300' is not a prefix"),
    ("text", b"10.0.0.1 10.0.0.2\n", r"file:1: '10\.0\.0\.1 10\.0\.0\.2' is not"),
    ("text", b"10.0.0.1/24\n", r"file:1: '10\.0\.0\.1/24' has host bits set: write 10\.0\.0\.0/24"),
    ("text", b"10.0.0.9-10.0.0.1\n", r"file:1: .* ends before it begins"),
    ("text", b"10.0.0.1\n\x00\n", r"file: not text"),
    ("text", b"\x00", r"file: not text"),
    (
        "csv",
        b"ttl,ip\n3,10.0.0.1\n",
        r"file:1: no column 'saddr' in the header 'ttl, ip': choose another with --column",
    ),
    ("csv", b"10.0.0.1,3\n", r"file:1: no column 'saddr'"),
    ("csv", b"ttl,saddr\n3,10.0.0.1\n4\n", r"file:3: 1 columns where the addresses are in column 2"),
    ("csv", b"saddr\n10.0.0.0/8\n", r"file:2: '10\.0\.0\.0/8' is not one address, but 16,777,216 of them"),
    ("csv", b"saddr\n10.0.0.1x\n", r"file:2: '10\.0\.0\.1x' is not"),
    ("csv", b'a,saddr\n"x,10.0.0.1\n', r"file:2: not CSV"),
    ("jsonl", b'{"saddr":"10.0.0.1"}\n{"saddr":"x"}\n', r"file:2: 'x' is not a prefix"),
    ("jsonl", b'{"saddr":"10.0.0.1"\n', r"file:1: not a JSON object on a line: '\{\"saddr"),
    ("jsonl", b"[" * 100_000 + b"\n", r"file:1: not a JSON object on a line: '\[\[\["),
    ("jsonl", b'{"a":' * 100_000 + b"\n", r"file:1: not a JSON object on a line"),
    ("jsonl", b"[1]\n", r"file:1: no text in a member 'saddr': choose another with --column NAME"),
    ("jsonl", b'{"x":{"saddr":"10.0.0.1"}}\n', r"file:1: no text in a member 'saddr'"),
    ("jsonl", b'{"saddr":7}\n', r"file:1: no text in a member 'saddr'"),
    ("ipset", b"create a hash:ip\nadd a 10.0.0.300\n", r"file:2: '10\.0\.0\.300' is not"),
    (
        "ipset",
        b"create a hash:net\nadd a 10.0.0.0/8\nadd a 10.0.0.0/9 nomatch\n",
        r"file:3: 10\.0\.0\.0/9 nomatch: .*difference",
    ),
    ("ipset", b"create a hash:ip family inet6\n", r"file: the set 'a' holds IPv6"),
    (
        "ipset",
        b"create a hash:ip,port family inet\nadd a 1.2.3.4,tcp:80\n",
        r"file: the set 'a' has the type hash:ip,port",
    ),
    ("ipset", b"create a hash:ip netmask 33\n", r"file:1: netmask '33'"),
    ("ipset", b"create a hash:ip bitmask 255.0.255.0\n", r"file: the set 'a' has a bitmask"),
    ("ipset", b"bad a 10.0.0.1\n", r"file:1: 'bad a 10\.0\.0\.1' is no line that `ipset restore` reads"),
    ("ipset", b"del a 10.0.0.1\n", r"file:1: del a 10\.0\.0\.1: not in the set as this file makes it"),
    ("ipset", b'add a "10.0.0.1\n', r"file:1: not a line of ipset: no closing quotation"),
    ("ipset", b"# nothing\n", r"file: no set of addresses in it"),
    (
        "nft",
        b"table ip t {\n set a {\n type ipv4_addr\n elements = { 10.0.0.1,\n 10.0.0.300 }\n",
        r"file:5: '10\.0\.0\.300' is not",
    ),
    (
        "nft",
        b"table ip t {\n set a {\n type ipv4_addr\n elements = { 10.0.0.1,\n",
        r"file: cut: 2 braces are not closed",
    ),
    ("nft", b"table ip t {\n}\n}\n", r"file:3: a brace is closed that was never opened"),
    ("nft", b"add element ip t a { 10.0.0.1 . 80 }\n", r"file:1: '10\.0\.0\.1 \. 80' is not"),
    (
        "nft",
        b"table ip t { set a { type ipv6_addr; elements = { ::1 } } }",
        r"file: the set 'a' has the type ipv6_addr",
    ),
    (
        "nft",
        b"table ip t { set a { type ipv4_addr; } }\ntable ip u { set a { type ipv4_addr; } }",
        r"stands in two tables",
    ),
    ("nft", b"table ip t { }", r"file: no set of addresses in it"),
    ("roaring", b"", r"file: not a roaring set in the portable format"),
    ("roaring", BitMap([1, 2]).serialize() + b"x", r"file: damaged: a roaring set of 20 bytes, followed by 1"),
    ("roaring", BitMap([1, 2]).serialize()[:-1], r"file: not a roaring set"),
]


@pytest.mark.parametrize(("style", "content", "message"), ERRORS, ids=[f"{n}-{e[0]}" for n, e in enumerate(ERRORS)])
def test_what_is_wrong_is_reported_in_one_line(style: str, content: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        read(content, style)
    assert "\n" not in str(caught.value)


def test_names_that_no_filter_takes() -> None:
    for name in ("", "a b", "1a", "a" * 32, "a;flush"):
        for style in ("ipset", "nft"):
            with pytest.raises(UsageError, match="not a name for a set"):
                written(BitMap([1]), style, Choice(set_name=name))


@pytest.mark.bulk
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gz", "bz2", "xz"])
def test_compressed_files_are_read_joined_ones_too(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    whole = pack(b"10.0.0.1\n") + pack(b"10.0.0.2\n10.0.0.0/30\n" * 200_000)
    path = tmp_path / "a.txt"
    path.write_bytes(whole)
    found = Reader().read(str(path))
    assert (found.format, found.addresses) == ("text", bitmap([(0x0A000000, 0x0A000003)]))
    path.write_bytes(whole[:-20])
    with pytest.raises(UsageError, match=r"a\.txt: (cut|damaged): "):
        Reader().read(str(path))
    path.write_bytes(whole[:20] + b"\xff" * 10 + whole[30:])
    with pytest.raises(UsageError, match=r"a\.txt: (cut|damaged): "):
        Reader().read(str(path))


@pytest.mark.slow
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gz", "bz2", "xz"])
def test_a_small_file_that_becomes_a_large_one_is_refused(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "bomb").write_bytes(pack(b"\n" * (100 << 20)))
    with pytest.raises(UsageError, match=r"bomb: .* makes more than 250 times as much of it"):
        Reader().read(str(tmp_path / "bomb"))


def test_zstd_names_its_program_and_nothing_is_written_compressed() -> None:
    with pytest.raises(UsageError, match=r"a\.zst: compressed by zstd: pipe what `zstd -dc`"):
        by_content(b"\x28\xb5\x2f\xfd\x00", "a.zst", "saddr")
    with pytest.raises(UsageError, match=r"a\.txt\.gz: nothing is written compressed"):
        output_format("a.txt.gz", None)


def test_a_fault_in_another_set_of_the_file_is_no_matter() -> None:
    ipsets = b"create a hash:ip\nadd a 10.0.0.1\ncreate b hash:net\nadd b 10.0.0.300\nadd b 10.0.0.0/24 nomatch\n"
    tables = (
        b"table ip t { set a { type ipv4_addr; elements = { 10.0.0.1 }; }\n"
        b"set b { type ipv4_addr;\n elements = { 10.0.0.300, 10.0.0.2 }; }; }\n"
    )
    for style, content in (("ipset", ipsets), ("nft", tables)):
        assert read(content, style, Choice(set_name="a")) == BitMap([0x0A000001])
        with pytest.raises(UsageError, match=r"file: no set 'zz': it holds a, b"):
            read(content, style, Choice(set_name="zz"))
        with pytest.raises(UsageError, match=r"file:[34]: '10\.0\.0\.300' is not"):
            read(content, style, Choice(set_name="b"))


def test_what_other_tools_call_prefixes() -> None:
    text = b"; Spamhaus\n10.0.0.0/30 ; SBL1\n10.0.1.0/255.255.255.252\n10.0.2.*\n10.0.3.7-9 # nmap\n"
    blocks = [(0x0A000000, 0x0A000003), (0x0A000100, 0x0A000103), (0x0A000200, 0x0A0002FF), (0x0A000307, 0x0A000309)]
    assert read(text, "text") == bitmap(blocks)
    for line in ("10.0.0.0/255.0.255.0", "10.*.0.0", "10.*", "10.0.0.*/24"):
        with pytest.raises(UsageError, match=r"file:1: .* is not a prefix"):
            read(line.encode() + b"\n", "text")
    skipped = Skipped()
    assert read(b"::1\n10.0.0.1\n", "text", Choice(skipped=skipped)) == BitMap([0x0A000001])
    assert skipped.lines == 1


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "sets").mkdir()
    with pytest.raises(UsageError, match=r"a directory, not a set$"):
        Reader().read(str(tmp_path))
    (tmp_path / "sets" / "icmp.roaring").write_bytes(BitMap([1]).serialize())
    with pytest.raises(UsageError, match=r"a directory, not a set: name one of its sets, as .*/sets/icmp\.roaring"):
        Reader().read(str(tmp_path))
    with pytest.raises(UsageError, match=r"none\.txt: cannot read this set: No such file"):
        Reader().read(str(tmp_path / "none.txt"))


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LONGEST_LINE_BYTES", 100)
    monkeypatch.setattr(source, "CHUNK_BYTES", 60)
    with pytest.raises(UsageError, match="not text, or not by lines"):
        read(b"1" * 1000, "text")


def test_writing_replaces_the_file_or_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, link = tmp_path / "a.txt", tmp_path / "link.txt"
    link.symlink_to(path)
    write_set(str(link), BitMap([1]), FORMATS["text"], PLAIN)
    assert path.read_text() == "0.0.0.1\n"
    assert link.is_symlink()

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("liveness.ipsets.formats.text.write_prefixes", fails)
    with pytest.raises(LivenessError, match=r"a\.txt: cannot write: No space left on device"):
        write_set(str(link), BitMap([2]), FORMATS["text"], PLAIN)
    assert path.read_text() == "0.0.0.1\n"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.txt", "link.txt"]


def test_devices_are_written_as_they_are() -> None:
    write_set("/dev/null", BitMap([1]), FORMATS["text"], PLAIN)
    assert Path("/dev/null").is_char_device()
    with pytest.raises(LivenessError, match="/dev/full: cannot write: No space left"):
        write_set("/dev/full", BitMap(range(0, 100_000, 2)), FORMATS["text"], PLAIN)


def test_json_lines_are_json() -> None:
    lines = written(BitMap([1, 0xFFFFFFFF]), "jsonl").decode().splitlines()
    assert [json.loads(line) for line in lines] == [{"saddr": "0.0.0.1"}, {"saddr": "255.255.255.255"}]
