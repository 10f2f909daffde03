"""Tables of labs: hosts and truth of a lab file, shares of a population, and comparisons of runs."""

from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from typing import Final

from pyroaring import BitMap

from liveness.analysis.numbers import percent, signed
from liveness.analysis.tables import Column, Table
from liveness.lab.documents import examples
from liveness.lab.hosts.check import Comparison, Difference
from liveness.lab.hosts.describe import NetworkLine
from liveness.lab.hosts.truth import PROBES
from liveness.lab.model.check import Judged, ModelComparison
from liveness.lab.model.population.fit import Fit
from liveness.lab.model.population.load import Population
from liveness.lab.model.population.shares import Fitted
from liveness.lab.traffic.labels import CLASSES_OF, Judgement
from liveness.replies import Role, SetKey

WORST: Final = 20
"""The number of sets that are shown of a comparison."""


def network_table(name: str, lines: Sequence[NetworkLine]) -> Table:
    """Return the networks of a lab file and what their hosts do."""
    return Table(
        "networks",
        f"Lab {name}",
        (Column("network"), Column("prefixes"), Column("addresses", "addresses"), Column("what it does")),
        [(line.name, "\n".join(line.prefixes), line.addresses, line.does) for line in lines],
    )


def truth_table(truth: Mapping[SetKey, BitMap]) -> Table:
    """Return the number of targets that a perfect census of a lab finds, by reply and probe."""
    targets = {key.reply: len(members) for key, members in truth.items() if key.role is Role.TARGET}
    labels = dict.fromkeys(reply.label for reply in sorted(targets, key=lambda reply: (reply.kind, reply.label)))
    rows = []
    for label in labels:
        counts = {reply.probe: count for reply, count in targets.items() if reply.label == label}
        rows.append((label, ", ".join(f"{probe} {counts[probe]:,}" for probe in PROBES if probe in counts)))
    title = "How many targets a perfect census finds (sets of every role: --json)"
    return Table("truth", title, (Column("reply"), Column("probe and targets")), rows)


def difference_table(comparison: Comparison) -> Table:
    """Return the sets of a run that differ most from the truth of a lab file."""
    differing = len(comparison.differences)
    return Table(
        "differences",
        f"{comparison.run}: {differing:,} of {comparison.sets:,} sets differ from the ground truth",
        (
            Column("set"),
            *(Column(name, "addresses") for name in ("expected", "found", "missing", "extra")),
            Column("for example"),
        ),
        [
            (
                set_name(difference.key),
                difference.expected,
                difference.found,
                len(difference.missing),
                len(difference.extra),
                _example_text(difference),
            )
            for difference in comparison.differences[:WORST]
        ],
        _more(differing),
    )


def judged_tables(comparison: ModelComparison) -> Iterator[Table]:
    """Yield the sets of a run on the model Internet with losses or unexplained differences, if there are any."""
    worst = [judged for judged in comparison.judged if not judged.perfect or judged.lost]
    if worst:
        yield judged_table(worst)


def judged_table(judged: Sequence[Judged]) -> Table:
    """Return sets of a run on the model Internet: recall, precision, losses and unexplained differences."""
    return Table(
        "judged",
        "Sets with losses or differences",
        (
            Column("set"),
            *(Column(name, "addresses") for name in ("expected", "found")),
            *(Column(name, "share") for name in ("recall", "precision")),
            *(Column(name, "addresses") for name in ("lost", "unexplained", "extra")),
        ),
        [
            (
                set_name(entry.key),
                entry.expected,
                entry.found,
                *("-" if share is None else f"{share:.4f}" for share in (entry.recall, entry.precision)),
                entry.lost,
                len(entry.unexplained),
                len(entry.extra),
            )
            for entry in judged[:WORST]
        ],
        _more(len(judged)),
    )


def confusion_table(judgement: Judgement) -> Table:
    """Return the inbound one-way flows of a passive run by purpose, with their classes and the share that is right."""
    known = {label.name.lower(): label for label in CLASSES_OF}
    rows = []
    for name in sorted(judgement.matrix, key=lambda name: (name not in known, name)):
        row = judgement.matrix[name]
        share = judgement.right(known[name]) if name in known else None
        classes = ", ".join(f"{class_} {count:,}" for class_, count in row.most_common())
        rows.append((name, row.total(), "-" if share is None else percent(share), classes))
    columns = (Column("purpose"), Column("flows", "flows"), Column("right", "share"), Column("classes"))
    return Table("confusion", f"{judgement.run}: one-way flows by purpose", columns, rows)


def model_text(comparison: ModelComparison) -> str:
    """Return the result of a comparison with the model Internet in a few lines."""
    lost = sum(judged.lost for judged in comparison.judged)
    found = sum(judged.right for judged in comparison.judged)
    head = f"{comparison.run}: {len(comparison.judged):,} sets of {comparison.targets:,} targets"
    if comparison.equal:
        whole = "recall and precision are 1 for every set" if not lost else "all that was let through, and nothing else"
        lines = [f"{head}: {whole}: {found:,} of {comparison.members:,} members"]
    else:
        lines = [f"{head}: {len(comparison.imperfect):,} differ from what was let through"]
    lines += comparison.problems
    return "\n".join(lines + ([f"the model lost {lost:,} members:"] if lost else []))


def fit_table(population: Population, fit: Fit) -> Table:
    """Return the published shares, and those of a population and of a sample of it."""
    rows = []
    for line in fit.lines:
        model, sample = line.model, line.sample
        cells = (_shown(model, model.model), _distance(model), _shown(sample, sample.model), _distance(sample))
        rows.append((model.name, _published(model), *cells))
    return Table(
        "fit",
        f"Population {population.name}, seed {population.seed}: {len(population.model.profiles)} profiles in"
        f" {len(population.model.sites)} kinds of /24, compared with Bano et al. 2018",
        (
            Column("share"),
            Column("published", "share"),
            Column("model", "share"),
            Column("difference", "share", key="difference of the model"),
            Column("sample", "share"),
            Column("difference", "share", key="difference of the sample"),
        ),
        rows,
        [
            "model: what a census of all public space finds on average.",
            f"sample: what it finds in {fit.sampled24:,} whole /24s, scaled up.",
            "What each share is of: docs/model.md.",
        ],
    )


def set_name(key: SetKey) -> str:
    """Return the name of a set in tables: probe, reply and role."""
    return f"{key.reply.probe} {key.reply.label} {key.role}"


def _more(sets: int) -> list[str]:
    return [f"and {sets - WORST:,} more (--json prints all)"] if sets > WORST else []


def _example_text(difference: Difference) -> str:
    missing = [f"-{address}" for address in examples(difference.missing)]
    return " ".join(missing + [f"+{address}" for address in examples(difference.extra)])


def _shown(share: Fitted, value: float) -> str:
    if isnan(value):
        return "-"
    return f"{value:,.2f} M" if share.counted else percent(value, 2)


def _published(share: Fitted) -> str:
    if share.low == share.high:
        return _shown(share, share.low)
    if share.high == 1:
        return f"{100 * share.low:.0f}% or more"
    return f"{100 * share.low:.0f}-{100 * share.high:.0f}%"


def _distance(share: Fitted) -> str:
    if isnan(share.difference):
        return "-"
    text = signed(share.difference if share.counted else 100 * share.difference, 2)
    return "0" if float(text) == 0 else text
