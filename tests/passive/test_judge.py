"""Every figure of a run equals what plain dictionaries find by the definitions."""

import json
import random
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from liveness.passive.config import load_config
from liveness.passive.manifest import load_results
from liveness.passive.run import PassiveRun
from tests.passive.drawn import EPOCH_S, LOCAL, SECOND, draw, judge_of, write_config
from tests.passive.judge import Judge, Record, Setting, write_csv

NAMES = {"tcp": 6, "udp": 17}


def run_of(folder: Path, records: list[Record], files: int = 1, **more: object) -> dict[str, Any]:
    """Return the report document of a run over records, in so many files."""
    inputs = []
    for at in range(files):
        path = folder / f"flows-{at}.csv"
        write_csv(path, records[at::files])
        inputs.append(path.name)
    config = write_config(folder / "config.yaml", folder / "out", inputs=inputs, **more)
    run = PassiveRun.create(load_config(config), "run", forced=True, note=lambda _line: None)
    run.go([], follow=False)
    return load_results(folder / "out" / "campus" / "run")


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 10**9


def check(document: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare a report with the judge's."""
    assert document["records"] == expected["records"]
    for found, wanted in zip(document["intervals"], expected["intervals"], strict=True):
        assert ns(found["start"]) == wanted["start"]
        for name in ("two_way", "one_way", "one_way_out", "signs", "classes"):
            assert found[name] == wanted[name], (found["start"], name)
    assert document["totals"] == expected["totals"]
    services = {}
    for service in document["services"]:
        address, protocol, port = service["service"].split("/")
        services[address, NAMES.get(protocol) or int(protocol), int(port)] = {
            "clients_ok": service["clients_ok"],
            "clients_failed": service["clients_failed"],
            "scanners_left_out": service["scanners_left_out"],
            "intervals": {
                ns(each["start"]): (each["clients_ok"], each["clients_failed"]) for each in service["intervals"]
            },
        }
    assert services == expected["services"]
    outages = [
        {
            "start": ns(outage["start"]),
            "end": ns(outage["end"]),
            "services": {
                (address, NAMES.get(protocol) or int(protocol), int(port))
                for address, protocol, port in (name.split("/") for name in outage["services"])
            },
            "clients": outage["clients"],
        }
        for outage in document["outages"]
    ]
    assert outages == expected["outages"]
    assert document["symmetry"]["tcp_inbound_established_unanswered"] == expected["symmetry"]


def check_exporters(document: dict[str, Any], judge: Judge) -> None:
    """Compare what a report says of its exporters with what the judge counted."""
    pairs = {tuple(each["exporters"]): each["records"] for each in document["duplicate_pairs"]}
    assert pairs == dict(judge.copies)
    for each in document["duplicate_pairs"]:
        pair = tuple(each["exporters"])
        assert each["second_starts_later_s"] == judge.later[pair] / judge.copies[pair] / SECOND
    numbers = [ns(interval["start"]) // judge.ns for interval in document["intervals"]]
    for number, interval in zip(numbers, document["intervals"], strict=True):
        assert interval["exporters"] == dict(judge.exporters[number])
        assert interval["records"] == judge.exporters[number].total()
    for each in document["exporters"]:
        name = each["exporter"]
        seen = [number for number in numbers if name in judge.exporters[number]]
        assert (each["intervals"], ns(each["first"])) == (len(seen), seen[0] * judge.ns)
        assert each["silent_intervals"] == numbers[-1] - seen[0] + 1 - len(seen)
        assert ns(each["newest"]) // judge.ns == seen[-1]
        assert each["duplicates"] == sum(number for pair, number in judge.copies.items() if name in pair)


SETTING = Setting([LOCAL], own=["203.0.113.9/32"])


@pytest.mark.parametrize("seed", range(10))
def test_every_figure_equals_brute_force(tmp_path: Path, seed: int) -> None:
    records = draw(seed)
    document, judge = run_of(tmp_path, records), judge_of(records, SETTING)
    check(document, judge.document())
    check_exporters(document, judge)
    assert len(judge.copies) > 1


def test_an_exporter_that_falls_silent_is_seen(tmp_path: Path) -> None:
    """Its records end an hour before those of the others."""
    records = [each for each in draw(2) if each.exporter != "e2" or each.start < (EPOCH_S + 7200) * SECOND]
    document, judge = run_of(tmp_path, records), judge_of(records, SETTING)
    check_exporters(document, judge)
    silent = {each["exporter"]: each["silent_intervals"] for each in document["exporters"]}
    assert silent["e2"] >= 6 > silent["e1"]


@pytest.mark.parametrize("seed", [20, 21])
def test_short_histories_forget(tmp_path: Path, seed: int) -> None:
    records = draw(seed, hours=4)
    setting = Setting([LOCAL], own=["203.0.113.9/32"], history_s=1800, keep_s=2400, targets=8, learn_clients=2,
                      interval_s=300, known=[("10.0.200.3", 6, 22), ("10.0.200.4", 6, 55000)])  # fmt: skip
    document = run_of(
        tmp_path, records, interval="5m", scanners={"history": "30m", "targets": 8},
        services={"keep": "40m", "learn_clients": 2, "known": ["10.0.200.3/tcp/22", "10.0.200.4/tcp/55000"]},
    )  # fmt: skip
    check(document, judge_of(records, setting).document())


def test_results_do_not_depend_on_order_or_number_of_files(tmp_path: Path) -> None:
    records = draw(3, hours=1)
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    first = run_of(tmp_path / "one", records)
    random.Random(1).shuffle(records)
    second = run_of(tmp_path / "many", records, files=7)
    assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
