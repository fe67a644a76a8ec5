"""Files given as globs: which of the matches are logs to be followed. Pure; `files` looks.

`*`, `?` and `[...]` stay within one name, `**` spans folders, hidden files are matched only by patterns that say so.
A pattern without a wildcard is one file, which may appear later, and is followed whatever its name.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Collection, Iterable

COMPRESSED = (".gz", ".zst", ".bz2", ".xz", ".lz4", ".zip")

_ROTATED = re.compile(
    r"(?P<base>.+?)"
    r"(?:(?P<numbered>\.\d{1,4})|[.-]\d{8}(?:[-_T]?\d{2,6})?)"  # app.log.1; dateext: app.log-20240131[-hhmmss]
    r"(?:\.(?:gz|zst|bz2|xz|lz4))?",
    re.DOTALL,
)

_DATED = re.compile(r"(?P<base>.+)-\d{8}(?:[-_T]?\d{2,6})?(?:\.(?:gz|zst|bz2|xz|lz4))?", re.DOTALL)
_TOKEN = re.compile(r"\*|\?|\[!?\]?[^\]]*\]|[^*?]", re.DOTALL)
_WILD = re.compile(r"[*?[]")


def is_wild(pattern: str) -> bool:
    return _WILD.search(pattern) is not None


def fixed_folder(pattern: str) -> str:
    """The folder above the first wildcard: where a match, or a folder on the way to one, appears."""
    wild = _WILD.search(pattern)
    return (pattern[: wild.start()] if wild else pattern).rpartition("/")[0] or "/"


def is_compressed(path: str) -> bool:
    return path.endswith(COMPRESSED)


def rotated_glob(path: str, *, dated: bool) -> str:
    """A log's predecessors: `app.log.1`, `app.log.2.gz`; where logrotate's dateext is in use `app.log-20240131`.

    Never `worker-1` beside `worker`: those are two logs."""
    return glob.escape(path) + (f"[.-]{'[0-9]' * 8}*" if dated else ".[0-9]*")


def dated_bases(names: Iterable[str]) -> frozenset[str]:
    """Names of logs in a folder that have dated predecessors beside them."""
    there = frozenset(names)
    dated = (match["base"] for name in there if (match := _DATED.fullmatch(name)))
    return frozenset(base for base in dated if base in there)


def live_logs(paths: Iterable[str], patterns: Collection[str], known: Collection[str]) -> list[str]:
    """Of the matches those that are logs of their own, sorted; predecessors of a log are found by its own glob.

    A pattern like `app.log*` matches `app.log.1` as well. Read as a log of its own, its lines would come twice: once
    before and once after the rename. So it counts as the predecessor of `app.log`, where the patterns match that too
    and it is there or was `known`. Where it is not there (`nocreate`, or between rename and creation), a number tells
    enough: `app.log` is listed although it does not exist. A date alone does not: Apache's rotatelogs writes live to
    `access.20240131` and never has an `access`.
    """
    there = set(paths)
    literal = {pattern for pattern in patterns if not is_wild(pattern)}
    wild = [compiled(pattern) for pattern in patterns]
    logs: set[str] = set()
    for path in there:
        match = _ROTATED.fullmatch(path) if path not in literal else None
        base = match["base"] if match else ""
        if match is None or not any(pattern.fullmatch(base) for pattern in wild):
            logs.add(path)
        elif base in there or base in known or match["numbered"]:
            logs.add(base)
        else:
            logs.add(path)
    return sorted(logs)


def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern as glob.iglob(recursive=True) understands it."""
    parts = pattern.split("/")
    last = len(parts) - 1
    return re.compile("".join(_part(part, is_last=number == last) for number, part in enumerate(parts)))


def _part(part: str, *, is_last: bool) -> str:
    if part == "**":
        return r"(?:[^/.][^/]*/)*" + (r"[^/.][^/]*" if is_last else "")
    hidden = "" if part.startswith(".") or not is_wild(part) else r"(?!\.)"
    return hidden + "".join(map(_token, _TOKEN.findall(part))) + ("" if is_last else "/")


def _token(glyph: str) -> str:
    if glyph == "*":
        return "[^/]*"
    if glyph == "?":
        return "[^/]"
    if len(glyph) > 1:  # [abc], [!abc]
        negated, body = glyph[1] == "!", glyph[1:-1].removeprefix("!").replace("\\", r"\\")
        body = body.replace("[", r"\[").replace("]", r"\]")
        return f"[{'^' if negated else ''}{body}]"
    return re.escape(glyph)
