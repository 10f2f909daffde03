"""The kernel's own sets as judges: what we write, nft and ipset load and list, and we read what they list."""

import subprocess
from pathlib import Path

import pytest
from pyroaring import BitMap

from liveness.system.child import run_in_child
from liveness.system.namespace import enter_private_network
from tests.ipsets.support import Range, bitmap, read, written

RANGES: list[Range] = [
    (0x01020304, 0x01020304),
    (0x0A000000, 0x0A0001FF),
    (0x0A000205, 0x0A000208),
    (0xC0A80000, 0xC0A8FFFF),
    (0xFFFFFFF0, 0xFFFFFFFE),
    *((0x64400000 + 2 * index, 0x64400000 + 2 * index) for index in range(2000)),
]


def listed(loads: list[str], lists: list[str], path: Path) -> bytes:
    """Return what one program lists in a private network after another has loaded a file there."""

    def inside() -> bytes:
        enter_private_network()
        with path.open("rb") as file:
            subprocess.run(loads, stdin=file, check=True, capture_output=True)
        return subprocess.run(lists, check=True, capture_output=True).stdout

    return run_in_child(inside)


@pytest.mark.lab
@pytest.mark.parametrize("addresses", [bitmap(RANGES), BitMap([7]), BitMap(), BitMap(range(2**32))], ids=len)
@pytest.mark.parametrize(
    ("style", "loads", "lists"),
    [
        ("nft", ["nft", "-f", "-"], ["nft", "list", "ruleset"]),
        ("ipset", ["ipset", "restore"], ["ipset", "save"]),
    ],
)
def test_there_and_back(tmp_path: Path, addresses: BitMap, style: str, loads: list[str], lists: list[str]) -> None:
    path = tmp_path / "rules"
    path.write_bytes(written(addresses, style))
    assert read(listed(loads, lists, path), style) == addresses
    path.write_bytes(listed(loads, lists, path))
    assert read(listed(loads, lists, path), style) == addresses


@pytest.mark.lab
def test_what_the_kernel_adds_to_elements(tmp_path: Path) -> None:
    """Timeouts, counters and comments are no part of a set."""
    path = tmp_path / "rules"
    path.write_text(
        "table inet t { set s { type ipv4_addr; flags interval, timeout; counter; elements = {"
        ' 10.0.0.1 timeout 1h comment "a, } b", 10.0.0.8-10.0.0.12, 10.1.0.0/16 timeout 5m }; }; }\n'
    )
    expected = bitmap([(0x0A000001, 0x0A000001), (0x0A000008, 0x0A00000C), (0x0A010000, 0x0A01FFFF)])
    assert read(listed(["nft", "-f", "-"], ["nft", "list", "ruleset"], path), "nft") == expected
    path.write_text(
        "create s hash:ip timeout 300 counters comment\n"
        'add s 10.0.0.1 comment "nomatch"\nadd s 10.0.0.8-10.0.0.12 timeout 20\n'
        "create m hash:ip netmask 24\nadd m 10.1.0.7\n"
    )
    expected = bitmap([(0x0A000001, 0x0A000001), (0x0A000008, 0x0A00000C)])
    assert read(listed(["ipset", "restore"], ["ipset", "save", "s"], path), "ipset") == expected
    expected = bitmap([(0x0A010000, 0x0A0100FF)])
    assert read(listed(["ipset", "restore"], ["ipset", "save", "m"], path), "ipset") == expected
