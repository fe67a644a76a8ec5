"""What time it is for whoever throws away what is old. Pure: it is told the times.

A clock that jumps ahead (a wrong RTC, a mistyped date) must not drop everything before somebody has put it right: a
jump is believed only after the clock has stayed there for PATIENCE_S. Going back is believed at once: it only keeps.
"""

from __future__ import annotations

PATIENCE_S = 3600.0
_JUMP_NS = 600 * 1_000_000_000


class BelievedTime:
    """`newest_ns`: when the newest record was received. A start long after it counts as a jump, too: whether we were
    away for long or the clock is wrong can't be told."""

    def __init__(self, newest_ns: int | None) -> None:
        self._offset_ns: int | None = None  # wall time less monotonic time, as believed
        self._newest_ns = newest_ns
        self._since_s: float | None = None  # when the jump was seen that is not believed yet

    @property
    def doubts(self) -> bool:
        return self._since_s is not None

    def now_ns(self, wall_ns: int, monotonic_s: float) -> int:
        monotonic_ns = int(monotonic_s * 1e9)
        offset_ns = wall_ns - monotonic_ns
        if self._offset_ns is None:
            newest_ns = wall_ns if self._newest_ns is None else self._newest_ns
            self._offset_ns = min(offset_ns, newest_ns + _JUMP_NS - monotonic_ns)
        if offset_ns - self._offset_ns <= _JUMP_NS:
            self._offset_ns, self._since_s = offset_ns, None
        elif self._since_s is None:
            self._since_s = monotonic_s
        elif monotonic_s - self._since_s >= PATIENCE_S:
            self._offset_ns, self._since_s = offset_ns, None
        return self._offset_ns + monotonic_ns
