"""Provenance of a run's numbers: its config, seed, versions, times and vantage, and its warnings."""

import yaml

from liveness.analysis.counting.run import warnings_of
from liveness.analysis.measure import RunResults
from liveness.analysis.measures.record import targets_text
from liveness.analysis.numbers import ABSENT, count
from liveness.analysis.tables import Column, Table
from liveness.runs.manifest import Manifest


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
        (
            "sent through",
            ": ".join(part for part in (transmit.transport, "; ".join(transmit.reasons)) if part) or ABSENT,
        ),
        ("senders, receivers", f"{manifest.senders}, {manifest.receivers}"),
        ("control port", ABSENT if manifest.control_port is None else str(manifest.control_port)),
        ("targets", targets_text(manifest, run)),
        ("blocks done", f"{done} of {len(manifest.blocks)}" if manifest.blocks else ABSENT),
        ("sets", count(len(manifest.sets))),
    ]
    if replay is not None:
        rows.append(("replayed from", f"{', '.join(replay.captures)}: {count(replay.packets)} packets"))
    return Table("provenance", "Provenance", (Column("", key="item"), Column("", key="value")), rows)


def config_text(manifest: Manifest) -> str:
    """Return the resolved config of a run as YAML."""
    return yaml.safe_dump(manifest.config, sort_keys=False, allow_unicode=True)


def caveats(manifest: Manifest) -> list[str]:
    """Return warnings that a reader must know first: an incomplete run, losses, and input that could not be read."""
    found = [*warnings_of(manifest), *(f"{manifest.run}: {line}" for line in manifest.loss_warnings)]
    found += [f"{manifest.run}: its log of replies is not whole: {line}" for line in manifest.log.problems]
    if manifest.replay is not None:
        found += [f"{manifest.run}: not read of its captures: {line}" for line in manifest.replay.unread]
    return found
