"""The expected result of a census of a config's targets in a population, computed without sending."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liveness.config.estimate import Estimate, estimate
from liveness.config.model import Config
from liveness.config.talk_load import TalkBurden, TalkLoad
from liveness.lab.model.population.answer import ANSWERED, BOTH, ERROR, ICMP, PAYLOAD, SILENT, WHAT_MASK
from liveness.lab.model.population.burden import NO_TALKS, Burden, TalksIn24, burden_of
from liveness.lab.model.population.load import Population
from liveness.lab.model.population.rows import Row
from liveness.lab.model.population.sample import places_of, rows_in, sample24, used24
from liveness.lab.model.population.set_size import Spread, exact_bytes
from liveness.lab.model.population.truth import number_of, truth
from liveness.lab.model.population.words import is_tcp
from liveness.lab.model.services.truth import with_talks
from liveness.lab.services.behaviours import talked_probes
from liveness.packets.headers import bits_on_wire
from liveness.probes.registry import probes_of_run
from liveness.probes.run_constants import frame_lengths
from liveness.replies import CONTROL, SetKey
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets

MOST_ADDRESSES: Final = 1 << 22
"""The largest number of targets in a sample; if there are fewer targets, all are examined and nothing is estimated."""

PARQUET_BYTES: Final = 16.0
"""Bytes of a row in a Parquet log: half of it target and time, most of the rest IP IDs and round-trip times."""
PCAP_HEADER: Final = 16
IP_HEADERS: Final = 14 + 20
SYN_ACK_BYTES: Final = IP_HEADERS + 24
RST_BYTES: Final = IP_HEADERS + 20
ERROR_BYTES: Final = IP_HEADERS + 8
"""Ethernet, IP and ICMP headers, without the quote."""
ANSWER_EXTRA: Final = 16
"""Bytes by which a DNS answer is longer than its question: one A record."""
ANY_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class ProbeForecast:
    """The expected result of one probe."""

    probe: str
    targets: float
    """Targets for which any host or router answers."""
    hit_rate: float
    """`targets` as a share of all targets."""
    replies: float
    """Packets received, all attempts together."""
    replies_pps: float
    """Packets received per second of sending."""


@dataclass(frozen=True, slots=True)
class SetForecast:
    """One set: its members, and the bytes of its file."""

    key: SetKey
    members: float
    size: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The expected result of a census, without loss, if every attempt is answered."""

    population: str
    estimate: Estimate
    sampled: int
    """Targets that were examined; numbers are exact if these are all."""
    probes: list[ProbeForecast]
    replies: float
    replies_pps: float
    received_bps: float
    """Bits per second on the wire of replies while sending."""
    sets: list[SetForecast]
    parquet_bytes: float
    pcap_bytes: float
    """Bytes of the logs, if the config asks for them."""
    burden: Burden
    talks: TalkBurden | None
    """What the talks with TCP services send at most; None if nobody is talked to."""
    prefixes24: int
    """/24s that were examined."""
    used24: int
    """Those of them that are in use in the model."""

    @property
    def set_bytes(self) -> float:
        """The size of all set files together."""
        return sum(entry.size for entry in self.sets)

    @property
    def exact(self) -> bool:
        """Whether every target was examined."""
        return self.sampled == self.estimate.targets


def predict(
    config: Config, targets: Targets, wire_bits: int, population: Population, most: int = MOST_ADDRESSES
) -> Prediction:
    """Return the expected result of a config's census in a population.

    `wire_bits` is the length on the wire of one packet of each probe, all probes together (as for `estimate`). At most
    `most` targets are examined: whole /24s if all their addresses are targets, so that routers keep their share. With
    `limits.max_targets` the sample does not contain the scan's own first targets but others, evenly spread.
    """
    forecast = estimate(config, targets, wire_bits)
    addresses = sampled_targets(targets.intervals, forecast.targets, most, population.seed)
    scale = forecast.targets / len(addresses)
    names = [*config.probes, CONTROL] if config.control else list(config.probes)
    rows = population.rows.rows
    row_of = rows_in(population, addresses)
    counts = np.bincount(row_of, minlength=len(rows)) * scale
    prefixes, place = np.unique(addresses >> np.uint32(8), return_inverse=True)
    talks24 = NO_TALKS
    if forecast.talks is not None:
        talks24 = _talks_in_24(rows, row_of, place, forecast.talks, config.retransmit.attempts)
    lengths = frame_lengths(
        probes_of_run(config.probes, ANY_PORT if config.control else None),
        contact=config.contact,
        tcp_options=config.tcp_options,
    )
    sending_s = forecast.targets * config.retransmit.attempts / forecast.probe_rate_pps
    again = 1 if config.retransmit.only_unanswered else config.retransmit.attempts
    probes, pcap, wire = [], 0.0, 0.0
    for name, length in zip(names, lengths, strict=True):
        number = number_of(name)
        answered = np.array([row.answers[number] != SILENT for row in rows])
        packets = np.array([_packets(row, number) for row in rows]) * again
        hits, replies = float(counts[answered].sum()), float(counts @ packets)
        probes.append(ProbeForecast(name, hits, hits / forecast.targets, replies, replies / sending_s))
        sizes = np.array([_reply_bytes(row, number, length) for row in rows])
        pcap += float(counts @ (packets * (sizes + PCAP_HEADER)))
        wire += float(counts @ (packets * np.array([bits_on_wire(size) for size in sizes.tolist()])))
    total = sum(probe.replies for probe in probes)
    return Prediction(
        population=population.name,
        estimate=forecast,
        sampled=len(addresses),
        probes=probes,
        replies=total,
        replies_pps=total / sending_s,
        received_bps=wire / sending_s,
        sets=_sets(population, targets, addresses, scale, names, talked_probes(config.applications)),
        parquet_bytes=total * PARQUET_BYTES,
        pcap_bytes=pcap,
        burden=burden_of(config, targets, forecast.probe_rate_pps, talks24),
        talks=None if forecast.talks is None else forecast.talks.burden_of(_opened(rows, counts, names)),
        prefixes24=len(prefixes),
        used24=used24(population, prefixes.astype(np.uint32)),
    )


def _talks_in_24(
    rows: Sequence[Row], row_of: NDArray[np.integer[Any]], place: NDArray[np.intp], load: TalkLoad, attempts: int
) -> TalksIn24:
    """Return the most frames of talks to any /24, of addresses with these rows in the /24s of these numbers.

    Where only some of the targets of each /24 were examined, the others are taken to be like them.
    """
    opened = np.zeros(len(rows))
    frames = np.zeros(len(rows))
    for service in load.services:
        answers = _syn_acks(rows, service.probe)
        opened += answers
        frames += service.frames * answers
    examined = int(np.bincount(place).max())
    of24, opened24 = (np.bincount(place, each[row_of]) for each in (frames, opened))
    resets24 = (attempts - 1) * opened24
    return TalksIn24(float(of24.max()) * 256 / examined, float((of24 - resets24).max()) * 256 / examined)


def _syn_acks(rows: Sequence[Row], probe: str) -> NDArray[np.bool_]:
    """Return by row whether its hosts answer a TCP probe with a SYN-ACK."""
    number = number_of(probe)
    return np.array([row.answers[number] & WHAT_MASK in (ANSWERED, BOTH) for row in rows])


def _opened(rows: Sequence[Row], counts: NDArray[np.floating[Any]], names: list[str]) -> dict[str, float]:
    """Return how many targets answer each TCP probe with a SYN-ACK."""
    opened = {}
    for name in names:
        if is_tcp(number_of(name)):
            opened[name] = float(counts[_syn_acks(rows, name)].sum())
    return opened


def _packets(row: Row, number: int) -> int:
    """Return the number of packets that answer one probe."""
    what = row.answers[number] & WHAT_MASK
    return 2 if what == BOTH else 0 if what == SILENT else 1


def _reply_bytes(row: Row, number: int, probe_bytes: int) -> int:
    """Return the approximate length in bytes of the frame that answers a probe of `probe_bytes`."""
    what = row.answers[number] & WHAT_MASK
    if what == ERROR:
        return ERROR_BYTES + probe_bytes - 14
    if number == ICMP or what == PAYLOAD:
        return probe_bytes
    if is_tcp(number):
        return SYN_ACK_BYTES if what in (ANSWERED, BOTH) else RST_BYTES
    return probe_bytes + ANSWER_EXTRA


def _sets(
    population: Population,
    targets: Targets,
    addresses: NDArray[np.uint32],
    scale: float,
    names: list[str],
    talked: list[str],
) -> list[SetForecast]:
    """Return every set that a census of these targets is expected to write, the largest first."""
    found = with_talks(population, truth(population, addresses, names), talked)
    if scale == 1:
        sets = [SetForecast(key, len(members), exact_bytes(members)) for key, members in found.items()]
    else:
        spread = Spread(population, targets.intervals)
        sets = [
            SetForecast(key, len(members) * scale, spread.bytes_of(len(members) * scale))
            for key, members in found.items()
        ]
    return sorted(sets, key=lambda entry: (-entry.members, entry.key.file))


def sampled_targets(targets: Intervals, wanted: int, most: int, seed: int) -> NDArray[np.uint32]:
    """Return at most `most` targets that represent `wanted` of them (all, or fewer by limits.max_targets), ascending.

    Whole /24s are drawn, and of their targets the share that the census probes, so that gateways occur as often as in
    the census itself.
    """
    part = wanted / targets.count
    clusters = math.ceil(most / (256 * part))
    space = targets
    if wanted > most:
        slash24 = sample24(targets, clusters, seed).astype(np.uint64) << np.uint64(8)
        space = Intervals.from_bounds(slash24, slash24 + np.uint64(255)).intersection(targets)
    number = max(1, min(most, round(space.count * part)))
    if number == space.count:
        return space.address_at(np.arange(number))
    return space.address_at(places_of(space.count, number, seed))
