"""Compiled by numba, loops over bytes that no column operation fits. The compiled code is cached beside the sources.

numba compiles a function again when the file that it stands in has changed, but what it calls in other files is part of
its code too. So whatever in the cache is older than the newest of these files is dropped before it is loaded.
"""

from __future__ import annotations

import os
from pathlib import Path


def drop_stale(folder: Path) -> int:
    """Delete cached code that is older than the newest source; how many files went. Nothing where it can't be."""
    cache = folder / "__pycache__"
    if not os.access(cache, os.W_OK):
        return 0
    newest = max(source.stat().st_mtime for source in folder.glob("*.py"))
    stale = [index for index in cache.glob("*.nbi") if index.stat().st_mtime < newest]
    for index in stale:
        for file in (index, *cache.glob(f"{index.stem}.*.nbc")):
            file.unlink(missing_ok=True)  # another process may have been faster
    return len(stale)


drop_stale(Path(__file__).parent)
