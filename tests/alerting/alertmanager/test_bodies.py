"""What clients may send, and Alertmanager's words for what they may not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from alerting.alertmanager.bodies import BadBody, Posted, read_alerts, read_silence, read_uuid
from alerting.alertmanager.gojson import BadJson, decode
from alerting.notify.matchers import matchers_text

S = 10**9
NOW = 1_700_000_000 * S
AT = "2023-11-14T22:13:20Z"  # now
LATER = "2023-11-14T23:13:20Z"


def read(body: Any, *, utf8_names: bool = False) -> Posted:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_alerts(
        raw,
        NOW,
        resolve_timeout_ns=300 * S,
        utf8_names=utf8_names,
        labels_of=lambda labels: tuple(sorted(labels.items())),
    )


@pytest.mark.parametrize(
    ("times", "starts_s", "ends_s", "timed_out"),
    [
        ({}, 0, 300, True),
        ({"startsAt": LATER}, 3600, 300, True),  # refused: see below
        ({"startsAt": AT, "endsAt": LATER}, 0, 3600, False),
        ({"endsAt": LATER}, 3600, 3600, False),  # it starts at its end
        ({"startsAt": "0001-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00.000Z"}, 0, 300, True),
        ({"startsAt": "2023-11-14T22:13:19.123456789Z"}, -0.876543211, 300, True),
        ({"startsAt": "2023-11-14T23:13:20+01:00"}, 0, 300, True),
        ({"startsAt": None, "endsAt": None}, 0, 300, True),
    ],
)
def test_times(times: dict[str, Any], starts_s: float, ends_s: float, timed_out: bool) -> None:
    posted = read([{"labels": {"a": "1"}, **times}])
    if starts_s > ends_s:
        assert posted.problems == ("start time must be before end time",)
        return
    (alert,) = posted.alerts
    assert (alert.starts_ns - NOW, alert.ends_ns - NOW) == (round(starts_s * S), round(ends_s * S))
    assert alert.timed_out is timed_out


def test_valid_ones_are_taken_whatever_is_wrong_with_others() -> None:
    posted = read(
        [
            {"labels": {"a": "1", "gone": ""}, "annotations": {"x": "y"}, "generatorURL": "http://g", "new": "field"},
            {"labels": {"bad-name": "1"}},
            {"labels": {"a": ""}},
            {"labels": {"b": "1"}, "annotations": {"bad-name": "1"}},
        ]
    )
    (alert,) = posted.alerts
    assert (alert.labels, alert.annotations, alert.generator_url) == ((("a", "1"),), (("x", "y"),), "http://g")
    assert posted.problems == (
        'invalid label set: invalid name "bad-name"',
        "at least one label pair required",
        'invalid annotations: invalid name "bad-name"',
    )


def test_utf8_names_are_a_choice() -> None:
    assert len(read([{"labels": {"http.status": "500"}}], utf8_names=True).alerts) == 1
    assert read([{"labels": {"": "500"}}], utf8_names=True).problems == ('invalid label set: invalid name ""',)


@pytest.mark.parametrize(
    ("body", "status", "code", "problem"),
    [
        (b"{nope", 400, 400, "invalid character 'n' looking for beginning of object key string"),
        (b"", 400, 400, "EOF"),
        (b"[{", 400, 400, "unexpected EOF"),
        (b'[{"labels": {"a": "1}}]', 400, 400, "unexpected EOF"),
        (b"\xff", 400, 400, "invalid UTF-8 in the body"),
        ({}, 400, 400, "it is not an array of alerts"),
        ([1], 400, 400, "it is not an array of alerts"),
        ([{"labels": {"a": 1}}], 400, 400, "it is not text where text is expected"),
        ([{"labels": []}], 400, 400, "it is not an object of texts where labels or annotations are expected"),
        ([{"labels": {"a": "1"}, "startsAt": "soon"}], 400, 400, "'soon' is not a time"),
        ([{"labels": {"a": "1"}}, {"annotations": {}}], 422, 602, "1.labels in body is required"),
        ([{"labels": None}], 422, 602, "0.labels in body is required"),
    ],
)
def test_bodies_that_are_none(body: Any, status: int, code: int, problem: str) -> None:
    with pytest.raises(BadBody) as caught:
        read(body)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert problem in str(caught.value)
    assert str(caught.value).startswith('parsing alerts body from "" failed, because ') is (code == 400)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"{nope", "invalid character 'n' looking for beginning of object key string"),
        (b"[1,]", "invalid character ']' looking for beginning of value"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b"[1 2]", "invalid character '2' after array element or object key:value pair"),
        (b"[] x", "invalid character 'x' after top-level value"),
        (b"nope", "invalid character 'n' looking for beginning of value"),
        (b"[NaN]", "invalid character 'N' looking for beginning of value"),
        (b"['a']", r"invalid character '\'' looking for beginning of value"),
        (b"[" * 100_000, "exceeded max depth"),
        (b'"\\x"', "invalid character 'x' in string escape code"),
    ],
)
def test_words_of_go(text: bytes, problem: str) -> None:
    with pytest.raises(BadJson) as caught:
        decode(text)
    assert str(caught.value) == problem


SILENCE: dict[str, Any] = {
    "matchers": [{"name": "a", "value": "1", "isRegex": False}, {"name": "b", "value": "x|y", "isRegex": True}],
    "startsAt": AT,
    "endsAt": LATER,
    "createdBy": "me",
    "comment": "",
}


def test_a_silence() -> None:
    made = read_silence(json.dumps({**SILENCE, "id": "x"}).encode())
    assert (made.id, matchers_text(made.matchers), made.created_by, made.comment) == ("x", '{a="1",b=~"x|y"}', "me", "")
    assert (made.starts_ns, made.ends_ns) == (NOW, NOW + 3600 * S)
    negative = [{"name": "a", "value": "1", "isRegex": True, "isEqual": False}]
    assert matchers_text(read_silence(json.dumps({**SILENCE, "matchers": negative}).encode()).matchers) == '{a!~"1"}'


@pytest.mark.parametrize(
    ("change", "status", "code", "problem"),
    [
        ({"matchers": None}, 422, 602, "matchers in body is required"),
        ({"matchers": []}, 422, 612, "matchers in body should have at least 1 items"),
        ({"comment": None}, 422, 602, "comment in body is required"),
        ({"createdBy": None}, 422, 602, "createdBy in body is required"),
        ({"startsAt": None}, 422, 602, "startsAt in body is required"),
        ({"endsAt": None}, 422, 602, "endsAt in body is required"),
        ({"matchers": [{"name": "a", "isRegex": False}]}, 422, 602, "matchers.0.value in body is required"),
        ({"matchers": [{"name": "a", "value": "1"}]}, 422, 602, "matchers.0.isRegex in body is required"),
        ({"matchers": [{"name": "a", "value": "1", "isRegex": "no"}]}, 400, 400, "true or false"),
        ({"matchers": [{"name": "a", "value": "(", "isRegex": True}]}, 400, None, "invalid label matcher 0: "),
        ({"matchers": {}}, 400, 400, "an array of matchers"),
        ({"matchers": [1]}, 400, 400, "an array of matchers"),
    ],
)
def test_what_is_no_silence(change: dict[str, Any], status: int, code: int | None, problem: str) -> None:
    with pytest.raises(BadBody) as caught:
        read_silence(json.dumps({**SILENCE, **change}).encode())
    assert (caught.value.status, caught.value.code) == (status, code)
    assert problem in str(caught.value)


@pytest.mark.parametrize("text", ["nope", "", "{713bb4b1-4ef5-46be-97d9-e1548d5cdd0a}", "x" * 36])
def test_what_is_no_uuid(text: str) -> None:
    with pytest.raises(BadBody, match="must be of type uuid") as caught:
        read_uuid(text)
    assert (caught.value.status, caught.value.code) == (422, 601)
