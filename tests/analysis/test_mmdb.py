"""MaxMind databases: what MaxMind's own reader finds in sound ones is found; damaged ones are named, within bounds."""

from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import Any

import maxminddb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveness.analysis.counting.mmdb import MARKER, DamagedError, Data, Database
from liveness.analysis.counting.prefix_data import partition_by
from liveness.errors import UsageError
from tests.analysis.mmdb import Network, database, encoded, node

records = st.fixed_dictionaries({}, optional={
    "asn": st.integers(0, 2**32 - 1) | st.text(max_size=5),
    "country": st.fixed_dictionaries({"iso_code": st.text(max_size=3)}),
    "other": st.lists(st.lists(st.text(max_size=3), max_size=3), max_size=3),
})  # fmt: skip


@st.composite
def disjoint(draw: st.DrawFn) -> dict[Network, Any]:
    """Return networks that do not overlap, each with a record."""
    lengths = draw(st.lists(st.integers(8, 32), max_size=12))
    return {IPv4Network(((place + 1) << 24, length)): draw(records) for place, length in enumerate(lengths)}


@settings(max_examples=60)
@given(disjoint(), st.sampled_from([4, 6]), st.sampled_from([24, 28, 32]))
def test_it_finds_what_the_reader_of_maxmind_finds(
    tmp_path_factory: pytest.TempPathFactory, networks: dict[Network, Any], version: int, record_bits: int
) -> None:
    file = tmp_path_factory.mktemp("mmdb") / "a.mmdb"
    content = database(networks, version=version, record_bits=record_bits)
    file.write_bytes(content)
    with maxminddb.open_database(str(file), maxminddb.MODE_FILE) as judge:
        theirs = {str(network): record for network, record in judge}
    ours = Database.of(content)
    data = Data(ours.content[ours.data_at :])
    found = {
        f"{IPv4Network((base, length))}": data.value(place)[0]
        for bases, length, places in ours.networks()
        for base, place in zip(bases.tolist(), places.tolist(), strict=True)
    }
    assert found == theirs == {str(network): record for network, record in networks.items()}


def with_tree(nodes: list[list[int]], data: bytes) -> bytes:
    """Return a database with any tree."""
    empty = database({})
    tree = b"".join(node(sides, 24) for sides in nodes)
    metadata = empty[empty.index(MARKER) :].replace(
        encoded("node_count") + encoded(1), encoded("node_count") + encoded(len(nodes))
    )
    return tree + bytes(16) + data + metadata


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (with_tree([[0, 0]], b""), "leads back to itself"),
        (with_tree([[1, 1], [0, 1]], b""), "leads back to itself"),
        (with_tree([[n + 1, 100] for n in range(99)] + [[0, 100]], b""), "below single addresses"),
        (with_tree([[17, 1]], b"\x20\x00"), "a pointer to a pointer"),
        (with_tree([[17, 1]], b"\xe1" + encoded("asn") + b"\x01\x04" * 40), "nested too deeply"),
        (with_tree([[17, 1]], b"\xff\xff\xff\xff"), "the file ends within"),
        (with_tree([[5, 1]], b""), "the file ends within"),
        (with_tree([[17, 1]], b"\xe1\x44asn"), "the file ends within"),
        (with_tree([[17, 1]], b"\xe1\xa1\x01\xa1\x01"), "a name that is no text"),
        (with_tree([[17, 1]], encoded({"asn": 1})[:-1] + b"\xff")[:-40], "the file ends within"),
    ],
)
def test_what_is_damaged_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "a.mmdb"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=words):
        partition_by("asn", file)


def test_records_that_share_one_large_value_are_read_in_time(tmp_path: Path) -> None:
    """A map of maps, each of which is named twice by the next: 2^30 values if each were followed."""
    data = encoded({"iso_code": "DE"})
    begins = [0]
    for _ in range(30):
        pointer = bytes([0x20 | begins[-1] >> 8, begins[-1] & 255])
        begins.append(len(data))
        data += b"\xe2" + encoded("a") + pointer + encoded("b") + pointer
    top = len(data)
    data += b"\xe1" + encoded("asn") + bytes([0x20 | begins[-1] >> 8, begins[-1] & 255])
    file = tmp_path / "a.mmdb"
    file.write_bytes(with_tree([[1 + 16 + top, 1]], data))
    with pytest.raises(UsageError, match="more values than the file has room for"):
        partition_by("asn", file)


def test_one_record_for_all_of_ipv4(tmp_path: Path) -> None:
    file = tmp_path / "a.mmdb"
    file.write_bytes(database({ip_network("::/96"): {"asn": 7}}, version=6))
    assert partition_by("asn", file).names == [None, "7"]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (b"\x68" + (1).to_bytes(8, "big"), 0.0),
        (b"\x04\x08" + b"\x3f\x80\x00\x00", 1.0),
        (b"\x01\x07", True),
        (b"\x04\x01\xff\xff\xff\xff", -1),
        (b"\x01\x01\x07", 7),
        (b"\x82ab", None),
        (b"\x5d\x00" + b"x" * 29, "x" * 29),
        (b"\x5e\x00\x00" + b"x" * 285, "x" * 285),
    ],
)
def test_kinds_of_values(value: bytes, wanted: object) -> None:
    found, end = Data(value).value(0)
    assert found == pytest.approx(wanted) if isinstance(wanted, float) else found == wanted
    assert end == len(value)


@pytest.mark.parametrize("value", [b"", b"\x00\x00", b"\x42\xff\xff", b"\xa3abc", b"\x61a", b"\x20"])
def test_values_that_are_none(value: bytes) -> None:
    with pytest.raises(DamagedError):
        Data(value).value(0)
