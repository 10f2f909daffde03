"""Provenance of a run's numbers: its config, seed, versions, times and vantage, and its warnings."""

from collections.abc import Sequence

import yaml

from liveness.analysis.counting.run import warnings_of
from liveness.analysis.measure import RunResults
from liveness.analysis.measures.record import targets_text
from liveness.analysis.numbers import ABSENT, count
from liveness.analysis.tables import Column, Table
from liveness.errors import count_of
from liveness.runs.manifest import Clock, Manifest, Shard, Vantage


def provenance_table(manifest: Manifest, run: RunResults | None = None) -> Table:
    """Return the data that a reader needs to repeat or question a run. `run` has the number of targets that count."""
    transmit, replay = manifest.transmit, manifest.replay
    done = sum(block.status == "done" for block in manifest.blocks)
    rows = [
        ("run", manifest.run),
        ("status", manifest.status + (f" ({manifest.reason})" if manifest.reason else "")),
        ("seed", str(manifest.seed)),
        ("started", manifest.started),
        ("finished", manifest.finished or "not yet"),
        ("resumed at", ", ".join(manifest.resumed) or "never"),
        ("liveness", manifest.version),
        ("vantage: host", manifest.host or ABSENT),
        ("vantage: kernel", manifest.kernel or ABSENT),
        ("vantage: interface", manifest.interface or ABSENT),
        ("vantage: source addresses", ", ".join(manifest.source_addresses) or ABSENT),
        *_place_rows(manifest),
        ("sent through", _with_reasons(transmit.transport, transmit.reasons)),
        ("captured by", manifest.receive.capture or ABSENT),
        ("senders, receivers", f"{manifest.senders}, {manifest.receivers}"),
        ("control port", ABSENT if manifest.control_port is None else str(manifest.control_port)),
        ("targets", targets_text(manifest, run)),
        ("blocks done", f"{done} of {len(manifest.blocks)}" if manifest.blocks else ABSENT),
        ("sets", count(len(manifest.sets))),
    ]
    if replay is not None:
        rows.append(("replayed from", f"{', '.join(replay.captures)}: {count(replay.packets)} packets"))
    return Table("provenance", "Provenance", (Column("", key="item"), Column("", key="value")), rows)


def _with_reasons(name: str, reasons: Sequence[str]) -> str:
    """Return the way in which frames were sent, and why in no other way."""
    return ": ".join(part for part in (name, "; ".join(reasons)) if part) or ABSENT


def _place_rows(manifest: Manifest) -> list[tuple[str, str]]:
    """Return the name of the vantage point, its clock and the agreed start, as far as the run has them."""
    rows = []
    if isinstance(manifest.vantage, Vantage):
        rows.append(("vantage: name", manifest.vantage.name))
        if isinstance(manifest.vantage.clock, Clock):
            rows.append(("vantage: clock", _clock_text(manifest.vantage.clock)))
    shard = manifest.shard
    if isinstance(shard, Shard) and shard.of > 1:
        rows.append(("shard", f"{shard.index} of {shard.of}"))
    if isinstance(shard, Shard) and shard.start_at is not None:
        late = "" if shard.late_ms is None else f", begun {shard.late_ms:,.1f} ms after it"
        offset = f" + {shard.offset_s:g} s" if shard.offset_s else ""
        rows.append(("agreed start", f"{shard.start_at}{offset}{late}"))
    return rows


def _clock_text(clock: Clock) -> str:
    """Return what was known of a clock in words."""
    if not clock.synchronised:
        return f"not synchronised ({clock.source})"
    parts = []
    if clock.offset_ms is not None:
        parts.append(f"{abs(clock.offset_ms):,.3f} ms {'behind' if clock.offset_ms < 0 else 'ahead of'} true time")
    if clock.error_ms is not None:
        parts.append(f"error at most {clock.error_ms:,.3f} ms")
    return f"{', '.join(parts) or 'synchronised'} ({clock.source})"


def config_text(manifest: Manifest) -> str:
    """Return the resolved config of a run as YAML."""
    return yaml.safe_dump(manifest.config, sort_keys=False, allow_unicode=True)


def caveats(manifest: Manifest) -> list[str]:
    """Return warnings that a reader must know first: an incomplete run, losses, and input that could not be read."""
    found = [*warnings_of(manifest), *(f"{manifest.run}: {line}" for line in manifest.loss_warnings)]
    found += [f"{manifest.run}: its log of replies is not whole: {line}" for line in manifest.log.problems]
    late = [block.block for block in manifest.blocks if block.start and not block.start.synchronised]
    if late:
        found.append(
            f"{manifest.run}: not synchronised with other vantage points: {len(late)} of"
            f" {count_of(len(manifest.blocks), 'block')}, the first {late[0]}"
        )
    if manifest.replay is not None:
        found += [f"{manifest.run}: not read of its captures: {line}" for line in manifest.replay.unread]
    return found
