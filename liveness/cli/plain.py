"""Output for terminals without Unicode: typographic characters are written in ASCII forms instead of escapes."""

import codecs
import os
from typing import Final

ENCODING: Final = "plain-ascii"
"""ASCII under a name of our own: click considers a stream named ``ascii`` misconfigured and writes UTF-8 to it."""
ESCAPING: Final = "liveness-plain"
"""Error handler: ASCII forms, and escapes as in JSON for all other characters."""
PASSING: Final = "liveness-plain-passing"
"""Error handler: ASCII forms, and all other characters (in file names, for example) unchanged in UTF-8."""

FORMS: Final = {
    **dict(zip("▁▂▃▄▅▆▇█", "_.:-=+*#", strict=True)),
    **dict.fromkeys("─━╌╍═╴╶╸╺—\u2010\u2011\u2012\u2013\u2212", "-"),
    **dict.fromkeys("│┃║╎╏", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╯╰╔╗╚╝╠╣╦╩╬┏┓┗┛┡┩╇╞╪╡┢┪╈┠┨┯┷┿", "+"),
    **dict.fromkeys("\u2018\u2019", "'"),
    **dict.fromkeys("“”„", '"'),
    **dict.fromkeys("·•●", "*"),
    **dict.fromkeys("\u00a0\u2009\u202f", " "),
    "…": "...",
    "\u00d7": "x",
    "µ": "u",
    "μ": "u",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "±": "+-",
    "✓": "yes",
    "✗": "no",
}
"""The ASCII form of every non-ASCII character in this tool's messages, rich's boxes and bars."""


def stream_coding(encoding: str, errors: str) -> tuple[str, str]:
    """Return encoding and error handler for a standard stream that Python opened with these.

    A stream that can encode Unicode is unchanged, unless the locale is explicitly C or POSIX: Python writes UTF-8 then,
    which such a terminal does not show correctly.
    """
    _register()
    name = codecs.lookup(encoding).name
    if name == "ascii":
        return ENCODING, ESCAPING
    if not name.startswith("utf"):
        return encoding, ESCAPING
    return (ENCODING, PASSING) if _locale_is_c() else (encoding, errors)


def _locale_is_c() -> bool:
    """Return whether the user set the locale to C or POSIX. LC_CTYPE does not count: Python sets it itself under C."""
    if os.environ.get("PYTHONIOENCODING") or os.environ.get("PYTHONUTF8") == "1":
        return False
    return (os.environ.get("LC_ALL") or os.environ.get("LANG")) in ("C", "POSIX")


def _register() -> None:
    codecs.register_error(ESCAPING, _escaped)
    codecs.register_error(PASSING, _passed)
    codecs.register(_codec)


def _codec(name: str) -> codecs.CodecInfo | None:
    """Return the codec for ENCODING: ASCII under another name."""
    if name.replace("_", "-") != ENCODING:
        return None
    ascii_codec = codecs.lookup("ascii")
    return codecs.CodecInfo(
        name=ENCODING,
        encode=ascii_codec.encode,
        decode=ascii_codec.decode,
        incrementalencoder=ascii_codec.incrementalencoder,
        incrementaldecoder=ascii_codec.incrementaldecoder,
        streamwriter=ascii_codec.streamwriter,
        streamreader=ascii_codec.streamreader,
    )


def _escaped(error: UnicodeError) -> tuple[str | bytes, int]:
    """Encode characters that the stream cannot: in ASCII form, or as an escape that JSON parsers read."""
    text, end = _refused(error)
    return "".join(FORMS.get(char) or _escape(char) for char in text), end


def _passed(error: UnicodeError) -> tuple[str | bytes, int]:
    """Encode characters that ASCII cannot: in ASCII form or UTF-8; bytes of a file name that are not UTF-8 are kept."""
    text, end = _refused(error)
    return "".join(FORMS.get(char, char) for char in text).encode("utf-8", "surrogateescape"), end


def _refused(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return error.object[error.start : error.end], error.end


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))
