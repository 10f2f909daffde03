"""The fields of a config by their dotted names, and messages about wrong ones."""

import msgspec

from liveness.config.model import Config
from liveness.files import documents


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
