"""SplitMix64, against its published outputs and against whole numbers of Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from liveness.kernel import uint64
from liveness.mixing import GOLDEN_GAMMA, mix64, mix64_all

OUTPUTS_OF_1234567 = (
    6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
)  # fmt: skip
"""The first numbers of a stream with seed 1234567, as implementations in other languages print them."""


def test_a_stream_has_the_published_numbers() -> None:
    words = [(1234567 + GOLDEN_GAMMA * (place + 1)) % 2**64 for place in range(len(OUTPUTS_OF_1234567))]
    assert tuple(int(mix64(uint64(word))) for word in words) == OUTPUTS_OF_1234567


@given(arrays(np.uint64, st.integers(0, 8), elements=st.integers(0, 2**64 - 1)))
def test_an_array_is_mixed_word_by_word(words: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> None:
    assert mix64_all(words).tolist() == [int(mix64(uint64(word))) for word in words.tolist()]
