"""The kernels' grammar of entries is that of `parse_entry`, on what is right and on what nearly is."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from liveness.ipsets.formats.entries import NONE, entry_at
from liveness.space.addresses import parse_entry

OCTET = st.integers(0, 260).map(str) | st.sampled_from(["", "00", "01", "1000", "٣", "-1"])
ADDRESS = st.lists(OCTET, min_size=3, max_size=5).map(".".join) | st.builds(
    "{}.{}.{}.{}".format, *[st.integers(0, 255)] * 4
)
LENGTH = st.integers(0, 40).map(str) | st.sampled_from(["", "08", "024"])
NETWORK = st.builds(
    lambda address, length: ".".join(str(address >> length << length >> shift & 255) for shift in (24, 16, 8, 0)),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)
ENTRY = (
    ADDRESS
    | st.builds("{}/{}".format, ADDRESS | NETWORK, LENGTH)
    | st.builds("{}{}-{}{}".format, ADDRESS, st.sampled_from(["", " ", "\t "]), st.sampled_from(["", " "]), ADDRESS)
)


@given(ENTRY)
def test_entries_are_read_alike(text: str) -> None:
    low, high, at = entry_at(np.frombuffer(text.encode() + b"\n", np.uint8), 0)
    try:
        expected = parse_entry(text)
    except ValueError:
        assert at == NONE or at < len(text.encode())  # a beginning may be an entry: callers look at what follows
    else:
        assert (low, high, at) == (*expected, len(text))
