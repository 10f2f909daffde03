"""Every field of a config, as documents and `liveness config variables` list them."""

import json
from dataclasses import dataclass

import msgspec

from liveness.config.explain import fields
from liveness.config.layers import ENVIRONMENT_PREFIX


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field: its dotted name, its variable, and its default as it stands in a config."""

    field: str
    variable: str
    default: str


def table() -> list[FieldRow]:
    """Return all fields in the order of the model."""
    return [
        FieldRow(name, ENVIRONMENT_PREFIX + name.upper().replace(".", "__"), _default(info))
        for name, info in fields().items()
    ]


def markdown() -> str:
    """Return the fields as the table of a document."""
    rows = [f"| `{row.field}` | `{row.variable}` | {f'`{row.default}`' if row.default else ''} |" for row in table()]
    return "\n".join(["| field | variable | default |", "|---|---|---|", *rows]) + "\n"


def _default(info: msgspec.structs.FieldInfo) -> str:
    if info.default is msgspec.NODEFAULT:
        return "required"
    if isinstance(info.default, str):
        return str(info.default)
    return json.dumps(info.default).replace('"', "")
