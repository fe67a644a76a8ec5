from __future__ import annotations

import json

import polars as pl
import pytest

from collector.records import LEVELS, Origin
from collector.search.ecs import ALWAYS, to_documents, to_lines, to_ndjson
from collector.search.fields import public_name
from deckwatch.wire.model import Context
from tests.fixtures.records import SECOND, T0, Line, frame, origin

WEB = origin("web")


def documents(*lines: Line) -> list[dict[str, object]]:
    one = frame(2, (WEB,), lines)
    rows = one.rows.with_columns(seq=pl.lit(9, pl.Int64), ingested=pl.lit(T0 + 1, pl.Int64))
    return to_documents(rows, {0: WEB})


def test_a_whole_document() -> None:
    (document,) = documents(Line("hello", 0.25, level="warn", iostream="stderr", flags=3, start=5))
    container = WEB.context.container
    assert container is not None
    assert document == {
        "@timestamp": "2023-11-14T22:13:20.250000000Z",
        "message": "hello",
        "log.level": "warn",
        "log.iostream": "stderr",
        "log.offset": 5,
        "log.flags": ["partial", "multiline"],
        "log.file.path": "/logs/web.log",
        "host.name": "host-1",
        "container.id": container.id,
        "container.name": "web",
        "container.image.name": "registry.test/web:1.0",
        "container.runtime": "docker",
        "container.labels.app": "web",
        "container.labels.team": "blue",
        "orchestrator.type": "kubernetes",
        "orchestrator.namespace": "shop",
        "orchestrator.resource.name": "web-0",
        "service.name": "web-service",
        "deckwatch.workload": "web",
        "deckwatch.component": "web",
        "deckwatch.stream": WEB.key,
        "deckwatch.tenant": "default",
        "deckwatch.seq": 9,
        "event.ingested": "2023-11-14T22:13:20.000000001Z",
    }


def test_what_scripts_rely_on_is_always_there_and_other_absent_fields_are_left_out() -> None:
    (document,) = documents(Line("hello", iostream=""))
    assert set(ALWAYS) <= document.keys()
    assert {name for name, value in document.items() if value is None} == {"log.level", "log.iostream"}
    assert "log.flags" not in document
    file = Origin("0" * 32, "default", Context("host-1", "/var/log/app.log"))
    (document,) = to_documents(frame(0, (file,), [Line("hello")]).rows, {0: file})
    assert (document["container.id"], document["container.name"], document["host.name"]) == (None, None, "host-1")


def test_rows_of_a_record_frame_have_no_seq() -> None:
    one = frame(2, (WEB,), [Line("hello")])
    (document,) = to_documents(one.rows, {0: WEB})
    assert not {"deckwatch.seq", "event.ingested"} & document.keys()


@pytest.mark.parametrize(
    "message",
    ["", 'quote " back \\ slash', "tab\tnew\nline", "\x00\x01\x1f\x7f", "ümlaut 错误 🚢", "\u2028", "{not json}", '"}'],
)
def test_any_text_survives(message: str) -> None:
    assert documents(Line(message))[0]["message"] == message


def test_fields_of_bodies_stand_under_their_names_unless_they_are_ours() -> None:
    body = {"user": {"name": "ann", "age": 7}, "ok": True, "none": None, "message": "m", "level": "x", "host.name": "y"}
    text = json.dumps(body)
    (document,) = documents(Line(text, level="info", body="json"))
    assert document["message"] == text
    assert document["log.level"] == "info"
    assert document["user.name"] == "ann"
    assert document["user.age"] == 7
    assert document["ok"] is True
    assert "none" not in document
    assert document["body.message"] == "m"
    assert document["body.level"] == "x"
    assert document["body.host.name"] == "y"
    (logfmt,) = documents(Line('status=503 msg="slow answer"', body="logfmt"))
    assert logfmt["msg"] == "slow answer"
    assert str(logfmt["status"]) == "503"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("user.name", "user.name"),
        ("message", "body.message"),
        ("host", "body.host"),  # a short name: host:x in a query means host.name
        ("container.labels.app", "body.container.labels.app"),
        ("body.x", "body.body.x"),
        ("container.cpu", "container.cpu"),
    ],
)
def test_public_names(name: str, shown: str) -> None:
    assert public_name(name) == shown


def test_ndjson_is_the_lines_in_their_order_over_slices() -> None:
    lines = [Line(f"line {n}", n, level=LEVELS[n % 8]) for n in range(20_000)]
    rows = frame(0, (WEB,), lines).rows
    text = to_ndjson(rows, {0: WEB})
    assert [json.loads(line)["message"] for line in text.splitlines()] == [line.message for line in lines]
    assert text.decode() == "\n".join([*to_lines(rows, {0: WEB}), ""])
    assert to_ndjson(rows.clear(), {}) == b""


def test_times_far_away() -> None:
    (document,) = documents(Line("x", at_s=-T0 / SECOND - 1))
    assert document["@timestamp"] == "1969-12-31T23:59:59.000000000Z"
