"""Types, helps and units of an answer's metrics: its comment lines. Pure, but for what it remembers of the last answer.

Formats: prometheus/docs, instrumenting/exposition_formats; OpenMetrics 1.0.0. There a counter's family lacks the
`_total` of its samples, and an info's the `_info`: names are told as the text format has them.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator

from deckwatch.wire.model import Description

AGAIN_S = 3600.0
"""All is told again so often: the collector may be another one."""
MOST = 5_000
_LONGEST_HELP = 1_000
_TYPES = frozenset({"counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset", "unknown"})
_SUFFIX = {"counter": "_total", "info": "_info"}
_PARTS = ("", "_bucket", "_count", "_sum", "_gcount", "_gsum")


class Descriptions:
    """Of one target. Comments that are those of the answer before are not read again."""

    def __init__(self) -> None:
        self._comments: list[str] = []
        self._read: tuple[Description, ...] = ()
        self._told: tuple[Description, ...] = ()
        self._told_at = float("-inf")

    def take(self, comments: list[str], *, openmetrics: bool) -> None:
        """Lines that begin with `# `."""
        if comments != self._comments:
            self._comments = comments
            self._read = tuple(read_comments(comments, openmetrics=openmetrics))[:MOST]

    def to_tell(self, names: Callable[[], Container[str]], now_s: float) -> tuple[Description, ...]:
        """What has to be told of metrics that have a series among `names`; remembers that it was."""
        if now_s - self._told_at < AGAIN_S:
            if self._read is self._told:
                return ()
            known = set(self._told)
            fresh = [one for one in self._read if one not in known]
        else:
            fresh, self._told_at = list(self._read), now_s
        self._told, there = self._read, names()
        return tuple(one for one in fresh if any(one.name + part in there for part in _PARTS))


def read_comments(comments: Iterable[str], *, openmetrics: bool) -> Iterator[Description]:
    """The families that have a type, a help or a unit. What is neither is a comment for people."""
    found: dict[str, dict[str, str]] = {}
    for line in comments:
        words = line.rstrip("\r").split(None, 3)
        if len(words) >= 3 and words[1] in ("TYPE", "HELP", "UNIT"):
            found.setdefault(_unquoted(words[2]), {})[words[1]] = words[3] if len(words) == 4 else ""
    for name, said in found.items():
        kind = said.get("TYPE", "").strip()
        kind = kind if kind in _TYPES else "unknown"
        suffix = _SUFFIX.get(kind, "") if openmetrics else ""
        name = name if name.endswith(suffix) else name + suffix
        yield Description(name, kind, _plain(said.get("HELP", ""))[:_LONGEST_HELP], said.get("UNIT", "").strip())


def _unquoted(name: str) -> str:
    """Prometheus 3 writes names that are no old ones in quotes."""
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name


def _plain(escaped: str) -> str:
    if "\\" not in escaped:
        return escaped
    return escaped.replace("\\\\", "\0").replace("\\n", "\n").replace('\\"', '"').replace("\0", "\\")
