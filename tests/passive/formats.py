"""Drawn records in every format of flow files, each with the records that the format can say.

The writers follow the formats' documents and share no code with the readers of `flows/`. What a format cannot hold is
left out or rounded here, in plain Python, so that the judge of figures has what was written.
"""

from __future__ import annotations

import ipaddress
import json
import struct
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from liveness.flows.record import FLOW_DTYPE, Flows, Notes
from liveness.flows.spool import SpoolWriter
from liveness.lab.traffic.exports import export_capture
from tests.flows import flowtuple_files, nfcapd_files, silk_files
from tests.passive.judge import ACK, FIN, ICMP, PSH, RST, SYN, TCP, UDP, Record, write_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

MS = 10**6
SECOND = 10**9


@dataclass(frozen=True)
class Written:
    """A format: the name under which its reader is registered, and how to write records in it."""

    form: str
    write: Callable[[Path, list[Record], int], list[Record]]
    """Writes records to files below a folder, in a variant that a number chooses; returns those that the files hold."""


def number_of(address: str) -> int:
    return int(ipaddress.ip_address(address))


def by_exporter(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Return records by their exporter, in order."""
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        found[record.exporter].append(record)
    return found


# ---- our own tables and spools


def csv(folder: Path, records: list[Record], _variant: int) -> list[Record]:
    write_csv(folder / "flows.csv", records)
    return records


def parquet(folder: Path, records: list[Record], _variant: int) -> list[Record]:
    """Write the CSV's columns as Parquet, numbers as numbers."""
    write_csv(folder / "flows.txt", records)
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT * FROM read_csv('{folder / 'flows.txt'}', types = {{start: VARCHAR, \"end\": VARCHAR}}))"
            f" TO '{folder / 'flows.parquet'}' (FORMAT parquet)"
        )
    (folder / "flows.txt").unlink()
    return records


def flows_of(records: list[Record]) -> tuple[Flows, Notes]:
    """Return records as an array, and the names of their exporters."""
    flows, notes = np.zeros(len(records), FLOW_DTYPE), Notes()
    for row, record in zip(flows, records, strict=True):
        row["start_ns"], row["end_ns"] = record.start, record.end
        row["src"], row["dst"] = number_of(record.src), number_of(record.dst)
        for name in ("sport", "dport", "protocol", "packets", "bytes", "flags"):
            row[name] = getattr(record, name)
        row["exporter"] = notes.exporter(record.exporter)
    return flows, notes


def spool(folder: Path, records: list[Record], _variant: int) -> list[Record]:
    """Write what a collector keeps; the name is one that a folder's files may have."""
    writer = SpoolWriter(folder / "flows.left", flows_of(records)[1])
    writer.append(flows_of(records)[0])
    writer.close()
    return records


# ---- exports


def exported(version: str, folder: Path, records: list[Record], variant: int) -> list[Record]:
    """Write datagrams in a capture of them, where exporters are addresses."""
    flows, _ = flows_of(records)
    (folder / "exports.pcap").write_bytes(b"".join(export_capture(flows, version, late_template=variant % 2 == 1)))
    return records


def messages(version: str, folder: Path, records: list[Record], _variant: int) -> list[Record]:
    """Write the datagrams one after another, in a file for each exporter."""
    for name, own in by_exporter(records).items():
        flows, _ = flows_of(own)
        frames = list(export_capture(flows, version, late_template=False))[1:]
        # a capture's record of 16 bytes, and the headers of Ethernet, IPv4 and UDP
        (folder / f"{name}.messages").write_bytes(b"".join(frame[16 + 14 + 20 + 8 :] for frame in frames))
    return records


# ---- files of nfdump and SiLK


def nfcapd(folder: Path, records: list[Record], variant: int) -> list[Record]:
    content = nfcapd_files.written(records, nfcapd_files.COMPRESSIONS[variant % 4], big=variant % 3 == 0)
    (folder / "nfcapd.202311142200").write_bytes(content)
    return records


def silk(folder: Path, records: list[Record], variant: int) -> list[Record]:
    """Write a file for each sensor, in one of the three layouts."""
    big = variant % 2 == 0
    for name, own in by_exporter(records).items():
        rows: list[silk_files.Row] = [
            (each.start // MS, (each.end - each.start) // MS, each.sport, each.dport, each.protocol, each.flags,
             each.packets, each.bytes, number_of(each.src), number_of(each.dst))
            for each in own
        ]  # fmt: skip
        layout = variant % 3
        if layout == 0:
            head, parts = (0x16, 5, 52), [silk_files.generic(row, big=big) for row in rows]
        else:
            version, size = ((1, 88), (3, 100))[layout - 1]
            head, parts = (0x0C, version, size), [silk_files.routing(row, version, big=big) for row in rows]
        packed = variant % 4 >= 2
        content = silk_files.blocks(parts, 100) if packed else b"".join(parts)
        (folder / f"{name}.rw").write_bytes(silk_files.header(*head, int(packed), big=big) + content)
    return records


# ---- tables with both directions in a row


LETTERS = {"s": SYN, "h": SYN | ACK, "a": ACK, "d": PSH | ACK, "f": FIN | ACK, "r": RST}
NAMES = {1: "icmp", 6: "tcp", 17: "udp"}


@dataclass(frozen=True)
class Row:
    """A record, and the one of the opposite direction that shares its row."""

    forward: Record
    back: Record | None = None


def answer_of(kind: int) -> int:
    """Return the ICMP type and code of the answer that a row of both directions implies."""
    return kind - 8 * 256 if kind // 256 == 8 else kind + 256 if kind // 256 in (13, 17) else kind


def rows_of(records: list[Record]) -> list[Row]:
    """Return rows: a record that answers an earlier one, within a minute, shares its row and so has its times."""
    rows: list[Row] = []
    waiting: dict[tuple[object, ...], int] = {}
    for record in sorted(records, key=lambda each: each.start):
        ports, opposite = (record.sport, record.dport), (record.dport, record.sport)
        if record.protocol == ICMP:
            ports, opposite = (0, answer_of(record.dport)), (0, record.dport)
        at = waiting.pop((record.src, record.dst, *opposite, record.protocol), None)
        if at is not None and record.start - rows[at].forward.start < 60 * SECOND:
            first = rows[at].forward
            rows[at] = Row(first, replace(record, start=first.start, end=first.end, reverse=True))
            continue
        waiting[record.dst, record.src, *ports, record.protocol] = len(rows)
        rows.append(Row(record))
    return rows


def histories(row: Row) -> tuple[Row, str]:
    """Return a row with the flags that letters of a history can say, and its history."""
    letters = ""
    sides = []
    for record, form in ((row.forward, str.upper), (row.back, str.lower)):
        if record is None or record.protocol != TCP:
            sides.append(record)
            continue
        known = [letter for letter, flags in LETTERS.items() if record.flags & flags == flags]
        letters += "".join(map(form, known))
        flags = 0
        for letter in known:
            flags |= LETTERS[letter]
        sides.append(replace(record, flags=flags))
    forward, back = sides
    assert forward is not None
    return Row(forward, back), letters


def seconds(time_ns: int) -> str:
    return f"{time_ns // SECOND}.{time_ns % SECOND // 1000:06}"


def tables(folder: Path, records: list[Record], form: str, line: Callable[[Row, str], str], head: str) -> list[Record]:
    """Write a table for each exporter; return the records in them."""
    held: list[Record] = []
    for name, own in by_exporter(records).items():
        lines = []
        for row, history in map(histories, rows_of(own)):
            lines.append(line(row, history))
            held += [row.forward] if row.back is None else [row.forward, row.back]
        (folder / f"{name}.{form}").write_text(head + "".join(f"{each}\n" for each in lines))
    return held


ZEEK = (
    "ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "duration", "history", "orig_pkts",
    "orig_ip_bytes", "resp_pkts", "resp_ip_bytes", "ip_proto",
)  # fmt: skip
ZEEK_HEAD = (
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n"
    + "\t".join(("#fields", *ZEEK))
    + "\n"
)
ZEEK_TEXTS = ("uid", "id.orig_h", "id.resp_h", "proto", "history")


def zeek_cells(row: Row, history: str) -> dict[str, str]:
    """Return the cells of a line of conn.log; `-` where one is not set."""
    forward, back = row.forward, row.back
    ports = divmod(forward.dport, 256) if forward.protocol == ICMP else (forward.sport, forward.dport)
    lasted = forward.end - forward.start
    cells = (
        seconds(forward.start), "C1", forward.src, ports[0], forward.dst, ports[1],
        NAMES.get(forward.protocol, "unknown_transport"), seconds(lasted) if lasted else "-", history or "-",
        forward.packets, forward.bytes, back.packets if back else 0, back.bytes if back else 0, forward.protocol,
    )  # fmt: skip
    return dict(zip(ZEEK, map(str, cells), strict=True))


def zeek_tsv(folder: Path, records: list[Record], _variant: int) -> list[Record]:
    return tables(folder, records, "log", lambda row, said: "\t".join(zeek_cells(row, said).values()), ZEEK_HEAD)


def as_json(cells: dict[str, str], texts: Iterable[str]) -> str:
    """Return cells as an object; those that are no texts are numbers as they stand."""
    return ",".join(f'"{name}":{json.dumps(cell) if name in texts else cell}' for name, cell in cells.items())


def zeek_json(folder: Path, records: list[Record], _variant: int) -> list[Record]:
    def line(row: Row, history: str) -> str:
        cells = {name: cell for name, cell in zeek_cells(row, history).items() if cell != "-"}
        return f"{{{as_json(cells, ZEEK_TEXTS)}}}"

    return tables(folder, records, "json.log", line, "")


ARGUS = {
    "StartTime": "stime", "LastTime": "ltime", "Proto": "proto", "SrcAddr": "saddr", "Sport": "sport", "Dir": "dir",
    "DstAddr": "daddr", "Dport": "dport", "SrcPkts": "spkts", "DstPkts": "dpkts", "SrcBytes": "sbytes",
    "DstBytes": "dbytes", "State": "state",
}  # fmt: skip
ARGUS_TEXTS = ("proto", "saddr", "dir", "daddr", "state")
ARGUS_NAMES = {**NAMES, 47: "gre", 89: "ospf"}


def argus_cells(row: Row) -> dict[str, str]:
    """Return the cells of a line of ra. An ICMP type is the low byte of a hexadecimal port, its code the high one."""
    forward, back = row.forward, row.back
    sport, dport = str(forward.sport), str(forward.dport)
    if forward.protocol == ICMP:
        sport, dport = f"0x{(forward.dport & 255) << 8 | forward.dport >> 8:04x}", ""
    elif forward.protocol not in (TCP, UDP):
        sport = dport = ""
    cells = (
        seconds(forward.start), seconds(forward.end), ARGUS_NAMES[forward.protocol], forward.src, sport,
        "<->" if back else " ->", forward.dst, dport, forward.packets, back.packets if back else 0, forward.bytes,
        back.bytes if back else 0, "CON",
    )  # fmt: skip
    return dict(zip(ARGUS, map(str, cells), strict=True))


def without_flags(records: list[Record]) -> list[Record]:
    return [replace(record, flags=0) for record in records]


def argus_csv(folder: Path, records: list[Record], _variant: int) -> list[Record]:
    head = ",".join(ARGUS) + "\n"
    return tables(folder, without_flags(records), "csv", lambda row, _said: ",".join(argus_cells(row).values()), head)


def argus_json(folder: Path, records: list[Record], _variant: int) -> list[Record]:
    def line(row: Row, _history: str) -> str:
        cells = {ARGUS[name]: cell for name, cell in argus_cells(row).items() if cell}
        return f'{{ "type":"flow",{as_json(cells, ARGUS_TEXTS)} }}'

    return tables(folder, without_flags(records), "json", line, "")


# ---- tuples of a telescope, and packets


def flowtuple(folder: Path, records: list[Record], variant: int) -> list[Record]:
    """Write one file: a telescope sees each flow once. Times are whole seconds, bytes multiples of the packets."""
    held: list[Record] = []
    tuples = []
    for record in records:
        length = record.bytes // record.packets
        start = record.start // SECOND * SECOND
        held.append(replace(record, start=start, end=start, bytes=length * record.packets, exporter="e1"))
        ports = divmod(record.dport, 256) if record.protocol == ICMP else (record.sport, record.dport)
        tuples.append(
            flowtuple_files.tuple_of(
                time=start // SECOND, src_ip=number_of(record.src), dst_ip=number_of(record.dst), src_port=ports[0],
                dst_port=ports[1], protocol=record.protocol, tcp_flags=record.flags, ip_len=length,
                packet_cnt=record.packets,
            )
        )  # fmt: skip
    codec = ("null", "deflate")[variant % 2]
    (folder / "tuples.avro").write_bytes(flowtuple_files.written(tuples, codec))
    return held


IDLE_NS, ACTIVE_NS = 15 * SECOND, 300 * SECOND
HEADERS = {TCP: 40, UDP: 28, ICMP: 28}


def packets_of(record: Record) -> Iterator[tuple[int, int]]:
    """Yield time and IP length of a record's packets, evenly spread."""
    size = max(HEADERS.get(record.protocol, 20), record.bytes // record.packets)
    for at in range(record.packets):
        yield record.start + (record.end - record.start) * at // max(1, record.packets - 1), size


def frame_of(record: Record, time_ns: int, size: int) -> bytes:
    """Return a packet as a capture has it that keeps headers only."""
    if record.protocol == TCP:
        transport = struct.pack("!HHIIBBHHH", record.sport, record.dport, 0, 0, 0x50, record.flags, 0, 0, 0)
    elif record.protocol == UDP:
        transport = struct.pack("!HHHH", record.sport, record.dport, size - 20, 0)
    else:
        transport = struct.pack("!BBHI", *divmod(record.dport, 256), 0, 0) if record.protocol == ICMP else b""
    ends = number_of(record.src), number_of(record.dst)
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, size, 0, 0, 64, record.protocol, 0, *ends)
    frame = bytes(12) + b"\x08\x00" + ip + transport
    return struct.pack("<IIII", *divmod(time_ns, SECOND), len(frame), 14 + size) + frame


def metered(timed: list[tuple[int, int, Record]]) -> Iterator[Record]:
    """Yield the records of a meter over packets in order: by a dictionary, after the documented timeouts."""
    live: dict[tuple[object, ...], Record] = {}
    for now, size, record in timed:
        key = (record.src, record.dst, record.sport, record.dport, record.protocol)
        flow = live.get(key)
        if flow is not None and (now - flow.end > IDLE_NS or now - flow.start >= ACTIVE_NS):
            yield live.pop(key)
            flow = None
        if flow is None:
            live[key] = replace(record, start=now, end=now, packets=1, bytes=size)
        else:
            flow.end, flow.packets, flow.bytes = now, flow.packets + 1, flow.bytes + size
            flow.flags |= record.flags
    yield from live.values()


def capture(folder: Path, records: list[Record], _variant: int) -> list[Record]:
    """Write a capture for each exporter, with times in ns."""
    held: list[Record] = []
    for name, own in by_exporter(records).items():
        timed = sorted(
            ((now, size, record) for record in own for now, size in packets_of(record)), key=lambda each: each[0]
        )
        frames = (frame_of(record, now, size) for now, size, record in timed)
        head = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 1 << 16, 1)
        (folder / f"{name}.pcap").write_bytes(b"".join(chain((head,), frames)))
        held += metered(timed)
    return held


SHARED = (
    Written("csv", csv),
    Written("parquet", parquet),
    Written("spool", spool),
    Written("nfcapd", nfcapd),
    Written("silk", silk),
    Written("zeek-tsv", zeek_tsv),
    Written("zeek-json", zeek_json),
    Written("argus-csv", argus_csv),
    Written("argus-json", argus_json),
    Written("flowtuple", flowtuple),
    Written("capture", capture),
)
EXPORTS = (
    Written("capture", partial(exported, "v5")),
    Written("capture", partial(exported, "v9")),
    Written("capture", partial(exported, "ipfix")),
)
MESSAGES = (
    Written("netflow-v5", partial(messages, "v5")),
    Written("netflow-v9", partial(messages, "v9")),
    Written("ipfix", partial(messages, "ipfix")),
)


def formats_for(variant: int) -> tuple[Written, ...]:
    """Return the formats of a variant: exports come in a capture or as files of messages by turns."""
    return (*SHARED, *(MESSAGES if variant % 2 else EXPORTS))
