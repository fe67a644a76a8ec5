"""What Prometheus' API says of a query that it can't take, with a caret under the place."""

from __future__ import annotations

import re

from rich.cells import cell_len

from deckwatch.logs.show import one_word

_PLACED = re.compile(r"(?:invalid parameter \"query\": )?(\d+):(\d+): parse error: (.*)", re.DOTALL)


def explained(message: str, expr: str) -> str:
    """`1:8: parse error: ...` is line and column, in bytes of UTF-8 from 1."""
    placed = _PLACED.fullmatch(message)
    lines = expr.split("\n")
    if placed is None or not 1 <= int(placed[1]) <= len(lines):
        return message
    line = lines[int(placed[1]) - 1]
    before = line.encode("utf-8", "surrogateescape")[: int(placed[2]) - 1].decode("utf-8", "replace")
    where = f" (line {placed[1]})" if len(lines) > 1 else ""
    return f"the query can't be read: {placed[3]}{where}\n  {one_word(line)}\n  {' ' * cell_len(one_word(before))}^"
