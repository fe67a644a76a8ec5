"""What clients send to the API -> alerts and silences, checked as Alertmanager does (api/v2, go-openapi)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from alerting.alertmanager.gojson import BadJson, decode
from alerting.notify.alerts import AlertRecord
from alerting.notify.matchers import CLASSIC_NAME
from alerting.notify.message import fingerprint
from alerting.silences.model import Silence
from collector.metrics.selector import Matcher, MatchOp, check_regex
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.times import absolute_span
from deckwatch.wire.model import Labels

_REQUIRED, _TYPE, _TOO_FEW = 602, 601, 612  # go-openapi's codes
_OPS = {
    (False, True): MatchOp.EQUAL,
    (False, False): MatchOp.NOT_EQUAL,
    (True, True): MatchOp.REGEX,
    (True, False): MatchOp.NOT_REGEX,
}


class BadBody(Reject):
    """`code` None: the body of the answer is the text alone."""

    def __init__(self, status: int, problem: str, code: int | None = None) -> None:
        super().__init__(problem)
        self.status = status
        self.code = code


class Posted(msgspec.Struct, frozen=True):
    """Valid alerts are taken, whatever is wrong with others."""

    alerts: tuple[AlertRecord, ...]
    problems: tuple[str, ...]


def read_alerts(
    raw: bytes,
    now_ns: int,
    *,
    resolve_timeout_ns: int,
    utf8_names: bool,
    labels_of: Callable[[Mapping[str, str]], Labels],
) -> Posted:
    """`labels_of`: the labels under which an alert is known here. Raises BadBody where the form of the whole is
    wrong."""
    body = _decoded(raw, "alerts")
    if not isinstance(body, list):
        raise _not("alerts", "an array of alerts")
    given = [_alert_fields(each, place) for place, each in enumerate(body)]
    alerts: list[AlertRecord] = []
    problems: list[str] = []
    for fields in given:
        try:
            alerts.append(_alert(fields, now_ns, resolve_timeout_ns, utf8_names, labels_of))
        except Reject as problem:
            problems.append(str(problem))
    return Posted(tuple(alerts), tuple(problems))


class _AlertFields(msgspec.Struct, frozen=True):
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_ns: int
    ends_ns: int
    generator_url: str


def _alert_fields(each: object, place: int) -> _AlertFields:
    if not isinstance(each, dict):
        raise _not("alerts", "an array of alerts")
    if each.get("labels") is None:
        raise BadBody(422, f"{place}.labels in body is required", _REQUIRED)
    return _AlertFields(
        _texts(each["labels"], "alerts"),
        _texts(each.get("annotations") or {}, "alerts"),
        _time(each.get("startsAt"), "alerts"),
        _time(each.get("endsAt"), "alerts"),
        _text(each.get("generatorURL"), "alerts"),
    )


def _alert(
    fields: _AlertFields,
    now_ns: int,
    resolve_timeout_ns: int,
    utf8_names: bool,
    labels_of: Callable[[Mapping[str, str]], Labels],
) -> AlertRecord:
    """Without a start it starts now, or at its end; without an end it ends after a while unless it comes again."""
    starts_ns = fields.starts_ns or fields.ends_ns or now_ns
    ends_ns = fields.ends_ns or now_ns + resolve_timeout_ns
    if ends_ns < starts_ns:
        raise Reject("start time must be before end time")
    labels = {name: value for name, value in fields.labels.items() if value}
    for names, what in ((labels, "label set"), (fields.annotations, "annotations")):
        for name in names:
            if not name or not (utf8_names or CLASSIC_NAME.fullmatch(name)):
                raise Reject(f'invalid {what}: invalid name "{name}"')
    if not labels:
        raise Reject("at least one label pair required")
    known = labels_of(labels)
    return AlertRecord(
        fingerprint(known),
        known,
        tuple(sorted(fields.annotations.items())),
        starts_ns,
        ends_ns,
        now_ns,
        fields.generator_url,
        timed_out=not fields.ends_ns,
    )


def read_silence(raw: bytes) -> Silence:
    """With the id that it is to replace, or none. Raises BadBody, Reject."""
    body = _decoded(raw, "silence")
    if not isinstance(body, dict):
        raise _not("silence", "a silence")
    for field in ("comment", "createdBy", "endsAt", "matchers", "startsAt"):
        if body.get(field) is None:
            raise BadBody(422, f"{field} in body is required", _REQUIRED)
    if not isinstance(body["matchers"], list):
        raise _not("silence", "an array of matchers")
    if not body["matchers"]:
        raise BadBody(422, "matchers in body should have at least 1 items", _TOO_FEW)
    matchers = [_matcher(each, place) for place, each in enumerate(body["matchers"])]
    return Silence(
        _text(body.get("id"), "silence"),
        tuple(matchers),
        _time(body["startsAt"], "silence"),
        _time(body["endsAt"], "silence"),
        0,
        _text(body["createdBy"], "silence"),
        _text(body["comment"], "silence"),
    )


def _matcher(each: object, place: int) -> Matcher:
    if not isinstance(each, dict):
        raise _not("silence", "an array of matchers")
    for field in ("isRegex", "name", "value"):
        if each.get(field) is None:
            raise BadBody(422, f"matchers.{place}.{field} in body is required", _REQUIRED)
    flags = (each["isRegex"], True if each.get("isEqual") is None else each["isEqual"])
    if not all(isinstance(flag, bool) for flag in flags):
        raise _not("silence", "true or false for isRegex and isEqual")
    matcher = Matcher(_text(each["name"], "silence"), _OPS[flags], _text(each["value"], "silence"))
    if matcher.op in (MatchOp.REGEX, MatchOp.NOT_REGEX):
        try:
            check_regex(matcher.value)
        except Reject as error:
            raise BadBody(400, f"silence invalid: invalid label matcher {place}: {error}") from None
    return matcher


def read_uuid(text: str) -> str:
    """Raises BadBody."""
    try:
        return str(uuid.UUID(text)) if len(text) == 36 else _no_uuid(text)
    except ValueError:
        return _no_uuid(text)


def _no_uuid(text: str) -> str:
    raise BadBody(422, f'silenceID in path must be of type uuid: "{text}"', _TYPE)


def _decoded(raw: bytes, what: str) -> Any:
    try:
        return decode(raw)
    except BadJson as error:
        raise BadBody(400, f'parsing {what} body from "" failed, because {error}', 400) from None


def _not(what: str, expected: str) -> BadBody:
    return BadBody(400, f'parsing {what} body from "" failed, because it is not {expected}', 400)


def _text(value: object, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _not(what, "text where text is expected")
    return value


def _texts(value: object, what: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _not(what, "an object of texts where labels or annotations are expected")
    return {name: _text(text, what) for name, text in value.items()}


def _time(value: object, what: str) -> int:
    """0: none was given; Go's zero time is none."""
    text = _text(value, what)
    if not text or text.startswith("0001-01-01T00:00:00"):
        return 0
    try:
        return absolute_span(text)[0]
    except Reject as error:
        raise BadBody(400, f'parsing {what} body from "" failed, because {error}', 400) from None
