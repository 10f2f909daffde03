"""Compressed set files: gzip, bzip2 and xz are read as what is in them, within bounds of memory and size."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import ClassVar, Final, Protocol

from liveness.errors import UsageError
from liveness.space.prefixes import Stream

PART_BYTES: Final = 1 << 20
LEAST_CHECKED_BYTES: Final = 1 << 26
"""How much may be decompressed from a file before its ratio is checked."""
HIGHEST_RATIO: Final = 250
"""Lists of addresses shrink to a third or a twentieth: a file that grows more than this is no list."""
XZ_MEMORY_BYTES: Final = 1 << 28
"""What the strongest preset of xz needs is a quarter of it."""
XZ_MAGIC: Final = b"\xfd7zXZ\x00"


class Decompressor(Protocol):
    """The common interface of the decompressors in the standard library."""

    @property
    def eof(self) -> bool:
        """Whether the end of a compressed stream was reached."""

    @property
    def unused_data(self) -> bytes:
        """What follows that end."""

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes:
        """Return the decompressed bytes of more data."""


KINDS: Final[dict[bytes, tuple[str, Callable[[], Decompressor]]]] = {
    b"\x1f\x8b": ("gzip", lambda: zlib.decompressobj(wbits=31)),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
    XZ_MAGIC: ("xz", lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY_BYTES)),
}
"""The first bytes of a compressed file, the name of the format, and its decompressor."""


class Decompressed:
    """The content of a compressed stream, as a stream. UsageError names a file that is damaged, or grows too much."""

    LEAST_CHECKED_BYTES: ClassVar[int] = LEAST_CHECKED_BYTES
    HIGHEST_RATIO: ClassVar[int] = HIGHEST_RATIO

    def __init__(self, stream: Stream, head: bytes, name: str) -> None:
        self._stream, self._waiting, self._name = stream, head, name
        self._kind, self._make = next(kind for magic, kind in KINDS.items() if head.startswith(magic))
        self._opened = self._make()
        self._taken, self._given = len(head), 0
        self._ended = False

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""
        while not self._ended:
            try:
                part = self._step(min(size, PART_BYTES))
            except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError) as problem:
                raise UsageError(f"{self._name}: damaged: not what {self._kind} wrote: {problem}") from None
            if part:
                self._given += len(part)
                ratio = self.HIGHEST_RATIO
                if self._given > self.LEAST_CHECKED_BYTES and self._given > ratio * self._taken:
                    raise UsageError(
                        f"{self._name}: {self._kind} makes more than {ratio} times as much of it: not a list of"
                        " addresses"
                    )
                return part
        return b""

    def _step(self, size: int) -> bytes:
        """Decompress some more."""
        if self._opened.eof:
            return self._next_stream()
        wants = getattr(self._opened, "needs_input", True)
        data, self._waiting = self._waiting, b""
        if wants and not data:
            data = self._stream.read(PART_BYTES)
            self._taken += len(data)
        part = self._opened.decompress(data, size)
        if wants and not data and not part and not self._opened.eof:
            raise UsageError(f"{self._name}: damaged: cut: {self._kind} expects more")
        self._waiting = getattr(self._opened, "unconsumed_tail", b"")
        return part

    def _next_stream(self) -> bytes:
        """Continue after the end of one stream, with another stream (such files may be joined) or padding."""
        rest = self._opened.unused_data or self._stream.read(PART_BYTES)
        self._taken += 0 if self._opened.unused_data else len(rest)
        if not rest.strip(b"\0"):
            self._ended = True
            return b""
        self._opened, self._waiting = self._make(), rest
        return b""
