"""The headline of a run: its main numbers, how the run ended, and what was lost."""

from dataclasses import dataclass

from liveness.analysis.formula import share
from liveness.analysis.measure import RunResults
from liveness.analysis.numbers import count, percent
from liveness.errors import count_of


@dataclass(frozen=True, slots=True)
class Headline:
    """Summary of one run in a few words."""

    run: str
    numbers: str
    """Its main numbers."""
    status: str
    losses: str
    """What was lost, empty if its kind of run has no losses."""
    sound: bool
    """Whether the run is complete and no loss is known."""


def headline_of(run: RunResults) -> Headline:
    """Return the headline of a run; alive addresses are those of IPall."""
    manifest, all_addresses = run.manifest, run.ipall
    targets = run.targets
    alive = f"{count_of(all_addresses, 'address')} alive"
    if targets is not None:
        where = " within the part asked for" if run.within is not None else ""
        probed = " probed" if manifest.status != "complete" else ""
        alive += f", of {count_of(targets, 'target')}{probed}{where} ({percent(share(all_addresses, targets))})"
    gone = f"; {count_of(run.opted_out, 'target')} opted out" if run.opted_out else ""
    reason = f" ({manifest.reason})" if manifest.reason else ""
    dropped = manifest.receive.kernel_drops + manifest.receive.nic_drops
    lost = []
    if dropped:
        lost.append(f"{count(dropped)} received packets dropped")
    if manifest.transmit.errors:
        lost.append(f"{count(manifest.transmit.errors)} probes never left")
    warnings = len(manifest.loss_warnings)
    if warnings:
        lost.append(count_of(warnings, "warning"))
    losses = ", ".join(lost) if lost else "no known loss"
    sound = manifest.status == "complete" and not lost
    return Headline(manifest.run, alive + gone, manifest.status + reason, losses, sound)
