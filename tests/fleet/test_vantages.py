"""Vantage files: what is accepted, and how faults are named. Plans, and what is refused before anything is sent."""

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from liveness.config.load import load_config, read_entries, resolve_targets
from liveness.errors import LivenessError, RefusedError, UsageError
from liveness.fleet.vantages import load_fleet
from liveness.fleet.work import Work, check_work, peak_of, secret_of
from liveness.fleet.workplace import Workplace

WHOLE: dict[str, Any] = {
    "config": "census.yaml",
    "mode": "replicate",
    "start": "2026-12-01T00:00:00Z",
    "max_pps_per_24": 50,
    "lease": "2m",
    "store": {"url": "s3://bucket/prefix", "endpoint": "https://s3.example.org", "region": "eu"},
    "scheduler": {"address": "tls://scheduler.example.org:8786", "ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"},
    "vantages": [
        {
            "name": "ams1",
            "addresses": ["198.51.100.7"],
            "interface": "eth0",
            "rate": "2kpps",
            "contact": "https://example.org/ams1",
            "region": "NL",
            "asn": 64500,
            "resources": {"fast": 1},
            "directory": "/var/lib/liveness",
            "command": ["sudo", "liveness"],
        },
        {"name": "fra1", "offset": "4s"},
    ],
}
CENSUS: dict[str, Any] = {
    "name": "wide",
    "targets": {"allow": ["9.9.0.0/20"]},
    "probes": ["icmp"],
    "control": False,
    "rate": "100pps",
    "contact": "https://example.org/scan",
}


def written(folder: Path, changes: dict[str, Any]) -> Path:
    """Write a vantage file with some fields changed, by dotted names; None removes a field."""
    document: Any = yaml.safe_load(yaml.safe_dump(WHOLE))
    for name, value in changes.items():
        place = document
        *above, last = [int(step) if step.isdecimal() else step for step in name.split(".")]
        for step in above:
            place = place[step]
        if value is None:
            del place[last]
        else:
            place[last] = value
    path = folder / "vantages.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def work_of(folder: Path, vantages: dict[str, Any], **census: object) -> Work:
    (folder / "census.yaml").write_text(yaml.safe_dump({**CENSUS, **census}))
    fleet = load_fleet(written(folder, vantages))
    config = load_config(fleet.config)
    return Work(fleet, config, read_entries(config.targets.allow), resolve_targets(config, lab=False))


def test_every_field_of_a_vantage_file_is_read(tmp_path: Path) -> None:
    fleet = load_fleet(written(tmp_path, {}))
    assert (fleet.config, fleet.mode, fleet.lease.seconds) == (str(tmp_path / "census.yaml"), "replicate", 120)
    assert fleet.scheduler is not None
    assert fleet.scheduler.ca == str(tmp_path / "ca.pem")
    first, second = fleet.vantages
    assert (first.name, first.asn, first.region, first.command) == ("ams1", 64500, "NL", ("sudo", "liveness"))
    assert (first.rate, first.resources, second.offset.seconds) == ("2kpps", {"fast": 1.0}, 4)
    assert fleet.vantage("fra1") is second
    with pytest.raises(UsageError, match="'nyc1': no vantage point of this fleet: there are ams1, fra1"):
        fleet.vantage("nyc1")
    local = load_fleet(written(tmp_path, {"scheduler": None, "store": {"url": "runs"}}))
    assert (local.scheduler, local.store.url) == (None, f"file://{tmp_path}/runs")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mode": "both"}, "$.mode: 'both': expected one of split, replicate"),
        ({"vantages": []}, "$.vantages"),
        ({"vantage": 1}, "$.vantage: 1: no such field, did you mean 'vantages'?"),
        ({"vantages.0.nam": 1}, "no such field, did you mean 'name'?"),
        ({"config": None}, "$.config: missing"),
        ({"store": None}, "$.store: missing"),
        ({"store.url": "ftp://x"}, "$.store.url: 'ftp://x': expected a directory, or a URL of file, s3"),
        ({"store.url": "s3://me:secret@bucket"}, "no credentials here"),
        ({"store.endpoint": "http://s3.example.org"}, "expected https://, or allow_http"),
        ({"store.endpoint": "s3.example.org"}, "expected a URL such as https://s3.example.org"),
        ({"vantages.1.name": "ams1"}, "'ams1': stands twice"),
        ({"vantages.1.name": "a/b"}, "$.vantages[1].name: 'a/b': expected a name"),
        ({"vantages.0.addresses": ["198.51.100.700"]}, "$.vantages[0].addresses[0]"),
        ({"vantages.0.rate": "auto"}, "$.vantages[0].rate: 'auto': expected a rate"),
        ({"vantages.0.rate": "fast"}, "$.vantages[0].rate: 'fast'"),
        ({"vantages.0.asn": 0}, "$.vantages[0].asn: 0"),
        ({"vantages.0.command": [""]}, "$.vantages[0].command"),
        ({"vantages.0.resources": {"ams1": 1}}, "$.vantages[0].resources"),
        ({"vantages.0.directory": ""}, "$.vantages[0].directory"),
        ({"mode": "split"}, "$.vantages[1].offset: '4s': shards of a split census begin together"),
        ({"lease": "1s"}, "$.lease: '1s': expected at least 5s"),
        ({"lost_after": "1h"}, "$.lost_after: '1h': nobody replaces a vantage point in replicate mode"),
        ({"start": "tomorrow"}, "$.start: 'tomorrow'"),
        ({"scheduler.address": "scheduler"}, "$.scheduler.address: 'scheduler': expected an address such as tls://"),
        ({"scheduler.address": "tls://host:0"}, "expected an address"),
        ({"scheduler.key": None}, "give ca, cert and key"),
        ({"scheduler.address": "tcp://192.0.2.1:8786"}, "without TLS anybody can run programs"),
    ],
)
def test_a_wrong_vantage_file_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    path = written(tmp_path, changes)
    with pytest.raises(UsageError if "TLS" not in words else RefusedError) as caught:
        load_fleet(path)
    assert str(caught.value).startswith(f"{path}:")
    assert words in str(caught.value)


def test_a_scheduler_on_this_machine_needs_no_tls(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "localhost", "[::1]"):
        fleet = load_fleet(written(tmp_path, {"scheduler": {"address": f"tcp://{host}:8786"}}))
        assert fleet.scheduler is not None


def test_a_plan_gives_each_vantage_point_its_part_its_config_and_its_start(tmp_path: Path) -> None:
    work = work_of(tmp_path, {})
    plan = work.plan("r1", 0.0)
    assert [(job.job, job.shard, job.shards, job.offset) for job in plan.jobs] == [
        ("ams1/0-of-1", 0, 1, "0s"),
        ("fra1/0-of-1", 0, 1, "4s"),
    ]
    assert plan.start_at == "2026-12-01T00:00:00.000Z"
    job = work.job(plan, plan.jobs[0], work.fleet.vantages[0], b"")
    assert (job.config["rate"], job.config["contact"]) == ("2kpps", "https://example.org/ams1")
    assert job.config["network"]["interface"] == "eth0"
    assert job.config["network"]["source_addresses"] == ["198.51.100.7"]
    assert job.config["place"] == {"region": "NL", "asn": 64500}
    other = work.job(plan, plan.jobs[1], work.fleet.vantages[1], b"")
    assert (other.config["rate"], other.config["contact"]) == ("100pps", "https://example.org/scan")
    assert {"name": "ams1", "asn": 64500, "region": "NL"}.items() <= plan.vantages[0].items()
    assert "command" not in plan.vantages[0]
    assert (job.command, other.command) == (("sudo", "liveness"), ())
    here = Workplace(other, tmp_path).words()
    assert here[:4] == [sys.executable, "-m", "liveness", "scan"], "the Python of the worker, not of the coordinator"
    assert Workplace(job, tmp_path).words()[:3] == ["sudo", "liveness", "scan"]
    split = work_of(tmp_path, {"mode": "split", "vantages.1.offset": None}).plan("r1", 0.0)
    assert [(job.job, job.shard, job.shards) for job in split.jobs] == [("ams1/0-of-2", 0, 2), ("fra1/1-of-2", 1, 2)]


def test_opt_outs_leave_a_run_the_same_and_anything_else_makes_it_another(tmp_path: Path) -> None:
    work = work_of(tmp_path, {})
    blocked = work_of(tmp_path, {}, targets={"allow": ["9.9.0.0/20"], "block": ["9.9.1.0/24"]})
    assert blocked.entries != work.entries
    assert blocked.digest == work.digest
    others = [
        work_of(tmp_path, {}, seed=9),
        work_of(tmp_path, {}, targets={"allow": ["9.9.0.0/21"]}),
        work_of(tmp_path, {"start": "2026-12-02T00:00:00Z"}),
        work_of(tmp_path, {"vantages.1.name": "nyc1"}),
    ]
    assert len({work.digest, *(other.digest for other in others)}) == 5


def test_the_packets_of_all_vantage_points_count_for_a_24(tmp_path: Path) -> None:
    one = peak_of(work_of(tmp_path, {"vantages.1": None, "vantages.0.rate": "100pps"}))
    replicated = work_of(tmp_path, {"vantages.0.rate": "100pps"})
    assert peak_of(replicated) == 2 * one
    check_work(work_of(tmp_path, {"vantages.0.rate": "100pps", "max_pps_per_24": 2 * one}))
    with pytest.raises(RefusedError, match="from 2 vantage points together one /24 may get"):
        check_work(work_of(tmp_path, {"vantages.0.rate": "100pps", "max_pps_per_24": 2 * one - 1}))
    split = {"mode": "split", "vantages.1.offset": None, "vantages.0.rate": "100pps"}
    half = peak_of(work_of(tmp_path, split | {"vantages.0.rate": "50pps", "vantages.1.rate": "50pps"}))
    assert one <= half < peak_of(work_of(tmp_path, split)) <= 2 * one


@pytest.mark.parametrize(
    ("vantages", "census", "words"),
    [
        ({}, {"shard": {"index": 0, "of": 2}}, "a fleet sets shard, vantage, start_at"),
        ({}, {"rate": "auto", "rate_limit": "100pps"}, "$.rate: 'auto': give each vantage point a rate"),
        (
            {"mode": "split", "vantages.1": {"name": "fra1", "addresses": ["198.51.100.0/28"]}},
            {},
            "ams1 and fra1 send from one address",
        ),
    ],
)
def test_a_census_that_a_fleet_cannot_take_is_refused(
    tmp_path: Path, vantages: dict[str, Any], census: dict[str, Any], words: str
) -> None:
    with pytest.raises(LivenessError) as caught:
        check_work(work_of(tmp_path, vantages, **census))
    assert words in str(caught.value)


def test_a_secret_is_handed_out_and_a_missing_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(range(32)))
    work = work_of(tmp_path, {}, secret="secret")  # noqa: S106 - the name of a file
    plan = work.plan("r1", 0.0)
    assert secret_of(work.config) == bytes(range(32))
    assert work.job(plan, plan.jobs[0], work.fleet.vantages[0], bytes(range(32))).secret == bytes(range(32)).hex()
    assert bytes(range(32)).hex() not in msgspec.json.encode(plan).decode()
    (tmp_path / "secret").unlink()
    with pytest.raises(UsageError, match=r"\$\.secret: .*: cannot read"):
        secret_of(work.config)
