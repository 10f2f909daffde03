"""Times of a talk that no config changes; forecasts count with them, too."""

from typing import Final

REPEAT_S: Final = 1.0
"""Time after which a request that was not acknowledged is sent again."""
BURST_S: Final = 0.01
"""The frames of so much time may leave at once."""
