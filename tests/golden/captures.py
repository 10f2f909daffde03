"""The golden files: nanosecond captures and what is expected of them, made anew by `python -m tests.golden.captures`.

Packets are built by scapy from the design; nothing of ours that parses or matches takes part. Each capture has a YAML
file beside it with one entry a packet, in order.
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

import yaml

from tests.golden.cells import Cell, Table
from tests.golden.discovery import snmp_cells, ssdp_cells
from tests.golden.echo import echo_cells
from tests.golden.errors import error_cells, quote_cells
from tests.golden.lower import lower_cells
from tests.golden.tcp import tcp_cells
from tests.golden.udp import dns_cells, ntp_cells

DIRECTORY: Final = Path(__file__).parent
TABLES: Final[dict[str, Callable[[], Table]]] = {
    "tcp": tcp_cells,
    "echo": echo_cells,
    "dns": dns_cells,
    "ntp": ntp_cells,
    "ssdp": ssdp_cells,
    "snmp": snmp_cells,
    "errors": error_cells,
    "quotes": quote_cells,
    "lower": lower_cells,
}
NANOSECOND_MAGIC: Final = 0xA1B23C4D
LINKTYPE_ETHERNET: Final = 1
_FILE_HEADER: Final = struct.Struct("<IHHiIII")
_PACKET_HEADER: Final = struct.Struct("<IIII")


def capture_of(table: Table) -> bytes:
    """Return a table as a nanosecond pcap file; each packet has the time its cell expects."""
    parts = [_FILE_HEADER.pack(NANOSECOND_MAGIC, 2, 4, 0, 0, 65535, LINKTYPE_ETHERNET)]
    times = Table()
    for cell in table.cells:
        seconds, nanoseconds = divmod(times.time_ns, 10**9)
        parts += [_PACKET_HEADER.pack(seconds, nanoseconds, len(cell.frame), len(cell.frame)), cell.frame]
        times.cells.append(cell)
    return b"".join(parts)


def expectations_of(table: Table) -> str:
    """Return what is expected of a table's packets as YAML, one line each."""
    return "".join(
        f"- {yaml.safe_dump(_entry(cell), default_flow_style=True, sort_keys=False, width=10**6)}"
        for cell in table.cells
    )


def _entry(cell: Cell) -> dict[str, object]:
    entry: dict[str, object] = {"name": cell.name, "expected": cell.expected}
    if cell.ignoring != cell.expected:
        entry["with checksums ignored"] = cell.ignoring
    if cell.tshark:
        entry["tshark"] = cell.tshark
    return entry


def read_capture(path: Path) -> list[tuple[int, bytes]]:
    """Return time (ns) and frame of each packet of a golden capture."""
    data, at, packets = path.read_bytes(), _FILE_HEADER.size, []
    while at < len(data):
        seconds, nanoseconds, length, _ = _PACKET_HEADER.unpack_from(data, at)
        at += _PACKET_HEADER.size
        packets.append((seconds * 10**9 + nanoseconds, data[at : at + length]))
        at += length
    return packets


def main() -> None:
    """Write all captures and expectations beside this file."""
    for name, make in TABLES.items():
        table = make()
        (DIRECTORY / f"{name}.pcap").write_bytes(capture_of(table))
        (DIRECTORY / f"{name}.yaml").write_text(expectations_of(table))


if __name__ == "__main__":
    main()
