"""Messages of a survey: outages of /24s as they begin and end, and the end of a session."""

from typing import ClassVar, Final, Literal

from msgspec import field

from liveness.errors import StoppedEarlyError, count_of
from liveness.planes.manifest import SurveyManifest
from liveness.survey.outage_watch import OutageChange, RoundOutages
from liveness.system.exit_codes import exit_code_of
from liveness.watch.message import MOST_LISTED, MessageOf, first_of

SCHEMA: Final = 1
AT_ONCE: Final = 0.5
"""If so large a share of the /24s goes down in one round, this host may have lost its connection."""
FEWEST_AT_ONCE: Final = 8

Event = Literal["complete", "failure", "outage", "recovery"]


class SurveyMessage(MessageOf, frozen=True, kw_only=True):
    """A message about a survey. `events` are all that apply; `summary` is one line for users."""

    instrument: ClassVar = "survey"

    schema: int = SCHEMA
    survey: str
    run: str | None
    """Run id, or None if no run was begun."""
    events: list[Event]
    summary: str
    round: int | None = None
    outages: list[OutageChange] = field(default_factory=list)
    """The first /24s that went down, in the order of addresses."""
    recoveries: list[OutageChange] = field(default_factory=list)
    went_down: int = 0
    came_back: int = 0
    down: int | None = None
    """Number of watched /24s that are down now."""
    exit_code: int = 0
    directory: str
    """Absolute path of the run, or of the survey's directory if no run was begun."""

    @classmethod
    def of_round(cls, name: str, run: str, directory: str, found: RoundOutages) -> "SurveyMessage":
        """Return the message of a round in which /24s went down or came back."""
        down, back = found.went_down, found.came_back
        parts = [_listed(down, "went down")] if down else []
        parts += [_listed(back, "came back")] if back else []
        if len(down) >= FEWEST_AT_ONCE and len(down) >= AT_ONCE * found.judged:
            parts.append("so many at once: this host may have lost its connection")
        events: list[Event] = ["outage"] if down else []
        events += ["recovery"] if back else []
        return cls(
            survey=name,
            run=run,
            events=events,
            summary=f"survey {name}/{run}: round {found.number}: {'; '.join(parts)}; {found.down:,} down",
            round=found.number,
            outages=down[:MOST_LISTED],
            recoveries=back[:MOST_LISTED],
            went_down=len(down),
            came_back=len(back),
            down=found.down,
            directory=directory,
        )

    @classmethod
    def of_end(cls, directory: str, manifest: SurveyManifest, signal_number: int | None) -> "SurveyMessage":
        """Return the message of a session that has ended."""
        complete = manifest.status == "complete"
        code = StoppedEarlyError.exit_code if signal_number is None else exit_code_of(signal_number)
        counts = "; ".join(
            f"{name}: {count.positive:,} of {count.sent:,} positive, {count.not_sent:,} not sent"
            for name, count in manifest.probes.items()
        )
        reason = "" if complete else f" after {manifest.reason or 'an early end'}"
        return cls(
            survey=manifest.name,
            run=manifest.run_id,
            events=["complete" if complete else "failure"],
            summary=f"survey {manifest.name}/{manifest.run_id}: {manifest.status}{reason},"
            f" {count_of(manifest.rounds, 'round')} of {count_of(manifest.blocks, '/24')}; {counts}",
            exit_code=0 if complete else code,
            directory=directory,
        )

    @classmethod
    def of_failure(cls, name: str, run: str | None, directory: str, problem: str, exit_code: int) -> "SurveyMessage":
        """Return the message of a session that failed."""
        return cls(
            survey=name,
            run=run,
            events=["failure"],
            summary=f"survey {name}: failed: {problem}",
            exit_code=exit_code,
            directory=directory,
        )


def _listed(changes: list[OutageChange], verb: str) -> str:
    """Return some /24s in words, such as "192.0.2.0/24 went down"."""
    return f"{first_of([change.block for change in changes])} {verb}"
