"""Words for terminals that know no Unicode: our typographic characters get ASCII forms instead of escapes."""

import codecs
import os
from typing import Final

ENCODING: Final = "plain-ascii"
"""ASCII under a name of ours: click takes a stream called ``ascii`` for a mistake and writes UTF-8 to it."""
ESCAPING: Final = "liveness-plain"
"""Error handler: ASCII forms, and escapes as in JSON for everything else."""
PASSING: Final = "liveness-plain-passing"
"""Error handler: ASCII forms, and everything else (names of files above all) as it is, in UTF-8."""

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
"""The ASCII form of every character that our own words, rich's boxes and our bars are made of."""


def stream_coding(encoding: str, errors: str) -> tuple[str, str]:
    """Return encoding and error handler for a standard stream that Python opened with these.

    What can write Unicode stays as it is, unless the locale is explicitly C or POSIX: Python writes UTF-8 there, which
    such a terminal shows as garbage.
    """
    _register()
    name = codecs.lookup(encoding).name
    if name == "ascii":
        return ENCODING, ESCAPING
    if not name.startswith("utf"):
        return encoding, ESCAPING
    return (ENCODING, PASSING) if _locale_is_c() else (encoding, errors)


def _locale_is_c() -> bool:
    """Whether the user set the locale to C or POSIX. LC_CTYPE does not count: Python sets it itself under C."""
    if os.environ.get("PYTHONIOENCODING") or os.environ.get("PYTHONUTF8") == "1":
        return False
    return (os.environ.get("LC_ALL") or os.environ.get("LANG")) in ("C", "POSIX")


def _register() -> None:
    codecs.register_error(ESCAPING, _escaped)
    codecs.register_error(PASSING, _passed)
    codecs.register(_codec)


def _codec(name: str) -> codecs.CodecInfo | None:
    """Find our codec: ASCII under another name."""
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
    """Encode what the stream cannot: by its form, or as an escape that JSON reads."""
    text, end = _refused(error)
    return "".join(FORMS.get(one) or _escape(one) for one in text), end


def _passed(error: UnicodeError) -> tuple[str | bytes, int]:
    """Encode what ASCII cannot: by its form, or as UTF-8; bytes of a file name that are no UTF-8 stay bytes."""
    text, end = _refused(error)
    return "".join(FORMS.get(one, one) for one in text).encode("utf-8", "surrogateescape"), end


def _refused(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return error.object[error.start : error.end], error.end


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))
