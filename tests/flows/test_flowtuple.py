"""FlowTuple files as fastavro writes them: what we read is what was written; damage is named, and nothing grows."""

import zlib
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from liveness.errors import UsageError
from liveness.flows import formats
from liveness.flows.avro import MAGIC, MOST_BLOCK_BYTES
from liveness.flows.record import BATCH_RECORDS, PROTOCOL_ICMP, Flows, Notes
from tests.flows.flowtuple_files import NAMES, tuple_of, written
from tests.flows.traffic import joined


def read(path: Path, data: bytes) -> tuple[Flows, Notes]:
    path.write_bytes(data)
    notes = Notes()
    return joined(list(formats.recognise(str(path)).read(str(path), notes, formats.Options()))), notes


RECORD = st.builds(
    tuple_of,
    time=st.integers(0, 2**32 - 1), src_ip=st.integers(0, 2**32 - 1), dst_ip=st.integers(0, 2**32 - 1),
    src_port=st.integers(0, 65535), dst_port=st.integers(0, 65535), protocol=st.integers(0, 255),
    tcp_flags=st.integers(0, 255), ip_len=st.integers(0, 65535), packet_cnt=st.integers(0, 2**32 - 1),
    prefix2asn=st.integers(0, 2**32 - 1), netacq_country=st.text(max_size=3),
)  # fmt: skip


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy"])
@given(records=st.lists(RECORD, max_size=40))
@settings(max_examples=25, deadline=None)
def test_what_fastavro_writes_is_read(
    codec: str, records: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    flows, notes = read(tmp_path_factory.mktemp("avro") / "flows.avro", written(records, codec))
    assert (notes.undecoded, notes.damage) == ({}, [])
    assert len(flows) == len(records)
    for row, record in zip(flows, records, strict=True):
        assert int(row["start_ns"]) == int(row["end_ns"]) == record["time"] * 10**9
        assert (int(row["src"]), int(row["dst"])) == (record["src_ip"], record["dst_ip"])
        ports = record["src_port"], record["dst_port"]
        if record["protocol"] == PROTOCOL_ICMP:
            ports = 0, record["src_port"] % 256 * 256 + record["dst_port"] % 256
        assert (int(row["sport"]), int(row["dport"])) == ports
        assert (int(row["protocol"]), int(row["flags"])) == (record["protocol"], record["tcp_flags"])
        packets = record["packet_cnt"]
        assert (int(row["packets"]), int(row["bytes"])) == (packets, packets * record["ip_len"])


def test_impossible_values_are_counted(tmp_path: Path) -> None:
    flows, notes = read(tmp_path / "a", written([tuple_of(src_port=-1), tuple_of(protocol=256), tuple_of(ttl=-7)]))
    assert len(flows) == 1
    assert notes.undecoded == {"records with impossible values": 2}


def test_a_file_cut_anywhere_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    records = [tuple_of(src_ip=number) for number in range(100)]
    data = written(records)
    for end in range(len(data) // 2, len(data), 37):
        flows, notes = read(tmp_path / "a", data[:end])
        assert flows["src"].tolist() == list(range(len(flows)))
        assert len(flows) < 100
        assert len(notes.damage) <= 1
    flows, notes = read(tmp_path / "a", data[:-1])
    assert 0 < len(flows) < 100
    assert "cut short" in notes.damage[0]


def test_blocks_of_zstandard(tmp_path: Path) -> None:
    """This fastavro has no zstandard: the only block is compressed by hand, and the codec's name replaced."""
    data = written([tuple_of(src_ip=7)])
    sync = data[-16:]
    head, block, _ = data.split(sync)
    head = head.replace(zigzag(4) + b"null", zigzag(9) + b"zstandard")
    packed = zstandard.ZstdCompressor().compress(block[len(zigzag(1)) + len(zigzag(len(block))) :])
    flows, notes = read(tmp_path / "a", head + sync + zigzag(1) + zigzag(len(packed)) + packed + sync)
    assert (flows["src"].tolist(), notes.damage) == ([7], [])


def test_a_wrong_checksum_of_snappy_is_damage(tmp_path: Path) -> None:
    data = bytearray(written([tuple_of()], "snappy"))
    data[-17] ^= 1
    flows, notes = read(tmp_path / "a", bytes(data))
    assert len(flows) == 0
    assert "checksum" in notes.damage[0]


def test_a_claim_of_snappy_is_refused_before_it_is_allocated(tmp_path: Path) -> None:
    data = written([tuple_of()], "snappy")
    bomb = b"\xff\xff\xff\xff\x0f" + bytes(8)
    _, notes = read(tmp_path / "a", data + zigzag(1) + zigzag(len(bomb)) + bomb + data[-16:])
    assert "larger than" in notes.damage[0]


def test_a_wrong_count_of_records_is_damage(tmp_path: Path) -> None:
    """The block's count is the byte after the header's sync marker: one record, and a claim of 60."""
    data = bytearray(written([tuple_of()]))
    sync = bytes(data[-16:])
    at = data.index(sync) + 16
    assert data[at] == 2
    data[at] = 120
    flows, notes = read(tmp_path / "a", bytes(data))
    assert len(flows) == 1
    assert "has 1 of 60 records" in notes.damage[0]


def test_a_block_that_grows_is_refused(tmp_path: Path) -> None:
    data = written([tuple_of()], "deflate")
    sync = data[-16:]
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = pack.compress(bytes(MOST_BLOCK_BYTES + 1)) + pack.flush()
    block = zigzag(1 << 40) + zigzag(len(bomb)) + bomb + sync
    flows, notes = read(tmp_path / "a", data + block)
    assert len(flows) == 1
    assert "larger than" in notes.damage[0]


def test_a_large_block_comes_in_batches(tmp_path: Path) -> None:
    """A record of zeros takes a byte a field: the block has two batches, five records more, and claims many more."""
    data = written([tuple_of()], "deflate")
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = pack.compress(bytes((2 * BATCH_RECORDS + 5) * len(NAMES) + 1)) + pack.flush()
    path = tmp_path / "a"
    path.write_bytes(data + zigzag(1 << 40) + zigzag(len(zeros)) + zeros + data[-16:])
    notes = Notes()
    batches = formats.recognise(str(path)).read(str(path), notes, formats.Options())
    assert [len(batch) for batch in batches] == [1, BATCH_RECORDS, BATCH_RECORDS, 5]
    assert f"has {2 * BATCH_RECORDS + 5:,} of {1 << 40:,} records" in notes.damage[0]


def zigzag(value: int) -> bytes:
    value <<= 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (MAGIC + b"flowtuple", "header"),
        (MAGIC + zigzag(1) + zigzag(1 << 40) + b"flowtuple", "claims"),
        (MAGIC + zigzag(1) + zigzag(9) + b"flowtuple" + zigzag(0) + zigzag(0) + bytes(16), "schema"),
        (written([{"flowtuple": 1}], schema={"type": "record", "name": "x",
                                             "fields": [{"name": "flowtuple", "type": ["int", "null"]}]}), "simple"),
        (written([{"time": 1, "dst_net": 2}], schema={"type": "record", "name": "flowtuple", "fields": [
            {"name": "time", "type": "long"}, {"name": "dst_net", "type": "long"}]}), "version 4"),
    ],
)  # fmt: skip
def test_other_files_are_refused_in_one_line(data: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        read(tmp_path / "odd.avro", data)
    assert "odd.avro" in str(caught.value)
    assert "\n" not in str(caught.value)
