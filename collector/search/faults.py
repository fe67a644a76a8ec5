"""What is wrong with a query, shown where it is wrong."""

from __future__ import annotations

from deckwatch.runtime.faults import Reject

_SHOWN = 120  # characters of the query around the fault


class QueryError(Reject):
    """`position` counts characters from 0; `expected` says what could stand there, `suggestion` what was meant."""

    def __init__(self, problem: str, query: str, position: int, expected: str = "", suggestion: str = "") -> None:
        self.problem = problem
        self.position = position
        self.expected = expected
        self.suggestion = suggestion
        super().__init__(_text(problem, query, position, expected, suggestion))


def _text(problem: str, query: str, position: int, expected: str, suggestion: str) -> str:
    first = max(0, position - _SHOWN // 2)
    shown = query[first : first + _SHOWN].translate({9: " ", 10: " ", 13: " "})
    hint = f"; expected {expected}" if expected else ""
    hint += f"; did you mean {suggestion}?" if suggestion else ""
    return f"query, character {position + 1}: {problem}{hint}\n  {shown}\n  {' ' * (position - first)}^"
