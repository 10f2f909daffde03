"""Captures for tests, as scapy and a few lines of struct write them, and reading them with ours."""

import io
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from scapy.utils import EDecimal, PcapNgWriter, RawPcapWriter

from liveness.packets.block import unpack_block
from liveness.packets.capture import EVERYTHING, Capture

Packet = tuple[int, bytes]
"""Time in ns since 1970, and an Ethernet frame."""

ETHERNET: Final = 1


def pcap(packets: Sequence[Packet], *, order: str = "<", nano: bool = True, link: int = ETHERNET) -> bytes:
    """Return a pcap file as scapy writes it."""
    file = Kept()
    writer = RawPcapWriter(file, linktype=link, nano=nano, endianness=order, sync=True)
    writer.write_header(None)
    for time_ns, data in packets:
        fraction = time_ns % 10**9 if nano else time_ns % 10**9 // 1000
        writer.write_packet(data, sec=time_ns // 10**9, usec=fraction)
    return file.getvalue()


class Kept(io.BytesIO):
    """A file whose content outlives its closing."""

    def close(self) -> None:
        self.seek(0)


def block(order: str, kind: int, body: bytes) -> bytes:
    """Return a pcapng block."""
    body += bytes(-len(body) % 4)
    total = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + total + body + total


def section(order: str = "<") -> bytes:
    """Return the block that begins a section."""
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def option(order: str, code: int, value: bytes) -> bytes:
    """Return an option of a block."""
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(order: str = "<", link: int = ETHERNET, snaplen: int = 0, options: bytes = b"") -> bytes:
    """Return the block that describes an interface."""
    return block(order, 1, struct.pack(order + "HHI", link, 0, snaplen) + options)


def packet_block(data: bytes, stamp: int, order: str = "<", number: int = 0, length: int | None = None) -> bytes:
    """Return an enhanced packet block with a time stamp in units of its interface."""
    sizes = len(data), len(data) if length is None else length
    return block(order, 6, struct.pack(order + "5I", number, stamp >> 32, stamp & 0xFFFFFFFF, *sizes) + data)


def pcapng(packets: Sequence[Packet]) -> bytes:
    """Return a pcapng file as scapy writes it: microseconds."""
    with tempfile.NamedTemporaryFile() as file:
        writer = PcapNgWriter(file.name)
        writer.linktype = ETHERNET
        writer.write_header(None)
        for time_ns, data in packets:
            exact: Any = EDecimal(time_ns // 1000) / 10**6
            writer.write_packet(data, sec=exact, usec=0)
        writer.close()
        return Path(file.name).read_bytes()


def read(content: bytes, sizes: Sequence[int] = (1 << 22,)) -> tuple[list[Packet], Capture]:
    """Return the packets of a capture that comes in pieces of these sizes, round and round, and its reader."""
    stream, turn = io.BytesIO(content), 0

    def piece(count: int) -> bytes:
        nonlocal turn
        turn += 1
        return stream.read(min(count, sizes[turn % len(sizes)]))

    capture = Capture("test", piece, EVERYTHING, len(content))
    return [packet for block in capture.blocks() for packet in unpack_block(block)], capture
