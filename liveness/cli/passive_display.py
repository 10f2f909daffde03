"""Output of a passive run at work on standard error: a live view on a terminal, a plain line a minute elsewhere."""

from contextlib import ExitStack
from logging import INFO
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from liveness import log
from liveness.cli.messages import people
from liveness.compiling.display import shown_on
from liveness.passive.progress import progress_lines

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from liveness.passive.progress import StatusLine

PLAIN_EVERY_S: Final = 60.0


class PassiveDisplay:
    """Shows status lines while a run is at work. A quiet display shows nothing."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._shown = people.level <= INFO
        self._live: Live | None = None
        if self._shown and self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._next_s = PLAIN_EVERY_S
        self._view = Text()
        self._compiling = ExitStack()

    def __enter__(self) -> "Self":
        """Show messages above the live view."""
        if self._live is not None:
            self._live.start()
            self._compiling.enter_context(shown_on(self._show_compiling))
            people.write = self._above
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        """Remove the view."""
        del kind, error, trace
        if self._live is not None:
            people.reset()
            self._compiling.close()
            self._live.stop()

    def _above(self, lead: str, text: str) -> None:
        self._console.print(Text(f"{lead}{text}"), soft_wrap=True)

    def _show_compiling(self, text: str) -> None:
        """Show how far the compiling of kernels is in place of the status; the status again if there is no text."""
        if self._live is not None:
            self._live.update(Text(f"liveness: {text}") if text else self._view, refresh=True)

    def show(self, line: "StatusLine") -> None:
        """Show a line, in place of the one before or once a minute."""
        if self._live is not None:
            self._view = Text("\n".join(progress_lines(line)), no_wrap=True, overflow="ellipsis")
            self._live.update(self._view, refresh=True)
        elif self._shown and line.elapsed_s >= self._next_s:
            self._next_s = line.elapsed_s + PLAIN_EVERY_S
            log.info("; ".join(progress_lines(line)))
