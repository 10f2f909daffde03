"""Every place of the package that opens a file: the kinds of the fuzzer that reach it, or why none need to.

`test_readers.py` compares this list with the calls in the source. A new reader belongs here, with its kind.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
OPENING: Final = frozenset({
    "open", "read_text", "read_bytes", "read_named", "read_below", "open_regular", "open_file", "memmap", "fromfile",
    "GzipFile", "BZ2File", "LZMAFile", "preadv", "parse_xml", "iterparse", "read_parquet", "read_csv", "loadtxt",
})  # fmt: skip
"""Names of functions and methods that open a file, or read one that is named."""
NO_FILES: Final = frozenset({"Directory", "RunDirectory", "ways", "kernel", "self", "watcher", "collector", "endpoint",
                             "_reader", "opener", "Classification"})  # fmt: skip
"""What else has a method `open`: directories, which are opened to look into, and sockets."""

Reached = tuple[str, ...]
"""Names of kinds."""


def calls() -> Iterator[str]:
    """Yield the places that open files, as ``module.function``."""
    for path in sorted((ROOT / "liveness").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT / "liveness").with_suffix("").parts)
        yield from (f"{module}.{name}" for name in _calls_in(ast.parse(path.read_text(encoding="utf-8")), ""))


def _calls_in(node: ast.AST, within: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        name = within
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            name = f"{within}.{child.name}" if within else child.name
        if isinstance(child, ast.Call) and _opens(child.func):
            yield within or "(module)"
        yield from _calls_in(child, name)


def _opens(function: ast.expr) -> bool:
    if isinstance(function, ast.Name):
        return function.id in OPENING
    if not isinstance(function, ast.Attribute) or function.attr not in OPENING:
        return False
    owner = function.value
    name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    return not (function.attr == "open" and name in NO_FILES)


KERNEL: Final = "what the kernel says of itself (/proc, /sys, namespaces, terminals): not a file of anybody's"
SHIPPED: Final = "a file of the package itself"
WRITTEN: Final = "writes"
ROOM: Final = "the room through which others read; their kinds reach it"
OWN: Final = "a file that the same process made, in a directory of its own"

READERS: Final[dict[str, Reached | str]] = {
    "api.comparison": ("manifest", "set of a run", "survey manifest", "survey plane", "passive manifest"),
    "api.passive": ("passive manifest",),
    "api.survey": ("survey manifest",),
    "analysis.counting.prefix_data": ("pfx2as", "gzipped pfx2as", "mmdb of asn", "mmdb of country"),
    "census.history": ("manifest", "record"),
    "census.home": ("record",),
    "census.transient": ("manifest",),
    "census.report.report_lines": "tables of a report, printed line by line, each made printable",
    "cli.config.init": SHIPPED,
    "cli.streams": KERNEL,
    "cli.survey": WRITTEN,
    "config.blocklists": ("blocklist",),
    "config.load": ("config",),
    "files.descriptors": ROOM,
    "files.directory": ROOM,
    "files.documents": ROOM,
    "files.outputs": ROOM,
    "files.reading": ROOM,
    "files.resolving": ROOM,
    "files.sharing": ROOM,
    "cli.fleet": ("config",),
    "fleet.bound": "the id in the lock of a run, and the kernel's list of locks: anything else is no holder",
    "fleet.runner": "opens a store, no file",
    "fleet.store": "files of a run, stored as they are",
    "fleet.upload": "files of a run, of which only the digest is taken",
    "fleet.vantages": ("vantage file",),
    "fleet.work": "a secret: any bytes, handed out as they are",
    "fleet.workplace": OWN,
    "flows.announced": ("templates",),
    "flows.formats": ("nfdump", "silk flows", "flowtuple", "captured exports", "flow spool"),
    "flows.record": (
        "nfdump",
        "netflow v5",
        "netflow v9",
        "ipfix",
        "silk flows",
        "flowtuple",
        "captured exports",
        "flow spool",
    ),
    "flows.spool": WRITTEN,
    "flows.tables": ("zeek tsv", "zeek json", "argus csv", "flows csv", "flows parquet"),
    "ipsets.portable_index": ("set of a run",),
    "ipsets.roaring": ("set of a run", "segment"),
    "ipsets.source": ("set any", "set roaring", "set silk", "set text", "set csv", "set jsonl", "set results"),
    "ipsets.verify": ("set of a run",),
    "compiling": "the package's own source, and a cache that only its user can write",
    "lab.hosts.daemons": OWN,
    "lab.supervisor": KERNEL,
    "lab.kernel_settings": KERNEL,
    "lab.model.responder.probe_log": ("probe log",),
    "lab.model.responder.record": ("lab record",),
    "lab.model.surveys": ("probe log", "record of a survey"),
    "lab.shell": KERNEL,
    "lab.traffic.labels": ("traffic truth", "traffic report", "traffic labels"),
    "net": KERNEL,
    "optouts.redacted_logs": ("capture of ours", "spool", "replies"),
    "optouts.redacted_survey": ("survey manifest", "survey blocks", "survey plane"),
    "optouts.redaction": ("moves", "blocklist"),
    "optouts.stage": OWN,
    "packets.capture": ("capture", "pcapng", "gzipped capture"),
    "passive.below": ROOM,
    "passive.clients": OWN,
    "passive.config": ("passive config",),
    "passive.history": OWN,
    "passive.kept_flows": WRITTEN,
    "passive.partitions": ("passive journal",),
    "passive.measured": ("manifest", "set of a run", "survey manifest", "survey plane"),
    "passive.ports": SHIPPED,
    "passive.rules": ("passive rules",),
    "passive.local_space": ("passive manifest", "set of a run"),
    "passive.manifest": ("passive manifest",),
    "passive.watching": ("metrics",),
    "planes.blocks": ("survey blocks",),
    "planes.delays": ("survey delays",),
    "planes.manifest": ("survey manifest",),
    "planes.matrix": ("survey plane",),
    "planes.stored": ("stored rounds",),
    "replylog.parquet": OWN,
    "replylog.spool": ("spool",),
    "report.page": SHIPPED,
    "runs.announce": "names of runs, from the scans of a lab of the same user",
    "runs.checkpoint": ("checkpoint",),
    "runs.logstream": WRITTEN,
    "runs.left_out": ("targets",),
    "runs.kinds": ("manifest", "survey manifest", "passive manifest"),
    "runs.manifest_file": ("manifest", "unfinished manifest"),
    "runs.optout_record": ("opt-outs",),
    "runs.rundir": ("key", "targets", "set of a run"),
    "runs.shard_set": ("manifest", "shard of a survey"),
    "runs.segment": ("segment",),
    "scan.drawing": "a secret: any bytes, of which only the number is looked at",
    "scan.interruption": KERNEL,
    "scan.receive.capture_ring": ("capture", "pcapng", "gzipped capture"),
    "scan.receive.receiver": "reads packets, not files",
    "space.prefixes": ("target list", "pfx2as"),
    "space.special": SHIPPED,
    "sql.tables": OWN,
    "survey.ant": ("survey ant",),
    "survey.config_files": ("survey config",),
    "survey.csv_importing": ("survey csv",),
    "survey.csv_records": ("survey csv",),
    "survey.gaps": ("survey gaps",),
    "survey.importing": ("survey ant", "survey fsdb", "survey csv"),
    "survey.parquet_records": ("survey parquet",),
    "survey.recorder": ("record of rounds",),
    "survey.progress": ("unfinished survey",),
    "survey.selection": ("survey state",),
    "survey.session": ("live planes", "unfinished survey"),
    "survey.shards": ("shard of a survey",),
    "survey.sources": ("survey manifest", "survey plane", "set of a run"),
    "survey.trinocular_importing": ("survey trinocular",),
    "survey.opening": ("survey ant", "survey fsdb", "survey csv"),
    "system": KERNEL,
    "watch.publishing": ("metrics",),
    "watch.status": WRITTEN,
}
"""By module, package or function."""


def entry_of(call: str) -> str | None:
    """Return the entry of the list that a place belongs to, the longest; None if it has none."""
    words = call.split(".")
    names = (".".join(words[:size]) for size in range(len(words), 0, -1))
    return next((name for name in names if name in READERS), None)
