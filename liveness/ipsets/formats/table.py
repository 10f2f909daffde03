"""The formats of set files: their names, their suffixes, and how a file's first bytes show its format.

A new format is a module in this package with `read_from` and `write_to` (`codec.Codec`), and a row here. This module
imports nothing heavy: the command line knows all formats before it loads one.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from liveness.errors import UsageError

Test = Callable[[bytes, bytes, str], object]
"""Whether a text file is of a format, by its first line that counts, its first bytes, and the column to read."""

COMPRESSED_SUFFIXES: Final = (".gz", ".bz2", ".xz")
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
SILK_MAGIC: Final = b"\xde\xad\xbe\xef"
ROARING_COOKIES: Final = (b"\x3a\x30\x00\x00", b"\x3b\x30")
HEAD_BYTES: Final = 4096

IPSET_LINE: Final = re.compile(
    rb"(?:create|add)\s+(?!(?:element|set|map|table|chain)\s+(?:ip|inet)\s)\S+\s+[\w:.]"
    rb"|(?:del|flush|destroy|swap|rename)\s+(?!(?:element|set|map|table|chain|ruleset)\b)\w"
)
RESULT_LINE: Final = re.compile(
    rb"(?P<masscan>(?:open|closed|banner) \w+ \d+ \S+ \d+|Discovered \w+ port "
    rb"|\[\s*$|\[?\{\s*\"ip\":.*\"(?:ports|rec_type)\":)"
    rb"|Starting Nmap |Nmap scan report for |<\?xml|<!DOCTYPE nmaprun|<nmaprun|(?:Timestamp: \S+\s+)?Host: \S+ \("
)
"""How the first line of the results of masscan and nmap begins that is no comment."""
NFT_LINE: Final = re.compile(
    rb"(?:table|set|map|element|define|redefine|include"
    rb"|(?:add|create|flush|delete|destroy)\s+(?:element|set|map|table|chain|ruleset))\b"
)


def _begins(pattern: re.Pattern[bytes]) -> Test:
    """Return the test for a first line that begins as `pattern` says."""
    return lambda line, _head, _column: pattern.match(line)


def _is_json(line: bytes, _head: bytes, _column: str) -> bool:
    """Return whether a line begins a JSON object with a first member (a set of nftables has no strings)."""
    if re.match(rb'\{\s*"', line) is not None:
        return True
    try:
        return line.startswith(b"{") and json.loads(line) is not None
    except (ValueError, RecursionError):
        return False


def _has_column(line: bytes, _head: bytes, column: str) -> bool:
    """Return whether a line names the column among others, as the header of a CSV file does."""
    return not line.startswith(b"{") and column.encode() in [field.strip(b'" \r') for field in line.split(b",")]


def _is_result(tool: str) -> Test:
    """Return the test for the results of masscan or nmap, whose XML and greppable output look alike."""

    def test(line: bytes, head: bytes, _column: str) -> bool:
        match = RESULT_LINE.match(line)
        if match is None:
            return False
        is_masscan = b"masscan" in head[:HEAD_BYTES] or b"Timestamp:" in line or match["masscan"] is not None
        return is_masscan == (tool == "masscan")

    return test


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write a set. `module` reads and writes it; `binary` is not for terminals."""

    name: str
    suffixes: tuple[str, ...]
    module: str
    describes: str
    binary: bool = False
    magic: tuple[bytes, ...] = ()
    """What files of a binary format begin with."""
    test: Test | None = None
    """What a text file of the format is recognised by; None for plain lists, which are what is left."""


FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        Format(
            "roaring",
            (".roaring", ".roar"),
            "portable",
            "portable roaring bitmap",
            binary=True,
            magic=ROARING_COOKIES,
        ),
        Format("text", (".txt", ".prefixes", ".list"), "text", "one prefix, range or address a line, # comments"),
        Format("addresses", (), "text", "text with one address a line"),
        Format("ranges", (), "text", "text with one range a-b or address a line"),
        Format("csv", (".csv",), "zmap_csv", "ZMap CSV with a saddr column", test=_has_column),
        Format(
            "jsonl", (".jsonl", ".json", ".ndjson"), "zmap_json", "ZMap JSON lines with a saddr field", test=_is_json
        ),
        Format(
            "silk",
            (".set", ".silk"),
            "silk",
            "SiLK IPset, record versions 0 to 4 (written: 2)",
            binary=True,
            magic=(SILK_MAGIC,),
        ),
        Format(
            "ipset",
            (".ipset",),
            "ipset",
            "what ipset save prints and ipset restore reads, executed",
            test=_begins(IPSET_LINE),
        ),
        Format(
            "nft",
            (".nft",),
            "nft",
            "nftables set, as nft list set prints and nft -f reads, executed",
            test=_begins(NFT_LINE),
        ),
    )
}
"""Every format that can be written."""

RESULTS: dict[str, Format] = {
    form.name: form
    for form in (
        Format(
            "masscan",
            (".masscan",),
            "results",
            "results of masscan (-oL, -oJ, -oD, -oG, -oX), read only",
            test=_is_result("masscan"),
        ),
        Format("nmap", (".gnmap",), "results", "results of nmap (-oX, -oG), read only", test=_is_result("nmap")),
    )
}
"""Those that can be read only."""
READABLE: dict[str, Format] = {**FORMATS, **RESULTS}
"""Every format that can be read."""


def by_suffix(path: str) -> Format | None:
    """Return the format that a file's name shows; None if its suffix is of no format."""
    name = PurePath(path)
    suffix = (name.with_suffix("") if name.suffix.lower() in COMPRESSED_SUFFIXES else name).suffix.lower()
    return next((form for form in READABLE.values() if suffix in form.suffixes), None)


def by_content(head: bytes, name: str, column: str) -> Format | None:
    """Return the format that the first bytes of a file show; None for what may be a plain list.

    `column` is the column of CSV to read. UsageError for a file of zstd, with the program that opens it; other
    compressed files are read as they are.
    """
    if head.startswith(ZSTD_MAGIC):
        raise UsageError(f"{name}: compressed by zstd: pipe what `zstd -dc` makes of it into - instead")
    line = first_line(head)
    for form in (*RESULTS.values(), *FORMATS.values()):  # the results in JSON are JSON lines too, so they come first
        if form.magic and head.startswith(form.magic):
            return form
        if form.test is not None and form.test(line, head, column):
            return form
    return None


def first_line(head: bytes) -> bytes:
    """Return the first line that is neither blank nor a comment."""
    for line in head.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        stripped = line.strip()
        if stripped and not stripped.startswith(b"#"):
            return stripped
    return b""


def output_format(path: str | None, named: str | None) -> Format:
    """Return the format to write: the one named, the suffix's, or text on standard output (None or ``-``).

    UsageError for a file name whose suffix is of no format.
    """
    if named is not None:
        return FORMATS[named]
    if path is None or path == "-":
        return FORMATS["text"]
    if PurePath(path).suffix.lower() in COMPRESSED_SUFFIXES:
        raise UsageError(f"{path}: nothing is written compressed: write to - and pipe it into gzip, bzip2 or xz")
    form = by_suffix(path)
    if form is None:
        suffixes = ", ".join(form.suffixes[0] for form in FORMATS.values() if form.suffixes)
        raise UsageError(f"{path}: its suffix names no format: use one of {suffixes}, or say --to FORMAT")
    return form
