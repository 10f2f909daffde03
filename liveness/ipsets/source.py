"""A source: the bytes of a set file or of standard input, whose first bytes can be inspected before reading."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from liveness.errors import UsageError
from liveness.ipsets.compressed import KINDS, Decompressed
from liveness.space.prefixes import Stream

HEAD_BYTES = 1 << 16
"""How many bytes are inspected to recognise the format."""

CHUNK_BYTES = 1 << 22
"""How much text is read at once."""

LONGEST_LINE_BYTES = 1 << 26
"""A longer line is no line of any format; without a limit /dev/zero would fill the memory."""


class Source:
    """A stream with its name for messages, the bytes it begins with (`head`), and how many were read (`taken`).

    Content compressed by gzip, bzip2 or xz is decompressed.
    """

    def __init__(self, stream: Stream, name: str, what: str = "this set") -> None:
        self.name = name
        self._what = what
        self.taken = 0
        self._stream = stream
        self.head = self._take(HEAD_BYTES)
        if self.head.startswith(tuple(KINDS)):
            self._stream = Decompressed(stream, self.head, name)
            self.head = self._take(HEAD_BYTES)
        self._unread = self.head

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes; fewer only at the end."""
        content, self._unread = self._unread[:size], self._unread[size:]
        if len(content) < size:
            content += self._take(size - len(content))
        self.taken += len(content)
        return content

    def rest(self, limit: int) -> bytes:
        """Return all bytes that were not read yet. UsageError for more than `limit`."""
        parts = io.BytesIO()
        while content := self.read(CHUNK_BYTES):
            parts.write(content)
            if parts.tell() > limit:
                raise UsageError(f"{self.name}: more than {limit:,} bytes: larger than any such set")
        return parts.getvalue()

    def lines(self) -> Iterator[tuple[bytes, int]]:
        """Yield the rest in parts that end with a line's end, each with the number of its first line (from 1)."""
        number, kept = 1, b""
        while data := self.read(CHUNK_BYTES):
            if number == 1 and not kept:
                data = data.removeprefix(b"\xef\xbb\xbf")  # the byte order mark that some editors write
            whole, newline, tail = (kept + data).rpartition(b"\n")
            if b"\0" in whole or len(tail) > LONGEST_LINE_BYTES:
                raise UsageError(f"{self.name}: not text, or not by lines: name what it is with --from FORMAT")
            if newline:
                yield whole + newline, number
                number += whole.count(b"\n") + 1
            kept = tail
        if kept:
            if b"\0" in kept:
                raise UsageError(f"{self.name}: not text: name what it is with --from FORMAT")
            yield kept + b"\n", number

    def _take(self, size: int) -> bytes:
        """Read from the stream until there are `size` bytes, or no more."""
        parts = []
        while size:
            try:
                part = self._stream.read(size)
            except OSError as problem:
                raise UsageError(f"{self.name}: cannot read {self._what}: {problem.strerror}") from problem
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


@contextmanager
def open_source(path: str, what: str = "this set") -> Iterator[Source]:
    """Open a set file, or standard input for ``-``, which stays open afterwards. `what` is its name in messages.

    UsageError names a file that is missing, is a directory, or may not be read.
    """
    if path == "-":
        yield Source(sys.stdin.buffer, "standard input", what)
        return
    file = Path(path)
    if file.is_dir():
        example = next(iter(sorted(file.glob("sets/*.roaring"))), None)
        hint = f": name one of its sets, as {example}" if example else ""
        raise UsageError(
            f"{path}: a directory, not {'an' if what.endswith('list') else 'a'} {what.removeprefix('this ')}{hint}"
        )
    try:
        stream = file.open("rb")
    except OSError as problem:
        raise UsageError(f"{path}: cannot read {what}: {problem.strerror}") from problem
    with stream:
        yield Source(stream, path, what)
