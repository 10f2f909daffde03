"""The table of comparisons: numbers of a run, published values, and differences."""

from liveness.analysis.measure import Comparison, RunResults
from liveness.analysis.numbers import ABSENT, percent, seconds, signed
from liveness.analysis.tables import Column, Datum, Table
from liveness.reference.bano_2018 import LABEL


def comparison_table(run: RunResults) -> Table:
    """Return every number of a run that the paper publishes too, in the order of the measures."""
    found = list(run.comparisons())
    return Table(
        "comparison",
        "Compared with Bano et al. 2018",
        (
            Column("result"),
            Column("formula"),
            Column("this run", "share or seconds"),
            Column(LABEL),
            Column("difference", "share or seconds"),
        ),
        [
            (entry.name, entry.formula, _value(entry.ours, entry.unit), _published(entry), _difference(entry))
            for entry in found
        ],
        [
            "The paper's census is that of 5 September 2017; numbers of /24s and ports are those of the 4th.",
            "Differences in percentage points (pp) or time; 0 where ours lies within what the paper says.",
        ],
        data=[datum for entry in found for datum in _data(entry)],
    )


def _data(entry: Comparison) -> list[Datum]:
    """Return our number, the published value, and the difference."""
    low, high = entry.published.range
    keys = {"result": entry.name, "formula": entry.formula, "published id": entry.published.id}
    of = entry.published.of
    return [
        Datum(keys, "this run", entry.ours, entry.unit),
        Datum(keys, "published, low", low, entry.unit, of),
        Datum(keys, "published, high", high, entry.unit, of),
        Datum(keys, "difference", entry.difference, entry.unit),
    ]


def _value(number: float | None, unit: str) -> str:
    return percent(number) if unit == "share" else seconds(number)


def _published(entry: Comparison) -> str:
    """Return a published value, as a range if it is one."""
    low, high = entry.published.range
    text = _value(low, entry.unit)
    if high is None:
        return f"more than {text}"
    return text if high == low else f"{text} to {_value(high, entry.unit)}"


def _difference(entry: Comparison) -> str:
    """Return the difference with its sign."""
    difference = entry.difference
    if difference is None:
        return ABSENT
    if difference == 0:
        return "0"
    if entry.unit == "seconds":
        return ("-" if difference < 0 else "+") + seconds(abs(difference))
    return f"{signed(100 * difference)} pp"
