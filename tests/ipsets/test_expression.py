"""Expressions, judged by Python's own sets and its own precedence of the same operators."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.expression import Combination, Operand, evaluate, parse

FILES: dict[str, frozenset[int]] = {
    "tcp-443.syn-ack.source.roaring": frozenset({1, 2, 3, 4, 5}),
    "b.txt": frozenset({4, 5, 6, 7, 2**32 - 1}),
    "c d|e.set": frozenset({1, 5, 7, 0}),
    "-": frozenset({2, 9}),
}
SPELLED = {name: f"'{name}'" if " " in name else name for name in FILES}
LITERALS = {"0.0.0.4": {4}, "0.0.0.0/30": {0, 1, 2, 3}, "0.0.0.5-0.0.0.7": {5, 6, 7}}
NAMES = {
    **{SPELLED[name]: members for name, members in FILES.items()},
    **{k: frozenset(v) for k, v in LITERALS.items()},
}

TREES = st.recursive(
    st.sampled_from(sorted(NAMES)),
    lambda inner: st.tuples(inner, st.sampled_from("|&^-"), inner, st.booleans()),
    max_leaves=12,
)


def spelled(tree: object, *, python: bool) -> str:
    if isinstance(tree, str):
        return f"NAMES[{tree!r}]" if python else tree
    assert isinstance(tree, tuple)
    left, operator, right, in_parentheses = tree
    text = f"{spelled(left, python=python)} {operator} {spelled(right, python=python)}"
    return f"({text})" if in_parentheses else text


def value(text: str) -> set[int]:
    return set(evaluate(parse(text), lambda path: BitMap(FILES[path])))


@given(TREES)
def test_as_python_evaluates_it(tree: object) -> None:
    expected = eval(spelled(tree, python=True), {"NAMES": NAMES})  # noqa: S307 - of what stands above
    assert value(spelled(tree, python=False)) == set(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(tcp-443.syn-ack.source.roaring|b.txt)-'c d|e.set'", {2, 3, 4, 6, 2**32 - 1}),
        ("tcp-443.syn-ack.source.roaring&b.txt", {4, 5}),
        ("(-) - 0.0.0.2", {9}),
        ("- - -", set()),
        ('b.txt ^ "c d|e.set"', {4, 6, 2**32 - 1, 1, 0}),
        ("((((b.txt))))", {4, 5, 6, 7, 2**32 - 1}),
        ("0.0.0.0-0.0.0.2 | b.txt", {0, 1, 2, 4, 5, 6, 7, 2**32 - 1}),
    ],
)
def test_spellings(text: str, expected: set[int]) -> None:
    assert value(text) == expected


def test_a_quoted_name_is_a_file_and_nothing_else() -> None:
    assert parse("'10.0.0.1'") == Operand("10.0.0.1")
    assert parse("10.0.0.1") == Operand(None, 0x0A000001, 0x0A000001)
    assert parse("./10.0.0.1") == Operand("./10.0.0.1")
    assert parse("a - '-'") == Combination("-", Operand("a"), Operand("-"))


def test_each_file_is_read_once_and_never_changed_for_its_next_use() -> None:
    reads: list[str] = []

    def reader(path: str) -> BitMap:
        reads.append(path)
        return BitMap(FILES[path])

    assert (
        set(evaluate(parse("(b.txt - 0.0.0.4) | (b.txt & 0.0.0.4) | b.txt | -"), reader)) == FILES["b.txt"] | FILES["-"]
    )
    assert reads == ["b.txt", "-"]


def test_long_chains_and_deep_parentheses() -> None:
    assert value(" | ".join(["b.txt"] * 20_000)) == FILES["b.txt"]
    assert value("(" * 200 + "b.txt" + ")" * 200) == FILES["b.txt"]
    with pytest.raises(UsageError, match="at 201: more than 200 parentheses"):
        parse("(" * 201 + "b.txt" + ")" * 201)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it ends where a set is expected"),
        ("a |", "it ends where a set is expected"),
        ("| a", r"at 1: '\|' where a set is expected"),
        ("a b", "at 3: an operator .* is missing before 'b'"),
        ("a (b)", r"at 3: an operator .* is missing before '\('"),
        ("(a", "at 1: a parenthesis that is never closed"),
        ("a)", "at 2: it closes a parenthesis that was never opened"),
        ("a | 'b", "at 5: a quote that is never closed"),
        ("10.0.0.1/8", "at 1: .*host bits.*; quote the name of a file"),
        ("a -b", "at 3: an operator .* is missing before '-b'"),
        ("()", r"at 2: '\)' where a set is expected"),
    ],
)
def test_what_is_wrong_and_where(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(text)
