"""Sums up a flow file: what `flows info` prints."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from liveness.clock import utc
from liveness.errors import one_line
from liveness.flows.formats import Options, format_named, recognise
from liveness.flows.record import Notes


@dataclass(slots=True)
class Summary:
    """The totals of one file. Times are ns since the epoch; None where there are no records."""

    name: str
    format: str
    notes: Notes = field(default_factory=Notes)
    records: int = 0
    packets: int = 0
    bytes: int = 0
    start_ns: int | None = None
    end_ns: int | None = None


def summarise(path: str, format_name: str | None, options: Options) -> Summary:
    """Read a file whole and return its totals. UsageError if it is no flow file."""
    form = recognise(path) if format_name is None else format_named(format_name)
    summary = Summary(path, form.name)
    for flows in form.read(path, summary.notes, options):
        if not len(flows):
            continue
        summary.records += len(flows)
        summary.packets += int(flows["packets"].sum(dtype=np.uint64))
        summary.bytes += int(flows["bytes"].sum(dtype=np.uint64))
        first, last = int(flows["start_ns"].min()), int(flows["end_ns"].max())
        summary.start_ns = first if summary.start_ns is None else min(summary.start_ns, first)
        summary.end_ns = last if summary.end_ns is None else max(summary.end_ns, last)
    return summary


def document_of(summary: Summary) -> dict[str, Any]:
    """Return a summary as a JSON document."""
    return {
        "format": summary.format,
        "records": summary.records,
        "packets": summary.packets,
        "bytes": summary.bytes,
        "start": _time(summary.start_ns),
        "end": _time(summary.end_ns),
        "exporters": summary.notes.exporter_names(),
        "undecoded": dict(sorted(summary.notes.undecoded.items())),
    }


def lines_of(summary: Summary) -> list[str]:
    """Return a summary as lines for people."""
    lines = [f"{summary.name}: {summary.format}"]
    lines.append(f"  records    {summary.records:,}")
    lines.append(f"  packets    {summary.packets:,}")
    lines.append(f"  bytes      {summary.bytes:,}")
    if summary.start_ns is not None:
        lines.append(f"  from       {_time(summary.start_ns)}")
        lines.append(f"  to         {_time(summary.end_ns)}")
    names = summary.notes.exporter_names()
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    lines.append(f"  exporters  {shown or 'none'}")
    lines += [f"  not decoded: {count:,} {reason}" for reason, count in sorted(summary.notes.undecoded.items())]
    return [one_line(line) for line in lines]


def _time(time_ns: int | None) -> str | None:
    return None if time_ns is None else utc(time_ns, 9)
