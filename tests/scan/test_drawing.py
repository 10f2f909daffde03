"""What shards draw: without a secret their own keys and one control port, with one the same of both."""

from pathlib import Path

import msgspec
import pytest

from liveness.config.model import Config, Shard, TargetLists
from liveness.config.units import StartTime
from liveness.errors import UsageError
from liveness.scan.drawing import CONTROL_PORTS, draw_control_port, draw_key

CONFIG = Config(name="shared", seed=4, targets=TargetLists(allow=("10.0.0.0/24",)))


def of_shard(index: int, **changes: object) -> Config:
    return msgspec.structs.replace(CONFIG, shard=Shard(index=index, of=3), **changes)


def test_shards_have_one_control_port_and_keys_of_their_own() -> None:
    configs = [of_shard(index) for index in range(3)]
    assert len({draw_control_port(config) for config in configs}) == 1
    assert draw_control_port(configs[0]) in CONTROL_PORTS
    assert len({draw_key(config) for config in configs}) == 3
    others = {draw_control_port(of_shard(0, seed=seed)) for seed in range(20)}
    assert len(others) > 15


def test_a_census_on_one_machine_draws_both_by_chance() -> None:
    assert len({draw_control_port(CONFIG) for _ in range(40)}) > 20
    assert len({draw_key(CONFIG) for _ in range(40)}) == 40


def test_from_one_secret_follow_one_key_and_one_port(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(32))
    configs = [of_shard(index, secret=str(secret)) for index in range(3)]
    drawn = {(draw_key(config), draw_control_port(config)) for config in configs}
    assert len(drawn) == 1
    other = of_shard(0, secret=str(secret), start_at=StartTime("2026-12-01T00:00:00Z"))
    assert draw_key(other) != draw_key(configs[0])
    secret.write_bytes(bytes(31) + b"1")
    assert (draw_key(configs[0]), draw_control_port(configs[0])) not in drawn


def test_a_port_that_is_probed_is_not_drawn() -> None:
    probes = tuple(f"tcp/{port}" for port in CONTROL_PORTS[:-1])
    assert draw_control_port(of_shard(1, probes=probes)) == CONTROL_PORTS[-1]
    assert draw_control_port(of_shard(1, control=False)) is None


@pytest.mark.parametrize(("content", "words"), [(None, "cannot read this file"), (b"short", "at least 16")])
def test_a_secret_that_is_none_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_bytes(content)
    with pytest.raises(UsageError, match=words):
        draw_key(of_shard(0, secret=str(secret)))
