"""The formats of set files: their names, their suffixes, and what their content is told by. Imports nothing heavy."""

import json
import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from liveness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write a set. `module` reads and writes it; `binary` is not for terminals."""

    name: str
    suffixes: tuple[str, ...]
    module: str
    describes: str
    binary: bool = False


FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        Format("roaring", (".roaring", ".roar"), "portable", "portable roaring bitmap", binary=True),
        Format("text", (".txt", ".prefixes", ".list"), "text", "one prefix, range or address a line, # comments"),
        Format("addresses", (), "text", "text with one address a line"),
        Format("ranges", (), "text", "text with one range a-b or address a line"),
        Format("csv", (".csv",), "zmap_csv", "ZMap CSV with a saddr column"),
        Format("jsonl", (".jsonl", ".json", ".ndjson"), "zmap_json", "ZMap JSON lines with a saddr field"),
        Format("silk", (".set", ".silk"), "silk", "SiLK IPset, record versions 0 to 4 (written: 2)", binary=True),
        Format("ipset", (".ipset",), "ipset", "what ipset save prints and ipset restore reads, executed"),
        Format("nft", (".nft",), "nft", "nftables set, as nft list set prints and nft -f reads, executed"),
    )
}

SILK_MAGIC = b"\xde\xad\xbe\xef"
ROARING_COOKIES = (b"\x3a\x30\x00\x00", b"\x3b\x30")
RESULTS: dict[str, Format] = {
    form.name: form
    for form in (
        Format("masscan", (".masscan",), "results", "results of masscan (-oL, -oJ, -oD, -oG, -oX), read only"),
        Format("nmap", (".gnmap",), "results", "results of nmap (-oX, -oG), read only"),
    )
}
READABLE: dict[str, Format] = {**FORMATS, **RESULTS}
"""Every format that can be read."""

COMPRESSED_SUFFIXES = (".gz", ".bz2", ".xz")
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

IPSET_LINE = re.compile(
    rb"(?:create|add)\s+(?!(?:element|set|map|table|chain)\s+(?:ip|inet)\s)\S+\s+[\w:.]"
    rb"|(?:del|flush|destroy|swap|rename)\s+(?!(?:element|set|map|table|chain|ruleset)\b)\w"
)
RESULT_LINE = re.compile(
    rb"(?P<masscan>(?:open|closed|banner) \w+ \d+ \S+ \d+|Discovered \w+ port "
    rb"|\[\s*$|\[?\{\s*\"ip\":.*\"(?:ports|rec_type)\":)"
    rb"|Starting Nmap |Nmap scan report for |<\?xml|<!DOCTYPE nmaprun|<nmaprun|(?:Timestamp: \S+\s+)?Host: \S+ \("
)
"""How the first line of the results of masscan and nmap begins that is no comment."""
NFT_LINE = re.compile(
    rb"(?:table|set|map|element|define|redefine|include"
    rb"|(?:add|create|flush|delete|destroy)\s+(?:element|set|map|table|chain|ruleset))\b"
)


def by_suffix(path: str) -> Format | None:
    """Return the format a file's name says; None if its suffix says nothing."""
    name = PurePath(path)
    suffix = (name.with_suffix("") if name.suffix.lower() in COMPRESSED_SUFFIXES else name).suffix.lower()
    return next((form for form in READABLE.values() if suffix in form.suffixes), None)


def by_content(head: bytes, name: str, column: str) -> Format | None:
    """Return the format that the first bytes of a file say; None where they fit several. `column` is the CSV column.

    UsageError for a file of zstd, with the program that opens it; other compressed files are read as they are.
    """
    if head.startswith(ZSTD_MAGIC):
        raise UsageError(f"{name}: compressed by zstd: pipe what `zstd -dc` makes of it into - instead")
    if head.startswith(SILK_MAGIC):
        return FORMATS["silk"]
    if head.startswith(ROARING_COOKIES):
        return FORMATS["roaring"]
    line = first_line(head)
    if (tool := RESULT_LINE.match(line)) is not None:
        is_masscan = b"masscan" in head[:4096] or b"Timestamp:" in line or tool["masscan"] is not None
        return RESULTS["masscan" if is_masscan else "nmap"]
    tests: dict[str, Callable[[bytes], object]] = {
        "jsonl": is_json_object,
        "ipset": IPSET_LINE.match,
        "nft": NFT_LINE.match,
        "csv": lambda line: column.encode() in [field.strip(b'" \r') for field in line.split(b",")],
    }
    return next((FORMATS[form] for form, test in tests.items() if test(line)), None)


def first_line(head: bytes) -> bytes:
    """Return the first line that is neither blank nor a comment."""
    for line in head.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        stripped = line.strip()
        if stripped and not stripped.startswith(b"#"):
            return stripped
    return b""


def is_json_object(line: bytes) -> bool:
    """Return whether a line begins a JSON object with a first member (a set of nftables has no strings)."""
    return re.match(rb'\{\s*"', line) is not None or (line.startswith(b"{") and _is_json(line))


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def output_format(path: str | None, named: str | None) -> Format:
    """Return the format to write: the one named, the suffix's, or text on standard output (None or ``-``).

    UsageError for a file name that says nothing.
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
