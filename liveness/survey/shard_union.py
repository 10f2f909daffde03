"""Uniting the shards of a survey into one ordinary run: /24s and their planes side by side, counts by sum."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError, UsageError
from liveness.files.directory import Directory
from liveness.planes.blocks import BLOCK_ADDRESSES, Blocks, encode_blocks
from liveness.planes.manifest import ProbeRounds, Scanner, SurveyGap, SurveyManifest, write_manifest
from liveness.planes.matrix import PLANES, Matrix, Planes, row_bytes, write_phases, write_planes
from liveness.planes.rundir import BLOCKS_FILE, new_run
from liveness.planes.withdrawn import first_rounds, withdrawn_runs
from liveness.runs.manifest import MergedRun
from liveness.runs.optout_record import KeptOptOuts, OptOuts, load_opt_outs, write_opt_outs
from liveness.runs.rundir import RunDirectory
from liveness.runs.shard_set import manifest_digest, reason_of, sum_of, words_of
from liveness.survey.recorder import RECORD, ProbeCount, RoundCount, rounds_of_record
from liveness.survey.shards import SurveyPart

BLOCKS_AT_ONCE: Final = 128


@dataclass(frozen=True, slots=True)
class Union:
    """The /24s of several shards, ascending, and where each comes from."""

    parts: Sequence[SurveyPart]
    blocks: Blocks
    part_of: NDArray[np.intp]
    """The shard, by its place in `parts`, of each /24."""

    @classmethod
    def of(cls, parts: Sequence[SurveyPart]) -> "Union":
        """Return the union of shards. UsageError if two have a /24 in common, or all are not those of the survey."""
        numbers = np.concatenate([part.run.blocks.numbers for part in parts])
        part_of = np.repeat(np.arange(len(parts)), [len(part.run.blocks) for part in parts])
        order = np.argsort(numbers, kind="stable")
        twice = np.flatnonzero(np.diff(numbers[order].astype(np.int64)) == 0)
        policies = [policy for part in parts for policy in part.run.blocks.policies]
        weights = np.concatenate([part.run.blocks.weights for part in parts])
        blocks = Blocks(numbers[order], tuple(policies[at] for at in order.tolist()), weights[order])
        if len(twice):
            at = int(twice[0])
            one, other = (parts[int(part_of[order[at + later]])].path for later in (0, 1))
            raise UsageError(f"{one} and {other}: both have {blocks.name(at)}: shards have no /24 in common")
        digest = hashlib.sha256(encode_blocks(blocks)).hexdigest()
        if len(parts) == parts[0].shard.of and digest != parts[0].shard.blocks_sha256:
            raise LivenessError(
                f"{parts[0].path / BLOCKS_FILE} and those of the other shards: not the /24s with which this survey"
                " began: restore them from copies"
            )
        return cls(parts, blocks, part_of[order])

    @property
    def rounds(self) -> int:
        """Rounds of the union: those of the shard that has most."""
        return max(part.manifest.rounds for part in self.parts)

    @property
    def addresses(self) -> int:
        """Number of addresses."""
        return BLOCK_ADDRESSES * len(self.blocks)

    def rows_of(self, place: int) -> NDArray[np.bool_]:
        """Return which addresses of the union are those of a shard; they ascend in both."""
        rows: NDArray[np.bool_] = np.repeat(self.part_of == place, BLOCK_ADDRESSES)
        return rows

    def planes(self, matrices: Sequence[Matrix], probe: str) -> Iterator[Planes]:
        """Yield the planes of a probe, some /24s at a time. A round that a shard does not have was not sent by it."""
        read = [0] * len(self.parts)
        for first in range(0, len(self.blocks), BLOCKS_AT_ONCE):
            part_of = self.part_of[first : first + BLOCKS_AT_ONCE]
            whole = Planes.empty(BLOCK_ADDRESSES * len(part_of), self.rounds)
            for place, part in enumerate(self.parts):
                own = part_of == place
                count = int(own.sum())
                if not count:
                    continue
                planes = matrices[place].planes(probe, read[place], count)
                read[place] += count
                width = row_bytes(part.manifest.rounds)
                for plane in PLANES:
                    getattr(whole, plane)[np.repeat(own, BLOCK_ADDRESSES), :width] = getattr(planes, plane)
            yield whole


def unite_surveys(parts: Sequence[SurveyPart], output: Path) -> SurveyManifest:
    """Write the united run of shards, as `open_parts` returns them, to a new directory; return its manifest.

    The planes are byte for byte those that one machine would have written. UsageError or LivenessError name a damaged
    file, or a directory that exists already; nothing is left then.
    """
    union = Union.of(parts)
    with new_run(output, union.blocks), ExitStack() as stack:
        matrices = [stack.enter_context(part.run.matrix()) for part in parts]
        for probe in parts[0].manifest.probes:
            write_planes(output, probe, union.planes(matrices, probe))
        phases = np.empty(union.addresses, np.uint32)
        for place, matrix in enumerate(matrices):
            phases[union.rows_of(place)] = matrix.phases_ms()
        write_phases(output, phases)
        manifest = _manifest(union, output.name)
        _write_records(parts, output)
        write_manifest(manifest, output)
    return manifest


def _manifest(union: Union, run_id: str) -> SurveyManifest:
    """Return the manifest of the united run."""
    parts, manifests = union.parts, [part.manifest for part in union.parts]
    first, reason = manifests[0], reason_of(parts, parts[0].shard.of)
    withdrawn_from = _withdrawn_from(union)
    withdrawn = int((union.rounds - withdrawn_from).sum())
    return msgspec.structs.replace(
        first,
        run_id=run_id,
        status="complete" if reason is None else "partial",
        reason=reason,
        finished=max((one.finished for one in manifests if one.finished is not None), default=None),
        rounds=union.rounds,
        blocks=len(union.blocks),
        probes={name: _counts(union, name, withdrawn) for name in first.probes},
        withdrawn=withdrawn_runs(union.blocks.addresses, withdrawn_from, union.rounds),
        config=first.config | {"shard": {"index": 0, "of": 1}, "vantage": "", "start_at": None, "secret": ""},
        loss_warnings=[f"{part.label}: {line}" for part in parts for line in part.manifest.loss_warnings],
        gaps=_gaps(parts),
        resumed=sorted(time for one in manifests for time in one.resumed),
        scanner=_scanner(manifests),
        messages=_messages(manifests),
        rejected=sum_of(one.rejected for one in manifests),
        log=None,
        shard=None,
        vantage=None,
        merged_from=[_origin(part) for part in parts],
    )


def _counts(union: Union, probe: str, withdrawn: int) -> ProbeRounds:
    counts = [part.manifest.probes[probe] for part in union.parts]
    sent = sum(one.sent for one in counts)
    return ProbeRounds(
        sent=sent,
        not_sent=union.addresses * union.rounds - sent - withdrawn,
        withdrawn=withdrawn,
        positive=sum(one.positive for one in counts),
        negative=sum(one.negative for one in counts),
        late=sum(one.late for one in counts),
    )


def _withdrawn_from(union: Union) -> NDArray[np.int64]:
    """Return the first round from which each address was withdrawn; the number of rounds if it never was."""
    addresses = union.blocks.addresses
    first = np.full(len(addresses), union.rounds, np.int64)
    for place, part in enumerate(union.parts):
        own = union.rows_of(place)
        first[own] = first_rounds(part.manifest.withdrawn, addresses[own], union.rounds, part.path)
    return first


def _gaps(parts: Sequence[SurveyPart]) -> list[SurveyGap]:
    """Return the gaps of all shards; that of a whole shard is one of its addresses."""
    gaps = [
        msgspec.structs.replace(
            gap,
            cause=f"{part.label}: {gap.cause}",
            addresses=BLOCK_ADDRESSES * len(part.run.blocks) if gap.addresses is None else gap.addresses,
        )
        for part in parts
        for gap in part.manifest.gaps
    ]
    return sorted(gaps, key=lambda gap: gap.start)


def _scanner(manifests: Sequence[SurveyManifest]) -> Scanner | None:
    scanners = [one.scanner for one in manifests if one.scanner is not None]
    if not scanners:
        return None
    return Scanner(
        host=words_of(one.host for one in scanners),
        kernel=words_of(one.kernel for one in scanners),
        interface=words_of(one.interface for one in scanners),
        source_addresses=list(dict.fromkeys(address for one in scanners for address in one.source_addresses)),
        transport=words_of(one.transport for one in scanners),
        capture=words_of(one.capture for one in scanners),
    )


def _messages(manifests: Sequence[SurveyManifest]) -> dict[str, dict[str, int]]:
    probes = [probe for probe in manifests[0].probes if any(probe in one.messages for one in manifests)]
    return {probe: sum_of(one.messages.get(probe, {}) for one in manifests) for probe in probes}


def _origin(part: SurveyPart) -> MergedRun:
    manifest = part.manifest
    return MergedRun(
        run=manifest.run,
        vantage=part.vantage,
        shard=part.index,
        started=manifest.survey.start,
        finished=manifest.finished,
        manifest_sha256=manifest_digest(part.path),
    )


def _write_records(parts: Sequence[SurveyPart], output: Path) -> None:
    """Write the targets, the record of rounds, and the record of opt-outs, if there are any."""
    targets = RunDirectory(parts[0].path).read_targets()
    for part in parts[1:]:
        targets = targets.union(RunDirectory(part.path).read_targets())
    RunDirectory(output).write_targets(targets.entries())
    lines = b"".join(msgspec.json.encode(line) + b"\n" for line in _rounds(parts))
    try:
        with Directory.open(output) as directory:
            directory.write(RECORD, lines)
    except OSError as problem:
        raise LivenessError(f"{output / RECORD}: cannot write: {problem.strerror}") from problem
    kept = [load_opt_outs(part.path) for part in parts]
    prefixes = [entry for one in kept for entry in one.prefixes]
    if prefixes:
        records = [one.opt_outs for one in kept]
        united = OptOuts(
            targets=sum(one.targets for one in records),
            withdrawals=[entry for one in records for entry in one.withdrawals],
            list_problems=[entry for one in records for entry in one.list_problems],
            applied=[entry for one in records for entry in one.applied],
        )
        write_opt_outs(output, KeptOptOuts(opt_outs=united, prefixes=list(dict.fromkeys(prefixes))))


def _rounds(parts: Sequence[SurveyPart]) -> Iterator[RoundCount]:
    """Yield the sums of each round that all shards have counted."""
    records = [{line.round: line for line in rounds_of_record(part.path)} for part in parts]
    for number in sorted(set.intersection(*(set(record) for record in records))):
        lines = [record[number] for record in records]
        probes = [name for name in lines[0].probes if all(name in line.probes for line in lines)]
        counts = {name: [line.probes[name] for line in lines] for name in probes}
        yield RoundCount(
            round=number,
            start=lines[0].start,
            probes={
                name: ProbeCount(
                    sent=sum(one.sent for one in counts[name]),
                    positive=sum(one.positive for one in counts[name]),
                    negative=sum(one.negative for one in counts[name]),
                )
                for name in probes
            },
        )
