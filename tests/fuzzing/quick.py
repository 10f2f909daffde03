"""What makes reading thousands of small files quick, in a process that ends with its campaign.

None of it changes what a reader does with its file.
"""

import ctypes
import gc
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeAlias

Task: TypeAlias = Callable[..., object]
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MAPPED_BYTES: Final = 1 << 18


def settle() -> None:
    """Let the collector of garbage skip what is loaded, and let large arrays of zeros be fresh pages.

    The allocator would learn from the first large array that is freed to take the next ones from its heap, and clear
    them: some hundred microseconds for a buffer of which a small file needs the beginning.
    """
    gc.collect()
    gc.freeze()
    library = ctypes.CDLL(None)
    library.mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)
    library.mallopt(M_TRIM_THRESHOLD, 1 << 28)


class Pools:
    """Pools of threads, whose tasks run where they are submitted, unless `threads` says that they have threads."""

    def __init__(self) -> None:
        """Take over all pools of this process, also those of modules that have the class by name."""
        self.threads = False
        with_threads = ThreadPoolExecutor.submit

        def submit(pool: ThreadPoolExecutor, task: Task, /, *arguments: object, **named: object) -> Future[object]:
            run = with_threads if self.threads else _run_here
            return run(pool, task, *arguments, **named)

        ThreadPoolExecutor.submit = submit  # type: ignore[method-assign, assignment]


def _run_here(_pool: ThreadPoolExecutor, task: Task, /, *arguments: object, **named: object) -> Future[object]:
    future: Future[object] = Future()
    try:
        future.set_result(task(*arguments, **named))
    except Exception as error:  # noqa: BLE001 - raised where the result is taken, as a pool does it
        future.set_exception(error)
    return future
