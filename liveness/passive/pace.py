"""Pace of work that may take long and is repeated: it gets a share of the time only."""

import time
from types import TracebackType
from typing import Final, Self

SHARE: Final = 0.1
"""At most this share of the time goes into work that is done at its pace."""


class Pace:
    """Measures work that is done inside its context, and says when the next is due."""

    def __init__(self) -> None:
        self._began_s = self._ended_s = float("-inf")
        self._took_s = 0.0

    def is_due(self) -> bool:
        """Return whether so much time has passed since the last work that it stays within its share."""
        return time.monotonic() - self._ended_s >= self._took_s * (1 / SHARE - 1)

    def __enter__(self) -> Self:
        self._began_s = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        self._ended_s = time.monotonic()
        self._took_s = self._ended_s - self._began_s
