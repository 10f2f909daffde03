"""Watch over the side effects of a reader: files that it writes outside its folder, programs, connections.

An audit hook sees every attempt of Python code, even one that the system refuses; looking at the folders afterwards
shows what native code did. An audit hook cannot be removed: it belongs in a process that ends with the campaign.
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
HARMLESS: Final = ("/dev/null",)
FONTS: Final = (".ttf", ".otf")
CHANGES: Final = {
    "os.mkdir": 1, "os.remove": 1, "os.rmdir": 1, "os.chmod": 1, "os.chown": 1, "os.truncate": 1, "os.utime": 1,
    "os.rename": 2, "os.link": 2, "os.symlink": 2,
}  # fmt: skip
"""The events that change files, and how many of their arguments are paths."""
FORBIDDEN: Final = frozenset(
    {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "socket.connect", "socket.sendto", "socket.bind"}
)


class Guard:
    """The audit hook of one process. What it saw is in `attempts`."""

    def __init__(self, *allowed: Path) -> None:
        """Begin to watch; below `allowed` a reader may write."""
        self.attempts: list[str] = []
        self.has_written = True
        """Whether a reader may have written, where it may or may not."""
        self._allowed_below = tuple(f"{path}/" for path in allowed)
        self._watching = False
        sys.addaudithook(self._hook)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while a reader runs."""
        self._watching = True
        try:
            yield
        finally:
            self._watching = False

    def take(self) -> str | None:
        """Return the first attempt since the last call, None if there was none."""
        first = self.attempts[0] if self.attempts else None
        self.attempts.clear()
        return first

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._watching:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = flags & WRITING if isinstance(flags, int) else set(str(mode)) & set("wax+")
            if not writes:
                return
            self.has_written = True
            if not self._allowed(path):
                self.attempts.append(f"opened to write: {path!r}")
        elif event in CHANGES:
            self.has_written = True
            for path in arguments[: CHANGES[event]]:
                if not self._allowed(path):
                    self.attempts.append(f"{event}: {path!r}")
        elif event in FORBIDDEN:
            self.attempts.append(f"{event}: {str(arguments)[:100]}")

    def _allowed(self, path: object) -> bool:
        """Return whether a path may be written: below the folder, or relative to an open directory and below it."""
        if path is None or isinstance(path, int):
            return True
        text = os.fsdecode(path)  # type: ignore[arg-type]
        if ".." in text.split("/"):
            return False
        return not text.startswith("/") or text in HARMLESS or f"{text}/".startswith(self._allowed_below)


def changed_outside(place: Path) -> str | None:
    """Return what changed in a place outside its folder `work`, None for nothing."""
    found = {str(path.relative_to(place)) for path in place.rglob("*") if not path.is_relative_to(place / "work")}
    if found != {"victim", "victim/precious"}:
        return f"something was made or removed outside: {sorted(found)}"
    return None if (place / "victim" / "precious").read_bytes() == b"precious" else "a file outside was written"


class Descriptors:
    """The open descriptors of this process: a reader leaves none behind, but fonts that matplotlib keeps open."""

    def __init__(self) -> None:
        """Note what is open now."""
        self._open = self._now()

    @staticmethod
    def _now() -> dict[int, str]:
        found = {}
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names
            try:
                found[int(name)] = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
            except OSError:  # the descriptor of the listing itself
                continue
        return found

    def left(self) -> str | None:
        """Return what was opened since and is still open, each once; None for nothing."""
        if len(os.listdir("/proc/self/fd")) - 1 <= len(self._open):  # noqa: PTH208 - names
            return None
        gc.collect()
        now = {number: path for number, path in self._now().items() if number not in self._open}
        self._open |= now
        left = {number: path for number, path in now.items() if not path.endswith(FONTS)}
        return f"descriptors left open: {sorted(set(left.values()))[:3]}" if left else None
