"""Uniting the shards of a census into one ordinary run: sets by union, counts by sum."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType
from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.replies import Role, SetKey
from liveness.runs.left_out import add_left_out
from liveness.runs.manifest import (
    MOST_SOURCES,
    Counts,
    Log,
    Manifest,
    MergedRun,
    ProbeCounts,
    Receive,
    TopSource,
    Transmit,
    Vantage,
)
from liveness.runs.merge import by_count
from liveness.runs.optout_record import KeptOptOuts, OptOuts, load_opt_outs, write_opt_outs
from liveness.runs.recapture import missed_targets
from liveness.runs.rundir import SEGMENTS, RunDirectory
from liveness.runs.set_entry import SetEntry
from liveness.runs.shard_course import united_blocks, united_lag, united_losses, united_path, united_timeline
from liveness.runs.shard_left_out import united_left_out
from liveness.runs.shard_set import manifest_digest, reason_of, sum_of, words_of
from liveness.runs.shards import ShardRun, field_of, shard_of
from liveness.space.intervals import union

OF_ONE_SHARD: Final[dict[str, object]] = {
    "shard": {"index": 0, "of": 1},
    "vantage": "",
    "start_at": None,
    "slot": None,
    "start_offset": "0s",
    "secret": "",
}
"""Fields of a config that concern a shard, with the values that they have in the config of a united run."""


def unite(runs: Sequence[ShardRun], output: Path) -> RunDirectory:
    """Write the united run of `runs`, as `open_shards` returns them, to a new directory, and return it.

    The sets are byte for byte those that one machine would have written. Raises UsageError if the directory exists or
    the shards differ in what has opted out, and LivenessError that names a damaged file; nothing is left then.
    """
    kept = [load_opt_outs(run.path) for run in runs]
    for run, other in zip(runs[1:], kept[1:], strict=True):
        if other.withdrawn != kept[0].withdrawn:
            raise UsageError(
                f"{runs[0].path} and {run.path}: not the same addresses have opted out: give both the same lists with"
                " `liveness blocklist apply`"
            )
    directory = RunDirectory.create_at(output)
    try:
        (output / SEGMENTS).rmdir()
        targets = runs[0].directory.read_targets()
        directory.write_targets(targets.entries())
        sets = list(_write_sets(directory, runs))
        manifest = _manifest(runs, output.name, sets)
        if any(record.prefixes for record in kept):
            removed = list(union(record.without_data for record in kept).entries())
            write_opt_outs(output, KeptOptOuts(opt_outs=manifest.opt_outs, prefixes=kept[0].prefixes, removed=removed))
        add_left_out(output, united_left_out(runs, targets))
        directory.write_manifest(manifest)
    except BaseException:
        directory.discard()
        raise
    return directory


def _write_sets(directory: RunDirectory, runs: Sequence[ShardRun]) -> Iterator[SetEntry]:
    """Write the union of each set, one at a time, in the order of a run's own sets; yield their entries."""
    probes = list(runs[0].manifest.probes)
    roles = list(Role)

    def place(key: SetKey) -> tuple[int, int, int, int, int]:
        reply = key.reply
        probe = probes.index(reply.probe) if reply.probe in probes else len(probes)
        return probe, int(reply.kind), reply.icmp_type or 0, reply.icmp_code or 0, roles.index(key.role)

    entries = [{entry.key: entry for entry in run.manifest.sets} for run in runs]
    for key in sorted({key for of_run in entries for key in of_run}, key=place):
        members = BitMap()
        for run, of_run in zip(runs, entries, strict=True):
            if key in of_run:
                members |= run.directory.read_set(of_run[key])
        yield directory.write_set(key, members)


def _manifest(runs: Sequence[ShardRun], run_id: str, sets: list[SetEntry]) -> Manifest:
    """Return the manifest of the united run."""
    manifests = [run.manifest for run in runs]
    first = manifests[0]
    reason = reason_of(runs, shard_of(first.config)[1])
    by_kind = _attempts_by_kind(first, manifests)
    only_unanswered = bool(field_of(first.config, "retransmit.only_unanswered"))
    missed = {} if only_unanswered else {probe: missed_targets(of.get("positive", {})) for probe, of in by_kind.items()}
    return Manifest(
        name=first.name,
        run_id=run_id,
        status="complete" if reason is None else "partial",
        reason=reason,
        seed=first.seed,
        config=first.config | OF_ONE_SHARD,
        started=min(one.started for one in manifests),
        finished=max((one.finished for one in manifests if one.finished is not None), default=None),
        resumed=sorted(time for one in manifests for time in one.resumed),
        targets=sum(one.targets for one in manifests),
        targets_sha256=first.targets_sha256,
        probes={
            name: ProbeCounts(
                sent=_sums(one.probes[name].sent for one in manifests if name in one.probes),
                send_errors=sum(one.probes[name].send_errors for one in manifests if name in one.probes),
            )
            for name in first.probes
        },
        sets=sets,
        messages=_counts_by_probe(first, [one.messages for one in manifests]),
        weak=_counts_by_probe(first, [one.weak for one in manifests]),
        control_port=first.control_port,
        attempts=_counts_by_probe(first, [one.attempts for one in manifests]),
        attempts_by_kind=by_kind,
        recovered_by_retransmit=sum_of(one.recovered_by_retransmit for one in manifests),
        missed={probe: estimate for probe, estimate in missed.items() if estimate is not None},
        duplicates=_duplicates(first, manifests),
        busiest_sources=_top_sources(manifests),
        rejected=sum_of(one.rejected for one in manifests),
        talk=_talk(manifests),
        protocols=_protocols(first, manifests),
        receive=_receive(manifests),
        transmit=_transmit(manifests),
        loss_warnings=[f"{run.label}: {line}" for run in runs for line in run.manifest.loss_warnings],
        losses=united_losses(runs),
        path=united_path(runs),
        timeline=united_timeline(runs),
        log=_log(runs),
        opt_outs=OptOuts(
            targets=sum(one.opt_outs.targets for one in manifests),
            withdrawals=[entry for one in manifests for entry in one.opt_outs.withdrawals],
            list_problems=[entry for one in manifests for entry in one.opt_outs.list_problems],
            applied=[entry for one in manifests for entry in one.opt_outs.applied],
        ),
        lag=united_lag(runs),
        blocks=united_blocks(manifests),
        host=words_of(one.host for one in manifests),
        kernel=words_of(one.kernel for one in manifests),
        interface=words_of(one.interface for one in manifests),
        source_addresses=list(dict.fromkeys(address for one in manifests for address in one.source_addresses)),
        senders=sum(one.senders for one in manifests),
        receivers=sum(one.receivers for one in manifests),
        merged_from=[_origin(run) for run in runs],
        counters=_counters(manifests),
    )


def _origin(run: ShardRun) -> MergedRun:
    """Return the record of a united shard. Raises LivenessError if its manifest cannot be read any more."""
    manifest = run.manifest
    return MergedRun(
        run=manifest.run,
        vantage=manifest.vantage.name if isinstance(manifest.vantage, Vantage) else "",
        shard=run.index,
        started=manifest.started,
        finished=manifest.finished,
        manifest_sha256=manifest_digest(run.path),
    )


def _sums(lists: Iterable[Sequence[int]]) -> list[int]:
    return [sum(numbers) for numbers in zip_longest(*lists, fillvalue=0)]


def _probes_in(first: Manifest, each: Iterable[dict[str, Any]]) -> list[str]:
    """Return the probes that any of `each` has, in the order of the config."""
    found = {probe for of_run in each for probe in of_run}
    return [probe for probe in first.probes if probe in found]


def _counts_by_probe(first: Manifest, each: Sequence[dict[str, Counts]]) -> dict[str, Counts]:
    return {probe: sum_of(of_run.get(probe, {}) for of_run in each) for probe in _probes_in(first, each)}


def _attempts_by_kind(first: Manifest, manifests: Sequence[Manifest]) -> dict[str, dict[str, Counts]]:
    """Return the sums of targets by probe, sign of the reply and pattern of attempts."""
    each = [one.attempts_by_kind for one in manifests]
    total: dict[str, dict[str, Counts]] = {}
    for probe in _probes_in(first, each):
        signs = dict.fromkeys(sign for of_run in each for sign in of_run.get(probe, {}))
        total[probe] = {sign: sum_of(of_run.get(probe, {}).get(sign, {}) for of_run in each) for sign in signs}
    return total


def _talk(manifests: Sequence[Manifest]) -> dict[str, int] | UnsetType:
    """Return the sums of the counts of talks, UNSET if the machines talked to nobody."""
    counts = [one.talk for one in manifests if one.talk is not UNSET]
    return sum_of(counts) if counts else UNSET


def _protocols(first: Manifest, manifests: Sequence[Manifest]) -> dict[str, Counts] | UnsetType:
    """Return the sums of targets by protocol; UNSET if any machine does not know them."""
    each = [one.protocols for one in manifests if one.protocols is not UNSET]
    if len(each) < len(manifests):
        return UNSET
    return {probe: by_count(counts) for probe, counts in _counts_by_probe(first, each).items()}


def _duplicates(first: Manifest, manifests: Sequence[Manifest]) -> dict[str, dict[str, list[int]]]:
    """Return the sums of duplicates by probe, class of reply and attempt."""
    each = [one.duplicates for one in manifests]
    total: dict[str, dict[str, list[int]]] = {}
    for probe in _probes_in(first, each):
        labels = dict.fromkeys(label for of_run in each for label in of_run.get(probe, {}))
        total[probe] = {label: _sums(of_run.get(probe, {}).get(label, []) for of_run in each) for label in labels}
    return total


def _top_sources(manifests: Sequence[Manifest]) -> list[TopSource]:
    total = sum_of({entry.source: entry.messages for entry in one.busiest_sources} for one in manifests)
    ranked = sorted(total.items(), key=lambda item: (-item[1], item[0]))[:MOST_SOURCES]
    return [TopSource(source=source, messages=messages) for source, messages in ranked]


def _summed(kind: type[Any], records: Sequence[Any], names: Sequence[str] | None = None) -> Any:  # noqa: ANN401 - of any kind
    """Return a record of sums of the named numeric fields; by default all."""
    return kind(**{name: sum(getattr(one, name) for one in records) for name in names or kind.__struct_fields__})


def _receive(manifests: Sequence[Manifest]) -> Receive:
    records = [one.receive for one in manifests]
    total: Receive = _summed(Receive, records, ("packets", "kernel_packets", "kernel_drops", "nic_drops"))
    return msgspec.structs.replace(total, capture=words_of(one.capture for one in records))


def _transmit(manifests: Sequence[Manifest]) -> Transmit:
    records = [one.transmit for one in manifests]
    numbers = ("frames", "errors", "repaired", "resent", "interface_frames", "unresolved")
    total: Transmit = _summed(Transmit, records, numbers)
    return msgspec.structs.replace(
        total,
        given_up_s=round(sum(one.given_up_s for one in records) / len(records), 3),
        transport=words_of(one.transport for one in records),
        reasons=list(dict.fromkeys(reason for one in records for reason in one.reasons)),
    )


def _log(runs: Sequence[ShardRun]) -> Log:
    """Return the record of the log: it stays in the runs of the shards."""
    if not any(run.manifest.log.files for run in runs):
        return Log()
    return Log(complete=False, problems=["the logs of replies are in the runs of the shards"])


def _counters(manifests: Sequence[Manifest]) -> dict[str, float | dict[str, float]] | UnsetType:
    """Return the sums of counters that have no field of their own."""
    total: dict[str, float | dict[str, float]] = {}
    for one in manifests:
        for name, number in (one.counters or {}).items():
            before = total.get(name)
            if isinstance(number, dict):
                known = before if isinstance(before, dict) else {}
                total[name] = known | {probe: known.get(probe, 0) + count for probe, count in number.items()}
            else:
                total[name] = number + (before if isinstance(before, (int, float)) else 0)
    return total or UNSET
