"""Sets to and from numpy, files and /24s."""

import hashlib
import os
import stat
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap, BitMap64

from liveness.errors import LivenessError, UsageError
from liveness.files.atomic import write_atomically
from liveness.ipsets import roaring
from liveness.ipsets.files import Reader
from liveness.ipsets.roaring import SetDigest, as_array, from_numpy, mask24, read_roaring, to_numpy, write_roaring

ADDRESSES = st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 2000), max_size=300)


@given(ADDRESSES)
def test_numpy_and_back(addresses: list[int]) -> None:
    bitmap = from_numpy(np.array(addresses, dtype=np.uint32))
    assert to_numpy(bitmap).tolist() == sorted(set(addresses))


def test_numpy_views_with_strides_are_read_right() -> None:
    every_third = np.arange(10, dtype=np.uint32)[::3]
    assert list(as_array(every_third)) == list(from_numpy(every_third)) == [0, 3, 6, 9]


@given(ADDRESSES)
def test_mask24_is_the_shift_of_every_address(addresses: list[int]) -> None:
    assert set(mask24(BitMap(addresses))) == {address >> 8 for address in addresses}


def test_chunks_split_a_large_set_and_lose_nothing() -> None:
    size = roaring.CHUNK_ADDRESSES
    large = BitMap(range(100, size + 500)) | BitMap([0xC0000001, 0xFFFFFFFF])
    parts = [part.copy() for part in roaring.chunks(large)]
    assert [part.size for part in parts] == [size - 100, 500, 1, 1]
    assert [int(part[0]) for part in parts] == [100, size, 0xC0000001, 0xFFFFFFFF]
    assert set(mask24(large)) == {*range((size + 499 >> 8) + 1), 0xC00000, 0xFFFFFF}


@pytest.mark.parametrize("addresses", [[], [0], [0, 2**32 - 1], range(10, 200_000), range(0, 2**20, 7)])
def test_file_and_back(tmp_path: Path, addresses: list[int]) -> None:
    bitmap = BitMap(addresses)
    path = tmp_path / "a.roaring"
    digest = write_roaring(path, bitmap)
    content = path.read_bytes()
    assert digest == SetDigest(len(addresses), hashlib.sha256(content).hexdigest())
    assert read_roaring(path, digest) == bitmap == BitMap.deserialize(content)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.roaring"]


def test_equal_sets_make_equal_files(tmp_path: Path) -> None:
    by_union = BitMap(range(0, 70_000, 2)) | BitMap(range(1, 70_000, 2))
    first = write_roaring(tmp_path / "union", by_union)
    second = write_roaring(tmp_path / "range", from_numpy(np.arange(70_000, dtype=np.uint32)[::-1]))
    assert first == second


@pytest.mark.parametrize("content", [b"", b"x", b"abc" * 100, BitMap([1, 2, 3]).serialize()[:-1]])
def test_junk_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "junk.roaring"
    path.write_bytes(content)
    with pytest.raises(LivenessError, match=r"junk\.roaring: not a roaring set"):
        read_roaring(path)


def test_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.roaring"
    digest = write_roaring(path, BitMap([1, 2, 3]))
    with pytest.raises(LivenessError, match=r"a\.roaring: damaged: it holds 3 addresses, the manifest says 4"):
        read_roaring(path, SetDigest(4, digest.sha256))
    path.write_bytes(BitMap([1, 2, 4]).serialize())
    with pytest.raises(LivenessError, match=r"a\.roaring: damaged: its SHA-256 is"):
        read_roaring(path, digest)
    path.unlink()
    with pytest.raises(LivenessError, match=r"a\.roaring: cannot read this set: No such file"):
        read_roaring(path, digest)


def test_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def disk_full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(LivenessError, match=r"file: cannot write: No space left on device"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_permissions(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "shared", b"")
        write_atomically(tmp_path / "secret", b"", mode=0o600)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def without_runs(containers: int, cookie: int) -> bytes:
    """Return a set of one address in each container, none of them a run, in either form of the header."""
    described = b"".join(struct.pack("<HH", key, 0) for key in range(containers))
    head = (
        struct.pack("<II", cookie, containers) if cookie == 12346 else struct.pack("<I", cookie | containers - 1 << 16)
    )
    head += bytes((containers + 7) // 8) if cookie != 12346 else b""
    offsets = b""
    if cookie == 12346 or containers >= 4:
        begin = len(head) + len(described) + 4 * containers
        offsets = b"".join(struct.pack("<I", begin + 2 * place) for place in range(containers))
    return head + described + offsets + b"\x07\x00" * containers


@pytest.mark.parametrize("containers", [1, 3, 4, 9])
@pytest.mark.parametrize("cookie", [12346, 12347])
def test_a_file_that_announces_runs_and_has_none_is_a_set(tmp_path: Path, containers: int, cookie: int) -> None:
    path = tmp_path / "a.roaring"
    path.write_bytes(without_runs(containers, cookie))
    expected = BitMap(key << 16 | 7 for key in range(containers))
    assert Reader().read(str(path)).addresses == expected
    assert read_roaring(path) == expected
    path.write_bytes(without_runs(containers, cookie) + b"more")
    with pytest.raises(UsageError, match=r"a\.roaring: damaged"):
        Reader().read(str(path))


def test_a_set_of_64_bits_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.roaring"
    for members in ([1, 2, 3], [1, 1 << 40], list(range(100_000))):
        path.write_bytes(BitMap64(members).serialize())
        with pytest.raises(UsageError, match=r"a\.roaring: a roaring set of 64-bit numbers"):
            Reader().read(str(path))
