"""What becomes one record of several lines, as a table of records; caps; both iostreams at once."""

from __future__ import annotations

import pytest

from collector.parse.settings import JoinSettings, ParseSettings
from collector.records import FLAG_MULTILINE, FLAG_PARTIAL
from deckwatch.wire.model import Format
from tests.collector.parse.feeding import Feed, docker, docker_lines, messages, parse_all

JAVA = """\
2026-01-01 00:00:00,000 ERROR [main] com.acme.App - order failed
java.lang.IllegalStateException: no order
\tat com.acme.App.find(App.java:10)
\tat com.acme.App.main(App.java:5)
\tSuppressed: java.io.IOException: closed
\t\tat com.acme.App.close(App.java:7)
Caused by: java.sql.SQLException: timeout
\tat com.acme.Db.get(Db.java:3)
\t... 2 more"""
UNCAUGHT = """\
Exception in thread "main" java.lang.Error: x
\tat com.acme.App.main(App.java:5)"""
PYTHON = """\
Traceback (most recent call last):
  File "/app/a.py", line 3, in f
    return g(x)[0]
           ^^^^
KeyError: 0

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/a.py", line 5, in f
    raise ValueError("no")
ValueError: no"""
LOGGED = "ERROR:root:job failed\n" + PYTHON
INTERRUPTED = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\nKeyboardInterrupt'
GO = """\
panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.(*Handler).ServeHTTP(0xc000010000, {0x1, 0x2})
\t/src/main.go:12 +0x1d
main.main()
\t/src/main.go:5 +0x18
created by net/http.(*Server).Serve in goroutine 1
\t/usr/local/go/src/net/http/server.go:3285 +0x4b4

goroutine 18 [chan receive]:
runtime.gopark(...)
\t/usr/local/go/src/runtime/proc.go:1
exit status 2"""
SEGFAULT = """\
panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1]

goroutine 1 [running]:
main.main()
\t/src/main.go:5 +0x18"""
SERVED = """\
2026/01/01 00:00:00 http: panic serving 10.0.0.1:5: boom
goroutine 20 [running]:
net/http.(*conn).serve.func1()
\t/usr/local/go/src/net/http/server.go:1"""
DOTNET = """\
fail: Acme.Shop[0]
      An unhandled exception has occurred.
      System.InvalidOperationException: x
         at Acme.Shop.Find() in /src/Shop.cs:line 3
      --- End of stack trace from previous location ---
         at Acme.Shop.Main()"""
UNHANDLED = """\
Unhandled exception. System.Exception: x
   at Acme.Program.Main()
--- End of stack trace from previous location ---
   at Acme.Program.Run()"""
NODE = """\
TypeError: Cannot read properties of undefined (reading 'x')
    at Shop.load (/app/shop.js:3:5)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)"""
RUBY = """\
/app/a.rb:3:in `find': no order (ArgumentError)
\tfrom /app/a.rb:9:in `<main>'"""
RUST = """\
thread 'main' panicked at src/main.rs:2:5:
index out of bounds: the len is 3 but the index is 5
stack backtrace:
   0: rust_begin_unwind
             at /rustc/1/library/std/src/panicking.rs:1:5
   1: app::main
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace."""
OLD_RUST = """\
thread 'main' panicked at 'explicit panic', src/main.rs:2:5
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace"""
CHAINED_JAVA = """\
ERROR order failed
java.lang.RuntimeException: x
\tat com.acme.App.f(App.java:1)
\t... 12 more
\tSuppressed: java.io.IOException: y
\t\tat com.acme.App.close(App.java:2)
Caused by: java.sql.SQLException: z
\tat com.acme.Db.g(Db.java:3)
\t... 13 common frames omitted"""
PRETTY = """\
config:
  port: 80
\thost: x"""


@pytest.mark.parametrize(
    "records",
    [
        [JAVA, "next"],
        ["before", UNCAUGHT, "next"],
        ["INFO starting", "java.lang.IllegalStateException: by itself\n\tat com.acme.App.f(App.java:1)", "next"],
        ["before", PYTHON, "next"],
        [LOGGED, "INFO:root:next"],
        [INTERRUPTED, "next"],
        ["INFO x", PYTHON + "\n", "2026-01-01 00:00:00 next"],  # an empty line behind a traceback belongs to it
        ["before", GO, "next"],
        [SEGFAULT, "next"],
        [SERVED, "2026/01/01 00:00:01 http: next"],
        [DOTNET, "info: Acme.Shop[0]"],
        ["before", UNHANDLED, "next"],
        [NODE, NODE, "next"],
        [RUBY, "next"],
        ["before", RUST, "next"],
        [OLD_RUST, "next", "note: run with care"],
        ["thread 'main' started", "next"],
        ["before", CHAINED_JAVA, "next"],
        [PRETTY, "next"],
        ['{\n  "a": [\n    1\n  ]\n}', "foo({\n  a: 1\n});", "x", "}", "} x", "];"],
        ["1 one", "2 two", "3 three", "Error: x", "5 five", "6 at six"],
        ["ERROR one", "ERROR two", "INFO x", "ValueError: y", "KeyError: z"],
        ["ERROR one\nValueError: its exception", "ValueError: another"],
        ["", "", "a", ""],
        ['{"level":"error"}', "\tat com.acme.App.f(App.java:1)", "x"],  # nothing goes on with a JSON object
        ["Traceback (most recent call last):", "2026-01-01 00:00:00 INFO interrupted", "x"],
        ["goroutine 7 [running]:\nmain.main()\n\t/src/main.go:1", "next (not a call)"],
        ["created by hand", "exit status 1", "main.main()", "[signal x"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("fmt", [Format.DOCKER_JSON, Format.PLAIN, Format.CRI])
def test_records_of_lines(records: list[str], fmt: Format) -> None:
    lines = "\n".join(records).split("\n")
    if fmt is Format.DOCKER_JSON:
        data = docker_lines(*lines)
    elif fmt is Format.CRI:
        data = "".join(f"2026-01-01T00:00:00Z stdout F {line}\n" for line in lines).encode()
    else:
        data = "".join(line + "\n" for line in lines).encode()
    found = parse_all(data, fmt)
    assert messages(found) == records
    assert [bool(record.flags & FLAG_MULTILINE) for record in found] == ["\n" in text for text in records]
    assert [record.start for record in found] == [0, *(record.end for record in found[:-1])]
    assert found[-1].end == len(data)


def test_two_iostreams_do_not_mix() -> None:
    out, err = NODE.split("\n"), JAVA.split("\n")
    data = b""
    for n in range(max(len(out), len(err))):
        data += docker(err[n] + "\n", "stderr") if n < len(err) else b""
        data += docker(out[n] + "\n", "stdout") if n < len(out) else b""
    records = parse_all(data)
    assert [(r.iostream, r.message, r.level) for r in records] == [("stderr", JAVA, "error"), ("stdout", NODE, "error")]


@pytest.mark.parametrize(
    ("settings", "records"),
    [
        (JoinSettings(), [PRETTY, JAVA, "x"]),
        (JoinSettings(indented=False), [*PRETTY.split("\n"), JAVA, "x"]),
        (
            JoinSettings(traces=False),
            [PRETTY, JAVA.split("\n")[0], "\n".join(JAVA.split("\n")[1:6]), "\n".join(JAVA.split("\n")[6:]), "x"],
        ),
        (JoinSettings(traces=False, indented=False), [*PRETTY.split("\n"), *JAVA.split("\n"), "x"]),
    ],
)
def test_joining_is_a_setting_of_the_format(settings: JoinSettings, records: list[str]) -> None:
    data = "\n".join([PRETTY, JAVA, "x", ""]).encode()
    assert messages(parse_all(data, Format.PLAIN, ParseSettings(plain=settings))) == records
    assert messages(parse_all(data, Format.PLAIN, ParseSettings(cri=settings))) == [PRETTY, JAVA, "x"]


def test_nothing_waits_where_nothing_is_joined() -> None:
    off = JoinSettings(traces=False, indented=False)
    feed = Feed(settings=ParseSettings(docker_json=off))
    assert messages(feed.give(docker_lines("a"))) == ["a"]
    assert feed.parser.open_streams == 0


def test_a_record_of_too_many_lines_is_cut() -> None:
    lines = ["start", *(f"\tat {n}" for n in range(2500))]
    records = parse_all(docker_lines(*lines))
    assert [r.message.count("\n") + 1 for r in records] == [1000, 1000, 501]
    assert [r.flags & FLAG_PARTIAL for r in records] == [FLAG_PARTIAL, FLAG_PARTIAL, 0]
    assert "\n".join(messages(records)).split("\n") == lines


def test_a_record_of_too_many_bytes_is_cut() -> None:
    lines = ["start", *("\t" + "x" * 9_999 for _ in range(60)), "end"]
    records = parse_all(docker_lines(*lines))
    assert [len(r.message) for r in records] == [5 + 26 * 10_001, 26 * 10_001 - 1, 8 * 10_001 - 1, 3]
    assert [r.flags & FLAG_PARTIAL for r in records] == [1, 1, 0, 0]
    assert "\n".join(messages(records)).split("\n") == lines


def test_a_trace_that_was_cut_goes_on_as_one() -> None:
    settings = ParseSettings(max_joined_lines=3)
    records = parse_all((PYTHON + "\nnext\n").encode(), Format.PLAIN, settings)
    assert "\n".join(messages(records)) == PYTHON + "\nnext"
    assert [r.flags & FLAG_PARTIAL for r in records] == [1, 1, 1, 0, 0]


def test_pieces_up_to_1_mib_are_joined() -> None:
    piece = "x" * 16384
    data = docker(piece) * 64 + docker(piece) * 64 + docker("end\n") + docker("next\n")
    records = parse_all(data)
    assert [len(r.message) for r in records] == [1 << 20, 1 << 20, 3, 4]
    assert [r.flags & FLAG_PARTIAL for r in records] == [1, 1, 0, 0]
