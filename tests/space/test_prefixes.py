"""Address lists: what they may hold, what their errors say, and that the fast path reads as the slow one does."""

import io
import ipaddress
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from liveness.errors import UsageError
from liveness.space import prefixes
from liveness.space.addresses import format_address, parse_entry
from liveness.space.intervals import Intervals
from liveness.space.prefixes import parse_lines, read_prefixes

LISTING = """\
# a comment
10.0.0.0/24
10.0.1.7            # inline
  10.0.2.0-10.0.2.9
\t10.0.3.1 - 10.0.3.2\t

10.0.4.0/30# no blank before
"""
LISTED = ["10.0.0.0/24", "10.0.1.7/32", "10.0.2.0/29", "10.0.2.8/31", "10.0.3.1/32", "10.0.3.2/32", "10.0.4.0/30"]

addresses = st.integers(0, (1 << 32) - 1)
networks = st.builds(
    lambda address, length: ipaddress.ip_network((address, length), strict=False), addresses, st.integers(0, 32)
)
ranges = st.tuples(addresses, addresses).map(sorted)
entries = st.one_of(
    addresses.map(lambda address: (format_address(address), address, address)),
    networks.map(lambda net: (str(net), int(net.network_address), int(net.broadcast_address))),
    ranges.map(lambda pair: (f"{format_address(pair[0])}-{format_address(pair[1])}", pair[0], pair[1])),
    ranges.map(lambda pair: (f"{format_address(pair[0])} -\t{format_address(pair[1])}", pair[0], pair[1])),
)
decoration = st.sampled_from(["", " ", "\t", "  # note 10.0.0.0/33", "#1.2.3.4", "\r"])


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("final", [True, False])
def test_every_form_comment_and_line_ending_is_read(tmp_path: Path, ending: str, final: bool) -> None:
    text = LISTING if final else LISTING.rstrip("\n")
    assert read_prefixes(write(tmp_path / "list", text.replace("\n", ending))).prefixes() == LISTED


@pytest.mark.parametrize("entry", ["10.0.0.0/24", "10.0.0.0/255.255.255.0", "10.0.0.*", "10.0.0.0-255"])
@pytest.mark.parametrize("comment", ["# note", "; note", ";note # and more", "# note ; 10.9.9.9"])
def test_both_signs_begin_comments_after_every_form(tmp_path: Path, entry: str, comment: str) -> None:
    content = f"{comment}\n{entry} {comment}\n{entry}{comment}\n"
    assert read_prefixes(write(tmp_path / "list", content)).prefixes() == ["10.0.0.0/24"]


@given(st.lists(st.tuples(entries, decoration, decoration.filter(lambda text: "#" not in text)), max_size=30))
def test_any_list_reads_as_what_was_written(lines: list[tuple[tuple[str, int, int], str, str]]) -> None:
    expected = Intervals.from_bounds([entry[1] for entry, _, _ in lines], [entry[2] for entry, _, _ in lines])
    assert parse_lines([before + entry[0] + after for entry, after, before in lines]) == expected


@st.composite
def nearly_entries(draw: st.DrawFn) -> str:
    """Draw an entry with a character too many, too few or in another's place."""
    text: str = draw(entries)[0]
    at = draw(st.integers(0, len(text)))
    between: str = draw(st.sampled_from(["", *"0123456789./- #\tx"]))
    return text[:at] + between + text[at + draw(st.integers(0, 1)) :]


@given(st.one_of(nearly_entries(), st.text(alphabet="0123456789./- #\t", max_size=24)))
@example("1000.0.0.1")
@example("1.2.3. 4")
@example("1. 2.3.4/8")
@example("1.2.3 .4")
def test_the_fast_path_agrees_with_parse_entry_on_any_line(line: str) -> None:
    text = line.partition("#")[0].strip()
    try:
        expected = Intervals.from_bounds(*([bound] for bound in parse_entry(text))) if text else Intervals.empty()
    except ValueError as error:
        with pytest.raises(UsageError, match="^" + re.escape(f"list:1: {error}") + "$"):
            parse_lines([line])
    else:
        assert parse_lines([line]) == expected


@given(st.text(alphabet="0123456789./-", max_size=18))
def test_prefixes_are_what_ipaddress_takes_for_one(text: str) -> None:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        return
    if "/" not in text or len(text.split("/")[1]) <= len(str(network.prefixlen)):  # it also reads masks and "/08"
        assert parse_entry(text) == (int(network.network_address), int(network.broadcast_address))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("10.0.0.0/33", "'10.0.0.0/33' is not a prefix, range or address"),
        ("10.0.0.0/", "'10.0.0.0/' is not a prefix, range or address"),
        ("10.0.0.0/08", "'10.0.0.0/08' is not a prefix, range or address"),
        ("10.0.0.256", "'10.0.0.256' is not a prefix, range or address"),
        ("010.0.0.1", "'010.0.0.1' is not a prefix, range or address"),
        ("10.0.0", "'10.0.0' is not a prefix, range or address"),
        ("10.0.0.1 10.0.0.2", "'10.0.0.1 10.0.0.2' is not a prefix, range or address"),
        ("2001:db8::/32", "'2001:db8::/32' is IPv6: only IPv4 is probed: --skip-ipv6 leaves such lines out"),
        ("example.org", "'example.org' is not a prefix, range or address"),
        ("10.0.0.1/8", "'10.0.0.1/8' has host bits set: write 10.0.0.0/8, or 10.0.0.1 for the one address"),
        ("10.0.0.9-10.0.0.1", "'10.0.0.9-10.0.0.1' ends before it begins: write 10.0.0.1-10.0.0.9"),
        ("x" * 99, f"'{'x' * 60}…' is not a prefix, range or address"),
        ("10.0.0.\xff", "'10.0.0.\xff' is not a prefix, range or address"),
    ],
)
def test_a_wrong_line_is_named_with_file_line_and_value(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path / "blocklist.txt", "# head\n10.0.0.0/8\n\n" + line + "\n10.0.0.0/99\n")
    with pytest.raises(UsageError) as caught:
        read_prefixes(path)
    assert str(caught.value) == f"{path}:4: {message}"


def test_lines_are_counted_across_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefixes, "CHUNK_BYTES", 16)
    lines = [f"10.0.{number}.0/24" for number in range(100)]
    assert read_prefixes(write(tmp_path / "good", "\n".join(lines))).count == 25_600
    lines[77] = "10.0.77.0/40"
    with pytest.raises(UsageError, match=r"bad:78: '10\.0\.77\.0/40'"):
        read_prefixes(write(tmp_path / "bad", "\n".join(lines)))


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    assert read_prefixes(write(tmp_path / "list", b"\xef\xbb\xbf10.0.0.0/8\n")).prefixes() == ["10.0.0.0/8"]


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", " \t\r\n"])
def test_a_list_without_entries_is_empty(tmp_path: Path, text: str) -> None:
    assert read_prefixes(write(tmp_path / "list", text)) == Intervals.empty()


def test_standard_input_is_read_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"10.0.0.0/31\n")))
    assert read_prefixes("-").count == 2
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"10.0.0.0/31\nten\n")))
    with pytest.raises(UsageError, match=r"^standard input:2: 'ten' is not"):
        read_prefixes("-")


def test_a_pipe_can_be_a_list() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"10.0.0.0/24\n10.0.1.0/24\n")
    os.close(writing)
    try:
        assert read_prefixes(f"/dev/fd/{reading}").prefixes() == ["10.0.0.0/23"]
    finally:
        os.close(reading)


def test_what_is_no_list_is_one_clear_error(tmp_path: Path) -> None:
    junk = write(tmp_path / "junk", bytes(range(256)) * 20)
    long = write(tmp_path / "long", b"1" * (prefixes.LONGEST_LINE_BYTES + 2))
    for path, message in (
        (junk, f"{junk}: not a text file"),
        (long, f"{long}:1: the line is over 1,048,576 bytes long"),
        (tmp_path, f"{tmp_path}: cannot read this address list: Is a directory"),
        (tmp_path / "none", f"{tmp_path / 'none'}: cannot read this address list: No such file or directory"),
        (Path("/dev/zero"), "/dev/zero: not a text file"),
    ):
        with pytest.raises(UsageError) as caught:
            read_prefixes(path)
        assert str(caught.value).startswith(message)
        assert "\n" not in str(caught.value)


def test_a_hundred_thousand_random_prefixes_equal_the_numbers_they_were_written_from(tmp_path: Path) -> None:
    generator = np.random.default_rng(73)
    base = generator.integers(0, 1 << 24, 100_000, dtype=np.uint32) << np.uint32(8)
    path = write(tmp_path / "many", "".join(f"{format_address(prefix)}/24\n" for prefix in base.tolist()))
    assert read_prefixes(path) == Intervals.from_bounds(base, base | np.uint32(255))
