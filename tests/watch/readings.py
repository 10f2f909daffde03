"""Made-up moments of a scan."""

from liveness.scan.progress import ProbeProgress, Progress
from liveness.watch.reading import Meter, Reading

PROBES = ("icmp", "tcp/443")


def progress(
    elapsed_s: float,
    sent: int,
    replies: int = 0,
    *,
    sending: bool = True,
    drops: int = 0,
    problem: str | None = None,
) -> Progress:
    """Return a moment in which so much was sent and answered for each of two probes."""
    return Progress(
        elapsed_s=elapsed_s,
        probes=tuple(
            ProbeProgress(name, 1000 * place, {"sent": sent * place, "replies": replies})
            for place, name in enumerate(PROBES, 1)
        ),
        blocks_drained=1,
        blocks=8,
        counts={
            "packets": 4 * replies,
            "rejected": 2 * replies,
            "kernel_drops": drops,
            "nic_drops": 2 * drops,
            "send_errors": 3 * drops,
            "lost": 0,
            "repaired": 0,
            "given_up_s": 0.0,
        },
        rate_pps=100.0,
        sending=sending,
        problem=problem,
    )


def reading(*moments: Progress) -> Reading:
    """Return the reading of the last of some moments."""
    meter = Meter()
    found = [meter.read(moment) for moment in moments][-1]
    assert found is not None
    return found
