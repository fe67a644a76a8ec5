"""`/api/v1/dead-letters`: what could not be taken, listed, shown, tried again, deleted."""

from __future__ import annotations

import base64
from typing import Any

from aiohttp import web

from collector.api.connection import for_client
from collector.api.endpoint import JSON, Arguments, Endpoint, NotFound, Parameter, ParameterError
from collector.api.log_schema import COUNT, TENANT, time_range
from collector.deadletters.letter import context_of
from collector.deadletters.redrive import Outcome, Wish
from collector.pipeline import Pipeline
from collector.store.embedded.letter_changes import place_of
from collector.store.embedded.letters import LetterInfo, Letters
from collector.store.embedded.manifest import DeadLetter
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.times import MAX_NS, MIN_NS, rfc3339
from deckwatch.wire.model import DEFAULT_TENANT, Format

PATH = "/api/v1/dead-letters"
_MOST = 10_000
_AT_ONCE_BYTES = 8 << 20
"""Of payloads tried in one entry of the journal: they are in memory together."""

_LETTER: dict[str, Any] = {
    "type": "object",
    "required": ["id", "received", "reason", "bytes"],
    "properties": {
        "id": {"type": "string"},
        "received": {"type": "string", "format": "date-time"},
        "reason": {"type": "string", "description": "Why it could not be taken, the last time it was tried."},
        "host": {"type": "string"},
        "source": {"type": "string", "description": "Container and log, or path."},
        "container": {"type": "string"},
        "stream": {"type": "string", "description": "deckwatch.stream"},
        "offset": {"type": "integer", "description": "log.offset of its first byte"},
        "end": {"type": "integer", "description": "Behind the last byte of its stream that it stands for."},
        "format": {"type": "string"},
        "bytes": COUNT,
        "attempts": {"type": "integer", "description": "How often it was tried again."},
        "tried": {"type": "string", "format": "date-time"},
    },
}
_ID = Parameter("id", "Of a dead letter; several are separated by commas.")
_ALL = Parameter("all", "Every one of the tenant.", {"enum": ["true", "false"], "default": "false"})
_AS = Parameter("as", "Read it as this instead of what it claimed to be.", {"enum": [*Format]})


class DeadLetterApi:
    """Each answer is as of a fresh sealing: what was just kept is there, and what just became records is not."""

    def __init__(self, letters: Letters, pipeline: Pipeline, clock: Clock) -> None:
        self._letters = letters
        self._pipeline = pipeline
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                PATH,
                "List dead letters",
                "What was accepted and could not be taken for what it claimed to be, in the order of arrival.",
                (
                    *time_range("all times"),
                    Parameter("after", "Only behind the letter of this id: `next` of the page before."),
                    Parameter("limit", "At most so many.", {**COUNT, "default": 1000, "maximum": _MOST}),
                    TENANT,
                ),
                {JSON: {"type": "object", "properties": {"dead_letters": {"type": "array", "items": _LETTER}}}},
                self.letters,
            ),
            Endpoint(
                f"{PATH}/show",
                "Show a dead letter",
                "With its payload, as text and as it is.",
                (Parameter("id", "Of the dead letter.", required=True), TENANT),
                {JSON: _LETTER},
                self.show,
            ),
            Endpoint(
                f"{PATH}/retry",
                "Try dead letters again",
                "Each becomes records exactly once, or stays with the new reason.",
                (_ID, _ALL, _AS, TENANT),
                {JSON: {"type": "object", "properties": {"stored": COUNT, "failed": COUNT}}},
                self.retry,
                method="POST",
            ),
            Endpoint(
                PATH,
                "Delete dead letters",
                "For good; their bytes stay accounted for as deleted.",
                (_ID, _ALL, TENANT),
                {JSON: {"type": "object", "properties": {"deleted": COUNT}}},
                self.delete,
                method="DELETE",
            ),
        ]

    async def letters(self, arguments: Arguments) -> web.Response:
        now_ns = self._clock.now_ns()
        start_ns, end_ns = arguments.time("start", MIN_NS, now_ns), arguments.time("end", MAX_NS, now_ns)
        limit = arguments.integer("limit", 1000, 0, _MOST) or _MOST
        after = (-1, -1)
        if arguments.text("after"):
            after = self._place(arguments, "after")
        await for_client(arguments.request, self._pipeline.commit_letters())
        found = self._letters.infos(_tenant(arguments), start_ns=start_ns, end_ns=end_ns, after=after, limit=limit)
        following = {"next": found[-1].id} if len(found) == limit else {}
        return web.json_response({"dead_letters": [_shown(info) for info in found], **following})

    async def show(self, arguments: Arguments) -> web.Response:
        self._place(arguments, "id")
        id_ = arguments.text("id")
        await for_client(arguments.request, self._pipeline.commit_letters())
        letter = self._letters.get(id_)
        if letter is None or letter.tenant != _tenant(arguments):
            raise NotFound(f"there is no dead letter {id_}")
        payload = {
            "text": letter.payload.decode(errors="replace"),
            "base64": base64.b64encode(letter.payload).decode(),
        }
        return web.json_response({**_shown(letter), "payload": payload})

    async def retry(self, arguments: Arguments) -> web.Response:
        form = arguments.choice("as", ("", *Format), "")
        await for_client(arguments.request, self._pipeline.commit_letters())
        outcomes: list[Outcome] = []
        for ids in _batches(self._wanted(arguments)):
            # Once it is journaled it is done, whether the client waits for the answer or not.
            redriven = await self._pipeline.redrive(Wish(ids, Format(form) if form else None))
            outcomes += redriven.outcomes
        failed = [{"id": one.id, "error": one.error} for one in outcomes if one.error]
        return web.json_response(
            {
                "stored": len(outcomes) - len(failed),
                "records": sum(one.records for one in outcomes),
                "failed": len(failed),
                "failures": failed[:100],
            }
        )

    async def delete(self, arguments: Arguments) -> web.Response:
        await for_client(arguments.request, self._pipeline.commit_letters())
        ids = [info.id for info in self._wanted(arguments)]
        return web.json_response({"deleted": self._letters.delete(_tenant(arguments), ids, self._clock.now_ns())})

    def _wanted(self, arguments: Arguments) -> list[LetterInfo]:
        """Those of the tenant that are named; raises Reject where one isn't there."""
        every = arguments.choice("all", ("true", "false"), "false") == "true"
        ids = [id_ for id_ in arguments.text("id").split(",") if id_]
        if every == bool(ids):
            raise ParameterError("id", "all of them, or which?", "either id=... or all=true")
        known = {info.id: info for info in self._letters.infos(_tenant(arguments), start_ns=MIN_NS, end_ns=MAX_NS)}
        missing = [id_ for id_ in ids if id_ not in known]
        if missing:
            raise NotFound(f"there is no dead letter {missing[0][:40]}")
        return [known[id_] for id_ in dict.fromkeys(ids)] if ids else list(known.values())

    def _place(self, arguments: Arguments, name: str) -> tuple[int, int]:
        place = place_of(arguments.text(name))
        if place is None:
            raise ParameterError(
                name, f"{arguments.text(name)[:40]!r} will not do", "the id of a dead letter, like 17.0"
            )
        return place


def _batches(letters: list[LetterInfo]) -> list[tuple[str, ...]]:
    batches: list[list[str]] = [[]]
    size = 0
    for letter in letters:
        if batches[-1] and size + letter.size_bytes > _AT_ONCE_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(letter.id)
        size += letter.size_bytes
    return [tuple(ids) for ids in batches if ids]


def _tenant(arguments: Arguments) -> str:
    return arguments.text("tenant", DEFAULT_TENANT)


def _shown(letter: LetterInfo | DeadLetter) -> dict[str, Any]:
    container = context_of(letter).container
    size = letter.size_bytes if isinstance(letter, LetterInfo) else len(letter.payload)
    shown = {
        "id": letter.id,
        "received": rfc3339(letter.received_ns),
        "reason": letter.reason,
        "host": letter.host,
        "source": letter.source,
        "container": container.name if container else "",
        "stream": letter.key,
        "offset": letter.start,
        "end": letter.end,
        "format": letter.format,
        "bytes": size,
        "attempts": letter.attempts,
    }
    return shown | ({"tried": rfc3339(letter.tried_ns)} if letter.tried_ns else {})
