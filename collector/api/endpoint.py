"""One HTTP endpoint as a value: its path, what it takes, what it answers. The router and the OpenAPI document are both
made from it, so they can't differ. Answers of faults are JSON: {"error", "parameter", "position", "expected",
"suggestion"}."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from collector.search.faults import QueryError
from collector.search.language import parse
from collector.search.query import Query, both
from deckwatch.runtime.faults import Reject, Retry
from deckwatch.runtime.times import duration_ns, time_ns

NDJSON = "application/x-ndjson"
JSON = "application/json"
EVENTS = "text/event-stream"
_CLIENT_GONE = 499  # nginx's code
_MOST_BODY_BYTES = 1 << 20

T = TypeVar("T", bound=msgspec.Struct)


class Parameter(msgspec.Struct, frozen=True):
    name: str
    description: str
    schema: Mapping[str, Any] = msgspec.field(default_factory=lambda: {"type": "string"})
    place: str = "query"  # or header, path
    required: bool = False


class Endpoint(msgspec.Struct, frozen=True):
    """`answers` maps media types to the schema of the answer."""

    path: str
    summary: str
    description: str
    parameters: tuple[Parameter, ...]
    answers: Mapping[str, Mapping[str, Any]]
    handler: Callable[[Arguments], Awaitable[web.StreamResponse]]
    method: str = "GET"
    body: type[msgspec.Struct] | None = None  # of the request, as JSON

    def route(self) -> web.RouteDef:
        return web.route(self.method, self.path, self.handle)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self.handler(Arguments(request, self.parameters))
        except Reject as fault:
            return _refusal(fault)
        except Retry as fault:
            wait = {} if fault.after_s is None else {"Retry-After": str(max(1, round(fault.after_s)))}
            return web.json_response({"error": str(fault)}, status=503, headers=wait)
        except ConnectionResetError:
            return web.Response(status=_CLIENT_GONE)  # for the access log: nobody reads it


class ParameterError(Reject):
    def __init__(self, name: str, problem: str, expected: str, suggestion: str = "") -> None:
        hint = f"; did you mean {suggestion}?" if suggestion else ""
        super().__init__(f"parameter {name}: {problem}; expected {expected}{hint}")
        self.name = name
        self.expected = expected
        self.suggestion = suggestion


class QueryParameterError(Reject):
    def __init__(self, name: str, fault: QueryError) -> None:
        super().__init__(str(fault))
        self.name = name
        self.fault = fault


class NotFound(Reject):
    """Nothing is there: 404."""


class Conflict(Reject):
    """What is there is not in a state for this: 409."""


class Arguments:
    """What a request gives for an endpoint's parameters. Reading raises Reject; an empty value is as good as none."""

    def __init__(self, request: web.Request, parameters: Sequence[Parameter]) -> None:
        self.request = request
        known = [parameter.name for parameter in parameters if parameter.place == "query"]
        for name in request.query:
            if name not in known:
                near = next(iter(difflib.get_close_matches(name, known, n=1)), "")
                raise ParameterError(name, "is not known here", f"one of {', '.join(known)}", near)

    def text(self, name: str, default: str = "") -> str:
        return self.request.query.get(name, "") or default

    def path(self, name: str) -> str:
        return self.request.match_info[name]

    async def body(self, form: type[T]) -> T:
        """The request's JSON; no body at all is an empty object. Raises ParameterError."""
        raw = await self.request.read()
        if len(raw) > _MOST_BODY_BYTES:
            raise ParameterError("body", f"{len(raw)} bytes are too many", f"at most {_MOST_BODY_BYTES}")
        try:
            return msgspec.json.decode(raw or b"{}", type=form)
        except msgspec.DecodeError as error:
            known = ", ".join(field.encode_name for field in msgspec.structs.fields(form))
            raise ParameterError("body", str(error), f"a JSON object with the fields {known}") from None

    def integer(self, name: str, default: int | None, least: int, most: int) -> int:
        text = self.text(name)
        if not text and default is not None:
            return default
        if not text.lstrip("-").isdecimal() or not text.isascii() or not least <= int(text[:20]) <= most:
            raise ParameterError(name, f"{text[:40]!r} will not do", f"a whole number from {least} to {most}")
        return int(text)

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        text = self.text(name, default)
        if text not in choices:
            raise ParameterError(name, f"{text[:40]!r} will not do", f"one of {', '.join(choices)}")
        return text

    def time(self, name: str, default_ns: int, now_ns: int) -> int:
        text = self.text(name)
        try:
            return time_ns(text, now_ns) if text else default_ns
        except Reject as fault:
            problem, _, expected = str(fault).partition(": expected ")
            raise ParameterError(name, problem, expected or "a time") from None

    def duration(self, name: str, default_ns: int) -> int:
        text = self.text(name)
        try:
            value = duration_ns(text) if text else default_ns
        except Reject as fault:
            problem, _, expected = str(fault).partition(": ")
            raise ParameterError(name, problem, expected) from None
        if value <= 0:
            raise ParameterError(name, f"{text!r} is no length of time", "more than 0")
        return value

    def query(self, now_ns: int) -> Query:
        """What must match `query` and `filter`."""
        return both(self._parsed("query", now_ns), self._parsed("filter", now_ns))

    def _parsed(self, name: str, now_ns: int) -> Query:
        try:
            return parse(self.text(name), now_ns)
        except QueryError as fault:
            raise QueryParameterError(name, fault) from None


def _refusal(fault: Reject) -> web.Response:
    body: dict[str, Any] = {"error": str(fault)}
    match fault:
        case QueryParameterError():
            wrong = fault.fault
            body = {"error": wrong.problem, "parameter": fault.name, "position": wrong.position}
            body |= {"expected": wrong.expected} if wrong.expected else {}
            body |= {"suggestion": wrong.suggestion} if wrong.suggestion else {}
        case ParameterError():
            body |= {"parameter": fault.name, "expected": fault.expected}
            body |= {"suggestion": fault.suggestion} if fault.suggestion else {}
    status = 404 if isinstance(fault, NotFound) else 409 if isinstance(fault, Conflict) else 400
    return web.json_response(body, status=status)
