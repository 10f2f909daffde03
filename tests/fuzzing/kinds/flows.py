"""Flow files of all formats, the spool of the collector, its templates, and captures that carry exports."""

import bz2
import json
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import lz4.block
import numpy as np
import zstandard

from liveness.flows import formats
from liveness.flows.announced import load, save
from liveness.flows.captures import meter_files
from liveness.flows.exports import Exports
from liveness.flows.record import Notes, empty
from liveness.flows.spool import PART, PART_BYTES, PART_MAGIC, RECORDS, SpoolWriter
from liveness.flows.summary import document_of, lines_of, summarise
from liveness.flows.write import csv_lines, json_lines, write_flows
from tests.flows import silk_files
from tests.flows.flowtuple_files import tuple_of, written
from tests.flows.test_exports import ADDRESSES, ipfix, record_of, set_of, template_of, v9
from tests.flows.test_files import ARGUS_JSON, ZEEK
from tests.fuzzing import hostile
from tests.fuzzing.kinds.kind import FileKind, coin, fixed, flipped, made, of_json, of_json_lines, of_lines
from tests.packets.captures import pcap as pcap_of

SEEDS: Final = Path(__file__).parents[1] / "seeds"
COMPRESSIONS: Final = ("plain", "lzo", "lz4", "bz2", "zstd")
SHOWN_RECORDS: Final = 500
NFDUMP_HEADER_BYTES, NFDUMP_BLOCK_BYTES = 40, 12
NFDUMP_PACKERS: Final[dict[int, Callable[[bytes], bytes]]] = {
    0: bytes,
    2: partial(bz2.compress, compresslevel=1),
    3: partial(lz4.block.compress, store_size=False),
    4: zstandard.ZstdCompressor(level=1).compress,
}
"""By the number in the header: LZO is missing, for nothing here compresses it."""
EXPORT_TOKENS: Final = (
    b"\0\2\0\x0c",
    b"\0\3\0\x10",
    b"\1\0\0\5",
    b"\xff\xff",
    b"\0\x08\0\4",
    b"\x80\1\0\4\0\0\x72\x79",
)


def seed(name: str) -> bytes:
    """Return a file that another program wrote (`tests.fuzzing.make_seeds`)."""
    return (SEEDS / name).read_bytes()


class UnprintableError(Exception):
    """A line for people holds characters that a terminal would obey."""


def check_lines(lines: Sequence[str]) -> None:
    """Raise UnprintableError for a line that is not one line of text."""
    for line in lines:
        if not line.isprintable():
            raise UnprintableError(repr(line[:200]))


def read_flows(path: Path, form: str | None = None, **options: object) -> None:
    """Sum up a flow file as `flows info` does, or print its first records as `flows cat` does."""
    chosen = formats.Options(**options)  # type: ignore[arg-type]
    if coin(path):
        print_flows(path, form, chosen)
        return
    summary = summarise(str(path), form, chosen)
    check_lines(lines_of(summary))
    check_lines(summary.notes.damage)
    check_lines(list(summary.notes.undecoded))
    json.dumps(document_of(summary))


def print_flows(path: Path, form: str | None, chosen: formats.Options) -> None:
    """Print the first records of a flow file."""
    notes = Notes()
    left = SHOWN_RECORDS
    for batch in formats.read_all([str(path)], form, notes, chosen):
        flows = batch[:left]
        csv_lines(flows, notes.exporter_names())
        json_lines(flows, notes.exporter_names())
        left -= len(flows)
        if left == 0:
            break


def read_metered(path: Path) -> None:
    """Meter the packets of a capture."""
    notes = Notes()
    for batch in meter_files([str(path)], notes, 15.0, 300.0, 1 << 10):
        csv_lines(batch[:SHOWN_RECORDS], notes.exporter_names())
    check_lines(notes.damage)


def read_templates(path: Path) -> None:
    """Take over what exporters have announced, decode exports by it, and write it back."""
    exports = Exports(Notes())
    load(exports, path)
    for datagram in datagrams():
        exports.feed(datagram, "192.0.2.9")
    exports.finish()
    exports.take()
    save(exports, path)
    check_lines(exports.notes.exporter_names())


def datagrams() -> list[bytes]:
    """Return messages with templates, options, data before its template and fields of variable length."""
    fields = [*ADDRESSES, (2, 8, 7), (152, 8, 1_700_000_000_000), (1 << 16 | 5, 4, 9), (4, 1, 6)]
    variable = struct.pack(">HHHHHH", 257, 2, 8, 4, 1, 0xFFFF)
    options = struct.pack(">HHH", 258, 2, 1) + struct.pack(">HHHH", 149, 4, 34, 4)
    v9_options = struct.pack(">HHH", 258, 4, 4) + struct.pack(">HHHH", 1, 4, 34, 4)
    return [
        ipfix(set_of(2, template_of(fields)), set_of(256, record_of(fields) * 3)),
        ipfix(set_of(2, variable), set_of(257, b"\x0a\0\0\1\1\7" * 2), sequence=3),
        ipfix(set_of(3, options), set_of(258, bytes(7) + b"\x64"), set_of(256, record_of(fields)), sequence=5),
        ipfix(set_of(259, bytes(20)), set_of(2, template_of(fields, 259)), sequence=6),
        v9(set_of(0, template_of(fields[:3])), set_of(256, record_of(fields[:3]))),
        v9(set_of(1, v9_options), set_of(258, bytes(7) + b"\x64"), sequence=1),
    ]


def _exports(version: int) -> Sequence[bytes]:
    own = [datagram for datagram in datagrams() if datagram[1] == version]
    return [seed(f"softflowd-v{version}"), *([b"".join(own), *own] if own else [])]


def _captured() -> Sequence[bytes]:
    from scapy.layers.inet import IP, UDP  # noqa: PLC0415 - heavy
    from scapy.layers.l2 import Ether  # noqa: PLC0415

    frames = [
        bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="192.0.2.9", dst="192.0.2.1")
              / UDP(sport=9, dport=2055) / datagram)
        for datagram in (*datagrams(), seed("softflowd-v5")[:600])
    ]  # fmt: skip
    return [pcap_of(list(enumerate(frames)))]


def _templates(folder: Path) -> Sequence[bytes]:
    exports = Exports(Notes())
    for datagram in datagrams():
        exports.feed(datagram, "192.0.2.9")
    save(exports, folder / "templates.json")
    return [(folder / "templates.json").read_bytes()]


def _records(count: int) -> np.ndarray:
    flows = empty(count)
    flows["start_ns"] = 1_700_000_000_000_000_000 + np.arange(count) * 10**9
    flows["end_ns"] = flows["start_ns"] + 5
    flows["packets"], flows["bytes"], flows["protocol"] = 3, 120, 6
    flows["src"], flows["dst"], flows["dport"] = 10 << 24, np.arange(count), 80
    return flows


def _written(suffix: str, folder: Path) -> Sequence[bytes]:
    found = []
    for count in (0, 5, 200):
        notes = Notes()
        notes.exporter("192.0.2.9")
        path = folder / f"{count}{suffix}"
        write_flows([_records(count)] if count else [], notes, path)
        found.append(path.read_bytes())
    return found


def _spools(folder: Path) -> Sequence[bytes]:
    notes = Notes()
    writer = SpoolWriter(folder / "a.spool", notes)
    for count in (1, 5):
        notes.exporter(f"192.0.2.{count}")
        writer.append(_records(count))
    writer.close()
    return [(folder / "a.spool").read_bytes()]


def _of_spool(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return a spool with parts changed; mostly their checksums are right all the same."""
    content = chance.choice(seeds)
    if chance.random() < 0.2:
        return hostile.octets(chance, content, seeds)
    parts, at = [], 8
    while at < len(content):
        _, kind, size, _ = struct.unpack_from(PART, content, at)
        length = size * empty(0).itemsize if kind == RECORDS else size
        parts.append((kind, content[at + PART_BYTES : at + PART_BYTES + length]))
        at += PART_BYTES + length
    place = chance.randrange(len(parts))
    kind, part = parts[place]
    if kind != RECORDS and chance.random() < 0.6:
        parts[place] = kind, hostile.as_json(chance, hostile.json_document(part).changed(chance))
    elif chance.random() < 0.2:
        chance.shuffle(parts)
    else:
        parts[place] = kind, hostile.octets(chance, part, ())
    packed = content[:8]
    for kind, part in parts:
        size = len(part) // empty(0).itemsize if kind == RECORDS else len(part)
        whole = part[: size * empty(0).itemsize] if kind == RECORDS else part
        packed += struct.pack(PART, PART_MAGIC, kind, size, zlib.crc32(whole)) + whole
    return packed


def _of_nfdump(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return a file of nfdump: bytes of it changed, or records within its blocks, which are compressed again."""
    if chance.random() < 0.5:
        return hostile.octets(chance, chance.choice(seeds), seeds)
    plain = seed("nfdump-plain")
    number = chance.choice(list(NFDUMP_PACKERS))
    content = bytearray(plain[:NFDUMP_HEADER_BYTES])
    content[16] = number
    at = NFDUMP_HEADER_BYTES
    while at < len(plain):
        records, size, kind, flags = struct.unpack_from("<IIHH", plain, at)
        block = plain[at + NFDUMP_BLOCK_BYTES : at + NFDUMP_BLOCK_BYTES + size]
        at += NFDUMP_BLOCK_BYTES + size
        if chance.random() < 0.7:
            block = hostile.octets(chance, block, ())
        if kind in (3, 4) and not flags & 1:
            block = NFDUMP_PACKERS[number](block)
        content += struct.pack("<IIHH", records, len(block), kind, flags) + block
    return bytes(content)


def _silk_seeds() -> Sequence[bytes]:
    rows = [(10**12 + n, 5, 1, 80, 6, 2, 3, 120, n, 2) for n in range(20)]
    found = []
    for record_format, version, size in ((0x16, 5, 52), (0x0C, 1, 88), (0x0C, 3, 100)):
        for big in (True, False):
            records = [
                silk_files.generic(row, big=big) if version == 5 else silk_files.routing(row, version, big=big)
                for row in rows
            ]
            for packed in (0, 1):
                head = silk_files.header(record_format, version, size, packed, big=big)
                found.append(head + (silk_files.blocks(records, 7) if packed else b"".join(records)))
    return found


def _flowtuples() -> Sequence[bytes]:
    records = [tuple_of(src_ip=number * 65_537, packet_cnt=number) for number in range(20)]
    return [written(records, codec) for codec in ("null", "deflate", "snappy")]


def _zeek_json() -> bytes:
    names = ZEEK.splitlines()[5].split("\t")[1:]
    rows = [line.split("\t") for line in ZEEK.splitlines() if not line.startswith("#")]
    lines = [json.dumps({name: cell for name, cell in zip(names, row, strict=True) if cell != "-"}) for row in rows]
    return "\n".join(lines).encode()


def kinds() -> list[FileKind]:
    """Return the kinds of flow files."""
    return [
        FileKind("nfdump", "a.nfcapd", fixed(*(seed(f"nfdump-{name}") for name in COMPRESSIONS)),
                 _of_nfdump, read_flows, ["flows", "info", "{}"]),
        *(
            FileKind(f"netflow v{version}" if version < 10 else "ipfix", f"a.v{version}",
                     made(partial(_exports, version)), flipped, read_flows, tokens=EXPORT_TOKENS)
            for version in (5, 9, 10)
        ),
        FileKind("captured exports", "a.pcap", made(_captured), flipped,
                 partial(read_flows, export_ports=(2055,)), tokens=EXPORT_TOKENS),
        FileKind("silk flows", "a.rw", made(_silk_seeds), flipped, read_flows, ["flows", "info", "{}"]),
        FileKind("flowtuple", "a.avro", made(_flowtuples), flipped, read_flows, ["flows", "info", "{}"]),
        FileKind("zeek tsv", "conn.log", fixed(ZEEK.encode()), of_lines(b"\t"), partial(read_flows, form="zeek-tsv"),
                 ["flows", "info", "{}"]),
        FileKind("zeek json", "conn.json", fixed(_zeek_json()), of_json_lines, partial(read_flows, form="zeek-json")),
        FileKind("argus csv", "argus.csv", fixed(seed("argus.csv")), of_lines(b","),
                 partial(read_flows, form="argus-csv")),
        FileKind("argus json", "argus.json", fixed(ARGUS_JSON.encode()), of_lines(b","), read_flows,
                 tokens=(b":0x0008", b'"stime":', b"null", b'{"ArgusData":[')),
        FileKind("flows csv", "flows.csv", partial(_written, ".csv"), of_lines(b","), partial(read_flows, form="csv"),
                 ["flows", "cat", "{}"]),
        FileKind("flows parquet", "flows.parquet", partial(_written, ".parquet"), flipped,
                 partial(read_flows, form="parquet")),
        FileKind("flow spool", "flows.spool", _spools, _of_spool, read_flows, ["flows", "info", "{}"]),
        FileKind("templates", "templates.json", _templates, of_json, read_templates),
    ]  # fmt: skip
