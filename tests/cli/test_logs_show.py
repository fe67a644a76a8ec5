"""The pure parts of `deckwatch logs`: options to parameters, records to lines, counts to bars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from deckwatch.cli_logs import Wish, checked, explained
from deckwatch.logs.bars import plain_rows, rows_of, terminal_rows
from deckwatch.logs.choice import Choice
from deckwatch.logs.client import AskedWrongly
from deckwatch.logs.show import container_style, harmless, plain_line, source_of, terminal_line
from deckwatch.logs.target import find_target
from deckwatch.runtime.faults import Unusable

RECORD: dict[str, Any] = {
    "@timestamp": "2023-11-14T22:13:20.123456789Z",
    "message": "it failed",
    "log.level": "error",
    "container.name": "web",
    "container.id": "0123456789abcdef",
    "log.file.path": "/var/log/web.log",
    "host.name": "h1",
}


@pytest.mark.parametrize(
    ("choice", "parameters"),
    [
        (Choice(), {}),
        (Choice("a b", since="15m", until="now"), {"query": "a b", "start": "15m", "end": "now"}),
        (Choice(containers=("web",)), {"filter": '(container.name:("web"))'}),
        (Choice(containers=("web", "d*")), {"filter": '(container.name:("web" OR d*))'}),
        (Choice(containers=("a b*",)), {"filter": "(container.name:(a\\ b*))"}),
        (Choice(containers=('q"\\',)), {"filter": '(container.name:("q\\"\\\\"))'}),
        (Choice(containers=("0123abcd",)), {"filter": '(container.name:("0123abcd") OR container.id:0123abcd)'}),
        (Choice(level="warn", tenant="t"), {"filter": "level:>=warn", "tenant": "t"}),
        (
            Choice("x", containers=("w",), level="warn"),
            {"query": "x", "filter": '(container.name:("w")) AND level:>=warn'},
        ),
    ],
)
def test_parameters(choice: Choice, parameters: dict[str, str]) -> None:
    assert choice.parameters() == parameters


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"follow": True, "histogram": True}, "--histogram"),
        ({"follow": True, "context": 2}, "--context"),
        ({"follow": True, "choice": Choice(until="now")}, "--until"),
        ({"follow": True, "limit": 0}, "--since"),
        ({"context": 1, "histogram": True}, "--context"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], problem: str) -> None:
    plain = Wish(Choice(), limit=None, follow=False, context=0, histogram=False, json=False)
    assert checked(plain) is plain
    with pytest.raises(click.UsageError, match=problem):
        checked(msgspec.structs.replace(plain, **options))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            {"error": "')' closes nothing", "parameter": "query", "position": 2, "expected": "a term"},
            "the query can't be read: ')' closes nothing; expected a term\n  a ) b\n    ^",
        ),
        ({"error": "no time", "parameter": "start"}, "--since: no time"),
        ({"error": "no time", "parameter": "end"}, "--until: no time"),
        ({"error": "odd"}, "odd"),
    ],
)
def test_a_refusal_is_explained(body: dict[str, Any], text: str) -> None:
    assert explained(AskedWrongly(body), Choice("a ) b")) == text


# Lines


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({}, "2023-11-14T22:13:20.123Z web error it failed"),
        ({"log.level": None}, "2023-11-14T22:13:20.123Z web - it failed"),
        ({"container.name": None}, "2023-11-14T22:13:20.123Z 0123456789ab error it failed"),
        ({"container.name": None, "container.id": None}, "2023-11-14T22:13:20.123Z web.log error it failed"),
    ],
)
def test_plain_lines(changed: dict[str, Any], line: str) -> None:
    record = {name: value for name, value in {**RECORD, **changed}.items() if value is not None}
    assert plain_line(record) == line


def test_a_record_of_a_host_alone() -> None:
    assert source_of({"host.name": "h1"}) == "h1"


def test_terminal_lines_have_columns_and_colours() -> None:
    line = terminal_line(RECORD)
    assert line.plain[10:] == " " + line.plain[11:23] + f" {'web':24} error  it failed"
    assert line.plain[13:23] == ":13:20.123"[:10]
    styles = {line.plain[span.start : span.end].strip(): str(span.style) for span in line.spans}
    assert styles["error"] == "bold red"
    assert styles["web"] == container_style("web")
    assert str(terminal_line(RECORD, matched=False).spans[-1].style) == "dim"
    long = terminal_line({**RECORD, "container.name": "project-service-with-a-long-name-1"}).plain
    assert "project-ser…ong-name-1" not in long
    assert len(long.split(" error")[0].split(maxsplit=2)[2].rstrip()) == 24
    assert long.split(" error")[0].rstrip().endswith("-long-name-1")


def test_a_container_keeps_its_colour() -> None:
    names = [f"service-{n}" for n in range(50)]
    assert [container_style(name) for name in names] == [container_style(name) for name in names]
    assert len({container_style(name) for name in names}) > 6


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\nnext", "plain\ttext\nnext"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b[2Jgone", "gone"),
        ("a\rb\x07\x00\x9b", "a\ufffdb\ufffd\ufffd\ufffd"),
        ("line\r\n", "line\n"),
        ("user\u202elamron\u2069", "user\ufffdlamron\ufffd"),
    ],
)
def test_messages_do_not_steer_the_terminal(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_names_forge_neither_lines_nor_columns() -> None:
    record = {"@timestamp": "2026-01-31T12:00:00.5Z", "message": "m", "container.name": "a\n2026\tb\x1b[2J"}
    for line in (plain_line(record), terminal_line(record).plain):
        assert "a\ufffd2026\ufffdb" in line
        assert not set(line) & set("\n\t\x1b")


# Histogram


def answer(*counts: tuple[int, str, int]) -> dict[str, Any]:
    buckets = [{"start_ns": at * 10**9, "level": level, "count": count} for at, level, count in counts]
    return {"interval_ns": 10 * 10**9, "buckets": buckets, "count": sum(count for _, _, count in counts)}


def test_bars_fill_what_is_empty() -> None:
    rows = rows_of(answer((0, "info", 40), (0, "error", 20), (30, "", 30)))
    assert plain_rows(rows, width=6) == [
        "1970-01-01T00:00:00Z 60 ######",
        "1970-01-01T00:00:10Z  0",
        "1970-01-01T00:00:20Z  0",
        "1970-01-01T00:00:30Z 30 ###",
    ]
    assert rows_of(answer()) == []
    assert terminal_rows([], 80) == []


def test_very_long_gaps_are_left_out() -> None:
    assert len(rows_of(answer((0, "info", 1), (10**7, "info", 1)))) == 2


def test_bars_on_a_terminal_show_errors_first_and_always() -> None:
    (line,) = terminal_rows(rows_of(answer((0, "info", 9999), (0, "error", 1))), width=60)
    pieces = [(line.plain[span.start : span.end], str(span.style)) for span in line.spans]
    assert pieces[1:] == [("█", "red"), ("█" * (len(pieces[2][0])), "green")]
    assert len(line.plain) <= 60


# Whom to ask


@pytest.mark.parametrize(
    ("option", "variable", "file", "url"),
    [
        ("http://a:1", "http://b:2", "http://c:3", "http://a:1/"),
        (None, "http://b:2", "http://c:3", "http://b:2/"),
        (None, None, "http://c:3\n", "http://c:3/"),
        (None, None, None, "http://127.0.0.1:9428/"),
    ],
)
def test_whom_to_ask(tmp_path: Path, option: str | None, variable: str | None, file: str | None, url: str) -> None:
    environment = {"XDG_STATE_HOME": str(tmp_path)} | ({"DECKWATCH_COLLECTOR": variable} if variable else {})
    if file:
        (tmp_path / "deckwatch").mkdir()
        (tmp_path / "deckwatch" / "address").write_text(file)
    target = find_target(option, None, environment)
    assert str(target.url).rstrip("/") == url.rstrip("/")
    assert target.headers() == {}


@pytest.mark.parametrize("text", ["nonsense", "ftp://x", "http://", "127.0.0.1:9428"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(Unusable, match="expected an address"):
        find_target(text, None, {})


def test_the_token_goes_into_the_header(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t" * 32 + "\n")
    target = find_target("http://a", tmp_path / "token", {})
    assert target.headers() == {"Authorization": "Bearer " + "t" * 32}
    assert "tttt" not in repr(target)
