"""Captures of packets: pcap and pcapng of all link types, byte orders and resolutions, plain and gzipped."""

from pathlib import Path
from typing import Final

from liveness.packets.capture import count_packets
from tests.fuzzing.kinds.flows import read_metered
from tests.fuzzing.kinds.kind import PACKERS, FileKind, flipped, made, packed
from tests.golden.captures import DIRECTORY, TABLES
from tests.packets.captures import interface, option, packet_block, pcapng, section
from tests.packets.captures import pcap as pcap_of

LINKS: Final = (1, 12, 101, 113, 228, 276, 0, 147)
"""Link types that are read, and two that are not."""
IP: Final = bytes.fromhex("45000028000100004006f96b0a000001c00002010050d43100000001000000025012ffff00000000")
COOKED: Final = bytes.fromhex("0000000100060200000000010000") + b"\x08\x00" + IP
COOKED2: Final = b"\x08\x00" + bytes.fromhex("0000000000010001000602000000000100") + bytes(1) + IP
TAGGED: Final = bytes(12) + b"\x81\x00\x00\x07\x08\x00" + IP
PACKETS: Final = {1: TAGGED, 113: COOKED, 276: COOKED2}


def read_capture(path: Path) -> None:
    """Read a capture to its end, and meter its packets."""
    count_packets(path)
    read_metered(path)


def _pcaps() -> list[bytes]:
    golden = [(DIRECTORY / f"{name}.pcap").read_bytes() for name in TABLES]
    packets = {link: [(n, PACKETS.get(link, IP)) for n in range(3)] for link in LINKS}
    return [*golden, *(pcap_of(packets[link], order=order, nano=order == ">", link=link)
                       for link in LINKS for order in "<>")]  # fmt: skip


def _pcapngs() -> list[bytes]:
    found = [pcapng([(0, bytes(range(60))), (1, bytes(90))])]
    for order in "<>":
        resolution = option(order, 9, b"\x09") + option(order, 14, bytes(8)) + option(order, 0, b"")
        content = section(order) + b"".join(interface(order, link, 96, resolution) for link in LINKS)
        content += b"".join(
            packet_block(PACKETS.get(link, IP), number, order, number) for number, link in enumerate(LINKS)
        )
        found.append(content)
    return found


def _both() -> list[bytes]:
    return [*_pcaps(), *_pcapngs()]


def kinds() -> list[FileKind]:
    """Return the kinds of captures."""
    info = ["flows", "info", "{}"]
    return [
        FileKind("capture", "a.pcap", made(_pcaps), flipped, read_capture, info),
        FileKind("pcapng", "a.pcapng", made(_pcapngs), flipped, read_capture, info),
        FileKind("gzipped capture", "a.pcap.gz", made(_both), packed(flipped, PACKERS["gzip"]),
                 read_capture, info),
    ]  # fmt: skip
