"""What a row of a log takes, as predicted, is what replies of the model take when they are written."""

from pathlib import Path

import numpy as np
import pytest

from liveness.kernel import COMPILED
from liveness.lab.model.population.answer import ERROR, FROM_ROUTER, PROBES, WHAT_MASK, routers_of
from liveness.lab.model.population.load import load_population
from liveness.lab.model.population.predict import PARQUET_BYTES
from liveness.lab.model.population.sample import public_space, rows_in, sample24
from liveness.lab.model.population.words import error_of, kinds_of
from liveness.replies import REPLY_DTYPE, Kind
from liveness.replylog.parquet import convert_spool, count_rows
from liveness.replylog.spool import spool_header
from tests.lab.model.population.support import whole

PREFIXES = 400 if COMPILED else 60


def test_a_row_in_parquet_takes_what_is_predicted(tmp_path: Path) -> None:
    population = load_population()
    generator = np.random.default_rng(2)
    addresses = whole(sample24(public_space(), PREFIXES, 2))
    rows = rows_in(population, addresses)
    targets, kinds, codes, secondary, probes = [], [], [], [], []
    for target, row in zip(addresses[rows > 0].tolist(), rows[rows > 0].tolist(), strict=True):
        for probe, answer in enumerate(population.rows.rows[row].answers):
            for kind in kinds_of(probe, answer):
                targets.append(target)
                probes.append(probe)
                kinds.append(kind)
                codes.append(error_of(answer) if answer & WHAT_MASK == ERROR else (0, 0))
                secondary.append(bool(answer & FROM_ROUTER))
    records = np.zeros(len(targets), REPLY_DTYPE)
    records["target"] = records["source"] = targets
    routers = np.empty(len(targets), np.uint32)
    routers_of(population.tables, np.array(targets, np.uint32), routers)
    records["source"][secondary] = routers[secondary]
    records["probe"], records["kind"] = probes, kinds
    records["icmp_type"], records["icmp_code"] = np.array(codes).T
    records["attempt"] = generator.integers(0, 2, len(records))
    echo = records["kind"] == Kind.ECHO_REPLY
    records["rtt_ns"] = np.where(echo, generator.integers(5_000_000, 400_000_000, len(records)), -1)
    records["ip_id"] = generator.integers(0, 1 << 16, len(records)) * generator.integers(0, 2, len(records))
    records["reply_ttl"] = generator.integers(40, 60, len(records))
    records["length"] = 40
    records["tcp_window"] = np.where(np.isin(kinds, (Kind.SYN_ACK,)), 65535, 0)
    records["tier"] = 1
    # A target's replies come 100 ms apart, between those of some ten thousand others.
    starts = dict(zip(addresses.tolist(), generator.permutation(len(addresses)).tolist(), strict=True))
    sent_ns = np.array([20_000 * starts[target] for target in targets]) + 100_000_000 * records["probe"].astype(
        np.int64
    )
    records["time_ns"] = 1_790_000_000_000_000_000 + sent_ns + generator.integers(0, 300_000_000, len(records))
    records.sort(order="time_ns")
    path = tmp_path / "a.spool"
    path.write_bytes(spool_header(PROBES, REPLY_DTYPE) + records.tobytes())
    parquet = convert_spool(path)
    assert parquet is not None
    assert count_rows(parquet) == len(records) > (20_000 if COMPILED else 2000)
    assert parquet.stat().st_size / len(records) == pytest.approx(PARQUET_BYTES, rel=0.25)
