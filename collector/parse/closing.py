"""When an open record is closed by time. Pure: the pipeline journals the decision, the parser acts on it."""

from __future__ import annotations

from collections.abc import Iterable

from collector.parse.kernels.traces import ORDINARY
from collector.parse.state import CloseDecision, GroupRef, OpenGroup, OpenStream


def due_ns(group: OpenGroup, *, single_ns: int, max_age_ns: int) -> int:
    """When it has waited long enough. A line of its own waits shorter than a trace that has begun."""
    alone = group.lines == 1 and group.state == ORDINARY and not group.more
    return group.arrived_ns + (min(single_ns, max_age_ns) if alone else max_age_ns)


def is_due(group: OpenGroup, now_ns: int, *, single_ns: int, max_age_ns: int) -> bool:
    """A clock that went back closes everything: it is better to cut a trace in two than to keep a line until the clock
    is there again."""
    return now_ns < group.arrived_ns or now_ns >= due_ns(group, single_ns=single_ns, max_age_ns=max_age_ns)


def decide(
    streams: Iterable[OpenStream], now_ns: int, *, single_ns: int, max_age_ns: int, max_open_bytes: int
) -> CloseDecision | None:
    """What is to be closed now: groups by age, whole streams, the largest first, where the open text is too much."""
    groups: list[GroupRef] = []
    kept: list[tuple[int, str]] = []
    for stream in streams:
        due = [g for g in stream.groups if is_due(g, now_ns, single_ns=single_ns, max_age_ns=max_age_ns)]
        groups += (GroupRef(stream.key, g.iostream, g.start, g.end) for g in due)
        kept.append((stream.size_bytes - sum(len(g.text) for g in due), stream.key))
    cut: list[str] = []
    excess = sum(size for size, _ in kept) - max_open_bytes
    for size, key in sorted(kept, reverse=True) if excess > 0 else ():
        if excess <= 0:
            break
        cut.append(key)
        excess -= size
    if not groups and not cut:
        return None
    return CloseDecision(tuple(groups), tuple(cut))
