"""Files of runs and censuses: manifests, checkpoints, opt-outs, segments, sets, logs of replies, records."""

import hashlib
import json
import os
import random
import shutil
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from pyroaring import BitMap

from liveness.census.home import Home
from liveness.errors import LivenessError
from liveness.ipsets.portable_index import PortableSet
from liveness.optouts.redacted_logs import redact
from liveness.optouts.stage import finish_redaction
from liveness.packets import pcap
from liveness.replies import REPLY_DTYPE, Kind, ReplyKey, Role
from liveness.replylog import parquet, spool
from liveness.replylog.replytable import ReplyTable
from liveness.replylog.spool import spool_header
from liveness.runs import segment as segments
from liveness.runs.merge import merge
from liveness.runs.optout_record import load_opt_outs
from liveness.runs.rundir import RunDirectory
from liveness.scan.recovery.resume import check_resumable, resume
from liveness.space.intervals import Intervals
from liveness.watch.publishing import MetricsFile
from tests.fuzzing import hostile
from tests.fuzzing.kinds.kind import FileKind, Mutate, Read, coin, fixed, flipped, made, of_json, of_lines
from tests.packets.captures import pcap as pcap_of
from tests.replylog.replies import PROBES, replies

PRINTED: Final[deque[str]] = deque(maxlen=4096)
"""The last tables that were printed in this process: most mutants change few tables, and printing takes long."""
QUERIED: Final = 16
"""One spool in so many is queried as well."""
BLOCKED: Final = Intervals.from_bounds([10 << 24], [(10 << 24) + (1 << 16)])
MEMBERS: Final = BitMap([*range(10 << 24, (10 << 24) + 5000), *range(1 << 20, 1 << 22, 997), 2**32 - 1, 0])
SQL: Final = "SELECT probe, kind, tier, count(*), sum(rtt_ms), max(time) FROM replies GROUP BY ALL"
RECORD: Final = {"schema": 1, "number": 1, "run_id": "one", "state": "begun", "begun": "2026-11-21T00:00:00Z"}
MOVES: Final = {"replace": ["manifest.json", "sets/a.roaring"], "remove": ["segments/0-000001.segment"]}
METRICS: Final = (
    b"# HELP liveness_last_success_timestamp_seconds When the census was complete for the last time.\n"
    b"# TYPE liveness_last_success_timestamp_seconds gauge\n"
    b'liveness_last_success_timestamp_seconds{census="one"} 1763683200\n'
)


def unfinished(folder: Path) -> RunDirectory:
    """Write a run that was interrupted, with everything that such a run has."""
    from liveness.runs.checkpoint import write_checkpoint  # noqa: PLC0415 - loads the scanner
    from liveness.runs.optout_record import KeptOptOuts, write_opt_outs  # noqa: PLC0415
    from liveness.scan.receive.replay import plan_of  # noqa: PLC0415
    from liveness.scan.recovery.resume import beginning  # noqa: PLC0415
    from tests.scan.test_resume_checks import cut_off  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    run = cut_off(folder)
    plan = plan_of(run, run.read_manifest(), "none")
    write_checkpoint(run.checkpoint_path, beginning(plan, run.read_manifest()))
    write_opt_outs(run.path, KeptOptOuts(prefixes=["10.0.2.7/32"]))
    return run


def _unfinished_file(name: str, folder: Path) -> Sequence[bytes]:
    return [(unfinished(folder).path / name).read_bytes()]


def _lay_out_unfinished(work: Path) -> None:
    unfinished(work / "made").path.rename(work / "cut")
    shutil.rmtree(work / "made")


def _lay_out_complete(work: Path) -> None:
    from tests.populations import town  # noqa: PLC0415 - heavy

    town().write(work / "made").path.rename(work / "done")
    shutil.rmtree(work / "made")


def _manifests(folder: Path) -> Sequence[bytes]:
    _lay_out_complete(folder)
    return [(folder / "done" / "manifest.json").read_bytes()]


def read_run(path: Path) -> None:
    """Read a manifest, and if it can be one, analyse its run."""
    from liveness.analysis.document import encode  # noqa: PLC0415 - heavy
    from liveness.analysis.results import analyze_runs  # noqa: PLC0415
    from liveness.report.tables import report_tables  # noqa: PLC0415
    from liveness.report.text import plain_text  # noqa: PLC0415

    run = RunDirectory(path.parent)
    run.read_manifest()
    results = analyze_runs([run])
    encode(results)
    for table in report_tables(results):
        shown = repr(table)
        if shown not in PRINTED:  # printing takes a hundred times as long
            PRINTED.append(shown)
            plain_text([table])


def read_unfinished(path: Path) -> None:
    """Read the manifest, the checkpoint, the key or the targets of an interrupted run."""
    if coin(path):  # the one asks for what the other takes
        check_resumable(path.parent)
        return
    found = os.listdir("/proc/self/fd")  # noqa: PTH208 - names
    resume(path.parent)
    for name in set(os.listdir("/proc/self/fd")) - set(found):  # noqa: PTH208 - the lock, which a scan would keep
        try:
            os.close(int(name))
        except OSError:
            continue


def read_opt_outs(path: Path) -> None:
    """Read what was withdrawn from a run."""
    len(load_opt_outs(path.parent).withdrawn)


def read_segments(path: Path) -> None:
    """Read the segments of a run and merge them."""
    run = RunDirectory(path.parents[1])
    merge(run, run.segments(), [*PROBES, "icmp", "tcp/80"], 2)


def read_spool(path: Path) -> None:
    """Redact a spool, and query some: that takes a hundred times as long."""
    with suppress(FileNotFoundError):  # it has become Parquet meanwhile
        spool.read_spool(path).replies.tobytes()
    if coin(path, QUERIED):
        with ReplyTable(path) as table:
            list(table.query(SQL).rows)
    redact(path, path.with_suffix(".out.spool"), BLOCKED)


def read_replies(path: Path) -> None:
    """Query a Parquet file of replies, and redact it."""
    with ReplyTable(path) as table:
        list(table.query(SQL).rows)
    redact(path, path.with_name("out.parquet"), BLOCKED)


def read_our_capture(path: Path) -> None:
    """Redact a capture of our own."""
    redact(path, path.with_name("out.pcap"), BLOCKED)


def read_record(path: Path) -> None:
    """Read the records of a census."""
    damaged: list[LivenessError] = []
    Home(path.parents[2]).records(damaged.append)
    if damaged:
        raise damaged[0]


def read_moves(path: Path) -> None:
    """Finish what a removal of opted-out data has decided."""
    finish_redaction(RunDirectory(path.parents[1]))


def read_metrics(path: Path) -> None:
    """Take over from the metrics of an earlier scan what outlives it."""
    MetricsFile(path, lambda _: None, "one").open()


def read_run_set(path: Path) -> None:
    """Analyse a complete run of which one set is this file: its manifest has the right digest and count."""
    from liveness.analysis.document import encode  # noqa: PLC0415 - heavy
    from liveness.analysis.results import analyze_runs  # noqa: PLC0415

    content = path.read_bytes() if path.is_file() else b""
    digest = hashlib.sha256(content).hexdigest()
    count = PortableSet.open(path).index.cardinality
    manifest = path.parents[1] / "manifest.json"
    tree = json.loads(manifest.read_bytes())
    for entry in tree["sets"]:
        if entry["file"] == f"sets/{path.name}":
            entry["sha256"], entry["cardinality"] = digest, count
    manifest.write_text(json.dumps(tree))
    run = RunDirectory(path.parents[1])
    for entry in run.read_manifest().sets:
        if entry.file.endswith(path.name):
            with suppress(LivenessError):
                len(run.read_set(entry))
    encode(analyze_runs([run]))


def _run_sets(folder: Path) -> Sequence[bytes]:
    _lay_out_complete(folder)
    members = [BitMap(MEMBERS), BitMap([1]), BitMap(range(70_000)), BitMap(range(0, 1 << 18, 3))]
    members[2].run_optimize()
    own = (folder / "done" / "sets" / "icmp.echo-reply.direct.roaring").read_bytes()
    return [own, *(addresses.serialize() for addresses in members)]


def _reply_files(folder: Path) -> Sequence[bytes]:
    found = []
    for number, content in enumerate(_spools()[1:]):
        path = folder / f"{number}.spool"
        path.write_bytes(content)
        parquet.convert_spool(path)
        found.append(path.with_suffix(".parquet").read_bytes())
    return found


def _segments(folder: Path) -> Sequence[bytes]:
    """Return segments with parts of every form."""
    reply = {"icmp": ReplyKey("icmp", Kind.ECHO_REPLY), "tcp/80": ReplyKey("tcp/80", Kind.ERROR, 3, 13)}
    found = []
    for number, members in enumerate((MEMBERS, BitMap([1, 2]), BitMap(range(70_000)))):
        members.run_optimize()
        tally = segments.Tally(
            messages={"icmp": {"echo-reply": 5}, "tcp/80": {"error-3-13": 2}},
            by_attempt={"icmp": {"echo-reply": [3, 1, 1]}, "tcp/80": {"error-3-13": [2, 0, 0]}},
            top_sources={10 << 24: 7},
            rejected={"bad-cookie": 3},
            packets=10,
        )
        parts = [(segments.PartKey(key, role, 0), members) for key in reply.values() for role in Role]
        payload = ReplyKey("tcp/80", Kind.PAYLOAD)
        parts += [(segments.PartKey(payload, Role.TARGET, 0, protocol), members) for protocol in (0, 4, 255)]
        path = folder / f"{number}.segment"
        segments.write_segment(path, tally, parts, ["0-000001.segment"])
        found.append(path.read_bytes())
    return found


def _of_segment(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return a segment with bytes changed; mostly its checksums are right all the same."""
    seed = chance.choice(seeds)
    if chance.random() < 0.2:
        return hostile.octets(chance, seed, seeds)
    tail = segments._TAIL
    length, _, magic = tail.unpack(seed[-tail.size :])
    body, index = seed[: -tail.size - length], msgspec.msgpack.decode(seed[-tail.size - length : -tail.size])
    if chance.random() < 0.5:
        body = hostile.octets(chance, body, seeds)
    else:
        index["tally"]["busiest"] = {str(key): value for key, value in index["tally"]["busiest"].items()}
        index = hostile.Document.of(index).changed(chance)
    try:
        for part in index["parts"]:
            part[8] = zlib.crc32(body[part[6] : part[6] + part[7]])
    except (KeyError, IndexError, TypeError):
        pass
    try:
        packed = msgspec.msgpack.encode(index)
    except (ValueError, OverflowError, TypeError, RecursionError, msgspec.MsgspecError):
        packed = b"\xc0"
    return body + packed + tail.pack(len(packed), zlib.crc32(packed), magic)


def _of_spool(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return a spool with its header or its records changed."""
    magic, header, body = chance.choice(seeds).split(b"\n", 2)
    if chance.random() < 0.6:
        header = hostile.as_json(chance, hostile.json_document(header).changed(chance))
    else:
        body = hostile.octets(chance, body, ())
    return magic + b"\n" + header + b"\n" + body


def _spools() -> Sequence[bytes]:
    plain = [spool_header(PROBES, REPLY_DTYPE) + replies(count).tobytes() for count in (0, 1, 300)]
    return [*plain, *(_spool_with_data(first_bytes, 40) for first_bytes in (0, 24))]


def _spool_with_data(first_bytes: int, count: int) -> bytes:
    """Return a spool of a run that talked to services."""
    dtype, random = spool.record_dtype(first_bytes), np.random.default_rng(first_bytes)
    records = np.frombuffer(random.bytes(count * dtype.itemsize), dtype).copy()
    for name in REPLY_DTYPE.names or ():
        records[name] = replies(count)[name]
    return spool_header(PROBES, dtype) + records.tobytes()


def _our_captures() -> Sequence[bytes]:
    packets = [(0, bytes(range(60))), (1, bytes(90))]
    return [pcap.HEADER + pcap_of(packets)[len(pcap.HEADER) :]]


def _of_unfinished(
    name: str, file: str, mutate: Mutate, read: Read, seeds: Callable[[Path], Sequence[bytes]] | None = None
) -> FileKind:
    """Return the kind of a file of an interrupted run; its own file is the seed where none are given."""
    made_by = seeds or partial(_unfinished_file, file)
    return FileKind(name, f"cut/{file}", made_by, mutate, read, surroundings=_lay_out_unfinished)


def kinds() -> list[FileKind]:
    """Return the kinds of a run's and a census's files."""
    record = json.dumps(RECORD).encode()
    moves = fixed(json.dumps(MOVES).encode())
    return [
        FileKind("manifest", "done/manifest.json", _manifests, of_json, read_run, ["analyze", "{folder}"],
                 _lay_out_complete),
        _of_unfinished("unfinished manifest", "manifest.json", of_json, read_unfinished),
        _of_unfinished("checkpoint", "checkpoint.json", of_json, read_unfinished),
        _of_unfinished("opt-outs", "opt-outs.json", of_json, read_opt_outs),
        _of_unfinished("targets", "targets.txt", of_lines(b"/"), read_unfinished),
        _of_unfinished("key", "key", flipped, read_unfinished),
        _of_unfinished("moves", ".opt-outs/moves.json", of_json, read_moves, moves),
        _of_unfinished("segment", "segments/0-000001.segment", _of_segment, read_segments, _segments),
        FileKind("record", "census/reports/one/census.json", fixed(record), of_json, read_record,
                 ["census", "list", "census"]),
        FileKind("spool", "a.spool", made(_spools), _of_spool, read_spool, ["replies", "{}"]),
        FileKind("replies", "a.parquet", _reply_files, flipped, read_replies, ["replies", "{}"]),
        FileKind("capture of ours", "ours.pcap", made(_our_captures), flipped, read_our_capture),
        FileKind("set of a run", "done/sets/icmp.echo-reply.direct.roaring", _run_sets, flipped, read_run_set,
                 ["analyze", "done"], _lay_out_complete),
        FileKind("metrics", "liveness.prom", fixed(METRICS), of_lines(b" "), read_metrics),
    ]  # fmt: skip
