"""The Internet checksum against RFC 1071's example and scapy's implementation."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scapy.utils import checksum as scapy_checksum

from liveness.packets.bytes import read_be16, read_be32, read_le64
from liveness.packets.checksum import checksum, fold, sums_to_ones, u32_sum, udp_checksum, words_sum

RFC_1071 = bytes.fromhex("0001f203f4f5f6f7")
IPV4_HEADER = bytes.fromhex("45000073000040004011b861c0a80001c0a800c7")


def array(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8).copy()


def ours(data: bytes) -> int:
    return checksum(words_sum(array(data), 0, len(data)))


def test_the_example_of_rfc_1071_section_3() -> None:
    assert words_sum(array(RFC_1071), 0, 8) == 0x2DDF0
    assert fold(0x2DDF0) == 0xDDF2
    assert ours(RFC_1071) == 0x220D


def test_a_header_with_its_checksum_sums_to_all_ones() -> None:
    assert fold(words_sum(array(IPV4_HEADER), 0, 20)) == 0xFFFF
    assert ours(IPV4_HEADER[:10] + bytes(2) + IPV4_HEADER[12:]) == 0xB861


@given(st.binary(max_size=200))
def test_scapy_computes_the_same(data: bytes) -> None:
    assert ours(data) == scapy_checksum(data)


@pytest.mark.parametrize("length", [1, 3, 19, 21])
def test_an_odd_last_byte_is_padded_behind(length: int) -> None:
    data = bytes(range(200, 200 + length))
    assert ours(data) == ours(data + b"\0") == scapy_checksum(data)
    assert words_sum(array(data + b"\xff"), 0, length) == words_sum(array(data + b"\0"), 0, length + 1)


@given(st.binary(max_size=60), st.integers(0, 60), st.integers(0, 60))
def test_sums_of_parts_add_up(data: bytes, start: int, length: int) -> None:
    start = min(start, len(data))
    middle = start + min(length, len(data) - start) // 2 * 2  # a part may only end between words
    frame = array(data)
    assert words_sum(frame, start, middle) + words_sum(frame, middle, len(data)) == words_sum(frame, start, len(data))


def test_many_full_words_do_not_overflow() -> None:
    data = b"\xff" * 65535
    assert words_sum(array(data), 0, len(data)) == 32767 * 0xFFFF + 0xFF00
    assert ours(data) == scapy_checksum(data)


@given(st.integers(0, 2**40))
@example(0x1FFFF)  # a carry that comes of adding a carry
@example(0xFFFF)
def test_a_sum_is_folded_until_it_is_one_word(total: int) -> None:
    folded = int(fold(total))
    assert 0 <= folded <= 0xFFFF
    assert (folded - total) % 0xFFFF == 0
    assert (folded == 0) == (total == 0)  # all ones stay all ones
    assert checksum(total) == 0xFFFF - folded


@given(st.integers(0, 2**40))
def test_udp_never_sends_zero(total: int) -> None:
    value = checksum(total)
    assert udp_checksum(total) == (value or 0xFFFF)


def test_udp_sends_all_ones_for_a_sum_of_all_ones() -> None:
    assert checksum(0xFFFF) == checksum(0x1FFFE) == 0
    assert udp_checksum(0xFFFF) == udp_checksum(0x1FFFE) == 0xFFFF


@given(st.binary(min_size=4, max_size=4))
def test_numbers_are_read_in_network_order(data: bytes) -> None:
    frame = array(b"\xaa" + data + b"\xbb")
    assert read_be16(frame, 1) == int.from_bytes(data[:2], "big")
    assert read_be32(frame, 1) == int.from_bytes(data, "big")
    assert u32_sum(int.from_bytes(data, "big")) == words_sum(frame, 1, 5)


@given(st.binary(max_size=130), st.integers(0, 20), st.integers(0, 2**20), st.booleans())
@example(b"\xff" * 128, 0, 0, True)  # every addition carries
@example(b"\0" * 20, 0, 0, False)  # nothing but zeros is not all ones
def test_all_ones_are_recognised_as_by_the_plain_sum(data: bytes, start: int, more: int, completed: bool) -> None:
    frame, start = array(data), min(start, len(data))
    if completed:  # with the checksum of everything else, as in a correct packet
        more += int(checksum(words_sum(frame, start, len(data)) + more))
    expected = fold(words_sum(frame, start, len(data)) + more) == 0xFFFF
    assert bool(sums_to_ones(frame, start, len(data), more)) == expected
    assert expected or not completed


@given(st.binary(min_size=8, max_size=8))
def test_numbers_of_eight_bytes(data: bytes) -> None:
    assert int(read_le64(array(b"\xaa" + data + b"\xbb"), 1)) == int.from_bytes(data, "little")
