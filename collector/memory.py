"""How the collector's process gives memory back that it no longer needs. Imports nothing that allocates much: it must
come before polars.

Three allocators are in the process. Each keeps what was freed, for a next time that mostly comes in another of them:
behind a burst they held a hundred MiB of nothing. Numbers are in docs/performance.md.
"""

from __future__ import annotations

import ctypes
import os

# mallopt(3), glibc's malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def be_thrifty() -> None:
    """Before polars is loaded, whose jemalloc reads its options then. What the environment says goes first."""
    os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0,narenas:2")
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # its own keeps some 60 MiB of a sealing
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # glibc; musl keeps little by itself
        # Without these the threshold of mmap grows with what is freed, and batches end up in heaps that are never
        # given back; each of some twenty threads has such a heap.
        mallopt(_M_MMAP_THRESHOLD, 4 << 20)
        mallopt(_M_TRIM_THRESHOLD, 4 << 20)
        mallopt(_M_ARENA_MAX, 2)
