"""Documents of a known shape, in JSON or YAML: a fault is one line with file, place, value and what was expected."""

import difflib
import json
import re
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from liveness.errors import LivenessError, UsageError, in_our_words, one_line
from liveness.files.reading import MIB, read_named
from liveness.files.yaml import line_of, parse_yaml

T = TypeVar("T")

TEXT_BYTES: Final = 16 * MIB
"""Most bytes of a document that a person writes."""
SHOWN_CHARS: Final = 60
_CONTROLS: Final = re.compile(rb"\\[ubfnrt]|\x7f|\xc2[\x80-\x9f]|\xe2[\x80\x81]")
"""What a JSON text with a control character or a mark of direction in it has: escapes, C1, U+2000 to U+207F."""
_PLACE: Final = re.compile(r"(?P<text>.*?)(?: - at `(?P<path>\$.*)`)?", re.DOTALL)
_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_UNKNOWN_FIELD: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING_FIELD: Final = re.compile(r"Object missing required field `(.*)`")
_INTEGERS: Final = "whole numbers"
"""What a field accepts besides its words, where it accepts numbers."""


def decoded(content: bytes, kind: type[T], path: Path, what: str) -> T:
    """Return a JSON document of a known shape; LivenessError names the file, the place in it, the value, the fault.

    `what` begins the message where the content is no JSON at all, such as "a damaged checkpoint".
    """
    try:
        if _CONTROLS.search(content):
            content = msgspec.json.encode(_printable(msgspec.json.decode(content)))
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as problem:
        place, fault = fault_in(_tree(content), problem, kind)
        raise LivenessError(f"{path}: {one_line(f'{place}: {fault}')}") from problem
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise LivenessError(f"{path}: {what}: {one_line(str(problem))}") from problem
    except RecursionError:
        raise LivenessError(f"{path}: {what}: nested too deeply") from None


def _tree(content: bytes) -> object:
    """Return what a JSON text holds, nothing where only its beginning can be read."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _printable(tree: object) -> object:
    """Return a document whose texts hold nothing that would move a cursor, wherever they are printed later."""
    if isinstance(tree, dict):
        return {one_line(name): _printable(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_printable(value) for value in tree]
    return one_line(tree) if isinstance(tree, str) else tree


def read_text(path: Path, what: str) -> str:
    """Return the text of a document that a person names. UsageError if it cannot be read, is too large, or no text."""
    try:
        return read_named(path, TEXT_BYTES).decode("utf-8-sig")
    except OSError as problem:
        reason = (problem.strerror or str(problem)).lower()
        raise UsageError(f"{path}: cannot read {what}: {reason}") from problem
    except UnicodeDecodeError as problem:
        raise UsageError(f"{path}: not a text file: byte {problem.start} is no UTF-8") from problem


def shaped(
    tree: object,
    kind: type[T],
    origin: str,
    *,
    text: str = "",
    below: str = "$",
    decode: Callable[[type, Any], Any] | None = None,
) -> T:
    """Return a parsed document as a value of `kind`; UsageError names `origin`, the place, the value and the fault.

    `text` is the YAML that the document comes from, for the line of the place; `below` says where in it the document
    lies; `decode` builds types that msgspec does not know.
    """
    try:
        return msgspec.convert(tree, kind, dec_hook=decode)
    except msgspec.ValidationError as problem:
        place, fault = fault_in(tree, problem, kind)
        place = f"{below}{place[1:]}"
        line = line_of(text, steps(place)) if text else None
        raise UsageError(f"{origin if line is None else f'{origin}:{line}'}: {place}: {fault}") from problem


def fault_in(tree: object, problem: msgspec.ValidationError, kind: object) -> tuple[str, str]:
    """Return the path of a wrong field, and its value and the fault as ``-5: expected a whole number, at least 0``."""
    match = _PLACE.fullmatch(str(problem))
    text, path = (match["text"], match["path"] or "$") if match else (str(problem), "$")
    if unknown := _UNKNOWN_FIELD.fullmatch(text):
        name = unknown[1]
        path = f"{path}.{name}"
        return path, f"{shown_value(value_at(tree, path))}: no such field{suggestion(name, field_names(path, kind))}"
    if missing := _MISSING_FIELD.fullmatch(text):
        return f"{path}.{missing[1]}", "missing"
    if text.startswith("Invalid enum value") and (choices := words_of(field_type(path, kind))):
        text = f"expected one of {', '.join(choices)}"
    words = in_our_words(text)
    words = f"{words[:1].lower()}{words[1:]}"
    value = value_at(tree, path)
    # A section would be cut in its middle, and msgspec names no key of a mapping of names to values: `[...]`.
    return path, words if isinstance(value, dict) or "[...]" in path else f"{shown_value(value)}: {words}"


def shown_value(value: object) -> str:
    """Return a value as a message shows it: text in quotes, the rest as in YAML, cut if it is long."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"


def suggestion(name: str, valid: Sequence[str]) -> str:
    """Return what to write instead: the nearest valid name if one is near, or all of them."""
    near = difflib.get_close_matches(name.lower(), valid, n=1)
    if near:
        return f", did you mean {near[0]!r}?"
    return f" (there are {', '.join(valid)})" if valid else ""


def steps(path: str) -> list[str | int]:
    """Return the keys and indices of a path such as ``$.targets.allow[2]``."""
    return [int(index) if index else key for key, index in _STEP.findall(path)]


def value_at(tree: object, path: str) -> object:
    """Return the value at a path of a document, None if there is none."""
    for step in steps(path):
        in_mapping = isinstance(tree, dict) and step in tree
        in_list = isinstance(tree, list) and isinstance(step, int) and step < len(tree)
        if not (in_mapping or in_list):
            return None
        tree = tree[step]  # type: ignore[index]  # one of the two it is
    return tree


def field_type(path: str, kind: object) -> object | None:
    """Return the annotation of the field at a path of a `kind`, None if there is no such field."""
    for step in steps(path):
        kind = _section_of(kind)
        if isinstance(step, int):
            kind = get_args(kind)[0] if get_args(kind) else None
        elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
            kind = fields.get(step)
        else:
            return None
    return kind


def _section_of(kind: object) -> object:
    """Return an annotation without its limits, and without the None that a section which may be missing allows."""
    if get_origin(kind) is Annotated:
        return _section_of(get_args(kind)[0])
    sections = [argument for argument in get_args(kind) if argument is not type(None)]
    optional = get_origin(kind) in (Union, UnionType) and len(sections) == 1
    return _section_of(sections[0]) if optional else kind


def field_names(path: str, kind: object) -> tuple[str, ...]:
    """Return the fields of the section of a `kind` that a path's last step would be in."""
    section = _section_of(field_type(path.rpartition(".")[0], kind))
    return section.__struct_fields__ if isinstance(section, type) and issubclass(section, msgspec.Struct) else ()


def words_of(kind: object) -> list[str]:
    """Return the words an annotation accepts: its literals, and the names of its types."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return [str(argument) for argument in arguments]
    if origin is Annotated:
        return words_of(arguments[0])
    if arguments:
        return [word for argument in arguments for word in words_of(argument)]
    return [_INTEGERS if kind is int else kind.__name__ if isinstance(kind, type) else str(kind)]


class Packaged:
    """Documents that come with the package, in addition to those of a user: read by name or by path."""

    def __init__(self, package: str, folder: str, what: str) -> None:
        """Take the folder of a package that holds them, and `what` one of them is called in messages."""
        self._package = package
        self._folder = folder
        self._what = what

    def names(self) -> list[str]:
        """Return the names of those that come with the package."""
        entries = (resources.files(self._package) / self._folder).iterdir()
        return sorted(entry.name.removesuffix(".yaml") for entry in entries if entry.name.endswith(".yaml"))

    def read(self, source: str | Path, others: Callable[[], Sequence[str]] = tuple) -> str:
        """Return the text of a document by its packaged name or by path.

        UsageError for a path that cannot be read names the packaged ones, and `others` that the user may have meant.
        """
        if source in self.names():
            return (resources.files(self._package) / self._folder / f"{source}.yaml").read_text(encoding="utf-8")
        try:
            return read_text(Path(source), f"this {self._what}")
        except UsageError as problem:
            names = ", ".join([*self.names(), *others()])
            raise UsageError(f"{problem} (packaged ones: {names})") from problem


def parse_mapping(text: str, origin: str, example: str) -> dict[str, object]:
    """Return the mapping that a YAML or JSON text holds; UsageError for anything else says what it might begin with."""
    document = parse_yaml(text, origin)
    if not isinstance(document, dict):
        found = "nothing" if document is None else shown_value(document)
        raise UsageError(f"{origin}: $: {found}: expected fields such as {example!r}")
    return document
