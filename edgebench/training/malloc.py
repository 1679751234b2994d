"""Makes the C library keep the memory that a training step frees, for the next step."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# malloc.h of glibc: the parameters of mallopt(3) and their defaults
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
TRIM_THRESHOLD, MMAP_MAX = 128 * 1024, 65536
NEVER = 2**31 - 1


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Inside it, glibc's malloc neither maps large blocks separately nor returns freed blocks to the kernel.

    Each training step allocates and frees the same large tensors. By default malloc maps each one again, and the kernel
    clears its pages when they are first used, which took up to half of a step of mobilenetv3_large_100 on a CPU.
    Afterwards malloc has its documented defaults, not the values of a MALLOC_ variable or of its own adjustment. Does
    nothing with another C library, such as musl or macOS's.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "mallopt") or not hasattr(libc, "malloc_trim"):
        yield
        return
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, NEVER)
    try:
        yield
    finally:
        libc.mallopt(M_MMAP_MAX, MMAP_MAX)
        libc.mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD)
        libc.malloc_trim(0)
