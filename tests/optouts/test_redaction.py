"""Opted-out addresses leave a run on disk wholly or not at all, cut off at any moment; what packets are about."""

import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from pyroaring import BitMap
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, UDPerror
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.utils import PcapWriter, rdpcap

from liveness.errors import LivenessError, RefusedError
from liveness.optouts.redacted_logs import redact
from liveness.optouts.redaction import redact_run
from liveness.optouts.stage import STAGE, finish_redaction
from liveness.order.sampled import probed_within
from liveness.replies import REPLY_DTYPE, Kind, ReplyKey, Role, SetKey
from liveness.replylog.spool import read_spool, spool_header
from liveness.runs.optout_record import OptOuts, load_opt_outs
from liveness.runs.rundir import RunDirectory
from liveness.space.addresses import format_address, parse_address
from liveness.space.intervals import Intervals
from tests.replylog.replies import PROBES, replies
from tests.runs.test_manifest import full_manifest

ECHO = ReplyKey("icmp", Kind.ECHO_REPLY)
BLOCKED = Intervals.from_bounds([10, 90], [19, 95])
SETS = {
    SetKey(ECHO, Role.SOURCE): BitMap(range(100)),
    SetKey(ECHO, Role.TARGET): BitMap([12, 13]),
    SetKey(ECHO, Role.DIRECT): BitMap([1, 2]),
}
LEFT = {
    SetKey(ECHO, Role.SOURCE): BitMap([*range(10), *range(20, 90), *range(96, 100)]),
    SetKey(ECHO, Role.DIRECT): BitMap([1, 2]),
}


def make_run(folder: Path) -> RunDirectory:
    run = RunDirectory.create(folder, "census", "one")
    entries = [run.write_set(key, members) for key, members in SETS.items()]
    run.write_manifest(msgspec.structs.replace(full_manifest(), status="complete", sets=entries, opt_outs=OptOuts()))
    return run


def sets_of(run: RunDirectory) -> dict[SetKey, BitMap]:
    """Return every set, verified against the manifest, and see that no other file is there."""
    entries = run.read_manifest().sets
    assert {path.name for path in (run.path / "sets").iterdir()} == {Path(entry.file).name for entry in entries}
    return {entry.key: run.read_set(entry) for entry in entries}


def test_sets_change_and_the_manifest_says_how(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    blocklist = tmp_path / "block.txt"
    blocklist.write_text("0.0.0.10-0.0.0.19\n")
    application = redact_run(run, BLOCKED, [blocklist])
    assert sets_of(run) == LEFT
    assert run.read_manifest().opt_outs.applied == [application]
    assert [(change.before, change.after) for change in application.sets] == [(100, 84), (2, 0)]
    assert redact_run(run, BLOCKED, [blocklist]).sets == []
    assert run.read_manifest().opt_outs.applied == [application]


def test_targets_are_those_that_are_left(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.write_targets(["0.0.0.0/26", "0.0.0.64/27"])
    run.write_manifest(msgspec.structs.replace(run.read_manifest(), targets=96))
    application = redact_run(run, BLOCKED, [])
    manifest = run.read_manifest()
    assert (application.targets, manifest.targets, manifest.opt_outs.targets, manifest.planned) == (16, 80, 16, 96)
    assert load_opt_outs(run.path).withdrawn == BLOCKED
    more = Intervals.from_bounds([15, 200], [22, 299])
    assert redact_run(run, BLOCKED.union(more), []).targets == 3
    assert (run.read_manifest().targets, run.read_manifest().planned) == (77, 96)
    before = run.read_manifest()
    assert redact_run(run, BLOCKED.union(more), []).targets == 0
    assert run.read_manifest() == before


def test_targets_are_left_out_even_if_no_data_are_about_them(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.write_targets(["0.0.2.0/24"])
    run.write_manifest(msgspec.structs.replace(run.read_manifest(), targets=256))
    assert redact_run(run, Intervals.from_bounds([512], [515]), []).sets == []
    assert run.read_manifest().targets == 252


def test_of_a_sample_those_that_were_drawn_are_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.write_targets(["0.0.0.0/24"])
    config = {"block_prefix": 24}
    run.write_manifest(msgspec.structs.replace(run.read_manifest(), targets=128, seed=5, config=config))
    listed, half = Intervals.from_bounds([0], [255]), Intervals.from_bounds([0], [127])
    drawn = probed_within(listed, 128, 5, 24, half)
    assert 0 < drawn < 128
    assert redact_run(run, half, []).targets == drawn
    assert run.read_manifest().targets == 128 - drawn


@pytest.mark.parametrize("file", ["web.roaring", "of/mine/web.roaring", "sets/other-name.set"])
def test_sets_may_have_other_names_than_ours(tmp_path: Path, file: str) -> None:
    run = make_run(tmp_path)
    manifest = run.read_manifest()
    entries = []
    for number, entry in enumerate(manifest.sets):
        name = str(Path(file).with_stem(f"{Path(file).stem}{number}"))
        (run.path / name).parent.mkdir(parents=True, exist_ok=True)
        (run.path / entry.file).rename(run.path / name)
        entries.append(msgspec.structs.replace(entry, file=name))
    run.write_manifest(msgspec.structs.replace(manifest, sets=entries))
    redact_run(run, BLOCKED, [])
    left = run.read_manifest().sets
    assert {entry.key: run.read_set(entry) for entry in left} == LEFT
    assert {entry.file for entry in left} < {entry.file for entry in entries}
    gone = {entry.file for entry in entries} - {entry.file for entry in left}
    assert not any((run.path / name).exists() for name in gone)


@pytest.mark.parametrize("moves", range(8))
def test_cut_off_at_any_rename_it_is_finished_or_has_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    run = make_run(tmp_path)
    with monkeypatch.context() as patched:
        left = [moves]  # a set, the manifest and the list of moves are staged; then a set and the manifest put in place
        rename = os.rename

        def broken(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(5, "Input/output error")
            rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

        patched.setattr(os, "rename", broken)
        try:
            redact_run(run, BLOCKED, [])
        except LivenessError as error:
            assert "Input/output error" in str(error)  # noqa: PT017 - late cuts come when all is done
    decided = (run.path / STAGE / "moves.json").exists()
    lock = run.lock()
    finish_redaction(run)
    os.close(lock)
    assert sets_of(run) == (LEFT if decided or run.read_manifest().opt_outs.applied else SETS)
    redact_run(run, BLOCKED, [])
    assert sets_of(run) == LEFT
    assert len(run.read_manifest().opt_outs.applied) == 1
    assert not (run.path / STAGE).exists()


def test_damage_is_named_and_nothing_changes(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    victim = run.path / SetKey(ECHO, Role.TARGET).file
    victim.write_bytes(victim.read_bytes()[:-1])
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(LivenessError, match=r"icmp.echo-reply.target.roaring: damaged"):
        redact_run(run, BLOCKED, [])
    (run.path / "lock").unlink()
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "name",
    [
        "{victim}",
        "../victim",
        "sets/../../../../victim",
        "key",
        ".opt-outs/moves.json",
        "sets//x",
        "",
    ],
)
@pytest.mark.parametrize("what", ["replace", "remove"])
def test_moves_that_no_redaction_decides_are_refused(tmp_path: Path, what: str, name: str) -> None:
    run = make_run(tmp_path)
    run.write_key(bytes(16))
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    stage = run.path / STAGE
    (stage / "sets").mkdir(parents=True)
    (stage / "manifest.json").write_bytes(b"forged")
    moves = {"replace": ["manifest.json"], "remove": []} | {what: [name.format(victim=victim)]}
    (stage / "moves.json").write_bytes(msgspec.json.encode(moves))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for act in (lambda: finish_redaction(run), lambda: redact_run(run, BLOCKED, [])):
        with pytest.raises(LivenessError, match="no file that a removal of opted-out data changes"):
            act()
    (run.path / "lock").unlink()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("link", [STAGE, "sets", "segments"])
def test_links_lead_a_redaction_nowhere(tmp_path: Path, link: str) -> None:
    run = make_run(tmp_path)
    victim = tmp_path / "victim"
    place = run.path / link
    if place.exists():
        place.rename(victim)
    else:
        victim.mkdir()
    name = {STAGE: "moves.json", "sets": "x.roaring", "segments": "0-000000.damaged"}[link]
    moves = {"replace": [], "remove": [f"{link}/{name}"]} if link != STAGE else {"replace": [], "remove": ["sets/x"]}
    (victim / name).write_bytes(msgspec.json.encode(moves))
    place.symlink_to(victim)
    if link != STAGE:
        (run.path / STAGE).mkdir()
        (run.path / STAGE / "moves.json").write_bytes(msgspec.json.encode(moves))
    before = {path: path.read_bytes() for path in victim.rglob("*") if path.is_file()}
    for act in (lambda: finish_redaction(run), lambda: redact_run(run, BLOCKED, [])):
        with pytest.raises(LivenessError, match="symbolic link"):
            act()
    assert {path: path.read_bytes() for path in victim.rglob("*") if path.is_file()} == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_root_removes_from_the_run_of_another_user_as_that_user(tmp_path: Path) -> None:
    """Be it that this user cannot reach the folder above it, nor the blocklist."""
    run = make_run(tmp_path)
    tmp_path.chmod(0o700)
    (run.path / "replies").mkdir()
    batch = replies(50)
    batch["target"][:20] = 12
    spool = run.path / "replies" / "2026-06-21T00Z.0.000001.spool"
    spool.write_bytes(spool_header(PROBES, REPLY_DTYPE) + batch.tobytes())
    (run.path / "lock").touch()
    for path in (run.path, *run.path.rglob("*")):
        os.chown(path, 1234, 1234)
    private = tmp_path / "block.txt"
    private.touch(0o600)
    application = redact_run(run, BLOCKED, [private])
    assert application.lists == [str(private)]
    assert [change.file for change in application.logs] == [f"replies/{spool.name}"]
    assert len(application.sets) == 2
    assert sets_of(run) == LEFT
    assert not (read_spool(spool).replies["target"] == 12).any()
    assert {path.stat().st_uid for path in (run.path, *run.path.rglob("*"))} == {1234}
    assert os.geteuid() == 0
    (run.path / "manifest.json").write_text("{}")
    with pytest.raises(LivenessError, match=rf"{run.path}: manifest\.json: "):
        redact_run(run, BLOCKED, [private])


def test_a_run_that_is_locked_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    assert run.lock() > 0
    with pytest.raises(
        RefusedError, match=r"a scan is at work on this run \(process \d+\): wait for its end, or stop it"
    ):
        redact_run(run, BLOCKED, [])
    assert sets_of(run) == SETS


ME, HOST, OUT = "198.51.100.7", "10.1.0.1", "192.0.2.9"
BLOCK = Intervals.from_bounds([parse_address("192.0.2.0")], [parse_address("192.0.2.255")])


def quoting(target: str) -> IP:
    return IP(src="10.9.9.9", dst=ME) / ICMP(type=3, code=3) / IPerror(src=ME, dst=target) / UDPerror()


def echo(source: str, target: str) -> IP:
    payload = bytes(8) + parse_address(target).to_bytes(4, "big") + bytes(8)
    return IP(src=source, dst=ME) / ICMP(type=0) / payload


STAYS = [
    Ether() / IP(src=HOST, dst=ME) / TCP(flags="SA"),
    Ether() / quoting(HOST),
    Ether() / echo(HOST, HOST),
    Ether() / Dot1Q(vlan=7) / IP(src=HOST, dst=ME) / UDP() / b"192.0.2.9",
    Ether() / ARP(psrc=OUT),
    Ether() / IP(src=HOST, dst=ME) / ICMP(type=3) / b"short",
]
GOES = [
    Ether() / IP(src=OUT, dst=ME) / TCP(flags="SA"),
    Ether() / Dot1Q(vlan=7) / IP(src=OUT, dst=ME) / UDP(),
    Ether() / Dot1Q(vlan=7) / Dot1Q(vlan=8) / IP(src=OUT, dst=ME) / UDP(),
    Ether() / quoting(OUT),
    Ether() / IP(src="10.9.9.9", dst=ME, options=b"\x01" * 8) / quoting(OUT)[ICMP],
    Ether() / echo(HOST, OUT),
    Ether() / echo(OUT, HOST),
]


@pytest.mark.parametrize("cut", [0, 5])
def test_packets_about_the_opted_out_leave_a_capture(tmp_path: Path, cut: int) -> None:
    source, target = tmp_path / "a.pcap", tmp_path / "b.pcap"
    mixed = [packet for pair in zip(STAYS, GOES, strict=False) for packet in pair] + GOES[len(STAYS) :]
    with PcapWriter(str(source), nano=True, linktype=1, snaplen=1 << 18) as writer:
        for packet in mixed:
            writer.write(packet)
    content = source.read_bytes()
    source.write_bytes(content[: len(content) - cut])
    assert redact(source, target, BLOCK) == (len(mixed), len(STAYS))
    assert [bytes(packet) for packet in rdpcap(str(target))] == [bytes(packet) for packet in STAYS]
    assert redact(target, tmp_path / "c.pcap", BLOCK) == (len(STAYS), len(STAYS))


def test_a_capture_that_is_damaged_is_named(tmp_path: Path) -> None:
    source = tmp_path / "a.pcap"
    with PcapWriter(str(source), nano=True, linktype=1, snaplen=1 << 18) as writer:
        writer.write(STAYS[0])
    content = source.read_bytes()
    source.write_bytes(content[:32] + b"\xff\xff\xff\xff" + content[36:])
    with pytest.raises(LivenessError, match=r"a.pcap: damaged"):
        redact(source, tmp_path / "b.pcap", BLOCK)
    source.write_bytes(b"something else altogether")
    with pytest.raises(LivenessError, match=r"a.pcap: not a capture of ours"):
        redact(source, tmp_path / "b.pcap", BLOCK)


def test_replies_about_the_opted_out_leave_a_spool(tmp_path: Path) -> None:
    batch = replies(200)
    source = tmp_path / "a.spool"
    source.write_bytes(spool_header(PROBES, REPLY_DTYPE) + batch.tobytes() + b"cut")
    middle = 1 << 31
    upper = Intervals.from_bounds([middle], [2**32 - 1])
    stays = batch[(batch["source"] < middle) & (batch["target"] < middle)]
    assert redact(source, tmp_path / "b.spool", upper) == (201, len(stays))
    found = read_spool(tmp_path / "b.spool")
    assert np.array_equal(found.replies, stays)
    assert (found.probes, found.cut_bytes) == (PROBES, 0)
    assert format_address(int(stays["target"][0])) < "128"
