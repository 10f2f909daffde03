"""Export of surveys: the planes of a run as records of other tools, in the order of time.

Planes of bits have no round-trip times: a matched reply is written with one of a microsecond. A late reply is
written as ANT has it: a probe without a reply, and a reply without a probe.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.planes.blocks import BLOCK_ADDRESSES
from liveness.planes.matrix import Planes
from liveness.planes.rundir import SurveyRun
from liveness.survey import ant, csv_records, fsdb
from liveness.survey.csv_records import LATE, NEGATIVE, POSITIVE, ROW, SILENT, Rows
from liveness.survey.parquet_records import encode_parquet
from liveness.survey.records import ECHO_REPLY, NO_REPLY, RECORD, UNREACHABLE, Records
from liveness.survey.trinocular_exporting import trinocular_parts

MATCHED_US: Final = 1
BYTES_AT_ONCE: Final = 8
"""Of each row: the planes are read whole once for so many bytes of rounds, and this much of them is kept."""
ROWS_AT_ONCE: Final = 1 << 16
BLOCKS_AT_ONCE: Final = 1024


def rows_of(run: SurveyRun, probe: str) -> Iterator[Rows]:
    """Yield every pair of address and round that was sent, round after round, each in the order of its slots."""
    addresses = run.blocks.addresses
    with run.matrix() as matrix:
        phases = matrix.phases_ms()
        order = np.argsort(phases, kind="stable")
        number = list(run.manifest.probes).index(probe)
        after_first_s = 0.0 if run.manifest.origin is not None else _after_first_s(run, number)
        for first in range(0, run.manifest.rounds, 8 * BYTES_AT_ONCE):
            parts = [_bytes(matrix.planes(probe, at, count), first // 8) for at, count in _spans(len(run.blocks))]
            planes = [np.concatenate(plane)[order] for plane in zip(*parts, strict=True)]
            for bit in range(min(8 * BYTES_AT_ONCE, run.manifest.rounds - first)):
                sent, positive, negative, late = (plane[:, bit // 8] >> (bit % 8) & 1 for plane in planes)
                chosen = np.flatnonzero(sent)
                state = np.full(len(chosen), SILENT, np.uint8)
                for plane, value in ((late, LATE), (negative, NEGATIVE), (positive, POSITIVE)):
                    state[plane[chosen] == 1] = value
                rows = np.empty(len(chosen), ROW)
                rows["round"], rows["probe"], rows["state"] = first + bit, number, state
                rows["address"] = addresses[order[chosen]]
                begin_s = run.manifest.start_ns / 1e9 + (first + bit) * run.manifest.interval_s + after_first_s
                rows["time_s"] = begin_s + phases[order[chosen]] / 1000
                for at in range(0, len(rows), ROWS_AT_ONCE):
                    yield rows[at : at + ROWS_AT_ONCE]


def _after_first_s(run: SurveyRun, number: int) -> float:
    """Return how long after its first probe an address gets probe `number`; phases are those of the first probe."""
    return number * run.manifest.interval_s / (BLOCK_ADDRESSES * len(run.manifest.probes))


def _spans(blocks: int) -> Iterator[tuple[int, int]]:
    for at in range(0, blocks, BLOCKS_AT_ONCE):
        yield at, min(BLOCKS_AT_ONCE, blocks - at)


def _bytes(planes: Planes, at: int) -> tuple[NDArray[np.uint8], ...]:
    columns = slice(at, at + BYTES_AT_ONCE)
    return tuple(plane[:, columns].copy() for plane in (planes.sent, planes.positive, planes.negative, planes.late))


def records_of(rows: Rows) -> Records:
    """Return rows of the icmp probe as ANT's records."""
    late = rows["state"] == LATE
    places = np.arange(len(rows)) + np.concatenate(([0], np.cumsum(late)[:-1])) if len(rows) else np.zeros(0, np.int64)
    records = np.zeros(len(rows) + int(late.sum()), RECORD)
    probes = records[places]
    probes["time_s"] = np.floor(rows["time_s"]).astype(np.int64)
    probes["probe"] = rows["address"]
    kinds = np.array([NO_REPLY, ECHO_REPLY, UNREACHABLE, NO_REPLY], np.uint8)
    probes["icmp_type"] = kinds[rows["state"]]
    probes["rtt_us"] = np.where(probes["icmp_type"] == NO_REPLY, 0, MATCHED_US)
    records[places] = probes
    after = places[late] + 1
    replies = records[after]
    replies["time_s"], replies["reply"] = probes["time_s"][late], rows["address"][late]
    replies["icmp_type"] = ECHO_REPLY
    records[after] = replies
    return records


def parts_of(run: SurveyRun, probe: str, form: str) -> Iterator[bytes]:
    """Yield a survey as the bytes of a format: ``ant``, ``fsdb``, ``trinocular``, ``csv`` or ``parquet``."""
    probes = list(run.manifest.probes)
    if form == "trinocular":
        yield from trinocular_parts(run, probe)
        return
    if form == "parquet":
        yield from encode_parquet(rows_of(run, probe), probes)
        return
    if form == "fsdb":
        yield f"{fsdb.HEADER}\n".encode()
    elif form == "csv":
        yield f"{','.join(csv_records.HEADER)}\n".encode()
    for rows in rows_of(run, probe):
        if form == "csv":
            yield csv_records.encode_rows(rows, probes).encode()
        elif form == "fsdb":
            yield fsdb.encode_fsdb(records_of(rows)).encode()
        else:
            yield ant.encode_ant(records_of(rows))
