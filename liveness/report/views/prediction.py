"""The predicted result of a census as tables and lines."""

from collections.abc import Iterator
from typing import Final

from liveness.analysis.numbers import bandwidth, percent, size
from liveness.analysis.tables import Column, Table
from liveness.errors import count_of
from liveness.lab.model.population.predict import Prediction
from liveness.report.views.forecast import duration_text, named_lines, talks_text, total_text
from liveness.report.views.lab import set_name

LARGEST_SETS: Final = 12


def basis_text(name: str, prediction: Prediction) -> str:
    """Return which targets were counted, and how many lie where the model has nobody."""
    basis = "all" if prediction.exact else f"{prediction.sampled:,}"
    targets = prediction.estimate.targets
    text = f"A census by {name!r} of population {prediction.population}: {basis} of {targets:,} targets counted"
    return text if prediction.used24 == prediction.prefixes24 else f"{text}\n{_unused(prediction)}"


def _unused(prediction: Prediction) -> str:
    """Return a note on targets in /24s that the model does not use."""
    used, examined = prediction.used24, count_of(prediction.prefixes24, "/24")
    if used:
        return f"The model uses {used:,} of the {examined} looked at; nobody answers in the others."
    return (
        f"The model leaves all of the {examined} looked at unused: nobody answers there, and that says nothing of the"
        " Internet. `liveness lab sample` prints targets that represent all of it."
    )


def prediction_tables(prediction: Prediction) -> Iterator[Table]:
    """Yield the replies of each probe, and the largest sets."""
    yield Table(
        "probes",
        "Replies",
        (
            Column("probe"),
            Column("targets that answer", "targets"),
            Column("hit rate", "share", "targets"),
            Column("replies", "packets"),
            Column("replies/s", "packets/s"),
        ),
        [
            (
                probe.probe,
                round(probe.targets),
                percent(probe.hit_rate, 2),
                round(probe.replies),
                f"{probe.replies_pps:,.1f}",
            )
            for probe in prediction.probes
        ],
    )
    sets = prediction.sets
    more = len(sets) - LARGEST_SETS
    yield Table(
        "sets",
        "Sets",
        (Column("set"), Column("members", "addresses"), Column("size", "bytes")),
        [(set_name(entry.key), round(entry.members), size(entry.size)) for entry in sets[:LARGEST_SETS]],
        [f"The {LARGEST_SETS} largest; {more:,} more (--json prints all)."] if more > 0 else [],
    )


def burden_text(prediction: Prediction, *, auto: bool) -> str:
    """Return duration, replies, bytes on disk and the load on single /24s as lines."""
    forecast, burden, talks = prediction.estimate, prediction.burden, prediction.talks
    talked = {}
    if talks is not None:
        talked = {
            "talks": f"{talks.services:,.0f} services, {talks_text(talks)}",
            "together": total_text(forecast.total_with(talks), auto=auto),
        }
    return named_lines(
        {
            "duration": f"{duration_text(forecast, auto=auto)}, {forecast.packets:,} packets",
            "replies": f"{prediction.replies:,.0f}, {prediction.replies_pps:,.0f}/s while it sends, "
            f"{bandwidth(prediction.received_bps)} on the wire",
            "sets": f"{len(prediction.sets):,} files, {size(prediction.set_bytes)}",
            "logs": f"{size(prediction.parquet_bytes)} with replies: parquet, {size(prediction.pcap_bytes)} with pcap",
            **talked,
            "each /24": f"{burden.packets:,} packets in all, {_rate(burden.mean_pps)}/s while its block is probed; in"
            f" its worst second any may get {burden.peak_pps:,}",
        }
    )


def _rate(per_second: float) -> str:
    """Return a rate with three digits, or all digits of a large one."""
    return f"{per_second:.3g}" if per_second < 100 else f"{per_second:,.0f}"  # noqa: PLR2004 - where three digits end
