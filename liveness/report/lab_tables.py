"""Tables of labs: hosts and truth of a lab file, shares and forecast of a population, and comparisons of runs."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from math import isnan
from typing import Final

from pyroaring import BitMap
from rich import box
from rich.table import Table

from liveness.analysis.numbers import percent, signed
from liveness.lab.hosts.check import Comparison, Difference
from liveness.lab.hosts.describe import NetworkLine
from liveness.lab.hosts.truth import PROBES
from liveness.lab.model.check import Judged
from liveness.lab.model.population.fit import Fit
from liveness.lab.model.population.shares import Fitted
from liveness.replies import Role, SetKey
from liveness.report.fitted import FittedTable

EXAMPLES: Final = 3
"""The number of addresses of a difference that are shown."""


def networks_table(name: str, lines: Sequence[NetworkLine]) -> Table:
    """Return the networks of a lab file and what their hosts do."""
    table = FittedTable("network", "prefixes", "addresses", "what it does", title=f"Lab {name}", box=box.SIMPLE)
    for line in lines:
        table.add_row(line.name, "\n".join(line.prefixes), f"{line.addresses:,}", line.does)
    table.columns[2].justify = "right"
    return table


def truth_table(truth: Mapping[SetKey, BitMap]) -> Table:
    """Return the number of targets that a perfect census of a lab finds, by reply and probe."""
    targets = {key.reply: len(members) for key, members in truth.items() if key.role is Role.TARGET}
    labels = dict.fromkeys(reply.label for reply in sorted(targets, key=lambda reply: (reply.kind, reply.label)))
    table = FittedTable(title="How many targets a perfect census finds (sets of every role: --json)", box=box.SIMPLE)
    table.add_column("reply", no_wrap=True)
    table.add_column("probe and targets")
    for label in labels:
        counts = {reply.probe: count for reply, count in targets.items() if reply.label == label}
        table.add_row(label, ", ".join(f"{probe} {counts[probe]:,}" for probe in PROBES if probe in counts))
    return table


def differences_table(comparison: Comparison, most: int) -> Table:
    """Return the sets of a run that differ from the truth of a lab file, at most `most` of them."""
    title = (
        f"{comparison.run}: {len(comparison.differences):,} of {comparison.sets:,} sets differ from the ground truth"
    )
    table = FittedTable("set", "expected", "found", "missing", "extra", "for example", title=title, box=box.SIMPLE)
    _justify_right(table, slice(1, 5))
    for difference in comparison.differences[:most]:
        counts = (difference.expected, difference.found, len(difference.missing), len(difference.extra))
        table.add_row(set_name(difference.key), *(f"{count:,}" for count in counts), _example_text(difference))
    return table


def judged_table(judged: Sequence[Judged]) -> Table:
    """Return sets of a run on the model Internet: recall, precision, losses and unexplained differences."""
    headings = ("set", "expected", "found", "recall", "precision", "lost", "unexplained", "extra")
    table = FittedTable(*headings, box=box.SIMPLE)
    _justify_right(table, slice(1, None))
    for entry in judged:
        shares = ("-" if share is None else f"{share:.4f}" for share in (entry.recall, entry.precision))
        counts = (f"{count:,}" for count in (entry.lost, len(entry.unexplained), len(entry.extra)))
        table.add_row(set_name(entry.key), f"{entry.expected:,}", f"{entry.found:,}", *shares, *counts)
    return table


def fit_table(title: str, fit: Fit) -> Table:
    """Return the published shares, and those of a population and of a sample of it."""
    table = FittedTable(title=title, box=box.SIMPLE)
    table.add_column("share")
    for heading in ("published", "model", "difference", "sample", "difference"):
        table.add_column(heading, justify="right")
    for line in fit.lines:
        model, sample = line.model, line.sample
        cells = (_shown(model, model.model), _distance(model), _shown(sample, sample.model), _distance(sample))
        table.add_row(model.name, _published(model), *cells)
    return table


def set_name(key: SetKey) -> str:
    """Return the name of a set in tables: probe, reply and role."""
    return f"{key.reply.probe} {key.reply.label} {key.role}"


def examples(members: BitMap) -> list[str]:
    """Return the first few addresses of a set."""
    return [str(IPv4Address(address)) for address in members[:EXAMPLES]]


def _example_text(difference: Difference) -> str:
    missing = [f"-{address}" for address in examples(difference.missing)]
    return " ".join(missing + [f"+{address}" for address in examples(difference.extra)])


def _justify_right(table: Table, columns: slice) -> None:
    for column in table.columns[columns]:
        column.justify = "right"


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
