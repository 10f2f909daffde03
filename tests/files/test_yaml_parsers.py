"""The parser of libyaml and PyYAML's own: the same nodes from what both read, and the errors of the second."""

import random
from pathlib import Path

import pytest
import yaml

from liveness.errors import UsageError
from liveness.files.yaml import FastParser, Loader, line_of, parse_yaml
from tests.fuzzing import hostile

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    path.read_bytes() for folder in ("configs", "liveness", "docs") for path in (ROOT / folder).rglob("*.yaml")
]
ODD = (
    'a: "\\ud800"', "a: !!binary aGk=", "a: &x [1, *y]\n", "{a: 1, b: [~, ~]}", "a: 010\nb: 1:2:3\nc: 0x1f\nd: 1_0\n",
    "a: |\n  text\n\n  more\nb: >-\n  folded\n", "? a\n: b\n", "\ufeffa: é\n", "a: \x85b", "a: 1\n...\n", "--- a\n", "",
)  # fmt: skip


def described(node: yaml.Node | None) -> object:
    """Return what of a node is used: kind, tag, value, and where it begins if it is not absent."""
    if node is None:
        return None
    if isinstance(node, yaml.ScalarNode) and not node.value:
        return node.tag
    mark = node.start_mark
    value = node.value
    if isinstance(node, yaml.MappingNode):
        value = [(described(key), described(below)) for key, below in value]
    elif isinstance(node, yaml.SequenceNode):
        value = [described(below) for below in value]
    return type(node).__name__, node.tag, value, mark.line, mark.column


def test_both_parsers_return_the_same_nodes() -> None:
    assert FastParser.__mro__[1] is yaml.CSafeLoader, "this PyYAML comes without libyaml: both parsers are the same"
    chance = random.Random(1)
    texts = [content.decode() for content in DOCUMENTS if len(content) < 4000] + list(ODD)
    mutants = [hostile.octets(chance, chance.choice(texts).encode(), ()).decode("utf-8", "replace") for _ in range(600)]
    both = 0
    for text in texts + mutants:
        try:
            fast, plain = (described(parser(text).get_single_node()) for parser in (FastParser, Loader))
        except (yaml.YAMLError, UnicodeError):  # libyaml takes tabs in some places more
            continue
        both += 1
        assert plain == fast or "!" in text, text  # a tag without name: libyaml reads text as YAML 1.2 does
    assert both > len(texts) // 2 + 100


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1, 2", "f:1:9: wrong YAML: expected ',' or ']', but got '<stream end>'"),
        ("a:\n\t- b", r"f:2:1: wrong YAML: found character '\t' that cannot start any token"),
        ("a: *x", "f:1:4: wrong YAML: found undefined alias 'x'"),
        ("a: \ud800", "f: not a text file: special characters are not allowed"),
        ('a: "\\ud800"', "f:1:4: wrong YAML: half of a character"),
        ("[" * 5000, "f: wrong YAML: nested too deeply"),
    ],
)
def test_errors_are_those_that_name_the_fault(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_yaml(text, "f")
    assert words in str(caught.value)


def test_lines_of_places() -> None:
    text = "a:\n  b: [1,\n    2]\nc: {d: 1}\n"
    places: dict[int, list[str | int]] = {3: ["a", "b", 1], 2: ["a", "b"], 4: ["c", "x"]}
    assert {line: line_of(text, path) for line, path in places.items()} == {line: line for line in places}
