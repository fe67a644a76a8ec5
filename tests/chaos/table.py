"""Outcomes as a table: on the terminal line by line, and as Markdown for the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.chaos.row import Outcome

COLUMNS = (
    "row",
    "seed",
    "sent",
    "stored",
    "lost",
    "repeated",
    "gaps declared",
    "excused bytes",
    "agent peak RSS (MB)",
    "seconds",
)
_WIDTHS = (48, 5, 11, 11, 9, 10, 14, 14, 20, 8)


def cells(outcome: Outcome) -> tuple[str, ...]:
    if outcome.skipped:
        return (outcome.row, str(outcome.seed), f"skipped: {outcome.skipped}", *[""] * (len(COLUMNS) - 3))
    numbers = (
        outcome.sent,
        outcome.stored,
        len(outcome.lost),
        len(outcome.repeated),
        outcome.gaps,
        outcome.excused_bytes,
    )
    rss = f"{outcome.agent_rss_bytes / 1e6:.1f}"
    return (outcome.row, str(outcome.seed), *(f"{n:,}" for n in numbers), rss, f"{outcome.seconds:.1f}")


def heading() -> str:
    return _line(COLUMNS)


def line(outcome: Outcome) -> str:
    """And what is wrong, below it."""
    wrong = [f"    {fault}" for fault in outcome.faults]
    if outcome.lost or outcome.repeated:
        wrong.insert(0, f"    lost {outcome.lost[:5]}... repeated {outcome.repeated[:5]}...")
    return "\n".join([_line(cells(outcome)), *wrong])


def _line(texts: Sequence[str]) -> str:
    if len(texts) > 2 and texts[2].startswith("skipped"):
        return f"{texts[0]:{_WIDTHS[0]}}{texts[1]:>{_WIDTHS[1]}}  {texts[2]}"
    return f"{texts[0]:{_WIDTHS[0]}}" + "".join(f"{t:>{w}}" for t, w in zip(texts[1:], _WIDTHS[1:], strict=True))


def markdown(outcomes: Iterable[Outcome]) -> str:
    rows = [COLUMNS, ("---", *["--:"] * (len(COLUMNS) - 1)), *map(cells, outcomes)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
