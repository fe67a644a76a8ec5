"""Have rule files changed? By name, size, mtime and inode; contents are read only when one of them is another."""

from __future__ import annotations

from collections.abc import Iterable

from alerting.rules.files import rule_paths

Look = tuple[tuple[str, int, int, int], ...]


def look(globs: Iterable[str]) -> Look:
    seen = []
    for path in rule_paths(globs):
        try:
            stat = path.stat()
        except OSError:
            seen.append((str(path), -1, 0, 0))  # loading it tells why
        else:
            seen.append((str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino))
    return tuple(seen)
