"""YAML as this tool reads and writes it: no surprising types, no key twice, errors with line and column."""

import re
from collections.abc import Sequence

import yaml

from liveness.errors import UsageError

# YAML 1.1 reads 12:34:56 as a number in base 60, 010 as eight, 2017-09-05 as a date and "no" as false: a MAC address, a
# name and a word of a config. Only scalars of these forms are not text; each is a subset of what YAML 1.1 reads as the
# same type, so text that PyYAML writes without quotes reads back as text.
SCALARS = (
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN\0"),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F]+)", "-+0123456789"),
    ("tag:yaml.org,2002:float", r"[-+]?[0-9]+\.[0-9]*(?:[eE][-+][0-9]+)?", "-+0123456789"),
)

MOST_CHARS = 4 << 20
"""Of a document; it takes some seconds to read."""
MOST_VALUES = 1 << 20
"""In a document, aliases written out."""
MOST_LEVELS = 64

HALF = re.compile("[\ud800-\udfff]")
"""Half of a character: a surrogate."""

KEY_TAG = "tag:yaml.org,2002:str"


RESOLVERS: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
"""The scalars above as PyYAML has them, by the first character of a scalar."""
for tag, pattern, first in SCALARS:
    for character in [*first.replace("\0", ""), *[""] * ("\0" in first)]:
        RESOLVERS.setdefault(character, []).append((tag, re.compile(f"^(?:{pattern})$")))


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars above, which refuses duplicate keys and keys that are not text."""

    yaml_implicit_resolvers = RESOLVERS

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:  # noqa: FBT002 - PyYAML's signature
        """Build one mapping; of duplicate keys the last would otherwise win silently."""
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if key.tag != KEY_TAG:
                raise yaml.MarkedYAMLError(problem="a key must be text", problem_mark=key.start_mark)
            if key.value in lines:
                problem = f"the key {key.value!r} stands twice, first in line {lines[key.value]}"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            lines[key.value] = key.start_mark.line + 1
        mapping: dict[object, object] = super().construct_mapping(node, deep)
        return mapping


class FastParser(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The parser of libyaml, where PyYAML has it: ten times as fast, with errors that say less."""

    yaml_implicit_resolvers = RESOLVERS


def parse_yaml(text: str, name: str) -> object:
    """Return what a YAML text holds; UsageError names the place as ``name:line:column``."""
    if len(text) > MOST_CHARS:
        raise UsageError(
            f"{name}: {len(text):,} characters, where {MOST_CHARS:,} are the most: put long lists into files"
        )
    try:
        node = _nodes_of(text)
        if node is None:
            return None
        _check_size(node)
        return Loader("").construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise UsageError(f"{place}: wrong YAML: {error.problem or error.context}") from error
    except yaml.reader.ReaderError as error:
        raise UsageError(f"{name}: not a text file: {error.reason}") from error
    except RecursionError:
        raise UsageError(f"{name}: wrong YAML: nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise UsageError(f"{name}: wrong YAML: {error}") from None


def _nodes_of(text: str) -> yaml.Node | None:
    """Return the nodes of a document. What the fast parser refuses, the other one names: its errors say more."""
    try:
        node: yaml.Node | None = FastParser(text).get_single_node()
    except (yaml.YAMLError, UnicodeError):
        node = Loader(text).get_single_node()
    return node


def _check_size(root: yaml.Node) -> None:
    """Raise an error for a document that is nested too deeply, or too large with its aliases written out."""
    sizes: dict[int, int] = {}
    entered: set[int] = set()
    left = [(root, False)]
    while left:
        node, done = left.pop()
        inner = _inner(node)
        if isinstance(node, yaml.ScalarNode) and HALF.search(node.value):
            raise yaml.MarkedYAMLError(problem="half of a character (a surrogate)", problem_mark=node.start_mark)
        if done:
            entered.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes[id(child)] for child in inner)
            if sizes[id(node)] > MOST_VALUES:
                raise yaml.MarkedYAMLError(
                    problem="more values than any such document has", problem_mark=node.start_mark
                )
        elif id(node) in entered:
            raise yaml.MarkedYAMLError(problem="an alias within what it stands for", problem_mark=node.start_mark)
        elif id(node) not in sizes:
            entered.add(id(node))
            if len(entered) > MOST_LEVELS:
                raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=node.start_mark)
            left.append((node, True))
            left += [(child, False) for child in inner]


def _inner(node: yaml.Node) -> list[yaml.Node]:
    """Return the nodes in a node."""
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """Return the line (from 1) of the value at a path of keys and indices of a YAML text; None if there is none.

    If the path leads further than the text, the line is that of its last place that exists.
    """
    try:
        node = _nodes_of(text)
    except (yaml.YAMLError, RecursionError):
        return None
    line = None
    for step in path:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == step]
            if not pairs:
                break
            line, node = pairs[0][0].start_mark.line + 1, pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            break
    return line


def dump_yaml(document: dict[str, object]) -> str:
    """Return a document as YAML, fields in their order, inner lists and mappings on one line."""
    text: str = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120)
    return text
