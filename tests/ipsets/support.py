"""Sets as hypothesis draws them, and set files in memory."""

import io

from hypothesis import strategies as st
from pyroaring import BitMap

from liveness.ipsets.files import codec
from liveness.ipsets.formats.codec import PLAIN, Choice
from liveness.ipsets.formats.table import FORMATS
from liveness.ipsets.source import Source

EDGES = (0, 1, 255, 256, 65_535, 65_536, 2**24 - 1, 2**24, 2**31, 2**32 - 257, 2**32 - 2, 2**32 - 1)
LENGTHS = (1, 1, 1, 2, 3, 8, 31, 64, 256, 257, 70_000)

Range = tuple[int, int]

FIRST = st.sampled_from(EDGES) | st.integers(0, 2**32 - 1) | st.integers(0, 2_000)
RANGE = st.builds(lambda first, length: (first, min(first + length, 2**32) - 1), FIRST, st.sampled_from(LENGTHS))
RANGES = st.lists(RANGE, max_size=25)
SMALL_RANGES = st.lists(RANGE.map(lambda pair: (pair[0], min(pair[1], pair[0] + 300))), max_size=12)


def bitmap(ranges: list[Range]) -> BitMap:
    """Return the set of inclusive ranges, added one by one."""
    result = BitMap()
    for low, high in ranges:
        result.add_range(low, high + 1)
    return result


def written(addresses: BitMap, style: str, choice: Choice = PLAIN) -> bytes:
    """Return a set in a format."""
    out = io.BytesIO()
    codec(FORMATS[style]).write_to(out, addresses.copy(), style, choice)
    return out.getvalue()


def read(content: bytes, style: str, choice: Choice = PLAIN) -> BitMap:
    """Return the set that bytes hold in a format; errors name it as ``file``."""
    return codec(FORMATS[style]).read_from(Source(io.BytesIO(content), "file"), choice)
