"""Owns where it is shown how far the compiling of kernels is: nowhere, until a command line says where."""

from collections.abc import Callable
from typing import Final

_displays: Final[list[Callable[[str], None]]] = []


def show_on(display: Callable[[str], None]) -> None:
    """Let `display` be called with what is to be seen now: a text in place of the one before, or nothing."""
    _displays[:] = [display]


def show(done: int, known: int) -> None:
    """Show that `done` of the `known` kernels are compiled."""
    if known:
        _write(f"compiling kernels, once: {done} of {known}")


def clear() -> None:
    """Show nothing any more."""
    _write("")


def _write(text: str) -> None:
    for display in _displays:
        display(text)
