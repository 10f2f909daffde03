"""Numbers of a running survey for its status and its metrics: its last rounds, its gaps, and the /24s that are down."""

from liveness.scan.progress import Gauge
from liveness.survey.outage_watch import RoundOutages
from liveness.survey.recorder import RoundRecorder


def gauges(recorder: RoundRecorder, judged: RoundOutages | None) -> tuple[Gauge, ...]:
    """Return what is known by now: rounds are counted an interval after their end, and judged soon after it."""
    found = [Gauge("survey_gaps", "Intervals of time whose probes count as not sent.", len(recorder.gaps.gaps))]
    if recorder.last is not None:
        probes = recorder.last.probes.items()
        sent = {name: float(count.sent) for name, count in probes}
        positive = {name: float(count.positive) for name, count in probes}
        negative = {name: float(count.negative) for name, count in probes}
        found += [
            Gauge("survey_round", "The last round that was counted.", recorder.last.round),
            Gauge("survey_round_sent", "Addresses to which a probe of that round was sent.", sent),
            Gauge("survey_round_positive", "Addresses that replied positively in that round.", positive),
            Gauge("survey_round_negative", "Addresses that replied negatively in that round.", negative),
        ]
    if judged is not None:
        found += [
            Gauge("survey_blocks_judged", "Number of /24s that could be judged in the last round.", judged.judged),
            Gauge("survey_blocks_down", "Number of /24s that are down.", judged.down),
        ]
    return tuple(found)
