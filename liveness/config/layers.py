"""The values of a config in layers, of which later ones win, and the origin of each value."""

import copy
import difflib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from liveness.config.fields import ENVIRONMENT_PREFIX, field_names, field_type, fields, variable_of
from liveness.errors import ConfigWarning, UsageError
from liveness.files.documents import shown_value, steps, suggestion
from liveness.files.yaml import line_of, parse_yaml
from liveness.space.addresses import ENTRY, IPv6Error, parse_entry

COMMAND_LINE = "command line"
ARGUMENTS = "TARGETS"
"""The origin of a command's arguments in messages."""
LISTS = ("$.targets.allow", "$.targets.block", "$.targets.opt_outs")
FILE_FIELD = "$.secret"
BLOCKLIST = "$.targets.block"
VARIABLES = tuple(variable_of(name) for name in fields())
"""Every variable of the environment that sets a field."""


def absolute(name: object, base: Path) -> object:
    """Return the name of a file made absolute, which is relative to `base`; other values, and no name, as they are."""
    if not isinstance(name, str) or not name:
        return name
    try:
        return str(base.absolute() / Path(name).expanduser())
    except RuntimeError:  # ~ of a user who does not exist
        return str(base.absolute() / name)


@dataclass(slots=True)
class Layers:
    """A config's tree as it grows layer by layer."""

    origin: str
    """The origin of the first layer in messages: the file."""
    tree: dict[str, object] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    """Path of a value that a later layer set -> the origin of that layer: an option, a variable."""
    text: str = ""
    """The file's content, to find lines in."""

    def message(self, path: str, problem: str) -> str:
        """Return the message about a wrong value: its origin, its path, the fault."""
        origin = next((name for place, name in self.origins.items() if is_within(path, place)), None)
        if origin is not None:
            return (
                f"{origin}: {problem}"
                if origin.startswith("-") or origin == ARGUMENTS
                else f"{origin}: {path}: {problem}"
            )
        line = line_of(self.text, steps(path)) if self.text else None
        place = self.origin if line is None else f"{self.origin}:{line}"
        return f"{place}: {path}: {problem}"

    def add_file(self, document: dict[str, object], base: Path, text: str = "") -> None:
        """Add the document of a config file; relative names of lists in it start at `base`."""
        self.text = text
        self.tree = copy.deepcopy(document)
        for path in LISTS:
            section = self.tree.get("targets")
            key = path.rpartition(".")[2]
            if isinstance(section, dict) and key in section:
                section[key] = self.located(section[key], path, base)
        if "secret" in self.tree:
            self.tree["secret"] = absolute(self.tree["secret"], base)

    def add_value(self, name: str, value: object, origin: str) -> None:
        """Set one field by its dotted name, such as ``retransmit.queue``.

        A blocklist is added to those of lower layers and does not replace them: opt-outs hold however the scan is
        started.
        """
        path = f"$.{name}"
        kind = field_type(path)
        if kind is None:
            parent = path.rpartition(".")[0]
            last = name.rpartition(".")[2]
            hint = suggestion(last, field_names(path)) if field_type(parent) else ""
            raise UsageError(f"{origin}: {path}: no such field{hint}")
        if is_section(kind):
            raise UsageError(f"{origin}: {path}: a section: set one of {', '.join(field_names(path + '.'))} in it")
        self.origins[path] = origin
        if isinstance(value, str):
            value = typed(value, kind, origin)
        elif isinstance(value, tuple):
            value = list(value)
        value = self._from_here(value, path)
        *sections, last_step = [str(step) for step in steps(path)]
        place: object = self.tree
        for step in sections:
            if isinstance(place, dict):
                place = place.setdefault(step, {})
        if isinstance(place, dict):  # else the file has no section there, which the check of types reports
            below = place.get(last_step)
            if path == BLOCKLIST and isinstance(below, list) and isinstance(value, list):
                value = [*below, *value]
            place[last_step] = value

    def _from_here(self, value: object, path: str) -> object:
        """Return a value of the command line or the environment with its file names made absolute."""
        if path in LISTS:
            return self.located(value, path, Path.cwd())
        return absolute(value, Path.cwd()) if path == FILE_FIELD else value

    def add_environment(self, environment: Mapping[str, str]) -> None:
        """Set the fields that ``LIVENESS_*`` variables name; ``__`` separates section and field."""
        for variable in sorted(environment):
            if not variable.startswith(ENVIRONMENT_PREFIX):
                continue
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
            kind = field_type(f"$.{name}")
            if kind is None or is_section(kind):
                near = difflib.get_close_matches(variable, VARIABLES, n=1)
                hint = f", did you mean {near[0]}?" if near else ": `liveness config variables` lists those that are"
                warnings.warn(f"environment {variable}: names no field of a config{hint}", ConfigWarning, stacklevel=2)
            else:
                self.add_value(name, environment[variable], f"environment {variable}")

    def located(self, entries: object, path: str, base: Path) -> object:
        """Return a list of targets with its file names made absolute; UsageError for an entry of no known kind."""
        if not isinstance(entries, list):
            return entries
        return [
            self.located_entry(entry, f"{path}[{index}]", base) if isinstance(entry, str) else entry
            for index, entry in enumerate(entries)
        ]

    def located_entry(self, entry: str, path: str, base: Path) -> str:
        """Return an entry's text, or the absolute name of the file it names."""
        text = entry.strip()
        try:
            parse_entry(text)
        except ValueError as error:
            file = base.absolute() / Path(text).expanduser() if text and "\0" not in text else None
            if text == "-":
                return text
            if file is not None and exists(file):
                return str(file)
            if ENTRY.fullmatch(text) or isinstance(error, IPv6Error):  # meant as addresses: show the exact fault
                raise UsageError(self.message(path, str(error))) from None
            looked = f" (looked for {file})" if file is not None else ""
            problem = f"{shown_value(entry)}: neither a prefix, range or address nor an existing file{looked}"
            raise UsageError(self.message(path, problem)) from None
        return text


def is_within(path: str, place: str) -> bool:
    """Return whether a path is a place or lies in it: ``$.rate_limit`` does not lie in ``$.rate``."""
    return path == place or path.startswith((f"{place}.", f"{place}["))


def exists(file: Path) -> bool:
    """Return whether a file exists; one without permission counts, and reading it reports that."""
    try:
        return file.exists()
    except PermissionError:
        return True
    except OSError:  # a name too long for any file
        return False


def is_section(kind: object) -> bool:
    """Return whether an annotation is one of the config's sections."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def typed(text: str, kind: object, origin: str) -> object:
    """Return the value of a text of the command line or environment, by the type of its field."""
    words = str(kind)
    if words.startswith("tuple"):
        if text.lstrip().startswith("["):
            return parse_yaml(text, origin)
        return [part.strip() for part in text.split(",") if part.strip()]
    if isinstance(kind, type) and issubclass(kind, str):
        return text
    return parse_yaml(text, origin)
