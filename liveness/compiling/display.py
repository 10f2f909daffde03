"""Owns where it is shown how far the compiling of kernels is: nowhere, until a command line says where."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

Display = Callable[[str], None]
"""Is called with what is to be seen now: a text in place of the one before, or nothing."""

_displays: Final[list[Display]] = []


def show_on(display: Display) -> None:
    """Show it on `display` from now on."""
    _displays[:] = [display]


def show_nowhere() -> None:
    """Show it nowhere from now on, as in a child process whose parent shows it."""
    _displays.clear()


@contextmanager
def shown_on(display: Display) -> Iterator[None]:
    """Show it on `display` while the body runs, if it is shown anywhere: for views that own the terminal."""
    before = list(_displays)
    if before:
        show_on(display)
    try:
        yield
    finally:
        _displays[:] = before


def show(done: int, known: int, *, once: bool = True) -> None:
    """Show that `done` of the `known` kernels are compiled: once, if they are kept."""
    if known:
        _write(f"compiling kernels{', once' if once else ''}: {done} of {known}")


def clear() -> None:
    """Show nothing any more."""
    _write("")


def _write(text: str) -> None:
    for display in _displays:
        display(text)
