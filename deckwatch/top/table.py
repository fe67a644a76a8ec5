"""The table: on a terminal with colours, else in plain columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rich.console import Group
from rich.table import Table
from rich.text import Text

from deckwatch.top.rows import HEADINGS, RIGHT, Container, SortKey, cells, memory_share

_SORTED_HEADING = {
    SortKey.CPU: "CPU %",
    SortKey.MEMORY: "MEM / LIMIT",
    SortKey.NETWORK: "NET I/O",
    SortKey.IO: "BLOCK I/O",
    SortKey.PIDS: "PIDS",
    SortKey.LOGS: "LOG/s",
    SortKey.NAME: "NAME",
    SortKey.HOST: "HOST",
}
_WIDE = ("IMAGE", "BLOCK I/O", "MEM %", "HOST", "NET I/O", "LOG/s")
"""What goes first on a narrow terminal."""
_WIDTHS = {"NAME": 14, "HOST": 10, "IMAGE": 14, "CPU %": 6, "MEM / LIMIT": 18, "MEM %": 5, "NET I/O": 20}
_WIDTHS |= {"BLOCK I/O": 20, "PIDS": 5, "LOG/s": 6, "STATE": 9}


def plain_lines(containers: Sequence[Container]) -> list[str]:
    rows = [list(HEADINGS), *(cells(container) for container in containers)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADINGS))]
    return ["  ".join(map(_aligned, HEADINGS, row, widths)).rstrip() for row in rows]


def live_view(containers: Sequence[Container], *, key: SortKey, width: int, height: int, status: Text) -> Group:
    """As many containers as there is room for; the last line tells how many there are."""
    names = columns_for(width)
    table = Table(box=None, padding=(0, 1), header_style="bold", expand=True)
    for heading in names:
        style = "bold underline" if heading == _SORTED_HEADING[key] else "bold"
        title = Text(heading, style=style)
        ratio = 1 if heading in ("NAME", "IMAGE") else None
        table.add_column(title, justify=_side(heading), no_wrap=True, overflow="ellipsis", ratio=ratio)
    room = max(1, height - 3)
    for container in containers[:room]:
        values = dict(zip(HEADINGS, cells(container), strict=True))
        table.add_row(*(Text(values[heading], style=_style(heading, container)) for heading in names))
    hidden = len(containers) - room
    if hidden > 0:
        status = status + Text(f"; {hidden} more below", style="dim")
    return Group(table, status)


def columns_for(width: int) -> list[str]:
    """Headings that fit, in their order."""
    left = list(HEADINGS)
    for heading in _WIDE:
        if sum(_WIDTHS[name] + 2 for name in left) <= width:
            break
        left.remove(heading)
    return left


def _side(heading: str) -> Literal["left", "right"]:
    return "right" if heading in RIGHT else "left"


def _style(heading: str, container: Container) -> str:
    if heading == "CPU %" and container.cpu_cores is not None:
        limit = container.cpu_limit_cores or 1.0
        return _heat(container.cpu_cores / limit)
    if heading in ("MEM / LIMIT", "MEM %"):
        return _heat(memory_share(container) or 0.0)
    if heading == "STATE":
        return {"running": "green", "paused": "yellow", "exited": "dim", "dead": "red"}.get(container.state or "", "")
    return "bold" if heading == "NAME" else ""


def _heat(share: float) -> str:
    if share >= 0.9:
        return "red"
    return "yellow" if share >= 0.7 else ""


def _aligned(heading: str, text: str, width: int) -> str:
    return text.rjust(width) if heading in RIGHT else text.ljust(width)
