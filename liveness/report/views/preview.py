"""What a scan would send, as text: its size, its load, its first addresses, and a packet of each probe."""

from collections.abc import Iterator
from typing import Final

from liveness.config.model import Config
from liveness.report.views.forecast import duration_text, named_lines, peak_text, rate_text, talk_lines
from liveness.scan.preview import Preview

SHOWN_BLOCKS: Final = 8
ROW_BYTES: Final = 32


def preview_lines(config: Config, shown: Preview) -> Iterator[str]:
    """Yield the lines of a preview."""
    forecast = shown.estimate
    blocks = ", ".join(shown.blocks[:SHOWN_BLOCKS]) + (" …" if len(shown.blocks) > SHOWN_BLOCKS else "")
    first = ", ".join(shown.first_addresses) + (" …" if forecast.targets > len(shown.first_addresses) else "")
    yield named_lines(
        {
            "targets": f"{forecast.targets:,} in {forecast.blocks:,} blocks: {blocks}",
            "packets": f"{forecast.packets:,}: {forecast.probes} probes, {config.retransmit.attempts} attempts",
            "rate": rate_text(config, forecast),
            "busiest": peak_text(config, forecast),
            "duration": duration_text(forecast, auto=config.rate.auto),
            **talk_lines(config, forecast),
            "order": first,
            "contact": config.contact or "none",
        }
    )
    yield "packets to the first target (source address and gateway are found when a scan starts):"
    for packet in shown.packets:
        yield f"  {packet.probe:<12} {packet.summary}"
        for at in range(0, len(packet.data), ROW_BYTES):
            yield f"    {packet.data[at : at + ROW_BYTES].hex(' ', 2)}"
