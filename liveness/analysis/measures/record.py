"""The manifest's record of a run: how it ended, events on the path to the targets, and known losses."""

from collections.abc import Iterator

from liveness.analysis.counting.states import RunStates
from liveness.analysis.measure import Measure, RunResults
from liveness.analysis.numbers import count, seconds
from liveness.analysis.tables import Cell, Column, Marked, Table
from liveness.reference.bano_2018 import LABEL, words
from liveness.runs.manifest import Manifest

NAMES_SHOWN = 5


def record(run: RunStates) -> Manifest:
    """Return the manifest."""
    return run.manifest


def tables(value: Manifest, run: RunResults) -> Iterator[Table]:
    """Yield a summary of the run, events and losses if there are any, and the part of the address space that counts."""
    yield run_table(value, run)
    if value.path:
        yield events_table(value)
    if value.losses:
        yield losses_table(value)
    if run.within is not None:
        yield within_table(run)


def run_table(manifest: Manifest, run: RunResults | None = None) -> Table:
    """Return a summary of a run, with losses marked. `run` has the number of targets that count."""
    receive = manifest.receive
    reason = f" ({manifest.reason})" if manifest.reason else ""
    status = manifest.status + reason
    rows: list[tuple[Cell, Cell]] = [
        ("status", status if manifest.status == "complete" else Marked(status, "alarm")),
        ("started", manifest.started),
        ("finished", manifest.finished or "not yet"),
        ("targets", targets_text(manifest, run)),
        ("packets past the filter", receive.packets),
        ("dropped by the kernel", unless_zero(receive.kernel_drops)),
        ("dropped by the interface", unless_zero(receive.nic_drops)),
        ("lag between probes, at most", f"{seconds(manifest.lag.max_s)} ({LABEL}: {words('lag.max_s')})"),
        ("lag between probes, 80% within", f"{seconds(manifest.lag.p80_s)} ({LABEL}: {words('lag.p80_s')})"),
    ]
    rejected = sorted(manifest.rejected.items(), key=lambda entry: -entry[1])
    rows += [(f"rejected: {reason}", packets) for reason, packets in rejected if packets]
    return Table("run", f"Run {manifest.run}", (Column("", key="item"), Column("", key="value")), rows)


def events_table(manifest: Manifest) -> Table:
    """Return events on the path to the targets, and the reactions to them."""
    return Table(
        "path_events",
        "Events on the way to the targets",
        (Column("at"), Column("what"), Column("detail"), Column("done"), Column("targets", "targets")),
        [(event.at, event.what, event.detail, event.action, event.targets) for event in manifest.path],
        ["targets: how many it concerns, where that is known. The warnings say what was lost."],
    )


def losses_table(manifest: Manifest) -> Table:
    """Return the losses that a run has recorded, with their times."""
    return Table(
        "known_losses",
        "Known losses",
        (Column("since the start"), Column("cause"), Column("probes", "packets"), Column("targets", "targets")),
        [
            (f"{loss.from_s:,.1f} to {loss.to_s:,.1f} s", loss.cause, loss.probes, loss.targets)
            for loss in manifest.losses
        ],
        ["probes: frames that did not reach the targets. targets: those that some of these frames were for."],
    )


def within_table(run: RunResults) -> Table:
    """Return the part of the address space that the numbers refer to."""
    within = run.within
    if within is None:
        raise ValueError(f"{run.manifest.run}: all of the address space counts")
    named = ", ".join(within.given[:NAMES_SHOWN]) + (", ..." if len(within.given) > NAMES_SHOWN else "")
    return Table(
        "within",
        "Restricted",
        (Column("", key="item"), Column("", key="value")),
        [("within", named), ("addresses in it", within.intervals.count), ("targets in it", run.targets)],
        [
            "Only replies whose source lies in it count.",
            "A run counts packets, repeats and loss as a whole: they are left out here.",
        ],
    )


def targets_text(manifest: Manifest, run: RunResults | None) -> str:
    """Return the number of targets of a run: planned, probed, and opted out since."""
    text = count(manifest.targets)
    if run is not None and run.within is None and run.targets != manifest.targets:
        text = f"{count(run.targets)} probed of {text}" if manifest.status != "complete" else count(run.targets)
    gone = manifest.opt_outs.targets if run is None else run.opted_out
    return f"{text}; {count(gone)} more opted out and count nowhere" if gone else text


def unless_zero(number: int) -> Cell:
    """Return a count that should be 0, marked if it is not."""
    return Marked(number, "alarm") if number else number


RECORD = Measure("record", record, tables, document=None)
