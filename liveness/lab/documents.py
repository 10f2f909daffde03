"""JSON documents of the lab: networks and truth of a lab file, comparisons of runs, and predictions of a population."""

from dataclasses import asdict
from ipaddress import IPv4Address
from math import isnan
from typing import Any, Final

from pyroaring import BitMap

from liveness.config.estimate import total_document
from liveness.config.talk_load import burden_document
from liveness.lab.hosts.check import Comparison
from liveness.lab.hosts.describe import ground_truth, network_lines
from liveness.lab.hosts.document import Internet
from liveness.lab.model.check import ModelComparison
from liveness.lab.model.population.fit import Fit
from liveness.lab.model.population.load import Population
from liveness.lab.model.population.predict import Prediction
from liveness.replies import SetKey

EXAMPLES: Final = 3
"""The number of addresses of a difference that are named."""

Document = dict[str, Any]


def examples(members: BitMap) -> list[str]:
    """Return the first few addresses of a set."""
    return [str(IPv4Address(address)) for address in members[:EXAMPLES]]


def internet_document(internet: Internet) -> Document:
    """Return the networks of a lab, and the sizes of the sets that a perfect census finds."""
    sets = [
        {"probe": key.reply.probe, "label": key.reply.label, "role": str(key.role), "cardinality": len(members)}
        for key, members in sorted(ground_truth(internet).items(), key=lambda item: item[0].file)
    ]
    networks = [asdict(line) for line in network_lines(internet)]
    vantages = [{"name": vantage.name, "blocked": vantage.blocked} for vantage in internet.vantages]
    return {"schema": 1, "name": internet.name, "networks": networks, "vantages": vantages, "sets": sets}


def comparison_document(comparison: Comparison) -> Document:
    """Return a comparison with the truth of a lab file."""
    return {
        "schema": 1,
        "run": comparison.run,
        "equal": comparison.equal,
        "targets": comparison.targets,
        "sets": comparison.sets,
        "differences": [
            {
                **_key(difference.key),
                "expected": difference.expected,
                "found": difference.found,
                **_members("missing", difference.missing),
                **_members("extra", difference.extra),
            }
            for difference in comparison.differences
        ],
    }


def model_document(comparison: ModelComparison) -> Document:
    """Return a comparison with the truth of a population; `model` is what the model recorded, null without a record."""
    summary = comparison.summary
    names = ("lossless", "packets", "replies", "duplicates", "noise", "overrun", "malformed", "lost")
    return {
        "schema": 1,
        "run": comparison.run,
        "equal": comparison.equal,
        "targets": comparison.targets,
        "sets": len(comparison.judged),
        "members": comparison.members,
        "model": None if summary is None else {name: getattr(summary, name) for name in names},
        "keys": [
            {
                **_key(judged.key),
                "expected": judged.expected,
                "found": judged.found,
                "recall": judged.recall,
                "precision": judged.precision,
                "lost": judged.lost,
                "recall_of_passed": judged.recall_of_passed,
                **_members("unexplained", judged.unexplained),
                **_members("extra", judged.extra),
            }
            for judged in comparison.judged
        ],
    }


def prediction_document(name: str, prediction: Prediction) -> Document:
    """Return the predicted result of a census by the config `name`."""
    forecast, burden = prediction.estimate, prediction.burden
    return {
        "schema": 1,
        "name": name,
        "population": prediction.population,
        "targets": forecast.targets,
        "sampled": prediction.sampled,
        "exact": prediction.exact,
        "packets": forecast.packets,
        "rate_pps": forecast.rate_pps,
        "duration_s": forecast.duration_s,
        "replies": prediction.replies,
        "prefixes24": {"sampled": prediction.prefixes24, "used": prediction.used24},
        "replies_pps": prediction.replies_pps,
        "received_bps": prediction.received_bps,
        "probes": {
            probe.probe: {
                "targets": probe.targets,
                "hit_rate": probe.hit_rate,
                "replies": probe.replies,
                "replies_pps": probe.replies_pps,
            }
            for probe in prediction.probes
        },
        "sets": [{**_key(entry.key), "cardinality": entry.members, "bytes": entry.size} for entry in prediction.sets],
        "set_bytes": prediction.set_bytes,
        "log_bytes": {"parquet": prediction.parquet_bytes, "pcap": prediction.pcap_bytes},
        "per_prefix24": {"packets": burden.packets, "mean_pps": burden.mean_pps, "peak_pps": burden.peak_pps},
        "talks": _talks(prediction),
    }


def _talks(prediction: Prediction) -> Document | None:
    """Return what the talks of a census send, and the census with them; None if nobody is talked to."""
    talks = prediction.talks
    if talks is None:
        return None
    return {**burden_document(talks), "total": total_document(prediction.estimate.total_with(talks))}


def fit_document(population: Population, fit: Fit) -> Document:
    """Return the shares of a population, and the published ones."""
    return {
        "schema": 1,
        "population": population.name,
        "seed": population.seed,
        "sampled_prefixes24": fit.sampled24,
        "shares": [
            {
                "share": line.model.name,
                "published": [line.model.low, line.model.high],
                "model": _number(line.model.model),
                "difference": _number(line.model.difference),
                "sample": _number(line.sample.model),
                "sample_difference": _number(line.sample.difference),
            }
            for line in fit.lines
        ],
    }


def _key(key: SetKey) -> Document:
    """Return what a set is of, in the fields of a manifest."""
    reply = key.reply
    return {
        "probe": reply.probe,
        "kind": reply.kind.label,
        "icmp_type": reply.icmp_type,
        "icmp_code": reply.icmp_code,
        "role": str(key.role),
    }


def _members(name: str, members: BitMap) -> Document:
    return {name: len(members), f"{name}_examples": examples(members)}


def _number(value: float) -> float | None:
    """Return a share; None if its denominator is 0."""
    return None if isnan(value) else value
