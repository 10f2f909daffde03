"""The packets of a receive block as pcap records: read back by scapy, byte for byte and to the nanosecond."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scapy.layers.dns import DNS
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.packet import Raw
from scapy.utils import RawPcapReader

from liveness.packets import block as blk
from liveness.packets.block import pack_block, unpack_block
from liveness.packets.pcap import HEADER, RECORD_BYTES, pack_records

TIMES = st.integers(0, 2**32 * 10**9 - 1)
PACKETS = st.lists(st.tuples(TIMES, st.binary(max_size=200)), max_size=20)


def records(block: NDArray[np.uint8]) -> bytes:
    memory = np.zeros(len(block), np.uint8)
    return memory[: pack_records(block, memory, ethernet=True)].tobytes()


def read_back(block: NDArray[np.uint8]) -> list[tuple[int, bytes, int]]:
    """Return (time in ns, captured bytes, bytes on the wire) of each packet, as scapy reads them."""
    file: Any = io.BytesIO(HEADER + records(block))  # scapy takes one, and says it takes a name
    with RawPcapReader(file) as reader:
        assert reader.nano
        return [(found.sec * 10**9 + found.usec, data, found.wirelen) for data, found in reader]


@given(PACKETS)
def test_scapy_reads_what_the_block_holds(packets: list[tuple[int, bytes]]) -> None:
    block = pack_block(packets)
    assert read_back(block) == [(time_ns, frame, len(frame)) for time_ns, frame in packets]
    assert len(records(block)) == sum(RECORD_BYTES + len(frame) for _, frame in packets)


def with_status(frame: bytes, status: int, tci: int = 0, tpid: int = 0) -> NDArray[np.uint8]:
    """Return a block of one packet about which the kernel says more."""
    block = pack_block([(7, frame)])
    header = block[blk.BLOCK_HEADER_BYTES :]
    header[blk.PACKET_STATUS : blk.PACKET_STATUS + 4].view(np.uint32)[0] = status | 1
    header[blk.PACKET_VLAN_TCI : blk.PACKET_VLAN_TCI + 4].view(np.uint32)[0] = tci
    header[blk.PACKET_VLAN_TPID : blk.PACKET_VLAN_TPID + 2].view(np.uint16)[0] = tpid
    return block


FRAME = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(dst="10.0.0.1") / UDP() / Raw(b"abc"))


def test_truncation_in_the_capture_is_still_reported() -> None:
    block = pack_block([(7, FRAME)])
    at = blk.BLOCK_HEADER_BYTES + blk.PACKET_LENGTH
    block[at : at + 4].view(np.uint32)[0] = 1500
    assert read_back(block) == [(7, FRAME, 1500)]


@pytest.mark.parametrize(("known", "tag"), [(False, Dot1Q(vlan=7)), (True, Dot1Q(vlan=7)), (True, Dot1AD(vlan=7))])
def test_a_tag_that_the_kernel_took_out_is_put_back(known: bool, tag: Dot1Q) -> None:
    status = blk.TP_STATUS_VLAN_VALID | (blk.TP_STATUS_VLAN_TPID_VALID if known else 0)
    outer = Ether(FRAME)
    tagged = bytes(Ether(src=outer.src, dst=outer.dst) / tag / outer.payload)
    tpid = int.from_bytes(tagged[12:14], "big")
    block = with_status(FRAME, status, 7, tpid if known else 0)
    assert read_back(block) == [(7, tagged, len(tagged))]


@pytest.mark.parametrize("layer", [TCP(flags="SA", seq=5), UDP(dport=5) / DNS(), UDP() / Raw(b"odd"), UDP() / b""])
@pytest.mark.parametrize("tagged", [False, True])
def test_a_checksum_left_to_hardware_is_finished(layer: TCP | UDP, tagged: bool) -> None:
    right = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2") / layer)
    at = 34 + (16 if isinstance(layer, TCP) else 6)
    unfinished = right[:at] + b"\x12\x34" + right[at + 2 :]
    status = blk.TP_STATUS_CSUMNOTREADY | (blk.TP_STATUS_VLAN_VALID if tagged else 0)
    ((_, found, _),) = read_back(with_status(unfinished, status, 7))
    assert found == (right[:12] + b"\x81\x00\x00\x07" + right[12:] if tagged else right)


def test_what_is_no_whole_segment_keeps_its_bytes() -> None:
    for frame in (b"", FRAME[:20], FRAME[:36], FRAME[:14] + bytes(30), FRAME[:12] + b"\x86\xdd" + FRAME[14:]):
        assert read_back(with_status(frame, blk.TP_STATUS_CSUMNOTREADY)) == [(7, frame, len(frame))]


def test_the_blocks_of_tests_are_those_of_the_kernel() -> None:
    assert next(unpack_block(with_status(FRAME, 0))) == (7, FRAME)
    assert blk.PACKET_VLAN_TPID < blk.PACKET_HEADER_BYTES <= blk.FRAME_AT
