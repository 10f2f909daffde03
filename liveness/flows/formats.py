"""Formats of flow files: how to recognise and read them. A line registers a format."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

from liveness.errors import UsageError
from liveness.flows import argus, captures, flowtuple, messages, nfcapd, silk, spool, table_queries, tables
from liveness.flows.record import Flows, Input, Notes, open_input

HEAD_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Options:
    """What a user states about an input."""

    export_ports: tuple[int, ...] = ()
    """Further ports of collectors in captures; where some are given, every capture is one of exports."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Columns of CSV and Parquet files: the name in the file by our name."""


Stream = Callable[[Input, Notes, Options], Iterator[Flows]]


@dataclass(frozen=True, slots=True)
class Format:
    """A format: its name, a test of the first bytes, and its reader.

    A stream is read front to back; a table needs a file.
    """

    name: str
    recognise: Callable[[bytes], bool]
    stream: Stream | None = None

    def read(self, path: str, notes: Notes, options: Options) -> Iterator[Flows]:
        """Yield the flows of a file, or of standard input for ``-``, in batches."""
        if self.stream is None:
            if path == "-":
                raise UsageError(f"standard input: {self.name} is read from a file: save it first")
            yield from tables.read_table(Path(path), self.name, notes, options.columns)
            return
        with open_input(path) as source:
            yield from self.stream(source, notes, options)


def _plain(read: Callable[[Input, Notes], Iterator[Flows]]) -> Stream:
    return lambda source, notes, _options: read(source, notes)


def _capture(source: Input, notes: Notes, options: Options) -> Iterator[Flows]:
    ports = (*captures.EXPORT_PORTS, *options.export_ports)
    return captures.read(source, notes, ports, forced=bool(options.export_ports))


def _first_line(head: bytes) -> str:
    return head.partition(b"\n")[0].decode("utf-8", "replace").strip()


def _is_zeek_json(head: bytes) -> bool:
    return head[:1] == b"{" and b'"id.orig_h"' in head.partition(b"\n")[0]


def _is_argus(head: bytes) -> bool:
    return {"StartTime", "SrcAddr", "SrcPkts", "DstPkts"} <= set(_first_line(head).split(","))


def _is_csv(head: bytes) -> bool:
    return b"\0" not in head and "," in _first_line(head)


def _is_zeek_tsv(head: bytes) -> bool:
    return head.startswith(b"#separator") and "id.orig_h" in table_queries.zeek_columns(head)


def _has_version(version: int, head: bytes) -> bool:
    return messages.version_of(head) == version


FORMATS: Final = (
    Format("nfcapd", nfcapd.recognise, _plain(nfcapd.read)),
    Format("spool", spool.recognise, _plain(spool.read)),
    Format("silk", silk.recognise, _plain(silk.read)),
    Format("flowtuple", flowtuple.recognise, _plain(flowtuple.read)),
    Format("capture", captures.recognise, _capture),
    Format("parquet", lambda head: head.startswith(b"PAR1")),
    Format("zeek-tsv", _is_zeek_tsv),
    Format("zeek-json", _is_zeek_json),
    Format("argus-csv", _is_argus),
    Format("argus-json", argus.recognise, _plain(argus.read)),
    *(
        Format(name, partial(_has_version, version), _plain(messages.read))
        for version, name in messages.VERSIONS.items()
    ),
    Format("csv", _is_csv),
)


def format_named(name: str) -> Format:
    """Return the format of that name. UsageError lists the formats."""
    for form in FORMATS:
        if form.name == name:
            return form
    raise UsageError(f"--from {name}: no such format: name one of {', '.join(form.name for form in FORMATS)}")


def recognise(path: str) -> Format:
    """Return the format of a file by its first bytes. UsageError for an unknown one."""
    if path == "-":
        raise UsageError("standard input: name its format with --from")
    try:
        with Path(path).open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise UsageError(f"{path}: cannot read these flows: {error.strerror}") from error
    for form in FORMATS:
        if form.recognise(head):
            return form
    what = f"it begins with {head[:4].hex()}" if head else "it is empty"
    raise UsageError(f"{path}: no flow file that can be read: {what}: name its format with --from")


def read_all(paths: Iterable[str], name: str | None, notes: Notes, options: Options) -> Iterator[Flows]:
    """Return the flows of several inputs, one after another; `name` is their format, None to recognise it.

    UsageError at once for an input that is missing or of no known format.
    """
    inputs = [(path, recognise(path) if name is None else format_named(name)) for path in paths]
    return chain.from_iterable(form.read(path, notes, options) for path, form in inputs)
