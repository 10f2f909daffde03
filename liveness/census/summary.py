"""Summary of a run of a census in one line, as cron mails it."""

from liveness.analysis.numbers import span
from liveness.census.record import Record


def summary_line(census: str, record: Record, losses: int) -> str:
    """Return the summary of a run; `losses` is the number of its loss warnings."""
    parts = [f"{record.status}" + (f" ({record.reason})" if record.reason else "")]
    probed = f"{record.targets or 0:,} targets"
    sessions = f" of {record.sessions} sessions" if record.sessions > 1 else ""
    parts.append(probed if record.took_s is None else f"{probed} in {span(record.took_s)}{sessions}")
    if record.alive is not None:
        since = ""
        if record.born is not None and record.died is not None:
            since = f" (+{record.born:,} -{record.died:,} since {record.compared_with})"
        parts.append(f"{record.alive:,} alive{since}")
    parts.append(f"{losses} warnings of losses" if losses > 1 else "1 warning of losses" if losses else "no losses")
    return f"census {census}/{record.run_id}: {', '.join(parts)}"
