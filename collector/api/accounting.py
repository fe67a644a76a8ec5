"""`/api/v1/gaps`, `/api/v1/accounting`, `/api/v1/verify`: what is missing, the account of every byte, and its proof.

All three answer NDJSON, one document a line, under ECS names where there are any.
"""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from collector.accounting.gaps import Gaps
from collector.accounting.ledger import Ledger
from collector.accounting.runs import size
from collector.accounting.verify import Looked, Missing, StreamVerdict, Verdict, Verifier
from collector.api.connection import for_client, pages_for_client
from collector.api.endpoint import NDJSON, Arguments, Endpoint, Parameter, ParameterError
from collector.api.log_schema import FILTER, QUERY, TENANT, time_range
from collector.search.fields import origin_fields
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.times import MAX_NS, MIN_NS, rfc3339
from deckwatch.wire.model import DEFAULT_TENANT, Format

_INTEGER = {"type": "integer"}
_SINCE = Parameter("start", "Only what was noticed since then.", time_range("all times")[0].schema)
_GAP: dict[str, Any] = {
    "type": "object",
    "description": "A stretch of a log that is declared lost; `@timestamp` is when it was noticed. Lines of the time "
    "from `deckwatch.gap.after` (null: not known) to then may be missing.",
    "required": ["@timestamp", "deckwatch.stream", "deckwatch.gap.reason", "deckwatch.gap.start", "deckwatch.gap.end"],
    "properties": {
        "deckwatch.gap.start": _INTEGER,
        "deckwatch.gap.end": {"type": ["integer", "null"], "description": "null: nobody can know it."},
        "deckwatch.gap.bytes": {"type": ["integer", "null"]},
        "deckwatch.gap.reason": {"type": "string"},
        "deckwatch.gap.kind": {"enum": ["log", "samples"]},
        "deckwatch.gap.expected": {"type": "boolean", "description": "Somebody has configured it: nothing is lost."},
    },
}
_ACCOUNT: dict[str, Any] = {
    "type": "object",
    "description": "The account of one stream in bytes; offset - since = stored + open + dead_letters + dropped + "
    "lost + unaccounted, and admitted = offset - since - what the agent declared lost.",
    "required": ["deckwatch.stream", "balanced", "offset", "admitted", "stored", "unaccounted", "records"],
    "properties": dict.fromkeys(("offset", "since", "admitted", "stored", "open", "dead_letters"), _INTEGER),
}
_VERDICT: dict[str, Any] = {
    "type": "object",
    "description": "A verdict on one stream; lines with the only key `deckwatch.progress` stand before them, one with "
    "the only key `deckwatch.verified` at the end: without it the answer was cut short.",
}


class AccountingApi:
    def __init__(self, gaps: Gaps, verifier: Verifier, clock: Clock) -> None:
        self._gaps = gaps
        self._verifier = verifier
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "/api/v1/gaps",
                "Declared gaps",
                "NDJSON, one gap a line, in the order in which they came. The query chooses streams; what it says "
                "about levels and messages does not matter here.",
                (QUERY, FILTER, *time_range("all times"), TENANT),
                {NDJSON: _GAP},
                self.gaps,
            ),
            Endpoint(
                "/api/v1/accounting",
                "The account of every stream",
                "NDJSON, one stream a line: bytes and records that came, and what became of them.",
                (QUERY, FILTER, TENANT),
                {NDJSON: _ACCOUNT},
                self.accounting,
            ),
            Endpoint(
                "/api/v1/verify",
                "Prove that everything is there",
                "Reads every segment anew, compares its rows with the account, and says of each stream what is missing "
                "or there twice. NDJSON.",
                (QUERY, FILTER, _SINCE, TENANT),
                {NDJSON: _VERDICT},
                self.verify,
            ),
        ]

    async def gaps(self, arguments: Arguments) -> web.Response:
        now_ns = self._clock.now_ns()
        start_ns, end_ns = arguments.time("start", MIN_NS, now_ns), arguments.time("end", MAX_NS, now_ns)
        if end_ns < start_ns:
            raise ParameterError("end", "lies before start", f"a time after {rfc3339(start_ns)}")
        tenant, query = arguments.text("tenant", DEFAULT_TENANT), arguments.query(now_ns)
        work = self._gaps.matching(tenant, query, start_ns, end_ns)
        found = await for_client(arguments.request, work)
        return web.Response(body=b"".join(_line(view.document()) for view in found), content_type=NDJSON)

    async def accounting(self, arguments: Arguments) -> web.Response:
        tenant, query = arguments.text("tenant", DEFAULT_TENANT), arguments.query(self._clock.now_ns())
        accounts = await for_client(arguments.request, self._verifier.accounts(tenant, query))
        lines = [_line(_account(verdict)) for verdict in accounts]
        return web.Response(body=b"".join(lines), content_type=NDJSON)

    async def verify(self, arguments: Arguments) -> web.StreamResponse:
        tenant, query = arguments.text("tenant", DEFAULT_TENANT), arguments.query(self._clock.now_ns())
        since_ns = arguments.time("start", MIN_NS, self._clock.now_ns())
        steps = pages_for_client(arguments.request, self._verifier.verify(tenant, query, since_ns))
        first = await anext(steps)  # a fault before it is an answer of its own
        response = web.StreamResponse(headers={"Content-Type": NDJSON})
        await response.prepare(arguments.request)
        await response.write(_line(_step(first)))
        async for step in steps:
            await response.write(_line(_step(step)))
        await response.write_eof()
        return response


def _line(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document) + b"\n"


def _step(step: Looked | StreamVerdict | Verdict) -> dict[str, Any]:
    match step:
        case Looked(segments, of):
            return {"deckwatch.progress": {"segments": segments, "of": of}}
        case StreamVerdict():
            return _account(step) | {
                "complete": step.complete,
                "repeated_records": step.repeated_records,
                "missing": [_missing(one) for one in step.missing],
            }
        case Verdict(streams, incomplete, segments, seq, unknown):
            return {
                "deckwatch.verified": {
                    "streams": streams,
                    "incomplete": incomplete,
                    "segments": segments,
                    "unaccounted_segments": unknown,
                    "deckwatch.seq": seq,
                }
            }


def _account(verdict: StreamVerdict) -> dict[str, Any]:
    return {
        "deckwatch.stream": verdict.key,
        **origin_fields(verdict.origin),
        "kind": "samples" if verdict.format is Format.FRAMES else "log",
        "durable": verdict.durable,
        **_figures(verdict.ledger),
    }


def _figures(ledger: Ledger) -> dict[str, Any]:
    return {
        "balanced": ledger.balanced,
        "offset": ledger.offset,
        "since": ledger.since,
        "admitted": ledger.admitted,
        "stored": ledger.stored,
        "open": ledger.open,
        "dead_letters": ledger.dead_letters,
        "dropped": ledger.dropped,
        "lost": ledger.lost,
        "open_ended_gaps": ledger.open_ended_gaps,
        "unaccounted": size(ledger.unaccounted),
        "not_admitted": ledger.not_admitted,
        "records": ledger.records,
        "lines": ledger.lines,
        "found_records": ledger.found_records,
        "dropped_records": ledger.dropped_records,
        "aside_records": ledger.aside_records,
        "missing_records": ledger.missing_records,
    }


def _missing(one: Missing) -> dict[str, Any]:
    return {
        "start": one.start,
        "end": one.end,
        "reason": one.reason,
        "detail": one.detail,
        "after": None if one.after_ns is None else rfc3339(one.after_ns),
        "noticed": None if one.noticed_ns is None else rfc3339(one.noticed_ns),
        "expected": one.expected,
    }
