"""Memory that forked children share with their parent."""

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray


def shared_zeros(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:  # noqa: ANN401 - whatever numpy takes as a dtype
    """Return an array of zeros in anonymous memory that forked children share. Unused pages take no memory."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size == 0:
        return np.zeros(shape, dtype)
    return np.frombuffer(mmap.mmap(-1, size), dtype).reshape(shape)
