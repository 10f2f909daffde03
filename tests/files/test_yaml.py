"""YAML as this tool reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.errors import UsageError
from liveness.files.yaml import dump_yaml, parse_yaml

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"))),
)
documents = st.dictionaries(
    st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1),
    st.one_of(scalars, st.lists(scalars), st.dictionaries(st.text("abc", min_size=1), scalars)),
)


@given(documents)
def test_what_is_dumped_reads_back(document: dict[str, object]) -> None:
    assert parse_yaml(dump_yaml(document), "dump") == document


@given(st.from_regex(r"[-+0-9a-fox._:eE]{1,8}", fullmatch=True))
def test_text_that_looks_like_a_number_stays_text(text: str) -> None:
    assert parse_yaml(dump_yaml({"name": text}), "dump") == {"name": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10:20:30:40:50:55", "10:20:30:40:50:55"),  # a number in base 60 to YAML 1.1
        ("2017-09-05", "2017-09-05"),
        ("no", "no"),
        ("010", "010"),
        ("1e3", "1e3"),
        ("0x10", 16),
        ("1_000_000", 1_000_000),
        ("-3", -3),
        ("1.5", 1.5),
        ("true", True),
        ("", None),
        ("~", None),
        ("null", None),
    ],
)
def test_scalars(text: str, value: object) -> None:
    assert parse_yaml(f"key: {text}", "x") == {"key": value}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", "x.yaml:3:2: wrong YAML: expected ',' or ']', but got ':'"),
        ("a: 1\n\tb: 2\n", "x.yaml:2:1: wrong YAML: found character '\\t' that cannot start any token"),
        ("rate: 1\nseed: 2\nrate: 3\n", "x.yaml:3:1: wrong YAML: the key 'rate' stands twice, first in line 1"),
        ("a: {b: 1, b: 2}\n", "x.yaml:1:11: wrong YAML: the key 'b' stands twice, first in line 1"),
        ("1: a\n", "x.yaml:1:1: wrong YAML: a key must be text"),
        ("[a]: b\n", "x.yaml:1:1: wrong YAML: a key must be text"),
        ("a: *b\n", "x.yaml:1:4: wrong YAML: found undefined alias 'b'"),
        ("a: !!python/name:os.system\n", "x.yaml:1:4: wrong YAML: could not determine a constructor for the tag"),
        ("a: \x07\n", "x.yaml: not a text file: special characters are not allowed"),
        ("[" * 5000, "x.yaml: wrong YAML: nested too deeply"),
    ],
)
def test_wrong_yaml_names_line_and_column(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_yaml(text, "x.yaml")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ['a: "\\ud800"', '"\\udfff": 1', 'a: ["\\ud83d\\ude00", "\\ude00"]'])
def test_half_characters_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"x\.yaml:1:\d+: wrong YAML: half of a character"):
        parse_yaml(text, "x.yaml")
