"""How far the probes to one target lay apart, target after target of the manifest's record (section 3)."""

from dataclasses import dataclass
from typing import Annotated

from liveness.analysis.formula import Formula
from liveness.runs.manifest import Manifest


@dataclass(frozen=True, slots=True)
class LagCurve:
    """The distribution of the lag between the first attempts of all probes to one target."""

    every_targets: int
    """One target of so many was recorded."""
    lags_s: Annotated[
        list[float], Formula("time between the first and the last probe's first attempt to one target, ascending")
    ]


def lag_curve(manifest: Manifest) -> LagCurve:
    """Return the lags that a manifest records; targets that not every probe has reached do not count."""
    blocks: dict[str, list[list[float | None]]] = {}
    for lane in manifest.lag.lanes:
        if lane.attempt == 0:
            blocks.setdefault(lane.block, []).append(lane.passed_s)
    lags = []
    for lanes in blocks.values():
        for passed in zip(*lanes, strict=False):
            known = [at for at in passed if at is not None]
            if len(known) == len(passed):
                lags.append(max(known) - min(known))
    return LagCurve(manifest.lag.every_targets, sorted(lags))
