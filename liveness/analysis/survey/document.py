"""The JSON document of a survey's analysis: counts are integers, shares and means floats or null."""

from collections import Counter
from typing import Any, Final

import msgspec

from liveness.analysis.survey.block import BlockResult, Reading, Timing
from liveness.analysis.survey.churn import DAY_S
from liveness.analysis.survey.delays import PERCENTILES, DelayTable
from liveness.analysis.survey.occupancy import distribution
from liveness.analysis.survey.outages import Outage
from liveness.analysis.survey.published import compared
from liveness.analysis.survey.results import ProbeResult, ReadingResult, SurveyResults
from liveness.analysis.survey.sequences import PLAIN, REPAIRED
from liveness.clock import utc_brief

SCHEMA: Final = 1
CHANGE_NAMES: Final = ("active", "born", "returned", "left", "died")
Document = dict[str, Any]


def survey_document(results: SurveyResults) -> Document:
    """Return the results of a survey as a document for other tools."""
    manifest = results.manifest
    return {
        "schema": SCHEMA,
        "kind": "survey",
        "run": manifest.run,
        "status": manifest.status,
        "interval_s": manifest.interval_s,
        "rounds": manifest.rounds,
        "blocks": manifest.blocks,
        "addresses": manifest.blocks * 256,
        "probes": {probe.probe: _probe(results, probe) for probe in results.probes},
        "by_block": [_block(results, probe.probe, block) for probe in results.probes for block in probe.blocks],
        "outages": {
            "full": _outages(results, [(p.probe, b.outages) for p in results.probes for b in p.blocks]),
            "trinocular": _outages(results, [(p.probe, b.trinocular or []) for p in results.probes for b in p.blocks]),
        },
    }


def encode(results: SurveyResults) -> bytes:
    """Return the document as indented JSON, UTF-8, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(survey_document(results)), indent=2) + b"\n"


def round_time(timing: Timing, number: int) -> str:
    """Return the start of a round as ISO 8601 with Z."""
    return utc_brief(timing.at_ns(number))


def _probe(results: SurveyResults, probe: ProbeResult) -> Document:
    counts = probe.counts
    return {
        "sent": counts.sent,
        "not_sent": counts.not_sent,
        "withdrawn": counts.withdrawn,
        "positive": counts.positive,
        "negative": counts.negative,
        "late": counts.late,
        "responding_blocks": probe.responding_blocks,
        "plain": _whole(probe.readings[PLAIN]),
        "repaired": _whole(probe.readings[REPAIRED]),
        "estimates": {
            name: {"value": estimate.value, "low": estimate.low, "high": estimate.high}
            for name, estimate in probe.estimates.items()
        },
        "trinocular_blocks": sum(block.trinocular is not None for block in probe.blocks),
        "occupancy": {
            "active": distribution(probe.occupied(ever=False)),
            "ever": distribution(probe.occupied(ever=True)),
        },
        "churn": _churn(results, probe),
        "leases": [
            {"lease_s": lease_s, "blocks": blocks}
            for lease_s, blocks in sorted(Counter(b.lease_s for b in probe.blocks if b.lease_s is not None).items())
        ],
        "delays": None if probe.delays is None else _delays(probe.delays),
        "published": [one.document() for one in compared(probe)],
    }


def _churn(results: SurveyResults, probe: ProbeResult) -> Document:
    day_rounds = DAY_S / results.timing.interval_s

    def start(day: int) -> str:
        return utc_brief(results.timing.at_ns(day * day_rounds))

    return {
        "days": [
            {"start": start(day), **dict(zip(CHANGE_NAMES, counts, strict=True))}
            for day, counts in enumerate(probe.changes.tolist())
        ],
        "shifts": [
            {
                "block": results.run.blocks.name(block.block),
                "at": start(block.shift.day),
                "before": block.shift.before,
                "after": block.shift.after,
            }
            for block in probe.blocks
            if block.shift is not None
        ],
    }


def _delays(delays: DelayTable) -> Document:
    return {
        "addresses": delays.addresses,
        "replies": delays.replies,
        "percentiles": list(PERCENTILES),
        "timeout_s": delays.timeout_s.tolist(),
    }


def _whole(reading: ReadingResult) -> Document:
    return {
        "ever": reading.ever,
        "A": reading.availability,
        "U": reading.mean_up,
        "N_U": reading.periods_an_address,
        "up_periods": reading.up_periods,
        "median_up_s": reading.median_up_s,
        "median_up_censored_s": reading.median_up_censored_s,
        "median_up_kaplan_meier_s": reading.median_up_kaplan_meier_s,
    }


def _block(results: SurveyResults, probe: str, block: BlockResult) -> Document:
    blocks = results.run.blocks
    interval_s = results.timing.interval_s
    return {
        "block": blocks.name(block.block),
        "policy": blocks.policies[block.block],
        "weight": float(blocks.weights[block.block]),
        "probe": probe,
        "plain": _of_block(block.readings[PLAIN], interval_s),
        "repaired": _of_block(block.readings[REPAIRED], interval_s),
        "diurnal": block.diurnal.kind,
        "peak_hour_utc": block.diurnal.peak_hour_utc,
        "lease_s": block.lease_s,
    }


def _of_block(reading: Reading, interval_s: float) -> Document:
    median = reading.median_rounds
    return {
        "ever": reading.ever,
        "A": reading.mean(reading.a_sum),
        "U": reading.mean(reading.u_sum),
        "N_U": reading.mean(reading.periods),
        "median_up_s": None if median is None else median * interval_s,
    }


def _outages(results: SurveyResults, found: list[tuple[str, list[Outage]]]) -> list[Document]:
    timing, blocks = results.timing, results.run.blocks
    return [
        {
            "block": blocks.name(outage.block),
            "probe": probe,
            "start": round_time(timing, outage.first),
            "end": None if outage.end is None else round_time(timing, outage.end),
            "rounds": outage.sent,
            "weekly": outage.weekly,
        }
        for probe, outages in found
        for outage in outages
    ]
