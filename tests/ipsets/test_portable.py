"""Portable files are indexed as pyroaring wrote them, and what is no such file is told from one that is."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from liveness.errors import LivenessError
from liveness.ipsets.portable_index import ARRAY, BITMAP, RUNS, BrokenFormatError, PortableSet
from liveness.ipsets.roaring import SetDigest, write_roaring
from liveness.ipsets.verify import open_verified

KEYS = st.sampled_from([0, 1, 2, 255, 256, 4000, 65535])


@st.composite
def bitmaps(draw: st.DrawFn) -> BitMap:
    """Draw sets with containers of every form."""
    members = BitMap()
    for key in draw(st.sets(KEYS)):
        base = key << 16
        form = draw(st.sampled_from(["few", "dense", "runs", "full"]))
        if form == "few":
            members.update(base + low for low in draw(st.sets(st.integers(0, 65535), min_size=1, max_size=9)))
        elif form == "dense":
            members |= BitMap(range(base + draw(st.integers(0, 9)), base + 65536, draw(st.integers(2, 15))))
        elif form == "runs":
            first = draw(st.integers(0, 60000))
            members |= BitMap(range(base + first, base + first + draw(st.integers(1, 5000))))
        else:
            members |= BitMap(range(base, base + 65536))
    if draw(st.booleans()):
        members.run_optimize()
    return members


def decoded(portable: PortableSet, first: int, behind: int) -> BitMap:
    """Decode some containers by the format's description, in plain Python."""
    index = portable.index
    content = bytearray(int(index.offsets[behind] - index.offsets[first]))
    portable.read_into(memoryview(content), first, behind)
    members = BitMap()
    for entry in range(first, behind):
        begin, end = (int(index.offsets[at] - index.offsets[first]) for at in (entry, entry + 1))
        base = int(index.keys[entry]) << 16
        if index.forms[entry] == BITMAP:
            bits = np.unpackbits(np.frombuffer(content[begin:end], np.uint8), bitorder="little")
            members.update((base + np.flatnonzero(bits)).tolist())
            continue
        numbers = np.frombuffer(content[begin:end], "<u2").tolist()
        if index.forms[entry] == ARRAY:
            members.update(base + low for low in numbers)
        else:
            assert numbers[0] == (len(numbers) - 1) // 2
            for low, more in zip(numbers[1::2], numbers[2::2], strict=True):
                members |= BitMap(range(base + low, base + low + more + 1))
    return members


@settings(max_examples=80, deadline=None)
@given(bitmaps(), st.data())
def test_containers_are_those_that_were_written(members: BitMap, data: st.DataObject) -> None:
    portable = PortableSet.of_bytes(members.serialize())
    count = len(portable.index.keys)
    assert portable.index.cardinality == len(members)
    assert decoded(portable, 0, count) == members
    first = data.draw(st.integers(0, count))
    behind = data.draw(st.integers(first, count))
    keys = portable.index.keys[first:behind].tolist()
    assert decoded(portable, first, behind) == BitMap(member for member in members if member >> 16 in keys)


def test_every_form_is_seen() -> None:
    members = BitMap([1]) | BitMap(range(65536, 131072, 3)) | BitMap(range(131072, 140000))
    members.run_optimize()
    assert PortableSet.of_bytes(members.serialize()).index.forms.tolist() == [ARRAY, BITMAP, RUNS]


@settings(max_examples=200, deadline=None)
@given(bitmaps(), st.data())
def test_a_cut_or_lengthened_set_is_broken(members: BitMap, data: st.DataObject) -> None:
    content = members.serialize()
    size = data.draw(st.integers(0, len(content) - 1))
    for wrong in (content[:size], content + b"\0", content + content):
        with pytest.raises(BrokenFormatError):
            PortableSet.of_bytes(wrong)


@settings(max_examples=200, deadline=None)
@given(bitmaps(), st.data())
def test_any_other_header_is_broken_or_lies_inside_the_file(members: BitMap, data: st.DataObject) -> None:
    content = bytearray(members.serialize())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(len(content), 64) - 1))] = data.draw(st.integers(0, 255))
    try:
        index = PortableSet.of_bytes(bytes(content)).index
    except BrokenFormatError:
        return
    assert index.offsets[-1] == len(content)
    assert np.all(np.diff(index.offsets) > 0)
    assert np.all(np.diff(index.keys.astype(np.int64)) > 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it ends in its header"),
        (b"PK\3\4 and so on", "it does not begin with a cookie"),
        ((12346).to_bytes(4, "little") + (70000).to_bytes(4, "little"), "it tells of 70,000 containers"),
        (BitMap([1, 70000]).serialize()[:8] + bytes([1, 0, 0, 0, 0, 0, 0, 0]) + bytes(20), "out of order"),
    ],
)
def test_what_is_wrong_with_a_file_is_reported(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.roaring"
    path.write_bytes(content)
    with pytest.raises(LivenessError, match=rf"a\.roaring: not a roaring set in the portable format: .*{message}"):
        PortableSet.open(path)


def test_files_are_verified_against_their_digest(tmp_path: Path) -> None:
    path = tmp_path / "a.roaring"
    digest = write_roaring(path, BitMap([1, 2, 70000]))
    assert open_verified(path, digest).index.cardinality == 3
    with pytest.raises(LivenessError, match=r"a\.roaring: damaged: it holds 3 addresses, the manifest says 4"):
        open_verified(path, SetDigest(4, digest.sha256))
    with pytest.raises(LivenessError, match=r"a\.roaring: damaged: its SHA-256 is .*, the manifest says 00$"):
        open_verified(path, SetDigest(3, "00"))
    path.unlink()
    with pytest.raises(LivenessError, match=r"a\.roaring: cannot read this set: No such file"):
        open_verified(path, digest)
