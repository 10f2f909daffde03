"""Kernels that came compiled with the package, as ``scripts/wheel`` makes it: for every processor like x86-64-v3.

They lie next to this file, in the places that the cache of a user has for the same sources, and are looked for when
that cache has nothing. A processor that lacks something, or another version of Python or Numba, finds none there. They
are as trustworthy as the sources, which lie in the same package.
"""

from pathlib import Path
from typing import Any, Final

from numba.core.registry import cpu_target

FOLDER: Final = Path(__file__).parent / "shipped"
PROCESSOR: Final = "x86-64-v3"
"""As LLVM names the third level of the psABI of x86-64: most processors since 2013 to 2015 have what it takes."""
FEATURES: Final = (
    "avx avx2 bmi bmi2 cmov cx16 cx8 f16c fma fxsr lzcnt mmx movbe popcnt sahf sse sse2 sse3 sse4.1 sse4.2 ssse3 xsave"
)
"""What LLVM uses on this level, by its names."""


def machine() -> Any:  # noqa: ANN401 - Numba's
    """Return system, processor and features, as Numba compiles for them now."""
    return cpu_target.target_context.codegen().magic_tuple()


def shipped_machine(folder: Path = FOLDER) -> Any:  # noqa: ANN401 - as above
    """Return what `machine` was where the kernels in `folder` were compiled; None if they are none for this machine."""
    system, _, features = machine()
    present = {word[1:] for word in features.split(",") if word.startswith("+")}
    fits = system.startswith("x86_64-") and "linux" in system and present >= set(FEATURES.split())
    return (system, PROCESSOR, "") if fits and folder.is_dir() else None
