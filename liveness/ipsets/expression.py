"""Expressions over set files: ``(a.roaring | b.txt) - c.set``, read into a tree and evaluated file by file.

The operators are those of Python's sets, and bind as they do: ``-`` first, then ``&``, ``^``, ``|``; equal ones from
left to right. An operand is a file, ``-`` for standard input, or a prefix, range or address as it is; a name with
blanks or operators in it is quoted. A minus is an operator only after a set, between blanks or parentheses: file names
are full of dashes.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.algebra import Operation, intersect, subtract, symmetric_difference, unite
from liveness.space.addresses import parse_entry

TOKEN = re.compile(r"""\s*(?:(?P<quoted>"[^"]*"|'[^']*')|(?P<mark>[()|&^])|(?P<word>[^\s()|&^'"]+)|(?P<wrong>\S))""")
MINUS = "-"
PRECEDENCE: dict[str, int] = {"|": 1, "^": 2, "&": 3, MINUS: 4}
OPERATIONS: dict[str, Operation] = {"|": unite, "^": symmetric_difference, "&": intersect, MINUS: subtract}
ENTRY = re.compile(r"\d+(?:\.\d+){3}(?:/\d+|-\d+(?:\.\d+){3})?", re.ASCII)
DEEPEST = 200
"""How deep parentheses may nest: more would exhaust the interpreter's stack."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A set file (`path`), or addresses that the expression itself gives."""

    path: str | None
    low: int = 0
    high: int = 0


@dataclass(frozen=True, slots=True)
class Combination:
    """Two expressions and the operator between them."""

    operator: str
    left: "Expression"
    right: "Expression"


Expression = Operand | Combination


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text: its place (from 1), what it says, whether it is an operator or parenthesis, or quoted."""

    place: int
    text: str
    is_mark: bool = False
    is_quoted: bool = False


def parse(text: str) -> Expression:
    """Return the tree of an expression. UsageError names the place and the word that does not fit."""
    parser = _Parser(_tokens(text))
    tree = parser.expression(1)
    parser.end()
    return tree


def evaluate(tree: Expression, read: Callable[[str], BitMap]) -> BitMap:
    """Return the set that an expression describes. Each file is read once and released after its last use."""
    left = Counter(_paths(tree))
    held: dict[str, BitMap] = {}

    def operand(leaf: Operand) -> BitMap:
        if leaf.path is None:
            return BitMap(range(leaf.low, leaf.high + 1))
        if leaf.path not in held:
            held[leaf.path] = read(leaf.path)
        left[leaf.path] -= 1
        return held[leaf.path].copy() if left[leaf.path] else held.pop(leaf.path)

    def value(node: Expression) -> BitMap:
        chain: list[Combination] = []
        while isinstance(node, Combination):  # long chains lean to the left: walk down in a loop, not by recursion
            chain.append(node)
            node = node.left
        result = operand(node)
        for combination in reversed(chain):
            result = OPERATIONS[combination.operator](result, value(combination.right))
        return result

    return value(tree)


def _paths(tree: Expression) -> list[str]:
    """Return the file names in an expression, as often as they occur."""
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Combination):
            waiting += (node.left, node.right)
        elif node.path is not None:
            found.append(node.path)
    return found


def _tokens(text: str) -> list[Token]:
    """Cut an expression into words, quoted words and marks."""
    tokens: list[Token] = []
    for match in TOKEN.finditer(text):
        kind, content = match.lastgroup, match.group(match.lastgroup or 0)
        place = match.start(kind or 0) + 1
        if kind == "wrong":
            raise UsageError(f"expression, at {place}: a quote that is never closed")
        if kind == "quoted":
            tokens.append(Token(place, content[1:-1], is_quoted=True))
        else:
            tokens.append(Token(place, content, is_mark=kind == "mark"))
    return tokens


class _Parser:
    """The tokens of an expression, and how far they are read."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens, self._at, self._depth = tokens, 0, 0

    def expression(self, least: int) -> Expression:
        """Read operands joined by operators that bind at least so much."""
        left = self._operand()
        while (operator := self._operator()) is not None and PRECEDENCE[operator] >= least:
            self._at += 1
            left = Combination(operator, left, self.expression(PRECEDENCE[operator] + 1))
        return left

    def end(self) -> None:
        """Check that nothing is left over."""
        if self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.is_mark and token.text == ")":
                raise UsageError(f"expression, at {token.place}: it closes a parenthesis that was never opened")
            raise UsageError(f"expression, at {token.place}: an operator | & ^ - is missing before {token.text!r}")

    def _operator(self) -> str | None:
        if self._at >= len(self._tokens):
            return None
        token = self._tokens[self._at]
        if token.is_quoted:
            return None
        return token.text if token.text in PRECEDENCE else None

    def _operand(self) -> Expression:
        if self._at >= len(self._tokens):
            raise UsageError("expression: it ends where a set is expected: a file, a prefix or a parenthesis")
        token = self._tokens[self._at]
        self._at += 1
        if not token.is_mark:
            return _leaf(token)
        if token.text != "(":
            raise UsageError(f"expression, at {token.place}: {token.text!r} where a set is expected")
        self._depth += 1
        if self._depth > DEEPEST:
            raise UsageError(f"expression, at {token.place}: more than {DEEPEST} parentheses within each other")
        inner = self.expression(1)
        self._depth -= 1
        if self._at >= len(self._tokens) or self._tokens[self._at].text != ")":
            raise UsageError(f"expression, at {token.place}: a parenthesis that is never closed")
        self._at += 1
        return inner


def _leaf(token: Token) -> Operand:
    """Return a word as an operand: addresses if it reads as such, a file otherwise."""
    if token.is_quoted or ENTRY.fullmatch(token.text) is None:
        return Operand(token.text)
    try:
        return Operand(None, *parse_entry(token.text))
    except ValueError as problem:
        raise UsageError(f"expression, at {token.place}: {problem}; quote the name of a file") from None
