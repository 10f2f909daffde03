"""Configs of surveys: what is refused and by which words, what a survey will send, and what cannot be resumed."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from liveness.cli.survey_run import OPTION_OF
from liveness.errors import LivenessError, RefusedError, UsageError
from liveness.planes.blocks import Blocks, encode_blocks
from liveness.planes.manifest import ProbeRounds, SurveyManifest, Times, encode_manifest
from liveness.survey import schedule
from liveness.survey.config import SurveyConfig
from liveness.survey.config_files import load_survey_config, recorded_survey_config, to_record
from liveness.survey.forecast import forecast
from liveness.survey.gaps import Gap, Gaps, read_gaps, write_gaps
from liveness.survey.progress import progress_of
from liveness.survey.schedule import check_start_time, plan_survey
from liveness.survey.session import Observers, resume_survey
from tests.survey.virtual import survey_config

NOBODY = Observers(lambda *_: None, lambda _: None, lambda _: None)


def written(folder: Path, text: str, blocks: str = "block,policy,weight\n8.8.8.0/24,random,1\n") -> Path:
    """Write a config and its blocks; return the path of the config."""
    (folder / "blocks.csv").write_text(blocks)
    path = folder / "s.yaml"
    path.write_text(f"name: week48\ncontact: https://example.org\n{text}\n")
    return path


def load(folder: Path, text: str) -> SurveyConfig:
    return load_survey_config(written(folder, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("probes: [icmp]", r"\$\.survey: missing"),
        ("survey: {interval: 11m}", r"s\.yaml:3: \$\.survey\.blocks: missing: a file, such as blocks"),
        ("survey: {blocks: b, interval: 10ms}", r"\$\.survey\.interval: '10ms': expected a duration from 100ms to 24h"),
        ("survey: {blocks: b, interval: 25h}", r"\$\.survey\.interval: '25h': expected a duration from 100ms to 24h"),
        ("survey: {blocks: b, duration: 0s}", r"\$\.survey\.duration: '0s': expected a duration above 0s"),
        (
            "survey: {blocks: b, interval: 1s, duration: 366d}",
            r"makes 31,622,400 rounds of 1s: expected at most 1,048,576",
        ),
        (
            "survey: {blocks: b, interval: 1s, duration: 1h, tolerance: 600ms}",
            r"\$\.survey\.tolerance: '600ms': expected more than 0s and at most half of the interval, 1s",
        ),
        ("survey: {blocks: b, intervall: 1s}", r"no such field, did you mean 'interval'\?"),
        ("survey: {blocks: b}\nprobes: []", r"\$\.probes: \[\]: expected at least one probe, such as icmp"),
        ("survey: {blocks: b}\nprobes: [tcp/control]", r"expected at least one probe, such as icmp"),
        ("survey: {blocks: b}\nprobes: [icmp, tcp/control, tcp/control]", r"tcp/control is listed twice"),
        ("survey: {blocks: b}\nprobes: [ping]", r"\$\.probes\[0\]: 'ping': no such probe: .*did you mean 'icmp'\?"),
        ("survey: {blocks: b}\nrate: 5kpps", r"\$\.rate: '5kpps': no such field"),
        ("survey: {blocks: b}\nlimits: {max_targets: 5}", r"a survey probes whole /24s: make a shorter list"),
        ("survey: {blocks: b}\nlimits: {loss: 0.1}", r"\$\.limits\.loss: 0\.1: a survey records each probe"),
        ("survey: {blocks: b}\nlimits: {repair: false}", r"\$\.limits\.repair: false: a survey never sends"),
        ("survey: {blocks: b}\nnotify: {webhook: ftp://x}", r"\$\.notify\.webhook: .*expected a URL"),
        ("survey: {blocks: b}\nnotify: {on: [hit_rate]}", r"\$\.notify\.on\[0\]"),
        ("survey: {blocks: b}\nnotify: {prefixes: [10.1.0.0/33]}", r"\$\.notify\.prefixes\[0\]: .*a prefix"),
        ("survey: {blocks: b}\nreceive: {receivers: 2}", r"\$\.receive\.receivers: 2: a survey has one receiver"),
        ("survey: {blocks: b}\nshard: {of: 2}", r"\$\.shard\.of: 2: a survey in shards needs `start_at`"),
        (
            "survey: {blocks: b}\nshard: {index: 2, of: 2}\nstart_at: 2026-12-01T00:00:00Z",
            r"\$\.shard\.index: 2: .*0 to 1",
        ),
        ("survey: {blocks: b}\nstart_at: 2026-12-01 00:00", r"\$\.start_at: .*expected a date and time with an offset"),
        ("survey: {blocks: b}\nvantage: a/b", r"\$\.vantage: 'a/b': expected a name"),
        (
            "survey: {blocks: b, interval: 1s, duration: 1h}\nnetwork: {source_ports: 40000-41000}",
            r"\$\.network\.source_ports: '40000-41000': expected at least 64 ports for each of 240 attempts",
        ),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_survey_of_the_paper(tmp_path: Path) -> None:
    """24,000 /24s every eleven minutes are 9,309 packets per second, 0.388 to each /24 (Heidemann et al. 2008)."""
    config = load(tmp_path, "survey: {blocks: blocks.csv}\nlimits: {max_pps_per_24: 0.39}")
    numbers = np.arange(0x010000, 0x010000 + 24_000, dtype=np.uint32)
    (tmp_path / "blocks.csv").write_bytes(encode_blocks(Blocks.of(numbers)))
    shown = forecast(plan_survey(config, lab=False, origin="s.yaml"))
    assert (shown.rounds, shown.addresses, shown.left_out) == (1_833, 6_144_000, 0)
    assert shown.packets == 1_833 * 6_144_000
    assert round(shown.rate_pps, 1) == 9_309.1
    assert round(shown.pps_per_24, 3) == 0.388
    assert shown.tolerance_s == 0.05
    assert shown.remembered_s >= 3_600


@pytest.mark.parametrize(
    ("interval", "marks"), [("11m", 7), ("24h", 2), ("1h", 2), ("30s", 121), ("16s", 226), ("2s", 240), ("100ms", 240)]
)
def test_rounds_are_told_apart_for_an_hour_or_240_of_them(interval: str, marks: int) -> None:
    config = survey_config(survey={"blocks": "x", "interval": interval, "duration": "24h"})
    assert config.marks == marks
    assert (marks - 1) * config.survey.interval.seconds >= 3_600 or marks == 240


def test_the_tolerance_is_half_the_spacing_of_a_24_at_most() -> None:
    one = survey_config(survey={"blocks": "x", "interval": "2560ms", "duration": "1h"})
    assert one.tolerance_ns == 5_000_000
    two = survey_config(probes=["icmp", "dns"], survey={"blocks": "x", "interval": "2560ms", "duration": "1h"})
    assert two.tolerance_ns == 2_500_000
    given = survey_config(survey={"blocks": "x", "interval": "2560ms", "duration": "1h", "tolerance": "100ms"})
    assert given.tolerance_ns == 100_000_000


def test_what_safety_forbids_is_refused(tmp_path: Path) -> None:
    crowded = load(tmp_path, "survey: {blocks: blocks.csv}\nlimits: {max_pps_per_24: 0.3}")
    with pytest.raises(RefusedError, match=r"gets 0\.388 packets/s: set survey\.interval to 853s or more"):
        plan_survey(crowded, lab=False, origin="s.yaml")
    silent = written(tmp_path, "survey: {blocks: blocks.csv}")
    silent.write_text(silent.read_text().replace("contact: https://example.org\n", ""))
    with pytest.raises(RefusedError, match=r"\$\.contact: '': 256 addresses, public ones among them"):
        plan_survey(load_survey_config(silent), lab=False, origin="s.yaml")


def test_special_purpose_space_and_the_blocklist_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "block.txt").write_text("8.8.8.128/25\n")
    blocks = "block,policy,weight\n8.8.8.0/24,random,1\n10.0.0.0/24,random,1\n"
    path = written(tmp_path, "survey: {blocks: blocks.csv}\ntargets: {block: [block.txt]}", blocks)
    survey = plan_survey(load_survey_config(path), lab=False, origin="s.yaml")
    assert survey.targets.count == 128
    assert survey.left_out.count == 256 + 128
    written(tmp_path, "survey: {blocks: blocks.csv}", "block,policy,weight\n10.0.0.0/24,random,1\n")
    with pytest.raises(UsageError, match=r"\$\.survey\.blocks: .*no target is left: all 256 allowed addresses"):
        plan_survey(load_survey_config(path), lab=False, origin="s.yaml")


def test_a_recorded_config_reads_back(tmp_path: Path) -> None:
    config = load(tmp_path, "survey: {blocks: blocks.csv, tolerance: 20ms}\nprobes: [tcp/80-82, tcp/control]\nseed: 5")
    assert config.probes == ("tcp/80", "tcp/81", "tcp/82", "tcp/control")
    assert recorded_survey_config(to_record(config), tmp_path) == config
    with pytest.raises(UsageError, match=r"\$\.config\.survey\.interval: '1us': expected a duration from"):
        recorded_survey_config(to_record(config) | {"survey": {"blocks": "x", "interval": "1us"}}, tmp_path)


def manifest_of(folder: Path, **changed: object) -> Path:
    """Write the manifest of a survey that was killed; return the run directory."""
    fields: dict[str, object] = {
        "name": "week48",
        "run_id": "run",
        "status": "running",
        "interval_s": 660.0,
        "survey": Times(start="2026-11-27T00:00:00.000Z"),
        "start_ns": 1_795_737_600_000_000_000,
        "rounds": 1,
        "planned_rounds": 10,
        "blocks": 1,
        "probes": {"icmp": ProbeRounds()},
    }
    (folder / "manifest.json").write_bytes(encode_manifest(SurveyManifest(**(fields | changed))))  # type: ignore[arg-type]
    (folder / "blocks.csv").write_text("block,policy,weight\n8.8.8.0/24,random,1\n")
    (folder / "targets.txt").write_text("8.8.8.0/24\n")
    (folder / "key").write_bytes(bytes(16))
    (folder / "rounds").mkdir(exist_ok=True)
    return folder


def test_what_cannot_be_resumed_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no run of a survey: it has no manifest\.json"):
        resume_survey(tmp_path, NOBODY)
    with pytest.raises(UsageError, match="this survey is complete: there is nothing to resume"):
        resume_survey(manifest_of(tmp_path, status="complete"), NOBODY)
    with pytest.raises(UsageError, match=r"\$\.config\.name: missing"):
        resume_survey(manifest_of(tmp_path), NOBODY)
    config = to_record(load(tmp_path, "survey: {blocks: blocks.csv}"))
    with pytest.raises(LivenessError, match=r"rounds/live: cannot open the rounds of this survey: No such file"):
        resume_survey(manifest_of(tmp_path, config=config), NOBODY)
    (tmp_path / "rounds" / "live").write_bytes(bytes(100))
    with pytest.raises(LivenessError, match=r"rounds/live: cannot map it: a damaged file: it has another size"):
        resume_survey(manifest_of(tmp_path, config=config), NOBODY)
    shutil.rmtree(tmp_path / "rounds")
    (tmp_path / "rounds").write_text("")
    with pytest.raises(UsageError, match="no rounds to resume from"):
        resume_survey(tmp_path, NOBODY)


def test_status_of_a_killed_survey(tmp_path: Path) -> None:
    shown = progress_of(manifest_of(tmp_path), 5)
    assert (shown.state, shown.document()["rounds"], shown.last) == ("killed", 10, [])
    assert shown.lines()[0] == "week48/run: killed of 10, each 660 s" or "in round" in shown.lines()[0]
    (tmp_path / "rounds.jsonl").write_bytes(
        b'{"round":0,"start":"x","probes":{"icmp":{"sent":9,"positive":4,"negative":1}}}\n{"round":1,"st'
    )
    assert [line.round for line in progress_of(tmp_path, 5).last] == [0]


def test_gaps_read_back_and_damage_is_named(tmp_path: Path) -> None:
    (tmp_path / "rounds").mkdir()
    assert read_gaps(tmp_path) == Gaps()
    gaps = Gaps().with_gap(Gap(start_ns=1, end_ns=5, cause="link down", targets=["192.0.2.0/24"]))
    write_gaps(tmp_path, gaps)
    assert read_gaps(tmp_path) == gaps
    assert gaps.with_gap(Gap(start_ns=5, end_ns=5, cause="nothing")) is gaps
    (tmp_path / "rounds" / "gaps.json").write_text('{"gaps": [{"start_ns": "soon"}]}')
    with pytest.raises(LivenessError, match=r"gaps\.json: \$\.gaps\[0\]\.start_ns: 'soon'"):
        read_gaps(tmp_path)
    (tmp_path / "rounds" / "gaps.json").write_text(
        '{"gaps": [{"start_ns": 1, "end_ns": 2, "cause": "x", "targets": ["300.1.1.1"]}]}'
    )
    with pytest.raises(LivenessError, match=r"gaps\.json"):
        read_gaps(tmp_path)


def test_a_tolerance_counts_as_load(tmp_path: Path) -> None:
    """Probes that are late may reach a /24 all at once, besides those of that second."""
    fields = "survey: {blocks: blocks.csv, interval: 2560ms, duration: 1h%s}\nlimits: {max_pps_per_24: %s}"
    plan_survey(load(tmp_path, fields % ("", 100)), lab=False, origin="s.yaml")
    plan_survey(load(tmp_path, fields % (", tolerance: 500ms", 150)), lab=False, origin="s.yaml")
    with pytest.raises(RefusedError, match=r"\.tolerance: 500ms: 50 late probes may .* at once, besides 100 packets/s"):
        plan_survey(load(tmp_path, fields % (", tolerance: 500ms", 149)), lab=False, origin="s.yaml")


def test_a_rate_of_which_no_config_has_a_number_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = Blocks.of(np.arange(0x080000, 0x080000 + 400_000, dtype=np.uint32))
    monkeypatch.setattr(schedule, "read_blocks", lambda _: blocks)
    config = load(tmp_path, "survey: {blocks: blocks.csv, interval: 100ms, duration: 1h}")
    with pytest.raises(UsageError, match=r"\$\.survey\.interval: 100ms: makes 1,024,000,000 packets/s"):
        plan_survey(config, lab=False, origin="s.yaml")


@pytest.mark.parametrize(
    ("probes", "port", "message"),
    [
        ("[icmp]", 50_000, r"\$\.control_port: 50000: expected null"),
        ("[icmp, tcp/control]", None, r"\$\.control_port: null: expected a port from 1 to 65,535, because"),
        ("[icmp, tcp/control]", 70_000, r"\$\.control_port: 70000: expected a port from 1 to 65,535, because"),
        ("[icmp, tcp/control]", -1, r"\$\.control_port: -1: expected a port from 1 to 65,535, because"),
    ],
)
def test_a_control_port_that_does_not_fit_the_config_is_damage(
    tmp_path: Path, probes: str, port: int | None, message: str
) -> None:
    config = to_record(load(tmp_path, f"survey: {{blocks: blocks.csv}}\nprobes: {probes}"))
    with pytest.raises(LivenessError, match=f"manifest.json: a damaged manifest: {message}"):
        resume_survey(manifest_of(tmp_path, config=config, control_port=port), NOBODY)


def test_options_of_a_shard_replace_fields_and_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, "survey: {blocks: blocks.csv}\nseed: 4\nsecret: key\nstart_at: 2026-12-01T00:00:00Z")
    given = {"shard.of": 3, "shard.index": 1, "vantage": "ams1", "start_at": "2027-01-01T00:00:00Z", "secret": None}
    config = load_survey_config(path, overrides=given, options=OPTION_OF)
    assert (config.shard.index, config.shard.of, config.vantage) == (1, 3, "ams1")
    assert (config.start_at, config.start_ns) == ("2027-01-01T00:00:00.000Z", 1_798_761_600 * 10**9)
    assert config.secret == str(tmp_path / "key"), "relative to the config"
    with pytest.raises(UsageError, match=r"^--shard: 3: expected a shard from 0 to 2, because there are 3$"):
        load_survey_config(path, overrides=given | {"shard.index": 3}, options=OPTION_OF)
    with pytest.raises(UsageError, match=r"^--start-at: .*expected a date and time with an offset from UTC"):
        load_survey_config(path, overrides={"start_at": "tomorrow"}, options=OPTION_OF)


def test_a_following_survey_has_no_shards_and_no_start_of_its_own(tmp_path: Path) -> None:
    for field, named in (
        ("shard: {of: 2}\nstart_at: 2026-12-01T00:00:00Z", r"\$\.shard\.of: 2"),
        ("start_at: 2026-12-01T00:00:00Z", r"\$\.start_at: '2026-12-01T00:00:00\.000Z'"),
    ):
        path = written(tmp_path, f"survey: {{count: 5}}\n{field}")
        with pytest.raises(UsageError, match=named + ": the survey of a census has one machine and starts when"):
            load_survey_config(path, following=True)


def test_the_forecast_of_a_shard_counts_its_own_24s(tmp_path: Path) -> None:
    fields = "survey: {blocks: blocks.csv}\nshard: {index: 1, of: 3}\nstart_at: 2026-12-01T00:00:00Z"
    rows = "".join(f"8.8.{block}.0/24,random,1\n" for block in range(7))
    path = written(tmp_path, fields, "block,policy,weight\n" + rows)
    shown = forecast(plan_survey(load_survey_config(path), lab=False, origin="s.yaml"))
    assert (shown.blocks, shown.addresses, shown.left_out, shown.shard, shown.shards) == (2, 512, 0, 1, 3)
    assert round(shown.pps_per_24, 3) == 0.388, "a /24 gets all its probes from one machine"


def test_a_survey_whose_agreed_end_has_passed_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "survey: {blocks: blocks.csv, duration: 1h}\nstart_at: 2020-01-01T00:00:00Z")
    survey = plan_survey(load_survey_config(path), lab=False, origin="s.yaml")
    with pytest.raises(
        UsageError, match=r"\$\.start_at: 2020-01-01T00:00:00\.000Z: the last round of this survey is over"
    ):
        check_start_time(survey)
