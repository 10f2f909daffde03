"""Exit codes of processes that signals end, as shells give them."""

from typing import Final

SIGNALLED: Final = 128
"""The exit code of a process that signal n ended is this number plus n."""


def exit_code_of(signal_number: int) -> int:
    """Return the exit code of a process that a signal ended."""
    return SIGNALLED + signal_number


def shown_by_shells(code: int) -> int:
    """Return the exit code that a shell gives for a code of Python's, which is -n for a process that signal n ended."""
    return code if code >= 0 else exit_code_of(-code)
