"""Rules: which class a combination of signs has. Rules and tie-break are data; a table of all combinations is made."""

from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import UsageError
from liveness.files.reading import read_named

SIGNS: Final = (
    "TRWscan", "TRWnom", "HCscan", "GreyIP", "Onepkt", "Backsc", "ICMP", "PotOk", "bogon", "P2P", "Unreach", "Large",
    "TCP", "UDP",
)  # fmt: skip
"""A sign's place here is its bit in a pattern."""
PATTERNS: Final = 1 << len(SIGNS)
CLASSES: Final = (
    "MalScan", "OtherMal", "Backscatter", "SrvUnreach", "BenignP2P", "SuspBenign", "Bogon", "Other",
)  # fmt: skip
OTHER: Final = CLASSES.index("Other")
SHIPPED: Final = ("glatz-2011-10",)
_RULES_BYTES: Final = 1 << 20
_MOST_RULES: Final = 250


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: a flow with all of `needed` and none of `forbidden` has its class."""

    number: int
    name: str
    """The class."""
    needed: int
    forbidden: int

    def matches(self, pattern: int) -> bool:
        """Return whether a combination of signs matches."""
        return pattern & self.needed == self.needed and not pattern & self.forbidden

    @property
    def words(self) -> str:
        """The signs that are needed, and after ``!`` those that are forbidden."""
        words = [name for bit, name in enumerate(SIGNS) if self.needed >> bit & 1]
        words += [f"!{name}" for bit, name in enumerate(SIGNS) if self.forbidden >> bit & 1]
        return " ".join(words)

    def __str__(self) -> str:
        return f"rule {self.number}, {self.name}: {self.words}"


@dataclass(frozen=True)
class Rules:
    """Rules with their tie-break."""

    name: str
    rules: tuple[Rule, ...]
    ties: tuple[frozenset[int], ...]
    """Groups of rules' numbers: the first group that matches wins; without one, the lowest number."""

    def matching(self, pattern: int) -> list[Rule]:
        """Return the rules that match a combination of signs, by number."""
        return [rule for rule in self.rules if rule.matches(pattern)]

    def winner(self, pattern: int) -> Rule | None:
        """Return the rule that gives a combination its class; None if no rule matches: class Other."""
        matching = self.matching(pattern)
        for group in self.ties:
            chosen = [rule for rule in matching if rule.number in group]
            if chosen:
                return chosen[0]
        return matching[0] if matching else None

    def class_of(self, pattern: int) -> str:
        """Return the class of a combination of signs."""
        winner = self.winner(pattern)
        return CLASSES[OTHER] if winner is None else winner.name

    def conflicting(self, pattern: int) -> bool:
        """Return whether rules of several classes match a combination."""
        return len({rule.name for rule in self.matching(pattern)}) > 1

    @cached_property
    def table(self) -> NDArray[np.uint8]:
        """Return the class of every combination of signs, as its place in CLASSES."""
        return np.array([CLASSES.index(self.class_of(pattern)) for pattern in range(PATTERNS)], np.uint8)


def load_rules(name: str) -> Rules:
    """Return the rules of that name, shipped or in a file. UsageError says what is wrong, and where."""
    if name in SHIPPED:
        text = (resources.files("liveness.passive") / "data" / f"{name}.rules").read_text(encoding="utf-8")
        return parse_rules(name, text)
    path = Path(name)
    try:
        text = read_named(path, _RULES_BYTES).decode("utf-8")
    except OSError as error:
        raise UsageError(
            f"rules {name}: neither shipped ({', '.join(SHIPPED)}) nor a file that can be read: "
            f"{(error.strerror or str(error)).lower()}"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: not a text file: byte {error.start} is no UTF-8") from error
    return parse_rules(path.name, text, str(path))


def parse_rules(name: str, text: str, origin: str = "rules") -> Rules:
    """Return the rules that a text holds, a line each. UsageError names the line."""
    rules: list[Rule] = []
    ties: list[frozenset[int]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            if words[0] == "tie":
                ties.append(frozenset(int(word) for word in words[1:]))
            else:
                rules.append(_rule(words, {rule.number for rule in rules}))
        except ValueError as error:
            raise UsageError(f"{origin}:{number}: {line.strip()!r}: {error}") from error
    numbers = {rule.number for rule in rules}
    stray = sorted(frozenset().union(*ties) - numbers)
    if stray:
        raise UsageError(f"{origin}: tie {stray[0]}: there is no such rule")
    if not rules:
        raise UsageError(f"{origin}: no rule in it: expected lines such as '1 MalScan TRWscan !HCscan'")
    return Rules(name, tuple(sorted(rules, key=lambda rule: rule.number)), tuple(ties))


def _rule(words: list[str], numbers: set[int]) -> Rule:
    if not words[0].isdecimal() or not 1 <= int(words[0]) <= _MOST_RULES or int(words[0]) in numbers:
        raise ValueError(f"expected a number from 1 to {_MOST_RULES} first, each once")
    if len(words) < 3 or words[1] not in CLASSES:  # noqa: PLR2004 - number, class, a sign
        raise ValueError(f"expected a class ({', '.join(CLASSES)}) and signs")
    needed = forbidden = 0
    for word in words[2:]:
        sign = word.removeprefix("!")
        if sign not in SIGNS:
            raise ValueError(f"{sign!r} is no sign: there are {', '.join(SIGNS)}")
        bit = 1 << SIGNS.index(sign)
        if word.startswith("!"):
            forbidden |= bit
        else:
            needed |= bit
    return Rule(int(words[0]), words[1], needed, forbidden)


def pattern_of(signs: str) -> int:
    """Return the combination that names of signs, separated by commas or blanks, make. ValueError for another name."""
    pattern = 0
    for word in signs.replace(",", " ").split():
        if word not in SIGNS:
            raise ValueError(f"{word!r} is no sign: there are {', '.join(SIGNS)}")
        pattern |= 1 << SIGNS.index(word)
    return pattern


def signs_of(pattern: int) -> list[str]:
    """Return the names of a combination's signs."""
    return [name for bit, name in enumerate(SIGNS) if pattern >> bit & 1]
