"""Messages about wrong configs: which field, which value, and what was expected there."""

import difflib
import json
import re
from collections.abc import Sequence
from typing import Annotated, Literal, get_args, get_origin

import msgspec

from liveness.config.model import Config
from liveness.errors import in_our_words

SHOWN_CHARS = 60
PLACE = re.compile(r"(?P<text>.*?)(?: - at `(?P<path>\$.*)`)?", re.DOTALL)
STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
MISSING_FIELD = re.compile(r"Object missing required field `(.*)`")
INTEGERS = "whole numbers"
"""What a field accepts beside its words, where it accepts numbers."""


def problem_in(tree: object, error: msgspec.ValidationError) -> tuple[str, str]:
    """Return the path of the wrong field, and value and expectation as ``-5: expected int >= 0``."""
    match = PLACE.fullmatch(str(error))
    text, path = (match["text"], match["path"] or "$") if match else (str(error), "$")
    if unknown := UNKNOWN_FIELD.fullmatch(text):
        name = unknown[1]
        path = f"{path}.{name}"
        return path, f"{shown_value(value_at(tree, path))}: no such field{suggestion(name, field_names(path))}"
    if missing := MISSING_FIELD.fullmatch(text):
        return f"{path}.{missing[1]}", "missing: every config needs it"
    if text.startswith("Invalid enum value"):
        text = f"expected one of {', '.join(choices_at(path))}"
    return path, f"{shown_value(value_at(tree, path))}: {in_our_words(text)}"


def shown_value(value: object) -> str:
    """Return a value as a message shows it: text in quotes, the rest as in YAML, cut if it is long."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"


def suggestion(name: str, valid: Sequence[str]) -> str:
    """Return what to write instead: the nearest valid name if one is near, or all of them."""
    near = difflib.get_close_matches(name.lower(), valid, n=1)
    return f", did you mean {near[0]!r}?" if near else f" (there are {', '.join(valid)})"


def steps(path: str) -> list[str | int]:
    """Return the keys and indices of a path such as ``$.targets.allow[2]``."""
    return [int(index) if index else key for key, index in STEP.findall(path)]


def value_at(tree: object, path: str) -> object:
    """Return what stands at a path of the tree, None where nothing does."""
    for step in steps(path):
        in_mapping = isinstance(tree, dict) and step in tree
        in_list = isinstance(tree, list) and isinstance(step, int) and step < len(tree)
        if not (in_mapping or in_list):
            return None
        tree = tree[step]  # type: ignore[index]  # one of the two it is
    return tree


def field_type(path: str) -> object | None:
    """Return the annotation of the config field at a path, None if there is no such field."""
    kind: object = Config
    for step in steps(path):
        if isinstance(step, int):
            kind = get_args(kind)[0] if get_args(kind) else None
        elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
            kind = fields.get(step)
        else:
            return None
    return kind


def field_names(path: str) -> tuple[str, ...]:
    """Return the fields of the section that a path's last step would be in."""
    kind = field_type(path.rpartition(".")[0])
    return kind.__struct_fields__ if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else ()


def fields(section: type[msgspec.Struct] = Config, above: str = "") -> dict[str, msgspec.structs.FieldInfo]:
    """Return every field of a config that holds a value, by its dotted name."""
    found: dict[str, msgspec.structs.FieldInfo] = {}
    for field in msgspec.structs.fields(section):
        name = f"{above}{field.name}"
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            found |= fields(field.type, f"{name}.")
        else:
            found[name] = field
    return found


def choices_at(path: str) -> list[str]:
    """Return what the field at a path accepts, as words."""
    return words_of(field_type(path))


def words_of(kind: object) -> list[str]:
    """Return the words an annotation accepts: its literals, and the names of its types."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return [str(argument) for argument in arguments]
    if origin is Annotated:
        return words_of(arguments[0])
    if arguments:
        return [word for argument in arguments for word in words_of(argument)]
    return [INTEGERS if kind is int else kind.__name__ if isinstance(kind, type) else str(kind)]
