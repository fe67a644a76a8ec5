"""Log lines: one a record, in both forms, without secrets."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator

import pytest

from deckwatch.runtime.logging import LogFormat, LogLevel, LogSettings, setup_logging, without_secrets
from deckwatch.runtime.settings import Secret


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def written(settings: LogSettings, *, name: str = "agent.tail") -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    setup_logging(settings, stream)
    return logging.getLogger(name), stream


def test_json_is_one_object_a_line_with_ecs_names(root: logging.Logger) -> None:
    log, stream = written(LogSettings(format=LogFormat.JSON))
    log.warning("lost\n%s", "it", extra={"lines": 3, "path": "/a b"})
    try:
        int("bad")
    except ValueError:
        log.exception("failed")
    first, second = map(json.loads, stream.getvalue().splitlines())
    want = {"log.level": "warning", "log.logger": "agent.tail", "message": "lost\nit", "lines": 3, "path": "/a b"}
    assert first.pop("@timestamp").endswith("Z")
    assert first == want
    assert second["error.stack_trace"].endswith("invalid literal for int() with base 10: 'bad'")


def test_text_shows_no_control_characters_and_indents_further_lines(root: logging.Logger) -> None:
    log, stream = written(LogSettings(format=LogFormat.TEXT))
    log.warning("lost\n\x1b[31m%s", "it", extra={"lines": 3, "path": "/a b"})
    assert stream.getvalue().endswith('WARNING agent.tail: lost\n    \\x1b[31mit lines=3 path="/a b"\n')
    assert stream.getvalue().count("\n") == 2


@pytest.mark.parametrize("form", [LogFormat.TEXT, LogFormat.JSON])
def test_neither_form_steers_a_terminal_or_fails_over_odd_names(root: logging.Logger, form: LogFormat) -> None:
    log, stream = written(LogSettings(format=form))
    log.warning("\x9b31m \x7f \u2028 \u202e %s", os.fsdecode(b"\xff.log"), extra={"fields": {"name": "\x9b\n"}})
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert not set(text) & set("\x9b\x7f\u2028\u202e")
    text.encode()
    if form is LogFormat.JSON:
        assert json.loads(text)["message"] == "\x9b31m \x7f \u2028 \u202e \ufffd.log"


def test_auto_is_json_where_no_terminal_is_and_levels_hold(root: logging.Logger) -> None:
    log, stream = written(LogSettings(level=LogLevel.ERROR))
    log.warning("quiet")
    log.error("loud")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["loud"]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("POST http://me:hunter2@host/x", "POST http://***@host/x"),
        ("Authorization: Bearer abcDEF123", "Authorization: Bearer ***"),
        ("http://host:80/a@b", "http://host:80/a@b"),
        ("bearer of news", "bearer of news"),
        ("nothing here", "nothing here"),
    ],
)
def test_credentials_give_way(text: str, want: str) -> None:
    assert without_secrets(text) == want


def test_a_secret_never_prints() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "hunter2"
