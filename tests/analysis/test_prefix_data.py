"""Data on prefixes: pfx2as text, plain and gzipped, and MMDB files; what is wrong with them is named."""

import gzip
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liveness.analysis.counting import prefix_data
from liveness.analysis.counting.partition import Partition
from liveness.analysis.counting.prefix_data import partition_by
from liveness.errors import ConfigWarning, UsageError
from tests.analysis.mmdb import database

PFX2AS = b"1.0.0.0\t24\t13335\n1.0.4.0\t22\t38803_38804\r\n\n# a comment\n1.0.5.0\t24\t4134,5511\n"


def at(partition: Partition, address: str) -> str | None:
    number = np.uint32(int(ip_network(address).network_address))
    place = int(partition.label[np.searchsorted(partition.first, number, side="right") - 1])
    return partition.names[place]


@pytest.mark.parametrize("content", [PFX2AS, gzip.compress(PFX2AS)], ids=["plain", "gzip"])
def test_pfx2as(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "routeviews-rv2-20261121-1200.pfx2as"
    file.write_bytes(content)
    partition = partition_by("asn", file)
    assert partition.by == "asn"
    assert [at(partition, address) for address in ("1.0.0.255", "1.0.4.0", "1.0.5.9", "1.0.6.0", "1.0.1.0")] == [
        "13335",
        "38803_38804",
        "4134,5511",
        "38803_38804",
        None,
    ]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("way", "records", "labels"),
    [
        (
            "asn",
            [{"autonomous_system_number": 13335, "other": ["X"]}, {"asn": "AS3320"}, {"a": "b"}],
            ["13335", "3320", None],
        ),
        (
            "country",
            [{"country": {"iso_code": "DE"}}, {"country": "FR"}, {"registered_country": {"iso_code": "IT"}}],
            ["DE", "FR", "IT"],
        ),
        ("country", [{"country_code": "SE"}, {"continent": {"code": "EU"}}, {"country": {}}], ["SE", None, None]),
    ],
)
def test_mmdb(tmp_path: Path, version: int, way: str, records: list[Any], labels: list[str | None]) -> None:
    networks = {ip_network(f"{place + 1}.0.0.0/{12 + place}"): record for place, record in enumerate(records)}
    if version == 6:
        networks[ip_network("2001:db8::/32")] = {"country": {"iso_code": "NL"}, "asn": "AS1"}
    file = tmp_path / "data.mmdb"
    file.write_bytes(database(networks, version=version))
    partition = partition_by(way, file)
    assert [at(partition, f"{place}.0.0.7") for place in (1, 2, 3)] == labels
    assert at(partition, "1.16.0.0") is None
    assert at(partition, "0.0.0.9") is None
    assert "NL" not in partition.names


def test_prefix8_needs_no_file() -> None:
    assert at(partition_by("prefix8", None), "198.51.100.1") == "198.0.0.0/8"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no prefix in it"),
        (b"1.0.0.0 24 1\n1.0.0.0/24 13335\n", r":2: '1\.0\.0\.0/24 13335': expected an IPv4 prefix, its length and"),
        (b"2001:db8::\t32\t1\n", r":1: .*: expected an IPv4 prefix"),
        (b"1.0.0.1\t24\t1\n", r":1: 1\.0\.0\.1/24 is no prefix"),
        (b"1.0.0.0\t33\t1\n", r":1: 1\.0\.0\.0/33 is no prefix"),
        (gzip.compress(PFX2AS)[:-9], "damaged: "),
        (b"\0\xab\xcd\xefMaxMind.com", "cannot read this MMDB file"),
        (database({ip_network("1.0.0.0/8"): {"city": "X"}}), "no IPv4 network with asn in it"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "data"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=rf"{file}.*{message}"):
        partition_by("asn", file)


def test_a_file_is_needed_and_must_be_readable(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--by country needs data on prefixes: give --prefix-data FILE"):
        partition_by("country", None)
    with pytest.raises(UsageError, match=r"absent: cannot read this data on prefixes: No such file"):
        partition_by("asn", tmp_path / "absent")


def test_a_prefix_of_several_origins_keeps_them_all(tmp_path: Path) -> None:
    path = tmp_path / "pfx2as"
    path.write_text("1.0.0.0\t24\t13335\n1.0.0.0\t24\t7\n1.0.0.0\t24\t7\n")
    with path.open("rb") as stream, pytest.warns(ConfigWarning, match="pfx2as: 1 line for a prefix that has another"):
        assert list(prefix_data._from_text(stream, path)) == [(0x01000000, 24, "13335_7")]
