"""What to tell somebody whose search found nothing: where it looked, and where the nearest records are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime

import msgspec

from deckwatch.logs.choice import Choice
from deckwatch.logs.client import LogClient, Progress
from deckwatch.logs.show import local_time
from deckwatch.runtime.faults import Fault

_PATIENCE_S = 3.0
"""For each of the two questions about what lies elsewhere: nobody waits long for a hint."""


class _Stamp(msgspec.Struct, rename={"at": "@timestamp"}):
    at: str


_stamp = msgspec.json.Decoder(_Stamp)


class Nearest(msgspec.Struct, frozen=True):
    """The newest records outside of what was asked, RFC 3339; empty where there is none, or nobody could tell soon."""

    match: str = ""  # that match, at any time
    of_source: str = ""  # of the containers that were asked for, or of all, matching or not


async def explain(client: LogClient, choice: Choice, scanned: int, tell: Callable[[str], None]) -> None:
    for line in lines_of(choice, scanned, await nearest(client, choice), datetime.now(UTC)):
        tell(line)


async def nearest(client: LogClient, choice: Choice) -> Nearest:
    anywhere = Choice(choice.query, "", "", choice.containers, choice.level, choice.tenant)
    match = await _newest(client, anywhere) if choice.since or choice.until else ""
    if match:
        return Nearest(match)
    return Nearest("", await _newest(client, Choice(containers=choice.containers, tenant=choice.tenant)))


async def _newest(client: LogClient, choice: Choice) -> str:
    """The time of the newest record; empty where none is found in good time."""
    asked = {**choice.parameters(), "limit": "1", "order": "desc"}
    try:
        async with asyncio.timeout(_PATIENCE_S), aclosing(client.search(asked)) as found:
            async for one in found:
                if not isinstance(one, Progress):
                    return _stamp.decode(one).at
    except (TimeoutError, Fault):
        return ""  # a hint that can't be had is left out
    return ""


def lines_of(choice: Choice, scanned: int, near: Nearest, now: datetime) -> list[str]:
    span = " and ".join(
        part for part in (choice.since and f"since {choice.since}", choice.until and f"until {choice.until}") if part
    )
    where = f" {span}" if span else ""
    lines = [f"nothing matched{where}; {scanned:,} records were searched"]
    if near.match:
        lines.append(
            f"the newest match is of {_when(near.match, now)}: --since {_wide_enough(near.match, now)} shows it"
        )
    elif near.of_source:
        whose = f" of {', '.join(choice.containers)}" if choice.containers else ""
        lines.append(f"the newest line{whose} is of {_when(near.of_source, now)}")
    elif choice.containers:
        lines.append(f"there is no line of {', '.join(choice.containers)} at any time")
    else:
        lines.append("the collector has no records at all: is an agent running, and does it watch anything?")
    return lines


def _when(stamp: str, now: datetime) -> str:
    """`3 h ago (2026-01-31 12:00:00)`, in the zone of this machine."""
    seconds = (now - _moment(stamp)).total_seconds()
    for name, length in (("days", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if abs(seconds) >= 2 * length or length == 1:
            ago = f"{seconds / length:.0f} {name} ago" if seconds >= 0 else f"{-seconds / length:.0f} {name} ahead"
            break
    return f"{ago} ({local_time(stamp)[:19]})"


def _wide_enough(stamp: str, now: datetime) -> str:
    """A length of time, rounded up, that reaches back to then."""
    seconds = max(0.0, (now - _moment(stamp)).total_seconds())
    for unit, length in (("s", 1), ("m", 60), ("h", 3600)):
        if seconds < 100 * length:
            return f"{int(seconds // length) + 1}{unit}"
    return f"{int(seconds // 86400) + 1}d"


def _moment(stamp: str) -> datetime:
    return datetime.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
