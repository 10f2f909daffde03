"""Documents that people write: configs, lab files, populations; and data on prefixes."""

import random
from collections.abc import Sequence
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from liveness.analysis.counting.prefix_data import partition_by
from liveness.config.load import load_config, resolve_targets
from liveness.config.model import Config, TargetLists, to_document
from liveness.fleet.vantages import load_fleet
from liveness.lab.load import load_internet
from liveness.lab.model.population.load import load_population
from liveness.lab.model.responder.conditions import parse_conditions
from liveness.lab.model.responder.record import SUMMARY, Summary, read_summary
from liveness.lab.source import find_population
from tests.analysis.mmdb import database, encoded
from tests.fuzzing import hostile
from tests.fuzzing.kinds.flows import check_lines
from tests.fuzzing.kinds.kind import PACKERS, ROOT, FileKind, fixed, flipped, made, of_json, of_lines, of_yaml, packed

MARKER: Final = b"\xab\xcd\xefMaxMind.com"
POINTERS: Final = tuple(bytes([0x20 | high]) + bytes([low]) for high in range(8) for low in (0, 1, 5, 255))
"""Pointers of the data section: to itself, forward, behind the end."""
MMDB_TOKENS: Final = (
    *POINTERS, b"\xe1" * 600, b"\x01\x04" * 600, b"\x5f\xff\xff\xff", b"\x1f\x04\xff\xff\xff", b"\x00\x07", MARKER,
    b"\x43ip_version", b"\xc4\xff\xff\xff\xff", b"\x0a\x02\xff",
)  # fmt: skip
"""Pointers, maps in maps, arrays in arrays, lengths of hundreds of megabytes."""


LAB_RECORD: Final = msgspec.json.encode(
    Summary(packets=10, frames={"probe": 9, "truncated": 1}, replies=7, lost={"icmp": {"loss": 2}})
)


def read_config(path: Path) -> None:
    """Read a config and the lists that it names."""
    resolve_targets(load_config(path, environment={}), lab=True)


def read_population(path: Path) -> None:
    """Read a population, and its section on the network."""
    load_population(path)
    found = find_population(str(path))
    if found is not None:
        parse_conditions(found.network, found.origin)


def read_lab_file(path: Path) -> None:
    """Read a lab file."""
    find_population(str(path))
    load_internet(str(path))


def read_lab_record(path: Path) -> None:
    """Read what the far end of a lab counted."""
    summary = read_summary(path.parents[1])
    check_lines([*summary.malformed, *summary.lost])


def _configs() -> list[bytes]:
    full = to_document(Config(name="full", targets=TargetLists(allow=("10.0.0.0/24",))))
    starting = (ROOT / "liveness" / "config" / "starting.yaml").read_bytes()
    ours = [path.read_bytes() for path in sorted((ROOT / "configs").glob("*.yaml"))]
    return [yaml.safe_dump(full).encode(), starting, *(content for content in ours if b"targets:" in content)]


def _vantage_files() -> list[bytes]:
    place = {"url": "s3://bucket/prefix", "endpoint": "https://s3.example.org", "region": "eu"}
    scheduler = {"address": "tls://192.0.2.1:8786", "ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
    first = {"name": "a", "addresses": ["192.0.2.7"], "rate": "1kpps", "asn": 64500, "command": ["liveness"]}
    points = [first, {"name": "b", "offset": "4s", "resources": {"fast": 1}, "directory": "fleet"}]
    full = {"config": "c.yaml", "mode": "replicate", "store": place, "scheduler": scheduler, "vantages": points}
    small = {"config": "c.yaml", "mode": "split", "lost_after": "1h", "store": {"url": "runs"}, "vantages": points[:1]}
    return [yaml.safe_dump(document).encode() for document in (full, small)]


def _packaged(folder: str) -> list[bytes]:
    """Return the documents that come with the package, mostly in a short form: long ones take long to read."""
    whole = [path.read_bytes() for path in sorted((ROOT / "liveness" / "lab" / folder).glob("*.yaml"))]
    short = [yaml.safe_dump(_shortened(yaml.safe_load(content)), sort_keys=False).encode() for content in whole]
    return [*whole, *short * 9]


def _shortened(tree: Any) -> Any:  # noqa: ANN401 - a document
    """Return a document with no more than three entries in a list."""
    if isinstance(tree, dict):
        return {name: _shortened(value) for name, value in tree.items()}
    return [_shortened(value) for value in tree[:3]] if isinstance(tree, list) else tree


def _mmdb_seeds() -> list[bytes]:
    records: list[Any] = [
        {"autonomous_system_number": 13335, "other": ["X"]},
        {"asn": "AS3320"},
        {"country": {"iso_code": "DE"}, "registered_country": {"iso_code": "IT"}},
        {"country_code": "SE", "deep": [[[{"a": [{"b": "c"}]}]]]},
    ]
    networks = {ip_network(f"{n + 1}.0.0.0/{12 + n}"): record for n, record in enumerate(records)}
    return [database(networks, version=version) for version in (4, 6)]


def _of_mmdb(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return a database with bytes changed, a tree that leads anywhere, or metadata that lies."""
    seed = chance.choice(seeds)
    tree, _, metadata = seed.partition(MARKER)
    what = chance.randrange(4)
    if what == 0:
        return flipped(chance, seeds)
    if what == 1:  # nodes that point at each other
        nodes = bytearray(tree)
        for _ in range(chance.choice((1, 3, 20))):
            at = 3 * chance.randrange(16)
            nodes[at : at + 3] = chance.choice((0, 1, chance.randrange(64), 0xFFFFFF)).to_bytes(3, "big")
        return bytes(nodes) + MARKER + metadata
    if what == 2:
        return tree + MARKER + hostile.octets(chance, metadata, ())
    fields: Any = {
        "node_count": chance.choice((0, 1, 16, 2**31, 2**32 - 1)),
        "record_size": (5, chance.choice((0, 24, 28, 32, 65535))),
        "ip_version": (5, chance.choice((0, 4, 6, 7))),
        "database_type": chance.choice(("Test", "x" * 28, "\x1b[2J")),
        "languages": [],
        "binary_format_major_version": (5, chance.choice((2, 2, 3))),
        "binary_format_minor_version": (5, 0),
        "build_epoch": (9, chance.choice((1, 2**64 - 1))),
        "description": {},
    }
    if chance.random() < 0.3:
        del fields[chance.choice(list(fields))]
    return tree + MARKER + encoded(fields)


def kinds() -> list[FileKind]:
    """Return the kinds of documents and of data on prefixes."""
    prefixes = (
        b"".join(b"1.%d.%d.0\t24\t%d\n" % (n >> 8, n & 255, n) for n in range(400)),
        b"10.0.0.0 8 64512_7\n# a comment\n10.0.0.0 8 3\n",
    )
    by_asn = partial(partition_by, "asn")
    return [
        FileKind("config", "c.yaml", made(_configs), of_yaml, read_config, ["config", "check", "{}"]),
        FileKind("vantage file", "v.yaml", made(_vantage_files), of_yaml, load_fleet),
        FileKind("lab file", "lab.yaml", fixed(*_packaged("hosts/internets")), of_yaml, read_lab_file,
                 ["lab", "describe", "--internet", "{}"]),
        FileKind("population", "p.yaml", fixed(*_packaged("model/populations")), of_yaml, read_population,
                 ["lab", "describe", "--internet", "{}"]),
        FileKind("lab record", f"run/lab/{SUMMARY}", fixed(LAB_RECORD), of_json, read_lab_record),
        FileKind("pfx2as", "p.txt", fixed(*prefixes), of_lines(b"\t"), by_asn),
        FileKind("gzipped pfx2as", "p.gz", fixed(*prefixes), packed(flipped, PACKERS["gzip"]), by_asn),
        FileKind("mmdb of asn", "asn.mmdb", made(_mmdb_seeds), _of_mmdb, by_asn, tokens=MMDB_TOKENS),
        FileKind("mmdb of country", "country.mmdb", made(_mmdb_seeds), _of_mmdb, partial(partition_by, "country"),
                 tokens=MMDB_TOKENS),
    ]  # fmt: skip
