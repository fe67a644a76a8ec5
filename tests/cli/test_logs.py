"""`deckwatch logs` as a process of its own against a collector's API over real HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from collector.api.logs import LogApi
from deckwatch.runtime.clock import SystemClock
from tests.fixtures.memory_store import MemoryStore
from tests.fixtures.records import Line, frame, origin

WEB, DB = origin("web"), origin("db")
T = TypeVar("T")


class Collector:
    """The log API in a thread with a loop of its own, on a port that it keeps over `stop()` and `start()`."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.port = 0
        self.token = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def append(self, seq: int, *lines: Line) -> None:
        async def consume() -> None:
            self.store.consume(frame(seq, (WEB, DB), lines))

        self.call(consume())

    def start(self) -> None:
        self.call(self._start())

    async def _start(self) -> None:
        self._api = LogApi(self.store, clock=SystemClock(), registry=CollectorRegistry())

        @web.middleware
        async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
            if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
                return web.json_response({"deckwatch": 1, "error": "unauthorized", "detail": ""}, status=401)
            answer: web.StreamResponse = await handler(request)
            return answer

        app = web.Application(middlewares=[guard])
        app.add_routes(self._api.routes())
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    def stop(self) -> None:
        async def stop() -> None:
            self._api.close()
            await self._runner.cleanup()

        self.call(stop())

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.close()


def environment(collector: Collector) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("DECKWATCH_", "NO_COLOR", "FORCE_"))
    }
    return {**kept, "DECKWATCH_COLLECTOR": collector.url}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "deckwatch.cli", "logs", *arguments]


def logs(collector: Collector, *arguments: str, code: int = 0) -> str:
    """What it writes: stdout where it worked, else stderr."""
    done = subprocess.run(command(*arguments), env=environment(collector), capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def messages(text: str) -> list[str]:
    return [line.split(maxsplit=3)[3] for line in text.splitlines()]


def test_the_newest_records_oldest_first(collector: Collector) -> None:
    collector.append(0, *(Line(f"line {n}", n, n % 2, "info") for n in range(30)))
    assert logs(collector, "-n", "3").splitlines() == [
        "2023-11-14T22:13:47.000Z db info line 27",
        "2023-11-14T22:13:48.000Z web info line 28",
        "2023-11-14T22:13:49.000Z db info line 29",
    ]
    assert messages(logs(collector, "--limit", "0")) == [f"line {n}" for n in range(30)]
    assert messages(logs(collector, "--container", "web", "-n", "2")) == ["line 26", "line 28"]
    assert messages(logs(collector, "line", "28")) == ["line 28"]
    assert messages(logs(collector, "--since", "2023-11-14T22:13:45Z", "--until", "1700000027")) == [
        "line 25",
        "line 26",
    ]


def test_levels_and_json(collector: Collector) -> None:
    collector.append(0, Line("a", 0, level="warn"), Line("b", 1, level="fatal"), Line("c", 2, level="info"))
    assert messages(logs(collector, "--level", "warn")) == ["a", "b"]
    records = [json.loads(line) for line in logs(collector, "--json").splitlines()]
    assert [record["message"] for record in records] == ["a", "b", "c"]
    assert records[0]["container.name"] == "web"


def test_context(collector: Collector) -> None:
    collector.append(0, *(Line(f"line {n}", n, n % 2) for n in range(40)))
    text = logs(collector, "20 OR 30 OR 32", "--context", "1")
    assert [line.split(maxsplit=3)[-1] for line in text.splitlines()] == [
        *("line 18", "line 20", "line 22", "--", "line 28", "line 30", "line 32", "line 34"),
    ]
    assert logs(collector, "20 OR 30 OR 32", "-C", "1", "--limit", "0") == text


def test_histogram(collector: Collector) -> None:
    collector.append(0, *(Line("x", n, level="error") for n in range(20)))
    asked = ("--histogram", "--since", "1700000000", "--until", "1700000600")
    assert logs(collector, *asked) == (
        "2023-11-14T22:13:20Z 10 " + "#" * 60 + "\n2023-11-14T22:13:30Z 10 " + "#" * 60 + "\n"
    )
    assert json.loads(logs(collector, *asked, "--json"))["count"] == 20


# Faults


def test_a_query_that_does_not_parse(collector: Collector) -> None:
    assert logs(collector, "level:error AND )", code=2) == (
        "deckwatch: the query can't be read: ')' closes nothing; expected an operator, a term, or the end\n"
        "  level:error AND )\n"
        "                  ^\n"
    )


def test_options_that_will_not_do(collector: Collector) -> None:
    assert "--since" in logs(collector, "--since", "yesterday", code=2)
    assert "--histogram" in logs(collector, "-f", "--histogram", code=2)
    assert "No such option" in logs(collector, "--contxt", "3", code=2)


def test_no_collector_is_one_clear_line(collector: Collector) -> None:
    collector.stop()
    for arguments in ([], ["-f"], ["--histogram"]):
        text = logs(collector, *arguments, code=1)
        assert f"can't reach the collector at {collector.url}" in text
        assert "Connection refused" in text
        assert len(text.splitlines()) == 1
    collector.start()


def test_a_token_is_asked_for(collector: Collector, tmp_path: Path) -> None:
    collector.token = "s" * 32
    collector.append(0, Line("hello"))
    assert "--token-file" in logs(collector, code=2)
    (tmp_path / "token").write_text(collector.token)
    assert messages(logs(collector, "--token-file", str(tmp_path / "token"))) == ["hello"]


def test_something_else_answers(collector: Collector) -> None:
    assert "no Deckwatch collector" in logs(collector, "--collector", f"{collector.url}/elsewhere", code=2)


def test_a_reader_that_has_enough(collector: Collector) -> None:
    collector.append(0, *(Line(f"{n} " + "x" * 500, n) for n in range(3000)))
    line = " ".join([*command("-n", "0"), "|", "head", "-n", "1"])
    done = subprocess.run(line, shell=True, env=environment(collector), capture_output=True, text=True, timeout=60)
    assert messages(done.stdout)[0].startswith("0 x")
    assert done.stderr == ""


def test_on_a_terminal_there_are_colours_and_no_foreign_escapes(collector: Collector) -> None:
    collector.append(0, Line("\x1b[2Jboom\x07", level="error"), Line("fine", 1, 1, "info"))
    ours, theirs = os.openpty()
    environ = {**environment(collector), "TERM": "xterm-256color", "COLUMNS": "100"}
    process = subprocess.Popen(command("-n", "2"), env=environ, stdout=theirs, stderr=theirs)
    assert process.wait(30) == 0
    os.close(theirs)
    text = os.read(ours, 65536).decode()
    os.close(ours)
    assert "\x1b[1;31merror" in text
    assert "boom\ufffd" in text
    assert "\x1b[2J" not in text
    assert len(text.splitlines()) == 2


def on_a_terminal(collector: Collector, *arguments: str) -> str:
    """What a terminal shows, line ends as they are in text."""
    ours, theirs = os.openpty()
    environ = {**environment(collector), "TERM": "dumb", "COLUMNS": "100", "TZ": "UTC"}
    process = subprocess.Popen(command(*arguments), env=environ, stdout=theirs, stderr=theirs)
    assert process.wait(30) == 0
    os.close(theirs)
    text = os.read(ours, 65536).decode()
    os.close(ours)
    return text.replace("\r\n", "\n")


def test_where_nothing_matched_it_says_where_it_looked_and_what_is_near(collector: Collector) -> None:
    collector.append(0, Line("hello", level="info"), Line("bye", 1, 1))
    old = on_a_terminal(collector, "hello", "--since", "1h")
    assert "nothing matched since 1h; 0 records were searched" in old
    assert re.search(r"the newest match is of \d+ days ago \(2023-11-14 22:13:20\): --since \d+d shows it", old)
    never = on_a_terminal(collector, "nonsense", "--container", "db")
    assert "nothing matched; " in never
    assert re.search(r"the newest line of db is of \d+ days ago \(2023-11-14 22:13:21\)", never)
    assert "there is no line of wbe at any time" in on_a_terminal(collector, "--container", "wbe")
    assert "nothing matched" not in on_a_terminal(collector, "hello")


def test_an_empty_collector_is_told(collector: Collector) -> None:
    assert "the collector has no records at all" in on_a_terminal(collector)


def test_notices_go_to_stderr_wherever_it_leads(collector: Collector) -> None:
    collector.append(0, Line('{"status":500}', body="json"))
    done = subprocess.run(
        command("Status:500"), env=environment(collector), capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == ""
    told = (
        "no record in this range has a field 'Status'; there is status; to find it as text, quote it: \"Status:500\"\n"
    )
    assert done.stderr == told


# Following


_INTERRUPTIBLE = """
import signal
from deckwatch.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell inherits that it is ignored
main()
"""


class Follower:
    """`deckwatch logs --follow` as a child; its output is read by a thread."""

    def __init__(self, collector: Collector, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _INTERRUPTIBLE, "logs", "--follow", *arguments],
            env=environment(collector),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._threads = [
            threading.Thread(target=self._read, args=(self._process.stdout, self.lines), daemon=True),
            threading.Thread(target=self._read, args=(self._process.stderr, self.errors), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _read(stream: Any, lines: list[str]) -> None:
        for line in stream:
            lines.append(line.rstrip("\n"))

    def wait(self, condition: Callable[[], bool], why: str) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, f"{why}: {self.lines[-3:]} {self.errors}"
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever the test came to: no process stays."""
        self._process.kill()
        self._process.wait(20)
        for thread in self._threads:
            thread.join(10)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def interrupt(self) -> int:
        self._process.send_signal(signal.SIGINT)
        code = self._process.wait(20)
        for thread in self._threads:
            thread.join(10)
        return code


def test_follow_shows_the_last_lines_and_what_arrives_and_ends_quietly(collector: Collector) -> None:
    collector.append(0, *(Line(f"old {n}", n) for n in range(30)))
    with Follower(collector) as follower:
        follower.wait(lambda: len(follower.lines) == 10, "the last ten lines")
        collector.append(1, Line("new", 100, level="error"))
        follower.wait(lambda: len(follower.lines) == 11, "the new line")
        assert messages("\n".join(follower.lines)) == [f"old {n}" for n in range(20, 30)] + ["new"]
        assert follower.interrupt() == 130
        assert "".join(follower.errors) == ""  # but for the line break behind the terminal's ^C


def test_follow_with_a_query_and_since(collector: Collector) -> None:
    collector.append(0, *(Line(f"old {n}", n, n % 2) for n in range(50)))
    with Follower(collector, "--container", "web", "--since", "1700000030") as follower:
        follower.wait(lambda: len(follower.lines) == 10, "what is there")
        collector.append(1, Line("not this", 0, 1), Line("this", 0, 0))
        follower.wait(
            lambda: len(follower.lines) == 11, "the new line"
        )  # of an older time: --since is about what was there
        assert messages("\n".join(follower.lines))[-2:] == ["old 48", "this"]
        follower.interrupt()


def test_follow_over_lost_connections_loses_and_repeats_nothing(collector: Collector) -> None:
    collector.append(0, Line("0"))
    with Follower(collector, "-n", "0", "--json", "--since", "1970-01-01") as follower:
        follower.wait(lambda: bool(follower.lines), "the first line")
        for seq in range(1, 41):
            collector.append(seq, *(Line(str(20 * (seq - 1) + n)) for n in range(1, 21)))
            if seq in (10, 20, 30):
                collector.stop()
                lost = seq // 10
                follower.wait(partial(tells, follower, "connection lost", lost), "the loss")
                collector.start()
                follower.wait(partial(tells, follower, "connected again", lost), "the new connection")
        follower.wait(lambda: len(follower.lines) >= 801, "all lines")
        assert follower.interrupt() == 130
        assert [int(json.loads(line)["message"]) for line in follower.lines] == list(range(801))
        assert tells(follower, "connection lost", 3)


def tells(follower: Follower, text: str, times: int) -> bool:
    return sum(text in line for line in follower.errors) == times
