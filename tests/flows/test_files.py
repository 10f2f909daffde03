"""Files of flows in formats whose tools are not in Debian, built by hand; damage; tables; what is written is read."""

import json
import re
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from liveness.cli.flows import command as flows_command
from liveness.errors import LivenessError, UsageError
from liveness.flows import formats
from liveness.flows.announced import load
from liveness.flows.exports import Exports
from liveness.flows.lzo import DamagedError, lzo1x_decompress
from liveness.flows.record import FLOW_DTYPE, Flows, Notes, empty
from liveness.flows.spool import TORN, SpoolWriter
from liveness.flows.summary import lines_of, summarise
from liveness.flows.write import write_flows
from tests.flows import silk_files
from tests.flows.silk_files import Row
from tests.flows.traffic import joined, totals_of

silk_rows = st.lists(
    st.tuples(
        st.integers(0, 2**41), st.integers(0, 2**32 - 1), st.integers(0, 65535), st.integers(0, 65535),
        st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1),
    ),
    max_size=30,
)  # fmt: skip


def read(path: Path, notes: Notes | None = None, **options: object) -> Flows:
    form = formats.recognise(str(path))
    return joined(list(form.read(str(path), notes or Notes(), formats.Options(**options))))  # type: ignore[arg-type]


@settings(max_examples=40)
@given(silk_rows, st.booleans(), st.sampled_from([(0x16, 5), (0x0C, 1), (0x0C, 3)]), st.booleans())
def test_silk(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], big: bool, kind: tuple[int, int], packed: bool
) -> None:
    record_format, version = kind
    records = [
        silk_files.generic(row, big=big) if version == 5 else silk_files.routing(row, version, big=big) for row in rows
    ]
    record_bytes = {5: 52, 1: 88, 3: 100}[version]
    assert all(len(record) == record_bytes for record in records)
    head = silk_files.header(record_format, version, record_bytes, int(packed), big=big)
    path = tmp_path_factory.mktemp("silk") / "flows.rw"
    path.write_bytes(head + (silk_files.blocks(records, 7) if packed else b"".join(records)))
    flows = read(path)
    names = ("sport", "dport", "protocol", "flags", "packets", "bytes", "src", "dst")
    assert [tuple(int(row[name]) for name in names) for row in flows] == [row[2:] for row in rows]
    assert (flows["start_ns"] // 10**6).tolist() == [row[0] for row in rows]
    assert ((flows["end_ns"] - flows["start_ns"]) // 10**6).tolist() == [row[1] for row in rows]
    assert set(flows["input"].tolist()) <= {1}
    assert set(flows["output"].tolist()) <= {2}


def test_silk_says_what_it_does_not_read(tmp_path: Path) -> None:
    row = (10**12, 5, 1, 2, 6, 2, 3, 120, 1, 2)
    path = tmp_path / "flows.rw"
    path.write_bytes(
        silk_files.header(0x0C, 1, 88, 0, big=True)
        + silk_files.routing(row, 1, big=True, ipv6=True)
        + silk_files.routing(row, 1, big=True)[:-1]
    )
    notes = Notes()
    assert len(read(path, notes)) == 0
    assert notes.undecoded == {"IPv6 records": 1}
    assert len(notes.damage) == 1
    assert "within a record" in notes.damage[0]
    path.write_bytes(silk_files.header(0x16, 2, 52, 0, big=True))
    with pytest.raises(UsageError, match="rwcat --compression=none"):
        read(path)
    path.write_bytes(silk_files.header(0x16, 5, 52, 3, big=True))
    with pytest.raises(UsageError, match="snappy"):
        read(path)


ZEEK = """#separator \\x09
#set_separator\t,
#empty_field\t(empty)
#unset_field\t-
#path\tconn
#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes
#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tinterval\tstring\tcount\tcount\tcount\tcount
1300475167.096535\tC1\t141.142.220.202\t5353\t224.0.0.251\t5353\tudp\t-\tD\t1\t73\t0\t0
1300475168.853899\tC2\t141.142.220.118\t43927\t141.142.2.2\t80\ttcp\t1.5\tShADadFf\t5\t366\t4\t1117
1300475169.000001\tC3\t10.0.0.1\t8\t10.0.0.2\t0\ticmp\t0.25\t-\t2\t168\t2\t168
1300475169.780331\tC4\tfe80::1\t131\tff02::1\t130\ticmp\t-\t-\t1\t76\t0\t0
#close\t2011-03-18-20-00-00
"""


def test_zeek_in_both_shapes(tmp_path: Path) -> None:
    """Both directions of a row are records; flags come from the history's letters; ICMP's ports are type and code."""
    tsv, ndjson = tmp_path / "conn.log", tmp_path / "conn.json"
    tsv.write_text(ZEEK)
    names = ZEEK.splitlines()[5].split("\t")[1:]
    numbers = {"ts": float, "id.orig_p": int, "id.resp_p": int, "duration": float, "orig_pkts": int, "resp_pkts": int}
    with ndjson.open("w") as file:
        for line in ZEEK.splitlines():
            if not line.startswith("#"):
                cells = zip(names, line.split("\t"), strict=True)
                row = {name: numbers.get(name, str)(value) for name, value in cells if value != "-"}
                file.write(json.dumps(row) + "\n")
    wanted = {
        ("141.142.220.202", "224.0.0.251", 5353, 5353, 17): (1, 73),
        ("141.142.220.118", "141.142.2.2", 43927, 80, 6): (5, 366),
        ("141.142.2.2", "141.142.220.118", 80, 43927, 6): (4, 1117),
        ("10.0.0.1", "10.0.0.2", 0, 2048, 1): (2, 168),
        ("10.0.0.2", "10.0.0.1", 0, 0, 1): (2, 168),
    }
    for path in (tsv, ndjson):
        notes = Notes()
        flows = read(path, notes)
        assert totals_of(flows) == wanted
        assert notes.undecoded == {"IPv6 records": 1}
        web = flows[flows["dport"] == 80]
        assert int(web["flags"][0]) == 0x02 | 0x10 | 0x18 | 0x11
        assert int(web["end_ns"][0] - web["start_ns"][0]) == 1_500_000_000
        assert int(web["start_ns"][0]) == 1_300_475_168_853_899_000
        assert int(flows[flows["sport"] == 80]["flags"][0]) == 0x12 | 0x10 | 0x18 | 0x11


def test_a_csv_with_columns_of_other_names(tmp_path: Path) -> None:
    path = tmp_path / "flows.csv"
    path.write_text(
        "ts,te,sa,da,sp,dp,pr,pkt,byt\n"
        "2026-11-01T00:00:00.25Z,2026-11-01T00:00:01Z,10.0.0.1,192.0.2.1,5000,80,TCP,3,120\n"
        "1761955200.5,,10.0.0.2,192.0.2.1,,,47,1,60\n"
        "yesterday,,10.0.0.2,192.0.2.1,,,47,1,60\n"
        "1761955200.5,,10.0.0.256,192.0.2.1,,,47,1,60\n"
    )
    with pytest.raises(UsageError, match="no column 'start' for start: it has ts, te"):
        read(path)
    names = {"start": "ts", "end": "te", "src": "sa", "dst": "da", "sport": "sp", "dport": "dp", "protocol": "pr",
             "packets": "pkt", "bytes": "byt"}  # fmt: skip
    notes = Notes()
    flows = read(path, notes, columns=names)
    assert notes.undecoded == {"rows without time, address or protocol": 2}
    assert totals_of(flows) == {
        ("10.0.0.1", "192.0.2.1", 5000, 80, 6): (3, 120),
        ("10.0.0.2", "192.0.2.1", 0, 0, 47): (1, 60),
    }
    assert int(flows["end_ns"][0] - flows["start_ns"][0]) == 750_000_000
    assert int(flows["start_ns"][1]) == 1_761_955_200_500_000_000


ARGUS = """StartTime,LastTime,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,SrcPkts,DstPkts,SrcBytes,DstBytes,State
1300475168.5,1300475169.5,tcp,10.0.0.1,5000,->,10.0.0.2,80,3,0,120,0,FIN
1300475168.5,1300475169.5,tcp,10.0.0.1,5001,->,10.0.0.2,80,3,0,120,0,FIN
1300475168.5,1300475169.5,tcp,10.0.0.1,5002,->,10.0.0.2,80,3,0,120,0,FIN
"""
CSV = """start,src,dst,protocol,exporter,packets
1300475168,10.0.0.1,10.0.0.2,6,"a,b",1
1300475168,10.0.0.2,10.0.0.3,6,"a,b",2
1300475168,10.0.0.3,10.0.0.4,6,"a,b",3
"""
ZEEK_TSV = ZEEK.replace("#close\t2011-03-18-20-00-00\n", "")
ZEEK_JSON = "".join(
    json.dumps(
        {"ts": 1300475168.5, "id.orig_h": f"10.0.0.{n}", "id.resp_h": "10.0.1.1", "proto": "tcp", "orig_pkts": 1}
    )
    + "\n"
    for n in range(1, 4)
)


@pytest.mark.parametrize("text", [CSV, CSV.replace("\n", "\r\n"), ARGUS, ZEEK_TSV, ZEEK_JSON])
def test_a_text_that_is_cut_in_its_last_line_gives_the_rows_before_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "flows"
    whole = text.encode()
    before = b"".join(whole.splitlines(keepends=True)[:-1])
    path.write_bytes(before)
    wanted = read(path)
    assert len(wanted)
    damaged = 0
    for size in range(len(before), len(whole) + 1, 1 if text.startswith("start,") else 3):
        path.write_bytes(whole[:size])
        notes = Notes()
        flows = read(path, notes)
        assert flows[: len(wanted)].tobytes() == wanted.tobytes(), size
        assert len(notes.damage) <= 1
        assert all("cannot be read: left out" in line for line in notes.damage)
        damaged += len(notes.damage)
    assert damaged > 10


@pytest.mark.parametrize(
    ("text", "odd"),
    [(CSV, b"1,2\n"), (CSV, b"\xff,\xff,\xff\n"), (ARGUS, b"1,2\n"), (ZEEK_TSV, b"1\t2\n"), (ZEEK_JSON, b"x\n")],
)
def test_odd_lines_are_left_out_and_named(tmp_path: Path, text: str, odd: bytes) -> None:
    path = tmp_path / "flows"
    *before, last = text.encode().splitlines(keepends=True)
    path.write_bytes(text.encode())
    wanted = read(path)
    path.write_bytes(b"".join(before) + odd + last)
    notes = Notes()
    assert read(path, notes).tobytes() == wanted.tobytes()
    at = f"line {len(before) + 1} at byte {len(b''.join(before))}" if text is not ZEEK_JSON else "1 line"
    assert notes.damage == [f"{path}: {at} cannot be read: left out"]
    path.write_bytes(b"".join(before) + odd * 100 + last)
    notes = Notes()
    assert read(path, notes).tobytes() == wanted.tobytes()
    assert len(notes.damage) == (1 if text is ZEEK_JSON else 11)


def test_impossible_times_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "flows"
    path.write_text(CSV + "9999999999,10.0.0.3,10.0.0.4,6,e,3\n" + "2400-01-01T00:00:00Z,10.0.0.3,10.0.0.4,6,e,3\n")
    notes = Notes()
    assert len(read(path, notes)) == 3
    assert notes.undecoded == {"rows without time, address or protocol": 2}
    assert not notes.damage
    path.write_text(ZEEK_TSV + ZEEK_TSV.splitlines()[-3].replace("1.5", "9000000000") + "\n")
    flows = read(path)
    assert flows["end_ns"][flows["sport"] == 43927].tolist() == [1_300_475_170_353_899_000, 1_300_475_168_853_899_000]


def test_delimiters_and_comments_that_only_a_guess_finds(tmp_path: Path) -> None:
    path = tmp_path / "flows"
    path.write_text(CSV)
    wanted = read(path)
    form = formats.format_named("csv")
    for text in (CSV.replace(",", ";").replace("a;b", "a,b"), "# flows, of today\n" + CSV, "\ufeff" + CSV):
        path.write_text(text)
        assert joined(list(form.read(str(path), Notes(), formats.Options()))).tobytes() == wanted.tobytes()
    path.write_text('start,src,dst,protocol,packets,"open\n1300475168,10.0.0.1,10.0.0.2,6,1,x\n')
    assert len(read(path)) == 1


def flows_of(rows: list[tuple[int, ...]]) -> Flows:
    flows = empty(len(rows))
    names = ("start_ns", "end_ns", "packets", "bytes", "src", "dst", "sport", "dport", "protocol", "flags")
    for place, row in enumerate(rows):
        for name, value in zip(names, row, strict=True):
            flows[name][place] = value
    return flows


records = st.lists(
    st.tuples(
        st.integers(0, 2**61), st.integers(0, 2**61), st.integers(0, 2**63), st.integers(0, 2**63),
        st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 65535), st.integers(0, 65535),
        st.integers(0, 255), st.integers(0, 255),
    ),
    max_size=20,
)  # fmt: skip


@settings(max_examples=30)
@given(
    records,
    st.sampled_from([".csv", ".parquet"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=8),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, ...]], suffix: str, exporter: str
) -> None:
    path = tmp_path_factory.mktemp("written") / f"flows{suffix}"
    notes = Notes()
    flows = flows_of(rows)
    flows["exporter"] = notes.exporter(exporter)
    assert write_flows([flows], notes, path) == len(rows)
    again = Notes()
    back = read(path, again)
    names = [name for name in FLOW_DTYPE.names or () if name != "exporter"]
    assert back[names].tolist() == flows[names].tolist()
    if rows:
        assert again.exporter_names() == [exporter]


@settings(max_examples=30)
@given(st.lists(records, max_size=4), st.integers(0, 200))
def test_a_spool_cut_anywhere_gives_what_was_whole(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[tuple[int, ...]]], cut: int
) -> None:
    path = tmp_path_factory.mktemp("spool") / "flows.spool"
    notes = Notes()
    notes.exporter("a")
    writer = SpoolWriter(path, notes)
    for part in parts:
        writer.append(flows_of(part))
    writer.close()
    whole = read(path)
    assert len(whole) == sum(map(len, parts))
    content = path.read_bytes()
    path.write_bytes(content[: max(8, len(content) - cut)])
    again = Notes()
    back = read(path, again)
    assert back.tolist() == whole[: len(back)].tolist()
    if len(back) < len(whole):
        kept = max(8, len(content) - cut)
        torn = again.undecoded.get(TORN, 0)
        assert torn or again.damage == []  # cut between parts, nothing shows
        assert torn <= kept - 8
    (path.parent / "odd").write_bytes(b"LVFLOW1\n" + b"\x0f\xf1\x10\x1f\x01\0\0\0\xff\xff\xff\xff\0\0\0\0")
    again = Notes()
    assert len(read(path.parent / "odd", again)) == 0
    assert len(again.damage) == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b"\x7fELF", "it begins with 7f454c46"),
        (b"\x0c\xa5\x01\x00" + bytes(40), "layout 1"),
        (b"\x00\x05\x00\x00" + bytes(40), "it begins with 00050000"),
    ],
)
def test_what_is_no_flow_file_is_refused_by_name(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=says):
        read(path)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_lzo_of_noise_is_damaged_or_fits(noise: bytes, limit: int) -> None:
    with suppress(DamagedError):
        assert len(lzo1x_decompress(noise, limit)) <= limit


def test_a_block_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    """A zero run of LZO and of zlib: some bytes that claim gigabytes."""
    path = tmp_path / "flows.rw"
    zeros = silk_files.blocks([bytes(1 << 22)], 1)
    path.write_bytes(silk_files.header(0x16, 5, 52, 1, big=True) + zeros)
    notes = Notes()
    assert len(read(path, notes)) == 0
    assert "no compressed block" in notes.damage[0]
    with pytest.raises(DamagedError):
        lzo1x_decompress(b"\x11\x01" + b"\x20" + bytes(10_000) + b"\x01\x00\x00\x11\x00\x00", 1 << 16)


def spool_of(names: bytes) -> bytes:
    return b"LVFLOW1\n" + struct.pack("<IIII", 0x1F10F10F, 2, len(names), zlib.crc32(names)) + names


@pytest.mark.parametrize("names", [b"[", b"\xff", b'["\xed\xa0\x80"]', b"[" * 100_000, b'{"a": 1}', b"[1]"])
def test_names_in_a_spool_that_are_none(tmp_path: Path, names: bytes) -> None:
    path = tmp_path / "a.spool"
    path.write_bytes(spool_of(names))
    notes = Notes()
    assert len(read(path, notes)) == 0
    assert "has no names" in notes.damage[0]


def test_names_of_exporters_move_no_cursor(tmp_path: Path) -> None:
    path = tmp_path / "flows.csv"
    path.write_text("start,src,dst,protocol,packets,exporter\n1,10.0.0.1,10.0.0.2,6,1,a\x1b[2Jb\n")
    lines = lines_of(summarise(str(path), None, formats.Options()))
    assert all(line.isprintable() for line in lines)
    assert any("a\\x1b[2Jb" in line for line in lines)
    printed = CliRunner().invoke(flows_command, ["cat", str(path)]).output
    assert "a\\x1b[2Jb" in printed
    assert "\x1b" not in printed


@pytest.mark.parametrize("content", [b"[", b'{"schema": "\xff"}', b"[" * 100_000, b"{}", b'{"schema":1,"domains":[1]}'])
def test_templates_that_are_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "templates.json"
    path.write_bytes(content)
    with pytest.raises(LivenessError, match=rf"{path}: "):
        load(Exports(Notes()), path)


ARGUS_JSON = (Path(__file__).parent / "files" / "ra.json").read_text()
"""Lines as ra of argus-clients 5.0.3 prints them, with what its settings make of a field without a value."""


def test_what_ra_prints_in_json(tmp_path: Path) -> None:
    path = tmp_path / "argus.json"
    path.write_text(ARGUS_JSON + '{ "type":"flow","stime":17000')
    notes = Notes()
    flows = read(path, notes)
    assert totals_of(flows) == {
        ("192.0.2.9", "10.0.2.3", 443, 6000, 6): (3, 178),
        ("10.0.2.3", "192.0.2.9", 6000, 443, 6): (2, 120),
        ("192.0.2.1", "10.0.0.1", 0, 8 * 256, 1): (1, 98),
        ("10.0.0.1", "192.0.2.1", 0, 0, 1): (1, 98),
        ("192.0.2.7", "10.0.0.1", 0, 3 * 256 + 1, 1): (1, 70),
        ("10.0.0.1", "224.0.0.18", 0, 0, 112): (1, 60),
    }
    assert (flows["marks"] & 1).tolist() == [0, 1, 0, 1, 0, 0]
    assert int(flows["start_ns"][0]) == 1_700_000_000_035_223_000
    assert int(flows["end_ns"][0]) == 1_700_000_001_500_000_000
    assert notes.undecoded == {"IPv6 records": 1, "rows without time, address or protocol": 2}
    assert notes.damage == [f"{path}: line 8 at byte {len(ARGUS_JSON):,} cannot be read: left out"]
    wrapped = ",\n".join(line for line in ARGUS_JSON.splitlines() if '"flow"' in line)
    path.write_text(f'{{"ArgusData":[{wrapped}]}}')  # as the project's own example has it
    assert read(path).tolist() == flows.tolist()


def ra_row(kind: str, protocol: str) -> str:
    """Return a line of ra."""
    return (
        f'{{ "type":"{kind}","stime":1700000000.5,"ltime":1700000001.5,"proto":"{protocol}","saddr":"192.0.2.9",'
        '"sport":53,"daddr":"10.0.2.3","dport":6000,"spkts":3,"dpkts":0,"sbytes":178,"dbytes":0 }\n'
    )


def test_protocols_that_ra_names_in_its_own_way(tmp_path: Path) -> None:
    path = tmp_path / "ra.json"
    numbers = {"rtp": 17, "rtcp": 17, "udt": 17, "ipnip": 4, "ipv6": 41}
    path.write_text("".join(ra_row("flow", name) for name in numbers))
    notes = Notes()
    assert read(path, notes)["protocol"].tolist() == list(numbers.values())
    assert not notes.undecoded


def test_flows_of_other_sensors_that_ra_prints(tmp_path: Path) -> None:
    """Those that come from NetFlow or are aggregated have types of their own; what is about the sensor is no flow."""
    path = tmp_path / "ra.json"
    path.write_text("".join(ra_row(kind, "udp") for kind in ("evnt", "nflo", "aflo", "man", "flow", "supp", "supp")))
    notes = Notes()
    assert len(read(path, notes)) == 3
    assert notes.undecoded == {"rows that are no flows": 2}


@pytest.mark.parametrize(
    ("field", "ends_ns", "left_out"),
    [("stime", [1_700_000_001_500_000_000] * 2, 2), ("ltime", [1_700_000_000_500_000_000] * 2, 0)],
)
def test_times_of_argus_beyond_the_year_2262_are_none(
    tmp_path: Path, field: str, ends_ns: list[int], left_out: int
) -> None:
    path = tmp_path / "ra.json"
    row = (
        '{ "type":"flow","stime":1700000000.5,"ltime":1700000001.5,"proto":"udp","saddr":"192.0.2.9","sport":53,'
        '"daddr":"10.0.2.3","dport":6000,"spkts":3,"dpkts":2,"sbytes":178,"dbytes":120 }\n'
    )
    path.write_text(row + re.sub(rf'"{field}":\d+', f'"{field}":9900000000', row))
    notes = Notes()
    flows = read(path, notes)
    assert flows["end_ns"].tolist()[-2:] == ends_ns
    assert notes.undecoded.total() == left_out


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"spkts":3,"dpkts":2,', '"pkts":5,', r"line 2: no spkts: print it with ra -r FILE -M json -u -n -s stime"),
        ('"stime":1700000000.035223', '"stime":"22:13:20.035223"', "line 2: stime: '22:13:20.035223' is no number of"),
    ],
)
def test_other_columns_of_ra_are_refused_with_the_command(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "argus.json"
    path.write_text(ARGUS_JSON.replace(old, new))
    with pytest.raises(UsageError, match=says):
        read(path)


def test_a_table_of_ra_without_a_column_is_refused_with_the_command(tmp_path: Path) -> None:
    path = tmp_path / "argus.csv"
    path.write_text(ARGUS.replace("LastTime", "Dur"))
    with pytest.raises(UsageError, match=rf"{path}: no column 'LastTime': print it with ra -r FILE -c, -u -n -s stime"):
        read(path)


def test_both_outputs_of_ra_give_the_same_flows(tmp_path: Path) -> None:
    """The CSV of a flow and its JSON, of which ra leaves out fields without a value."""
    names = {"StartTime": "stime", "LastTime": "ltime", "Proto": "proto", "SrcAddr": "saddr", "Sport": "sport",
             "Dir": "dir", "DstAddr": "daddr", "Dport": "dport", "SrcPkts": "spkts", "DstPkts": "dpkts",
             "SrcBytes": "sbytes", "DstBytes": "dbytes", "State": "state"}  # fmt: skip
    rows = [
        "1700000000.246325,1700000000.246325,icmp,192.0.2.1,0x0008, ->,10.0.0.1,0x0000,1,0,227,0,ECO",
        "1700000003.826962,1700000003.826962,icmp,192.0.2.1,0x0000,<-,10.0.1.16,0x0000,0,1,0,190,ECR",
        "1700000000.035223,1700000000.035223,tcp,192.0.2.9,443, ?>,10.0.2.3,443,1,5,78,500,CON",
    ]
    table, objects = tmp_path / "argus.csv", tmp_path / "argus.json"
    table.write_text("\n".join([",".join(names), *rows, ""]))
    with objects.open("w") as file:
        for row in rows:
            cells = zip(names.values(), row.split(","), strict=True)
            texts = [
                f'"{name}":{value if value[0].isdigit() and value.count(".") < 2 else json.dumps(value)}'
                for name, value in cells
                if value != "0x0000"
            ]
            file.write('{ "type":"flow",' + ",".join(texts) + " }\n")
    assert sorted(read(table).tolist()) == sorted(read(objects).tolist())
