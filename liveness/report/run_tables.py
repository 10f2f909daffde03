"""Tables of the run itself: what was sent, what came back, what was lost."""

from rich.text import Text

from liveness.analysis.results import RunResults
from liveness.report import published
from liveness.report.layout import Cell, Section, count, seconds
from liveness.runs.manifest import Manifest

ALARM = "bold red"


def run_table(manifest: Manifest, run: RunResults | None = None) -> Section:
    """Return what a run was, in one look; losses are red. `run` tells how many targets count."""
    receive = manifest.receive
    rows: list[tuple[Cell, Cell]] = [
        ("status", _status(manifest)),
        ("started", manifest.started),
        ("finished", manifest.finished or "not yet"),
        ("targets", targets_text(manifest, run)),
        ("packets past the filter", count(receive.packets)),
        ("dropped by the kernel", _loss(receive.kernel_drops)),
        ("dropped by the interface", _loss(receive.nic_drops)),
        ("lag between probes, at most", _beside(seconds(manifest.lag.max_s), published.LAG["max_s"])),
        ("lag between probes, 80% within", _beside(seconds(manifest.lag.p80_s), published.LAG["p80_s"])),
    ]
    rejected = sorted(manifest.rejected.items(), key=lambda entry: -entry[1])
    rows += [(f"rejected: {reason}", count(packets)) for reason, packets in rejected if packets]
    return Section(f"Run {manifest.run}", ("", ""), rows, text_columns=frozenset({0, 1}))


def events_table(manifest: Manifest) -> Section:
    """Return what happened on the way to the targets, and what was done about it."""
    rows = [(event.at, event.what, event.detail, event.action, count(event.targets)) for event in manifest.path]
    return Section(
        "Events on the way to the targets",
        ("at", "what", "detail", "done", "targets"),
        rows,
        ["targets: how many it concerns, where that is known. What was lost stands in the warnings."],
        text_columns=frozenset({0, 1, 2, 3}),
    )


def losses_table(manifest: Manifest) -> Section:
    """Return what a run knows to have lost, and when."""
    rows = [
        (f"{one.from_s:,.1f} to {one.to_s:,.1f} s", one.cause, count(one.probes), count(one.targets))
        for one in manifest.losses
    ]
    return Section(
        "Known losses",
        ("since the start", "cause", "probes", "targets"),
        rows,
        ["probes: frames that did not reach the targets. targets: those that some of these frames were for."],
        text_columns=frozenset({0, 1}),
    )


def targets_text(manifest: Manifest, run: RunResults | None) -> str:
    """Return how many targets a run had: of those planned the probed ones, and those that opted out since."""
    text = count(manifest.targets)
    if run is not None and run.within is None and run.targets != manifest.targets:
        text = f"{count(run.targets)} probed of {text}" if manifest.status != "complete" else count(run.targets)
    gone = manifest.opt_outs.targets if run is None else run.opted_out
    return f"{text}; {count(gone)} more opted out and count nowhere" if gone else text


def probes_table(manifest: Manifest) -> Section:
    """Return what left and what was accepted, a probe at a time."""
    rows: list[tuple[Cell, ...]] = []
    for probe, counts in manifest.probes.items():
        messages = sum(manifest.messages.get(probe, {}).values())
        weak = sum(manifest.weak.get(probe, {}).values())
        answered = sum(manifest.attempts.get(probe, {}).values())
        sent = " ".join(count(number) for number in counts.sent)
        rows.append((probe, sent, _loss(counts.send_errors), count(answered), count(messages), count(weak)))
    return Section(
        "Probes and replies",
        ("probe", "sent, by attempt", "send errors", "answered", "replies", "weak"),
        rows,
        [
            "sent: targets, an attempt at a time. answered: targets that anything came back for.",
            "replies: accepted packets, duplicates included. weak: those that prove fewer than 32 bits of the cookie.",
        ],
        text_columns=frozenset({0, 1}),
    )


def alarms(manifest: Manifest) -> list[Text]:
    """Return the losses that cast doubt on the run's numbers, a red line each."""
    return [Text(f"warning: {line}", style=ALARM) for line in manifest.loss_warnings]


def _status(manifest: Manifest) -> Text:
    """Return the status of a run, red with its reason if it is not complete."""
    reason = f" ({manifest.reason})" if manifest.reason else ""
    return Text(manifest.status + reason, style="" if manifest.status == "complete" else ALARM)


def _loss(number: int) -> Text:
    """Return a count that should be 0, red if it is not."""
    return Text(count(number), style=ALARM if number else "")


def _beside(ours: str, theirs: str) -> str:
    """Return our value with the published one."""
    return f"{ours} ({published.LABEL}: {theirs})"
