"""Conditional activity: addresses that answer one probe, given that they answer another (Bano et al. 2018, fig. 5)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

from liveness.analysis.counting.run import family_of
from liveness.analysis.counting.states import RunStates
from liveness.analysis.figures import Figure, Heatmap
from liveness.analysis.formula import Formula, formulas, share
from liveness.analysis.measure import Comparison, Measure, RunResults, plain
from liveness.analysis.numbers import percent
from liveness.analysis.tables import PUBLISHED, Column, Datum, Share, Table
from liveness.reference.bano_2018 import LABEL, VALUES
from liveness.reference.published import Published

Matrix = dict[str, dict[str, float | None]]
"""``matrix[x][y]`` = P(Y | X); None if X is empty."""


Intervals = dict[str, dict[str, tuple[float, float] | None]]
"""``intervals[x][y]``: the ends of the 95% interval of P(Y | X); None if X is empty or equal to Y."""

COLUMNS_AT_ONCE: Final = 8
"""Columns that fit a terminal: a matrix of the paper's eight probes in 80 columns; wider ones are split."""
CLUSTERED: Final = "Wilson's, with /24s as the independent units"


@dataclass(frozen=True, slots=True)
class Conditional:
    """P(Y | X) for every two service probes, on two bases."""

    replies: Annotated[
        Matrix, Formula("P(Y | X) = |X and Y| / |X|; active: echo reply; SYN-ACK or RST; UDP answer or payload")
    ]
    with_errors: Annotated[
        Matrix, Formula("P(Y | X) = |X and Y| / |X|; active: any reply, or an ICMP error to the probe")
    ]
    intervals: Intervals | None = None
    """Intervals of `replies` if targets are a random sample. Errors have none: their sources need not be targets."""


def conditional(run: RunStates) -> Conditional:
    """Compute both matrices over the service probes of a run."""
    replies = _matrix(run, with_errors=False)
    return Conditional(replies, _matrix(run, with_errors=True), _intervals(run, replies))


def _intervals(run: RunStates, matrix: Matrix) -> Intervals | None:
    """Return the intervals of a matrix; None if the targets are not a random sample."""
    clusters = run.clusters
    if clusters is None:
        return None
    places = {probe: place for place, probe in enumerate(clusters.probes)}

    def ends(given: str, probe: str) -> tuple[float, float] | None:
        if given == probe:
            return None  # 1 by definition
        observations = clusters.effective(places[given], places[probe])
        found = run.sampling.interval(Share(matrix[given][probe]), observations, finite=False)
        return None if found.low is None or found.high is None else (found.low, found.high)

    return {given: {probe: ends(given, probe) for probe in row} for given, row in matrix.items()}


def _matrix(run: RunStates, *, with_errors: bool) -> Matrix:
    """Compute one matrix."""
    active = {probe: run.activity(probe, with_errors=with_errors) for probe in run.probes}
    return {
        given: {probe: share(run.count(known & members), run.count(known)) for probe, members in active.items()}
        for given, known in active.items()
    }


_BASES: Final = (
    ("conditional_replies", "replies"),
    ("conditional_with_errors", "replies and errors"),
)


def _both(value: Conditional) -> Iterator[tuple[str, str, Matrix, str]]:
    """Yield id, basis, matrix and formula of both matrices."""
    named = formulas(Conditional)
    matrices = ((value.replies, named["replies"]), (value.with_errors, named["with_errors"]))
    for (name, basis), (matrix, formula) in zip(_BASES, matrices, strict=True):
        yield name, basis, matrix, formula


def tables(value: Conditional, run: RunResults) -> Iterator[Table]:
    """Yield both matrices, a row for each given X, and the numbers that the paper's text names."""
    for name, basis, matrix, formula in _both(value):
        with_intervals = name == _BASES[0][0]
        shares = {
            given: {probe: _share(value, given, probe, known, with_intervals=with_intervals)
                    for probe, known in row.items()}
            for given, row in matrix.items()
        }  # fmt: skip
        notes = [f"Row X, column Y: {formula}."]
        if with_intervals:
            notes.append(run.sampling.note(CLUSTERED))
        yield Table(
            name,
            f"Conditional activity by {basis} (figure 5)",
            (Column("given"), *(Column(probe.removeprefix("tcp/"), "share", "active for X") for probe in matrix)),
            [(given, *row.values()) for given, row in shares.items()],
            notes,
            columns_at_once=COLUMNS_AT_ONCE,
            data=[
                Datum({"given": given, "probe": probe}, "P(probe | given)", cell.value, "share",
                      f"addresses active for {given}", None, cell.low, cell.high)
                for given, row in shares.items()
                for probe, cell in row.items()
            ],
        )  # fmt: skip
    rows = [
        (f"not seen by ICMP, mean over {family.upper()} probes", Share(mean), published.words)
        for family, mean, published in _missed(value.replies)
    ]
    rows += [
        (f"{probe} given {given}", _share(value, given, probe, known), published.words)
        for given, probe, known, published in _named(value.replies)
    ]
    yield Table(
        "conditional_named",
        "Conditional activity the paper names (section 4.3)",
        (Column("", key="of"), Column("share", "share", "see the row"), PUBLISHED),
        rows,
        ["Not seen by ICMP: 1 - P(echo reply | X), the mean over the probes X with any active address."],
    )


def _share(value: Conditional, given: str, probe: str, known: float | None, *, with_intervals: bool = True) -> Share:
    ends = value.intervals[given][probe] if value.intervals is not None and with_intervals else None
    return Share(known) if ends is None else Share(known, low=ends[0], high=ends[1])


def _missed(matrix: Matrix) -> Iterator[tuple[str, float | None, Published]]:
    """Yield by family the mean share of its active addresses that send no echo reply."""
    for family in ("tcp", "udp"):
        known = [matrix[probe].get("icmp") for probe in matrix if family_of(probe) == family]
        missed = [1 - seen for seen in known if seen is not None]
        yield family, sum(missed) / len(missed) if missed else None, VALUES[f"not_by_icmp.{family}"]


def _named(matrix: Matrix) -> Iterator[tuple[str, str, float | None, Published]]:
    """Yield given, probe, our value and the published one, for the pairs that the paper's text names."""
    for given, row in matrix.items():
        for probe, known in row.items():
            published = VALUES.get(f"conditional.{given}.{probe}")
            if published is not None:
                yield given, probe, known, published


def figures(value: Conditional, run: RunResults) -> Iterator[Figure]:
    """Yield both matrices as heat maps, with published values in parentheses in the cells that the paper names."""
    del run
    for name, basis, matrix, formula in _both(value):
        probes = list(matrix)
        if not probes:
            return
        published = {
            (probes.index(given), probes.index(probe)): theirs
            for given, probe, _, theirs in _named(value.replies)
            if name == _BASES[0][0]
        }
        notes = [f"Row X, column Y, percent: {formula}."]
        if name == _BASES[0][0]:
            notes.append(f"In parentheses: {LABEL}, where its text names a number.")
        labels = [probe.removeprefix("tcp/") for probe in probes]
        yield Figure(
            f"figure-5-conditional-{basis.replace(' ', '-')}",
            f"Conditional activity by {basis} (figure 5)",
            "Heat map of the probability that an address active for one probe is active for another."
            + _extremes(matrix),
            notes,
            Heatmap(
                labels,
                [list(row.values()) for row in matrix.values()],
                published,
                x_label="Y: active for",
                y_label="X: given active for",
                scale_label="P(Y | X)",
            ),
            name,
        )


def _extremes(matrix: Matrix) -> str:
    """Return the highest and the lowest probability in words."""
    known = [(row[y], x, y) for x, row in matrix.items() for y in row if x != y and row[y] is not None]
    ordered = sorted((share or 0.0, x, y) for share, x, y in known)
    if not ordered:
        return ""
    low, high = ordered[0], ordered[-1]
    return (
        f" Highest: {high[2]} given {high[1]}, {percent(high[0])}. Lowest: {low[2]} given {low[1]}, {percent(low[0])}."
    )


def comparisons(value: Conditional, run: RunResults) -> Iterator[Comparison]:
    """Yield the numbers of figure 5 that the paper's text names."""
    del run
    for family, mean, published in _missed(value.replies):
        yield Comparison(f"{family.upper()} not seen by ICMP", "mean of 1 - P(echo reply | X)", mean, published)
    for given, probe, known, published in _named(value.replies):
        yield Comparison(f"{probe} given {given}", "P(Y | X) by replies", known, published)


def documented(value: Conditional) -> object:
    """Return both matrices, and intervals if there are any."""
    matrices: dict[str, object] = {"replies": plain(value.replies), "with_errors": plain(value.with_errors)}
    return matrices if value.intervals is None else {**matrices, "intervals": plain(value.intervals)}


CONDITIONAL = Measure("conditional", conditional, tables, figures, comparisons, documented)
