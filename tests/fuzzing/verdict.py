"""The verdict on how a reader ended: with a result, with one line of error, or with a fault."""

import traceback
import warnings
from pathlib import Path

from liveness.errors import ConfigWarning, LivenessError
from tests.fuzzing.kinds.kind import FileKind


class TooSlowError(BaseException):
    """A reader took more time than it may; no reader catches it as an error of its own."""


def verdict(kind: FileKind, path: Path) -> str | None:
    """Let the reader of a kind read a file; return what is wrong with how that ended, None for nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConfigWarning)  # it informs people and stops nothing
            kind.read(path)
    except LivenessError as error:
        text = str(error)
        if not text or not all(character.isprintable() or character == "\t" for character in text):
            return f"a message that is no line of text: {text[:300]!r}"
        return None
    except TooSlowError:
        raise
    except MemoryError:
        return "more memory than a reader may take"
    except BaseException as error:  # noqa: BLE001 - everything else is a finding
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:200]} ({Path(last.filename).name}:{last.lineno})"
    return None


def is_read(kind: FileKind, path: Path) -> bool:
    """Return whether a file is read to its end: not refused, and without a fault, which the verdict would name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConfigWarning)
        try:
            kind.read(path)
        except BaseException:  # noqa: BLE001 - as in the verdict
            return False
    return True
