"""Tables across protocols: conditional activity and membership patterns."""

from liveness.analysis.counting.run import family_of
from liveness.analysis.formula import formulas, share
from liveness.analysis.measures.conditional import Conditional, Matrix
from liveness.analysis.measures.patterns import Patterns
from liveness.report import published
from liveness.report.layout import Section, count, percent

COLUMNS_AT_ONCE = 8
"""A matrix of the paper's eight probes fits 80 columns; one of more is printed in parts."""

PATTERNS_SHOWN = 15


def conditional_tables(conditional: Conditional) -> list[Section]:
    """Return both matrices of P(Y | X) (figure 5), a row a given X, and the paper's numbers beside ours."""
    named = formulas(Conditional)
    return [
        *_matrix(conditional.replies, "replies", named["replies"]),
        *_matrix(conditional.with_errors, "replies and errors", named["with_errors"]),
        _picks(conditional.replies),
    ]


def _matrix(matrix: Matrix, basis: str, formula: str) -> list[Section]:
    """Return one matrix, in parts of a few columns."""
    probes = list(matrix)
    sections = []
    for first in range(0, len(probes), COLUMNS_AT_ONCE):
        columns = probes[first : first + COLUMNS_AT_ONCE]
        rows = [(given, *(percent(matrix[given][probe]) for probe in columns)) for given in probes]
        sections.append(
            Section(
                f"Conditional activity by {basis} (figure 5)",
                ("given", *(probe.removeprefix("tcp/") for probe in columns)),
                rows,
                [f"Row X, column Y: {formula}."],
            )
        )
    return sections


def _picks(matrix: Matrix) -> Section:
    """Return the numbers of figure 5 that the paper's text names."""
    rows = []
    for family, beside in published.NOT_BY_ICMP.items():
        known = [matrix[probe].get("icmp") for probe in matrix if family_of(probe) == family]
        missed = [1 - seen for seen in known if seen is not None]
        mean = sum(missed) / len(missed) if missed else None
        rows.append((f"not seen by ICMP, mean over {family.upper()} probes", percent(mean), beside))
    for (given, probe), beside in published.CONDITIONAL.items():
        if given in matrix and probe in matrix:
            rows.append((f"{probe} given {given}", percent(matrix[given][probe]), beside))
    return Section(
        "Conditional activity the paper names (section 4.3)",
        ("", "share", published.LABEL),
        rows,
        ["Not seen by ICMP: 1 - P(echo reply | X), the mean over the probes X with any active address."],
    )


def patterns_table(patterns: Patterns) -> Section:
    """Return the largest exclusive combinations of probes that answered, by replies."""
    whole = sum(patterns.replies.values())
    largest = sorted(patterns.replies.items(), key=lambda entry: (-entry[1], entry[0]))[:PATTERNS_SHOWN]
    rows = [
        (
            pattern,
            " ".join(probe for probe, digit in zip(patterns.probes, pattern, strict=True) if digit == "1"),
            count(number),
            percent(share(number, whole)),
        )
        for pattern, number in largest
    ]
    return Section(
        "Membership patterns",
        ("pattern", "active for exactly", "addresses", "share"),
        rows,
        [
            f"The {len(rows)} largest of {len(patterns.replies)}; --json has all, and those with errors.",
            f"Shares of the {count(whole)} addresses active for any probe; {formulas(Patterns)['replies']}.",
        ],
        text_columns=frozenset({0, 1}),
    )
