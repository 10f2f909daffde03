"""The clock of the model Internet: it starts at a fixed time, and may run faster than that of this machine."""

from dataclasses import dataclass

from liveness.kernel import kernel


@dataclass(frozen=True, slots=True)
class ModelClock:
    """The model's time is `model_ns` when this machine's is `real_ns`; `speed` seconds pass in one second."""

    real_ns: int = 0
    model_ns: int = 0
    speed: int = 1

    def at_ns(self, real_ns: int) -> int:
        """Return the model's time at a time of this machine, ns since the epoch."""
        return self.model_ns + (real_ns - self.real_ns) * self.speed


@kernel
def model_time_ns(real_ns: int, anchor_real_ns: int, anchor_model_ns: int, speed: int) -> int:
    """Return the model's time at a time of this machine: `ModelClock.at_ns` for kernels."""
    return anchor_model_ns + (real_ns - anchor_real_ns) * speed
