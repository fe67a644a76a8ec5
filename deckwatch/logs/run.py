"""What `deckwatch logs` does, one function a way of asking."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import click
import msgspec

from deckwatch.logs.choice import Choice
from deckwatch.logs.client import LogClient, Progress
from deckwatch.logs.out import Out, ProgressLine
from deckwatch.logs.show import one_word
from deckwatch.runtime.faults import Fault, Retry

_MOST_LINES = 1000
_LAST_LINES = 10  # shown before following, as `tail -f` does


class _Place(msgspec.Struct, rename={"stream": "deckwatch.stream", "offset": "log.offset"}):
    """Of a record, in its stream."""

    stream: str
    offset: int


_place = msgspec.json.Decoder(_Place)


class Scan(msgspec.Struct):
    """What a search came to."""

    found: int = 0
    searched: int = 0  # records


async def search(client: LogClient, parameters: dict[str, str], out: Out, limit: int) -> Scan:
    """The newest `limit` records, oldest first; all of them, as they are found, where it is 0."""
    scan = Scan()
    if limit:
        for raw in await newest(client, parameters, limit, scan):
            out.record(raw)
    else:
        asked = {**parameters, "limit": "0", "order": "asc"}
        async with aclosing(_records(client, asked, ProgressLine(), scan)) as found:
            async for raw in found:
                out.record(raw)
    out.flush()
    return scan


async def newest(client: LogClient, parameters: dict[str, str], limit: int, scan: Scan) -> list[bytes]:
    """Oldest first."""
    asked = {**parameters, "limit": str(limit), "order": "desc"}
    async with aclosing(_records(client, asked, ProgressLine(), scan)) as records:
        found = [raw async for raw in records]
    if len(found) == limit and limit > _LAST_LINES:
        click.echo(f"the newest {limit} records; --limit 0 shows all", err=True)
    return found[::-1]


async def with_context(client: LogClient, choice: Choice, out: Out, limit: int, around: int) -> Scan:
    """Each match with its neighbours in the same stream, as `grep -C` does. Groups that touch are joined."""
    shown: dict[str, int] = {}  # by stream: the offset of the last record that was shown
    scan = Scan()
    matches = [_place.decode(raw) for raw in await newest(client, choice.parameters(), limit, scan)]
    matched = {(match.stream, match.offset) for match in matches}
    for number, match in enumerate(sorted(matches, key=lambda match: (match.stream, match.offset))):
        group = await client.context(match.stream, match.offset, around, choice.tenant)
        places = [_place.decode(raw) for raw in group]
        fresh = [place.offset > shown.get(match.stream, -1) for place in places]
        if number and fresh[0]:
            out.separator()
        for raw, place, new in zip(group, places, fresh, strict=True):
            if new:
                out.record(raw, matched=(place.stream, place.offset) in matched)
        shown[match.stream] = max(places[-1].offset, shown.get(match.stream, -1))
    out.flush()
    return scan


async def follow(client: LogClient, choice: Choice, out: Out, limit: int | None) -> None:
    """What is there (`limit` of it; the last few lines where nothing is said), then what arrives, without a seam: the
    tail's first id says what counts as there."""
    endless = {name: value for name, value in choice.parameters().items() if name not in ("start", "end")}
    after = await _newest_id(client, endless)
    if not after.startswith("-"):  # -1: nothing is there at all
        there = choice.filter(f"deckwatch.seq:[* TO {after}]")
        wanted = limit if limit is not None else _MOST_LINES if choice.since else _LAST_LINES
        await search(client, {**choice.parameters(), "filter": there}, out, wanted)
    async with aclosing(client.follow(endless, after, lost=_lost, found=_found)) as events:
        async for event in events:
            if event.kind == "gap":
                tell_gap(event.data)
            elif event.data:
                out.record(event.data)
            else:
                out.flush()


async def _newest_id(client: LogClient, parameters: dict[str, str]) -> str:
    async with aclosing(client.tail(parameters)) as events:
        async for event in events:
            return event.id
    raise Retry("the collector ended the tail before it began; is it stopping?")


async def _records(
    client: LogClient, parameters: dict[str, str], progress: ProgressLine, scan: Scan
) -> AsyncGenerator[bytes]:
    try:
        async with aclosing(client.search(parameters)) as found:
            async for one in found:
                if isinstance(one, Progress):
                    scan.searched = max(scan.searched, one.scanned)
                    progress.update(one)
                else:
                    scan.found += 1
                    progress.clear()
                    yield one
    finally:
        progress.clear()


def tell_gaps(count: int) -> None:
    """On a terminal only, behind the records: pipes and scripts look at the answer's header."""
    if count and sys.stderr.isatty():
        stretches = "a gap" if count == 1 else f"{count} gaps"
        click.secho(f"{stretches} in this range: lines are missing; see `deckwatch gaps`", err=True, dim=True)


def tell_gap(data: bytes) -> None:
    """A gap that was declared while we follow."""
    if sys.stderr.isatty():
        gap = msgspec.json.decode(data, type=dict[str, Any])
        source = one_word(str(gap.get("container.name") or gap.get("log.file.path") or gap.get("host.name") or "-"))
        reason = one_word(str(gap.get("deckwatch.gap.reason")))
        click.secho(f"a gap in {source} ({reason}): lines are missing; see `deckwatch gaps`", err=True, dim=True)


def _lost(fault: Fault) -> None:
    click.echo(f"connection lost: {fault}; trying again", err=True)


def _found() -> None:
    click.echo("connected again; nothing was missed", err=True)
