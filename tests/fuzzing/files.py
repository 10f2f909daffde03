"""The kinds of files that the tool reads: real ones as seeds, how they are mutated, and what reads them.

What reads a file may return, or raise a LivenessError whose text is one line without control characters: nothing else,
within memory and time, and nothing may change outside the run's directory.
"""

import bz2
import gzip
import json
import lzma
import random
import shutil
import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import yaml
from pyroaring import BitMap

from liveness.analysis.counting.prefix_data import partition_by
from liveness.census.home import Home
from liveness.config.blocklists import read_list
from liveness.config.load import load_config, resolve_targets
from liveness.config.model import Config, TargetLists, to_document
from liveness.errors import ConfigWarning, LivenessError
from liveness.ipsets.files import Reader, write_set
from liveness.ipsets.formats.codec import PLAIN
from liveness.ipsets.formats.table import FORMATS
from liveness.optouts.redacted_logs import redact
from liveness.optouts.redaction import finish_redaction
from liveness.packets import pcap
from liveness.packets.capture import count_packets
from liveness.replies import REPLY_DTYPE, Kind, ReplyKey, Role
from liveness.replylog import spool
from liveness.replylog.replytable import ReplyTable
from liveness.replylog.spool import MAGIC as SPOOL_MAGIC
from liveness.replylog.spool import spool_header
from liveness.runs import segment as segments
from liveness.runs.merge import merge
from liveness.runs.optouts import load_opt_outs
from liveness.runs.rundir import RunDirectory
from liveness.scan.recovery.resume import check_resumable, resume
from liveness.space.intervals import Intervals
from liveness.space.prefixes import read_prefixes
from tests.fuzzing import hostile
from tests.golden.captures import DIRECTORY, TABLES
from tests.ipsets.silk_files import silk_file
from tests.packets.captures import pcap as pcap_of
from tests.packets.captures import pcapng
from tests.replylog.replies import PROBES, replies

ROOT: Final = Path(__file__).parents[2]
Mutate = Callable[[random.Random, Sequence[bytes]], bytes]
QUERIED: Final = 16
"""One in so many."""
BLOCKED: Final = Intervals.from_bounds([10 << 24], [(10 << 24) + (1 << 16)])
MEMBERS: Final = BitMap([*range(10 << 24, (10 << 24) + 5000), *range(1 << 20, 1 << 22, 997), 2**32 - 1, 0])


@dataclass(frozen=True)
class FileKind:
    """One kind of file: its name in a folder, real ones, how to change them, and what reads one."""

    name: str
    file: str
    seeds: Sequence[bytes]
    mutate: Mutate
    read: Callable[[Path], object]
    command: Sequence[str] = field(default=())
    """What reads it from the command line; {} stands for the file."""


def flipped(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return one of the seeds with bytes changed."""
    return hostile.octets(chance, chance.choice(seeds), seeds)


def of_json(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return one of the documents with values changed."""
    return hostile.as_json(chance, hostile.document(chance, json.loads(chance.choice(seeds))))


def of_yaml(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return a config with values or bytes changed, as YAML or JSON."""
    seed = chance.choice(seeds)
    if chance.random() < 0.3:
        return hostile.octets(chance, seed, seeds)
    tree = hostile.document(chance, yaml.safe_load(seed))
    if chance.random() < 0.5:
        return hostile.as_json(chance, tree)
    return yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass")


def zipped(inner: Mutate, pack: Callable[[bytes], bytes]) -> Mutate:
    """Return what changes either the content of a compressed file, or its bytes."""

    def mutate(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
        packed = pack(inner(chance, seeds))
        return hostile.octets(chance, packed, ()) if chance.random() < 0.5 else packed

    return mutate


def of_segment(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
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
        index = hostile.document(chance, index)
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


def of_spool(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return a spool with its header or its records changed."""
    seed = chance.choice(seeds)
    magic, header, body = seed.split(b"\n", 2)
    if chance.random() < 0.6:
        header = hostile.as_json(chance, hostile.document(chance, json.loads(header)))
    else:
        body = hostile.octets(chance, body, ())
    return magic + b"\n" + header + b"\n" + body


def of_silk(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return an IPset with bytes changed, now and then with a block that grows."""
    if chance.random() < 0.05:
        size = chance.choice((1 << 10, 1 << 20, 1 << 24))
        packed = zlib.compress(chance.choice((b"\0", b"\xff")) * size, 1)
        head = next(seed for seed in seeds if seed[7] == 1)[:16] + struct.pack(">II", 0, 8)
        told = chance.choice((size, 36, 1 << 20, 1 << 31))
        return head + struct.pack(">II", len(packed), told) + packed
    return flipped(chance, seeds)


def read_set(path: Path, form: str | None = None) -> None:
    """Read a set, and use it."""
    found = Reader(form).read(str(path)).addresses
    len(found & MEMBERS)
    found.serialize()


def read_config(path: Path) -> None:
    """Read a config and the lists it names."""
    resolve_targets(load_config(path, environment={}), lab=True)


def read_run(path: Path) -> None:
    """Read a manifest, and if it can be one, analyse its run."""
    from liveness.analysis.document import encode  # noqa: PLC0415 - heavy
    from liveness.analysis.results import analyze_runs  # noqa: PLC0415
    from liveness.report.text import tables_text  # noqa: PLC0415

    run = RunDirectory(path.parent)
    run.read_manifest()
    results = analyze_runs([run])
    encode(results)
    tables_text(results)


def read_unfinished(path: Path) -> None:
    """Read the manifest, the checkpoint or the opt-outs of a run that was cut off."""
    import os  # noqa: PLC0415

    check_resumable(path.parent)
    found = os.listdir("/proc/self/fd")  # noqa: PTH208
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
    read = spool.read_spool(path)
    read.replies.tobytes()
    if zlib.crc32(path.read_bytes()) % QUERIED == 0:
        with ReplyTable(path) as table:
            list(table.query("SELECT probe, kind, tier, count(*), sum(rtt_ms) FROM replies GROUP BY ALL").rows)
    redact(path, path.with_suffix(".out.spool"), BLOCKED)


def read_capture(path: Path) -> None:
    """Read a capture to its end."""
    count_packets(path)


def read_our_capture(path: Path) -> None:
    """Redact a capture of our own."""
    redact(path, path.with_name("out.pcap"), BLOCKED)


def read_record(path: Path) -> None:
    """Read the records of a census."""
    Home(path.parents[2]).records(lambda _: None)


def read_moves(path: Path) -> None:
    """Finish what a removal of opted-out data has decided."""
    finish_redaction(RunDirectory(path.parents[1]))


def formats(folder: Path) -> dict[str, bytes]:
    """Return one set in every format that is written."""
    written = {}
    for name, form in FORMATS.items():
        path = folder / f"a{form.suffixes[0] if form.suffixes else '.txt'}"
        write_set(str(path), BitMap(list(MEMBERS)[::37]), form, PLAIN)
        written[name] = path.read_bytes()
    return written


def unfinished(folder: Path) -> RunDirectory:
    """Write a run that was cut off, with everything that such a run has."""
    from liveness.runs.checkpoint import write_checkpoint  # noqa: PLC0415
    from liveness.runs.optouts import KeptOptOuts, write_opt_outs  # noqa: PLC0415
    from liveness.scan.receive.replay import plan_of  # noqa: PLC0415
    from liveness.scan.recovery.resume import beginning  # noqa: PLC0415
    from tests.scan.test_going_on import cut_off  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    run = cut_off(folder)
    plan = plan_of(run, run.read_manifest(), "none")
    write_checkpoint(run.checkpoint_path, beginning(plan, run.read_manifest()))
    write_opt_outs(run.path, KeptOptOuts(prefixes=["10.0.2.7/32"]))
    return run


def segment_seeds(folder: Path) -> list[bytes]:
    """Return segments with parts of every form."""
    reply = {
        "icmp": ReplyKey("icmp", Kind.ECHO_REPLY),
        "tcp/80": ReplyKey("tcp/80", Kind.ERROR, 3, 13),
    }
    found = []
    for number, members in enumerate((MEMBERS, BitMap([1, 2]), BitMap(range(70_000)))):
        members.run_optimize()
        tally = segments.Tally(
            messages={"icmp": {"echo-reply": 5}, "tcp/80": {"error-3-13": 2}},
            by_attempt={"icmp": {"echo-reply": [3, 1, 1]}, "tcp/80": {"error-3-13": [2, 0, 0]}},
            busiest={10 << 24: 7},
            rejected={"bad-cookie": 3},
            packets=10,
        )
        parts = [(segments.PartKey(key, role, 0), members) for key in reply.values() for role in Role]
        path = folder / f"{number}.segment"
        segments.write_segment(path, tally, parts, ["0-000001.segment"])
        found.append(path.read_bytes())
    return found


def kinds(folder: Path) -> list[FileKind]:
    """Return all kinds; seeds are made below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    starting = (ROOT / "liveness" / "config" / "starting.yaml").read_bytes()
    full = yaml.safe_dump(to_document(Config(name="full", targets=TargetLists(allow=("10.0.0.0/24",))))).encode()
    ours = [path.read_bytes() for path in sorted((ROOT / "configs").glob("*.yaml"))]
    configs = [full, starting, *(content for content in ours if b"targets:" in content)]
    run = unfinished(folder / "unfinished")
    texts = formats(folder)
    pcaps = [(DIRECTORY / f"{name}.pcap").read_bytes() for name in TABLES]
    packets = [bytes(range(60)), bytes(90)]
    ng = [pcapng(list(enumerate(packets)))]
    prefixes = [b"".join(b"1.%d.%d.0\t24\t%d\n" % (n >> 8, n & 255, n) for n in range(400)), b"10.0.0.0 8 64512_7\n"]
    lists = [texts["text"], texts["ranges"], b"# who, why\n10.0.0.0/8 # 2026-01-02, me, asked\n10.0.0.1-10.0.0.9\n\n"]
    spools = [spool_header(PROBES, REPLY_DTYPE) + replies(n).tobytes() for n in (0, 1, 300)]
    assert spools[0].startswith(SPOOL_MAGIC)
    silks = [
        silk_file([(10, 4000), (2**31, 2**31 + 256)], version, block=block)
        for version in (2, 3, 4)
        for block in (0, 72)
    ]
    record = {"schema": 1, "number": 1, "run_id": "one", "state": "begun", "begun": "2026-11-21T00:00:00Z"}
    moves = {"replace": ["manifest.json", "sets/a.roaring"], "remove": ["segments/0-000001.segment"]}
    sets = {
        name: FileKind(
            f"set {name}",
            f"a{form.suffixes[0] if form.suffixes else '.txt'}",
            [texts[name]],
            flipped,
            partial(read_set, form=name),
            ["sets", "info", "{}"],
        )
        for name, form in FORMATS.items()
        if name not in ("silk", "addresses")
    }
    manifest = (run.path / "manifest.json").read_bytes()
    return [
        FileKind("config", "c.yaml", configs, of_yaml, read_config, ["config", "check", "{}"]),
        FileKind("manifest", "done/manifest.json", [], of_json, read_run, ["analyze", "{folder}"]),
        FileKind("unfinished manifest", "cut/manifest.json", [manifest], of_json, read_unfinished),
        FileKind("checkpoint", "cut/checkpoint.json", [run.checkpoint_path.read_bytes()], of_json, read_unfinished),
        FileKind("opt-outs", "cut/opt-outs.json", [(run.path / "opt-outs.json").read_bytes()], of_json, read_opt_outs),
        FileKind("targets", "cut/targets.txt", [(run.path / "targets.txt").read_bytes()], flipped, read_unfinished),
        FileKind("moves", "cut/.opt-outs/moves.json", [json.dumps(moves).encode()], of_json, read_moves),
        FileKind(
            "record",
            "census/reports/one/census.json",
            [json.dumps(record).encode()],
            of_json,
            read_record,
            ["census", "list", "census"],
        ),
        FileKind("segment", "cut/segments/0-000001.segment", segment_seeds(folder), of_segment, read_segments),
        FileKind("spool", "a.spool", spools, of_spool, read_spool, ["replies", "{}"]),
        FileKind("capture", "a.pcap", pcaps, flipped, read_capture),
        FileKind(
            "capture of ours",
            "ours.pcap",
            [pcap.HEADER + pcap_of(list(enumerate(packets)))[len(pcap.HEADER) :]],
            flipped,
            read_our_capture,
        ),
        FileKind("pcapng", "a.pcapng", ng, flipped, read_capture),
        FileKind(
            "gzipped capture",
            "a.pcap.gz",
            pcaps,
            zipped(flipped, partial(gzip.compress, compresslevel=1)),
            read_capture,
        ),
        FileKind("pfx2as", "p.txt", prefixes, flipped, partial(partition_by, "asn")),
        FileKind(
            "gzipped pfx2as",
            "p.gz",
            prefixes,
            zipped(flipped, partial(gzip.compress, compresslevel=1)),
            partial(partition_by, "asn"),
        ),
        FileKind("blocklist", "b.txt", lists, flipped, read_list, ["blocklist", "list", "-b", "{}"]),
        FileKind("target list", "t.txt", lists, flipped, read_prefixes),
        FileKind("set silk", "a.set", silks, of_silk, partial(read_set, form="silk"), ["sets", "info", "{}"]),
        FileKind(
            "set gzip",
            "a.gz",
            lists,
            zipped(flipped, partial(gzip.compress, compresslevel=1)),
            read_set,
            ["sets", "info", "{}"],
        ),
        FileKind("set bzip2", "a.bz2", lists, zipped(flipped, bz2.compress), read_set),
        FileKind("set xz", "a.xz", lists, zipped(flipped, partial(lzma.compress, preset=0)), read_set),
        FileKind("set any", "a.any", [*texts.values(), *silks], flipped, read_set, ["sets", "info", "{}"]),
        *sets.values(),
    ]


def prepare(kind: FileKind, place: Path) -> FileKind:
    """Lay out below `place` what a kind's file lies among; return the kind, with seeds that were only made now."""
    shutil.rmtree(place, ignore_errors=True)
    (place / "victim").mkdir(parents=True)
    (place / "victim" / "precious").write_bytes(b"precious")
    work = place / "work"
    work.mkdir()
    shutil.copy(ROOT / "configs" / "blocklist.txt", work)
    if kind.file.startswith("cut/"):
        made = unfinished(place / "made")
        shutil.move(made.path, work / "cut")
        shutil.rmtree(place / "made")
        (work / kind.file).parent.mkdir(exist_ok=True)
    elif kind.file.startswith("done/"):
        from tests.populations import town  # noqa: PLC0415

        shutil.move(town().write(place / "made").path, work / "done")
        shutil.rmtree(place / "made")
        return FileKind(kind.name, kind.file, [(work / kind.file).read_bytes()], kind.mutate, kind.read, kind.command)
    (work / kind.file).parent.mkdir(parents=True, exist_ok=True)
    return kind


def verdict(kind: FileKind, path: Path) -> str | None:
    """Have a file read; return what is wrong with how that ended, None for nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConfigWarning)  # which a person is told of, and which stops nothing
            kind.read(path)
    except LivenessError as error:
        text = str(error)
        if not text or not all(one.isprintable() or one == "\t" for one in text):
            return f"a message that is no line of text: {text[:300]!r}"
        return None
    except MemoryError:
        return "more memory than there may be"
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is a finding
        import traceback  # noqa: PLC0415

        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:200]} ({Path(last.filename).name}:{last.lineno})"
    return None
