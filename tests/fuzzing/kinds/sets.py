"""Sets of addresses in all formats, blocklists and target lists."""

import random
import struct
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from pyroaring import BitMap

from liveness.config import blocklists
from liveness.config.blocklists import in_force, read_list, read_requests
from liveness.config.requests import Reason, requests_in
from liveness.ipsets.files import Reader, write_set
from liveness.ipsets.formats.codec import PLAIN
from liveness.ipsets.formats.table import FORMATS
from liveness.space.prefixes import Skipped, read_prefixes
from tests.fuzzing.kinds.kind import PACKERS, FileKind, Mutate, fixed, flipped, made, of_json_lines, of_lines, packed
from tests.fuzzing.kinds.runs import MEMBERS
from tests.ipsets.silk_files import silk_file

RESULTS: Final = Path(__file__).parents[2] / "ipsets" / "results"
TOKENS: Final = (
    b"10.0.0.0/33", b"0.0.0.0/0", b"255.255.255.255-0.0.0.0", b"300.0.0.1", b"::1", b"1.2.3", b"01.2.3.4",
    b"1.2.3.4/-1", b"\x1b[2J", b"\xe2\x80\xae", b"\0", b"\r", b"\r\n", b"\xff", b"#",
    b"# withdrawn 2026-01-01, a, b: 10.0.0.0/8", b",", b"{", b"}", b"[" * 2000, b'"', b"\\", b"/", b"9" * 400,
    b"<!ENTITY a SYSTEM 'file:///etc/passwd'>", b"<host>",
    b"elements = {", b"add element", b"create", b"saddr", b'include "/etc/passwd"',
)  # fmt: skip
LISTS: Final = (
    b"# who, why\n10.0.0.0/8 # 2026-01-02, me, asked\n10.0.0.1-10.0.0.9\n\n",
    b"# withdrawn 2026-01-01, me, moved: 192.0.2.0/24 # 2025-01-01, you, asked\n192.0.2.0/25\n::1 # six\n",
)
SHAPES: Final[dict[str, Mutate]] = {"csv": of_lines(b","), "jsonl": of_json_lines}


def read_set(path: Path, form: str | None = None) -> None:
    """Read a set, and use it."""
    found = Reader(form).read(str(path)).addresses
    len(found & MEMBERS)
    found.serialize()


def read_blocklist(path: Path) -> None:
    """Read a blocklist, add a request to it and withdraw all of it, as the commands do."""
    requests = read_requests(path, Skipped())
    blocklists.intervals_of(in_force(requests))
    reason = Reason.of("fuzz", "a test", "2026-11-27")
    wanted = [next(iter(requests_in([b"198.51.100.0/24"], "new", Skipped())))]
    blocklists.add(path, wanted, reason)
    blocklists.withdraw([path], wanted, reason)
    read_list(path)


def texts(folder: Path) -> dict[str, bytes]:
    """Return one set in every format that is written."""
    written = {}
    for name, form in FORMATS.items():
        path = folder / f"a{form.suffixes[0] if form.suffixes else '.txt'}"
        write_set(str(path), BitMap(list(MEMBERS)[::37]), form, PLAIN)
        written[name] = path.read_bytes()
    return written


def _silk() -> list[bytes]:
    ranges = [(10, 4000), (2**31, 2**31 + 256)]
    return [silk_file(ranges, version, block=block) for version in (2, 3, 4) for block in (0, 72)]


def _of_silk(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return an IPset with bytes changed, or one whose block unpacks to much."""
    if chance.random() < 0.05:
        size = chance.choice((1 << 10, 1 << 20, 1 << 24))
        packed_block = zlib.compress(chance.choice((b"\0", b"\xff")) * size, 1)
        head = next(seed for seed in seeds if seed[7] == 1)[:16] + struct.pack(">II", 0, 8)
        claimed = chance.choice((size, 36, 1 << 20, 1 << 31))
        return head + struct.pack(">II", len(packed_block), claimed) + packed_block
    return flipped(chance, seeds)


def _lists(folder: Path) -> Sequence[bytes]:
    written = texts(folder)
    return [written["text"], written["ranges"], *LISTS]


def _written(name: str, folder: Path) -> Sequence[bytes]:
    return [texts(folder)[name]]


def kinds() -> list[FileKind]:
    """Return the kinds of sets and lists."""
    info = ["sets", "info", "{}"]
    results = [path.read_bytes() for path in sorted(RESULTS.glob("*.txt"))]
    sets = [
        FileKind(f"set {name}", f"a{form.suffixes[0] if form.suffixes else '.txt'}", partial(_written, name),
                 SHAPES.get(name, flipped), partial(read_set, form=name), info, tokens=() if form.binary else TOKENS)
        for name, form in FORMATS.items() if name not in ("silk", "addresses")
    ]  # fmt: skip
    return [
        FileKind("blocklist", "b.txt", fixed(*LISTS), of_lines(b"#"), read_blocklist, ["blocklist", "list", "-b", "{}"],
                 tokens=TOKENS),
        FileKind("target list", "t.txt", _lists, flipped, read_prefixes, tokens=TOKENS),
        FileKind("set silk", "a.set", made(_silk), _of_silk, partial(read_set, form="silk"), info),
        *(FileKind(f"set {name}", f"a.{name}", _lists, packed(flipped, pack), read_set, info)
          for name, pack in PACKERS.items()),
        FileKind("set any", "a.any", lambda folder: [*texts(folder).values(), *_silk(), *results], flipped, read_set,
                 info, tokens=TOKENS),
        *sets,
        FileKind("set results", "a.results", fixed(*results), flipped, read_set, info, tokens=TOKENS),
    ]  # fmt: skip
