"""The fields of a config by their dotted names: their types, messages about wrong ones, and the list of all."""

import json
from dataclasses import dataclass
from typing import Final

import msgspec

from liveness.config.model import Config
from liveness.files import documents

ENVIRONMENT_PREFIX: Final = "LIVENESS_"


def problem_in(tree: object, error: msgspec.ValidationError) -> tuple[str, str]:
    """Return the path of the wrong field, and value and expectation as ``-5: expected a whole number, at least 0``."""
    path, fault = documents.fault_in(tree, error, Config)
    return path, "missing: every config needs it" if fault == "missing" else fault


def field_type(path: str) -> object | None:
    """Return the annotation of the config field at a path, None if there is no such field."""
    return documents.field_type(path, Config)


def field_names(path: str) -> tuple[str, ...]:
    """Return the fields of the section that a path's last step would be in."""
    return documents.field_names(path, Config)


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


def variable_of(name: str) -> str:
    """Return the variable of the environment that sets a field."""
    return ENVIRONMENT_PREFIX + name.upper().replace(".", "__")


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field: its dotted name, its variable, and its default as a config has it."""

    field: str
    variable: str
    default: str


def field_rows() -> list[FieldRow]:
    """Return all fields in the order of the model."""
    return [FieldRow(name, variable_of(name), _default(info)) for name, info in fields().items()]


def field_table() -> str:
    """Return all fields as a table in Markdown."""
    rows = [
        f"| `{row.field}` | `{row.variable}` | {f'`{row.default}`' if row.default else ''} |" for row in field_rows()
    ]
    return "\n".join(["| field | variable | default |", "|---|---|---|", *rows]) + "\n"


def _default(info: msgspec.structs.FieldInfo) -> str:
    if info.default is msgspec.NODEFAULT:
        return "required"
    if isinstance(info.default, str):
        return str(info.default)
    return json.dumps(info.default).replace('"', "")
