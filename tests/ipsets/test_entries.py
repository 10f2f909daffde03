"""The kernels' grammar of entries is that of `parse_entry`; and usual lines are read by kernels alone."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from liveness.ipsets.formats.entries import NONE, Bounds, Bytes, entry_at
from liveness.ipsets.formats.lines import Scan, as_bytes
from liveness.ipsets.formats.scan import scan_csv, scan_ipset, scan_list
from liveness.ipsets.formats.scan_json import scan_json
from liveness.space.addresses import parse_entry

OCTET = st.integers(0, 260).map(str) | st.sampled_from(["", "00", "01", "1000", "٣", "-1"])
ADDRESS = st.lists(OCTET, min_size=3, max_size=5).map(".".join) | st.builds(
    "{}.{}.{}.{}".format, *[st.integers(0, 255)] * 4
)
LENGTH = st.integers(0, 40).map(str) | st.sampled_from(["", "08", "024"])
NETWORK = st.builds(
    lambda address, length: ".".join(str(address >> length << length >> shift & 255) for shift in (24, 16, 8, 0)),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)
ENTRY = (
    ADDRESS
    | st.builds("{}/{}".format, ADDRESS | NETWORK, LENGTH)
    | st.builds("{}{}-{}{}".format, ADDRESS, st.sampled_from(["", " ", "\t "]), st.sampled_from(["", " "]), ADDRESS)
)


@given(ENTRY)
@example("10.0.0.1/24")
@example("10.0.0.0/24")
@example("0.0.0.0/0")
@example("10.0.0.0/33")
@example("10.0.0.0/08")
@example("10.0.0.7-10.0.0.7")
@example("10.0.0.8 - 10.0.0.7")
@example("10.0.0.256")
@example("010.0.0.1")
def test_entries_are_read_alike(text: str) -> None:
    low, high, at = entry_at(np.frombuffer(text.encode() + b"\n", np.uint8), 0)
    try:
        expected = parse_entry(text)
    except ValueError:
        assert at == NONE or at < len(text.encode())  # a beginning may be an entry: callers look at what follows
    else:
        assert (low, high, at) == (*expected, len(text))


def csv_column(text: Bytes, at: int, low: Bounds, high: Bounds, count: int) -> tuple[int, int]:
    return scan_csv(text, at, low, high, count, 1)


def json_member(text: Bytes, at: int, low: Bounds, high: Bounds, count: int) -> tuple[int, int]:
    return scan_json(text, at, low, high, count, as_bytes(b'"saddr"'))


def ipset_lines(text: Bytes, at: int, low: Bounds, high: Bounds, count: int) -> tuple[int, int]:
    return scan_ipset(text, at, low, high, count, as_bytes(b"add a "))


@pytest.mark.parametrize(
    ("scan", "content"),
    [
        (scan_list, b"# all\r\n 0.0.0.1\t\r\n\n0.0.0.2 # two\n0.0.0.3-0.0.0.3\n"),
        (csv_column, b'synack,0.0.0.1,"a, ""b"""\r\n"x,""",0.0.0.2\r\n\n,"0.0.0.3",\n'),
        (json_member, b'{"a":"\\",{","saddr":"0.0.0.1"}\n{"b":[{"saddr":"x"}], "saddr" : "0.0.0.2"}\r\n\n'),
        (json_member, b'{"saddr":"0.0.0.3","saddr_raw":50331648,"success":1,"ttl":{"saddr":0}}\n'),
        (ipset_lines, b'add a 0.0.0.1\nadd a 0.0.0.2 timeout 3 comment "no, none"\nadd a 0.0.0.3 packets 0 bytes 0\n'),
    ],
)
def test_usual_lines_are_read_by_kernels_alone(scan: Scan, content: bytes) -> None:
    low, high = np.zeros(9, np.uint32), np.zeros(9, np.uint32)
    count, at = scan(as_bytes(content), 0, low, high, 0)
    assert at == len(content)
    assert set(low[:count].tolist()) <= {1, 2, 3}
    assert count == content.count(b"0.0.0.") - content.count(b"-0.0.0.")
    assert np.array_equal(low, high)
