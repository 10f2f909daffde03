"""A running scan on a terminal: a table that is redrawn each second, or the same as one plain line."""

from collections import deque
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from liveness.analysis.numbers import percent
from liveness.compiling.display import shown_on
from liveness.report.fitted import FittedTable

if TYPE_CHECKING:
    from liveness.watch.reading import Reading

BARS: Final = "▁▂▃▄▅▆▇█"
HISTORY: Final = 30
"""Number of readings in a sparkline."""
MINUTE_S: Final = 60
LONG: Final = 100_000_000


class LiveView:
    """The live view, and the rates in its sparklines."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._alone = ExitStack()
        self._rates: dict[str, deque[tuple[float, float]]] = {}

    def show(self, reading: "Reading") -> None:
        """Draw a reading, without a drawing thread, since the process of a scan forks."""
        for probe in reading.probes:
            rates = self._rates.setdefault(probe.name, deque(maxlen=HISTORY))
            rates.append((probe.sent_pps, probe.replies_pps))
        view = Group(*self._lines(reading))
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
            self._alone.enter_context(shown_on(lambda _: None))  # no second line of progress on the same terminal
        self._live.update(view, refresh=True)

    def stop(self) -> None:
        """Remove the view."""
        if self._live is not None:
            self._live.stop()
            self._alone.close()
            self._live = None

    def _lines(self, reading: "Reading") -> list[RenderableType]:
        wide = self._console.width >= 80 + 2 * HISTORY
        table = FittedTable(box=None, pad_edge=False, padding=(0, 2 if wide else 1, 0, 0))
        table.dense = True
        table.add_column("probe")
        for heading in ("sent", "done", "packets/s", "replies", "hit rate", "replies/s"):
            table.add_column(heading, justify="right", no_wrap=True)
        for heading in ("sending", "receiving") if wide else ("receiving",):
            table.add_column(heading, width=HISTORY if wide else HISTORY // 3, no_wrap=True)
        for probe in reading.probes:
            rates = list(self._rates[probe.name])
            lines = [sparkline([sent for sent, _ in rates])] if wide else []
            shown = rates if wide else rates[-HISTORY // 3 :]
            table.add_row(
                probe.name,
                count_text(probe.sent),
                percent(probe.sent / probe.planned) if probe.planned else "-",
                pace_text(probe.sent_pps),
                count_text(probe.replies),
                share_text(probe.hit_rate),
                pace_text(probe.replies_pps),
                *lines,
                sparkline([replies for _, replies in shown]),
            )
        lost = Text(drops_text(reading), style="bold red" if reading.drops or reading.progress.counts["lost"] else "")
        return [Text(where_text(reading)), table, lost]


def pace_text(per_second: float) -> str:
    """Return a rate per second: an integer from ten on, one decimal place below, three digits below one."""
    if per_second >= 10 or per_second == 0:  # noqa: PLR2004
        return f"{per_second:,.0f}"
    return f"{per_second:.1f}" if per_second >= 1 else f"{per_second:.3g}"


def where_text(reading: "Reading") -> str:
    """Return the progress of a scan: block or round, elapsed time and remaining time."""
    progress = reading.progress
    part = min(progress.blocks_drained + 1, progress.blocks)
    share = percent(progress.sent / progress.planned) if progress.planned else "-"
    if progress.sending and progress.problem is not None:
        ahead = f"PAUSED: {progress.problem}"
    elif progress.sending and progress.silent:
        ahead = "SILENT: replies have stopped"
    elif not progress.sending or progress.sent >= progress.planned:
        ahead = "waiting for late replies"
    else:
        ahead = "ETA -" if reading.eta_s is None else f"ETA {clock(reading.eta_s)}"
    return f"{clock(progress.elapsed_s)}  {share} sent  {progress.part} {part:,} of {progress.blocks:,}  {ahead}"


def drops_text(reading: "Reading") -> str:
    """Return the numbers of packets received and lost."""
    counts = reading.progress.counts
    ring, interface, sending = counts["kernel_drops"], counts["nic_drops"], counts["send_errors"]
    where = f" (ring {ring:,}, interface {interface:,}, sending {sending:,})"
    drops = f"drops {reading.drops:,}{where if reading.drops else ''}"
    lost = f"  lost on the way {counts['lost']:,}, sent again {counts['repaired']:,}" if counts["lost"] else ""
    given_up = f"  behind the rate for {counts['given_up_s']:,.0f} s" if counts["given_up_s"] >= 1 else ""
    return f"received {counts['packets']:,}  rejected {counts['rejected']:,}  {drops}{lost}{given_up}"


def status_line(reading: "Reading") -> str:
    """Return a reading as one plain line."""
    return (
        f"{where_text(reading)}  {pace_text(reading.sent_pps)} packets/s  replies {reading.replies:,}"
        f"  hit rate {share_text(reading.hit_rate)}  {drops_text(reading)}"
    )


def sparkline(numbers: list[float]) -> str:
    """Return numbers as bars in proportion to the largest; small and zero values have the lowest bar."""
    most = max(numbers, default=0)
    if most <= 0:
        return BARS[0] * len(numbers)
    return "".join(BARS[round(number / most * (len(BARS) - 1))] for number in numbers)


def count_text(number: int) -> str:
    """Return a number in full, or in millions if that would not fit 80 columns."""
    return f"{number:,}" if number < LONG else f"{number / 1e6:,.1f}M"


def share_text(share: float | None) -> str:
    """Return a share as percent."""
    return percent(share, 2)


def clock(span_s: float) -> str:
    """Return a span as days, hours, minutes and seconds: 1d 02:03:04 or 03:04."""
    whole = max(0, round(span_s))
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, MINUTE_S)
    text = f"{minutes:02}:{seconds:02}"
    if days or hours:
        text = f"{hours:02}:{text}"
    return f"{days}d {text}" if days else text
