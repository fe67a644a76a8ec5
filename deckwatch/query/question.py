"""From the command's options to what the API is asked. Pure."""

from __future__ import annotations

import msgspec

from deckwatch.runtime.faults import Reject, Unusable
from deckwatch.runtime.times import SECOND, duration_ns, rfc3339, time_ns

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


class Question(msgspec.Struct, frozen=True):
    """At one time (`step_ns` 0, start and end alike) or over a range. Unix ns."""

    expr: str
    start_ns: int
    end_ns: int
    step_ns: int = 0

    @property
    def in_range(self) -> bool:
        return self.step_ns > 0

    def parameters(self) -> dict[str, str]:
        if not self.in_range:
            return {"query": self.expr, "time": rfc3339(self.end_ns)}
        return {
            "query": self.expr,
            "start": rfc3339(self.start_ns),
            "end": rfc3339(self.end_ns),
            "step": f"{self.step_ns / SECOND:.9f}",
        }


def question(expr: str, *, at: str, since: str, until: str, step: str, now_ns: int, points: int) -> Question:
    """`points`: so many steps are worth asking for where no step is given. Raises Unusable."""
    if not since:
        moment_ns = _time_ns("--at", at or "now", now_ns)
        return Question(expr, moment_ns, moment_ns)
    start_ns, end_ns = _time_ns("--since", since, now_ns), _time_ns("--until", until or "now", now_ns)
    if end_ns <= start_ns:
        raise Unusable(f"--until {until or 'now'} is not after --since {since}: give an earlier --since")
    step_ns = _step_ns(step) if step else nice_step_s((end_ns - start_ns) / SECOND, points) * SECOND
    return Question(expr, start_ns - start_ns % step_ns, end_ns, step_ns)  # steps stand at the same times each time


def nice_step_s(span_s: float, points: int) -> int:
    """The smallest that people would choose by which the span has at most so many points."""
    least = span_s / max(1, points)
    return next((step for step in _STEPS_S if step >= least), -(-int(least) // 86400) * 86400 + 86400)


def _time_ns(option: str, text: str, now_ns: int) -> int:
    try:
        return time_ns(text, now_ns)
    except Reject as fault:
        raise Unusable(f"{option}: {fault}") from None


def _step_ns(text: str) -> int:
    try:
        step_ns = round(float(text) * SECOND) if text.replace(".", "", 1).isdecimal() else duration_ns(text)
    except Reject as fault:
        raise Unusable(f"--step: {fault}") from None
    if step_ns <= 0:
        raise Unusable(f"--step {text}: has to be longer than nothing, such as 15s")
    return step_ns
