"""Which level a line has, as a table; and on whole logs of ten systems, where a pattern knows where it stands."""

# ruff: noqa: E501 - a row of a table is one line

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from collector.records import FLAG_MULTILINE
from deckwatch.wire.model import Format
from tests.collector.parse.feeding import parse_all

LOGS = Path(__file__).parents[4] / "shared" / "data" / "logs"


def level_and_body(line: str) -> tuple[str, str]:
    (record,) = parse_all(line.encode() + b"\n", Format.PLAIN)
    return record.level, record.body


@pytest.mark.parametrize(
    ("line", "level"),
    [
        # a capital word in the head
        ("2026-01-01 00:00:00,000 INFO  [main] com.acme.App - started", "info"),
        ("2026-01-01 00:00:00,000 - acme.order - WARNING - late", "warn"),
        ("2026-01-01 00:00:00,000 - acme - ERROR - no order", "error"),
        ("2026-01-01T00:00:00.000Z DEBUG 1 --- [nio-8080-exec-1] o.s.web : x", "debug"),
        ("2026-01-01 00:00:00.000 [main] TRACE org.acme.App - x", "trace"),
        ("00:00:00.000 [http-nio-8080-exec-1] FATAL com.acme.App - x", "fatal"),
        ("[2026-01-01T00:00:00Z WARN  hyper::proto] x", "warn"),
        ("[2026-01-01 00:00:00,000] ERROR in app: Exception on / [GET]", "error"),
        ("2026-01-01 00:00:00.1234|ERROR|Acme.App|x", "error"),
        ("2026/01/01 00:00:00 ERROR x", "error"),
        ("main ERROR Unable to write", ""),
        ("[main] ERROR Unable to write", "error"),
        ("1234 WARN x", "warn"),
        ("ERROR:root:x", "error"),
        ("CRITICAL:acme.db:x", "fatal"),
        ("INFO:     10.0.0.1:5 - \"GET / HTTP/1.1\" 200 OK", "info"),
        ("INFO[0000] Starting", "info"),
        ("\x1b[36mINFO\x1b[0m[0000] Starting", "info"),
        ("\x1b[32minfo\x1b[39m: listening", "info"),
        ("7:29AM INF starting", "info"),
        ("[07:29:01 ERR] x", "error"),
        ("SEVERE: x", "error"),
        ("npm ERR! code ELIFECYCLE", "error"),
        ("E, [2026-01-01T00:00:00.000 #1] ERROR -- : x", "error"),
        ("Jan  1 00:00:00 web-1 kernel: ERROR x", "error"),
        # any spelling: before a colon, in brackets, right behind a time stamp
        ("error: x", "error"),
        ("warn: x", "warn"),
        ("Warning: x", "warn"),
        ("fail: Microsoft.Hosting[0]", "error"),
        ("dbug: Microsoft.Hosting[0]", "debug"),
        ("crit: x", "fatal"),
        ("2026/01/01 00:00:00 [error] 31#31: *1 open() failed", "error"),
        ("[Sun Dec 04 04:47:44 2005] [notice] workerEnv.init() ok", "notice"),
        ("[Sun Dec 04 04:47:44.000 2005] [core:warn] [pid 1] x", "warn"),
        ("[ info ] x", "info"),
        ("[INFO ] x", "info"),
        ("(warn) x", "warn"),
        ("[2026-01-01 00:00:00.000][1][info][main] [source/server/server.cc:1] x", "info"),
        ("2026-01-01T00:00:00.000000Z 0 [Warning] [MY-010068] [Server] x", "warn"),
        ("2026-01-01T00:00:00.000000Z 0 [Note] x", "info"),
        ("2016-09-28 04:30:30, Info                  CBS    Loaded", "info"),
        ("2026-01-01T00:00:00.000Z\tinfo\tserver/main.go:1\tstarted", "info"),
        ("2026-01-01T00:00:00.000Z warn starting", "warn"),
        # PostgreSQL
        ("2026-01-01 00:00:00.000 UTC [12] LOG:  checkpoint complete", "info"),
        ("2026-01-01 00:00:00.000 UTC [12] app@shop ERROR:  duplicate key", "error"),
        ("2026-01-01 00:00:00.000 UTC [12] app@shop FATAL:  password", "fatal"),
        ("2026-01-01 00:00:00.000 CET [12] PANIC:  could not locate", "fatal"),
        ("2026-01-01 00:00:00.000 UTC [12] app@shop STATEMENT:  SELECT", ""),
        # klog, Android, syslog
        ("E0102 15:04:05.123456       1 reflector.go:1] x", "error"),
        ("I0102 15:04:05.123456       1 main.go:1] error", "info"),
        ("W0102 15:04:05.123456       1 main.go:1] x", "warn"),
        ("E0102x 15:04:05", ""),
        ("03-17 16:13:38.811  1702  2395 D WindowManager: x", "debug"),
        ("03-17 16:13:38.811  1702  2395 V AudioManager: x", "trace"),
        ("D/dalvikvm(  12): GC", "debug"),
        ("W/System.err: x", "warn"),
        ("<3>oom", "error"),
        ("<30>Jan  1 00:00:00 host app: x", "info"),
        ("<14>app: ERROR x", "info"),
        ("<999>x", ""),
        ("1:M 01 Jan 2026 10:12:13.123 * 100 changes in 60 seconds. Saving...", "notice"),
        ("1:M 01 Jan 2026 10:12:13.123 # Out of memory", "warn"),
        ("71:S 01 Jan 2026 10:12:13.123 - Accepted 10.0.0.1:5", "info"),
        ("1:M 01 Jan 2026 10:12:13.123 . 0 clients connected", "debug"),
        ("[I 2026-01-02 03:04:05.678 ServerApp] x", "info"),
        ("[W 260102 03:04:05 web:1] x", "warn"),
        ("2026-01-01 00:00:00.000 UTC [12] DEBUG1:  x", "debug"),
        ("Nov 24 10:00:00 host prog[1]: error: x", "error"),
        ("Nov 24 10:00:00 host prog[1]: Warning: x", "warn"),
        ("Nov 24 10:00:00 host prog[1]: no error here", ""),
        # exceptions and panics
        ("thread 'main' panicked at src/main.rs:2:5:", "fatal"),
        ("Unhandled exception. System.Exception: x", "fatal"),
        ("(node:1) DeprecationWarning: x", "warn"),
        ("/app/a.py:3: UserWarning: x", "warn"),
        ("Traceback (most recent call last):", "error"),
        ("ValueError: x", "error"),
        ("java.lang.IllegalStateException: x", "error"),
        ("java.lang.IllegalStateException", "error"),
        ('Exception in thread "main" java.lang.Error: x', "error"),
        ("panic: runtime error: x", "fatal"),
        ("fatal error: all goroutines are asleep - deadlock!", "fatal"),
        # none
        ("no error found", ""),
        ("No errors, no warning", ""),
        ("an error occurred", ""),
        ("there was an ERROR in it", ""),
        ("processing of the last order took long; no error found " + "." * 30 + " ERROR", ""),
        ("x" * 130 + " ERROR", ""),
        ("2026-01-01 00:00:00 all is well, no ERROR", ""),
        ("fine, thanks", ""),
        ("panic is not needed", ""),
        ("alert: the word is ambiguous, the colon decides", "fatal"),
        ("note: x", "info"),
        ("information desk", ""),
        ("10.0.0.1 - - [01/Jan/2026:10:12:13 +0000] \"GET /error HTTP/1.1\" 500 12 \"-\" \"ERROR\"", ""),
        ("10.0.0.1 - error [01/Jan/2026:10:12:13 +0000] \"GET / HTTP/1.1\" 200 1", ""),
        ("GET /error 500 1.5 ms - 12", ""),
        ("1:M 01 January 2026 10:12:13 * 100 changes in 60 seconds. Saving...", ""),
        ("host prog the error: x", ""),
        ("my map[1]: the error: x", ""),
        ("thread 'main' is not panicked", ""),
        ("Unhandled things", ""),
        ("a Warning of rain", ""),
        ("[X 2026-01-02 03:04:05] x", ""),
        ("array[error] of things", ""),
        ("5", ""),
        ("", ""),
        ("[", ""),
        ("[error", ""),
        ("\x1b[", ""),
        ("2026-01-01 00:00:00.000", ""),
        ("first line\n", ""),
    ],
)  # fmt: skip
def test_level_of_text(line: str, level: str) -> None:
    assert level_and_body(line.rstrip("\n")) == (level, "")


@pytest.mark.parametrize(
    ("line", "level", "body"),
    [
        ('{"level":"warn","msg":"x"}', "warn", "json"),
        ('{"msg":"x level","Level":"ERROR"}', "error", "json"),
        ('{"severity":"INFO"}', "info", "json"),
        ('{"lvl":"dbug"}', "debug", "json"),
        ('{"log.level":"notice","a":1}', "notice", "json"),
        ('{"log":{"file":{"level":1},"level":"error"},"level":"info"}', "error", "json"),
        ('{"levelname":"CRITICAL"}', "fatal", "json"),
        ('{"loglevel":"warning"}', "warn", "json"),
        ('{"SeverityText":"Information"}', "info", "json"),
        ('{"@l":"Verbose"}', "trace", "json"),
        ('{"t":{"$date":"2026"},"s":"W","c":"NETWORK"}', "warn", "json"),
        ('{"s":"D2"}', "debug", "json"),
        *((f'{{"level":{number}}}', level, "json") for number, level in (
            (10, "trace"), (20, "debug"), (30, "info"), (40, "warn"), (50, "error"), (60, "fatal"), (35, "info"),
            (3, "error"), (6, "info"), (8, ""), (100, "debug"), (250, "notice"), (300, "warn"), (600, "fatal"), (1000, ""),
        )),
        ('{"level":"30"}', "info", "json"),
        ('{"level":"5O"}', "", "json"),
        ('{"PRIORITY":"3","MESSAGE":"x"}', "error", "json"),
        ('{"priority":"error"}', "error", "json"),
        *((f'{{"levelno":{number}}}', level, "json") for number, level in (
            (0, ""), (10, "debug"), (20, "info"), (30, "warn"), (40, "error"), (50, "fatal"),
        )),
        *((f'{{"SeverityNumber":{number}}}', level, "json") for number, level in (
            (0, ""), (1, "trace"), (5, "debug"), (9, "info"), (13, "warn"), (17, "error"), (21, "fatal"), (25, ""),
        )),
        ('{"severity_number":9,"severity_text":"INFO"}', "info", "json"),
        ('{"severity":"ALERT"}', "fatal", "json"),
        ('{"severity":"DEFAULT"}', "", "json"),
        ('{"level":null,"levelname":"INFO"}', "info", "json"),
        ('{"level":"unknown","severity":"error"}', "error", "json"),
        ('{"a":{"level":"error"}}', "", "json"),
        ('{"a":"level\\":\\"error"}', "", "json"),
        ('{"message":"ERROR x"}', "", "json"),
        ('{"a":[{"level":"x"}],"b":"}{\\"","level":"info"}', "info", "json"),
        (' { "level" : "info" } ', "info", "json"),
        ("{}", "", "json"),
        ("{", "", ""),
        ("{error: x}", "", ""),
        ('{"a":1', "", ""),
        ('{"a":1} ERROR', "error", ""),
        ('[{"level":"info"}]', "", ""),
        ('time="2026-01-01T00:00:00Z" level=warning msg="x"', "warn", "logfmt"),
        ("ts=2026-01-01T00:00:00Z caller=main.go:1 level=debug msg=x", "debug", "logfmt"),
        ('msg="level=error" lvl=info', "info", "logfmt"),
        ("a=1 b=2", "", "logfmt"),
        ("a= b=", "", ""),
        ('level="error" x', "error", "logfmt"),
        ("a=1", "", "logfmt"),
        ("a=1 ERROR", "error", "logfmt"),
        ("a=1 b=2 ERROR", "", "logfmt"),
        ("1=a 2=b", "", ""),
        ('a="1 b=2', "", "logfmt"),
        ("x a=1 b=2", "", "logfmt"),
        # level=... behind other text, where the text has none of its own
        ("2026-01-01 level=debug msg=x", "debug", "logfmt"),
        ('2026-01-01 lvl="warn" x', "warn", "logfmt"),
        ("2026-01-01 WARN x level=debug", "warn", "logfmt"),
        ("request done by the worker of the queue status=200 level=error", "error", "logfmt"),
        ("x=" + "y" * 3000 + " level=error", "", "logfmt"),
        ('http://x/?level=error "level=error"', "", ""),
    ],
)  # fmt: skip
def test_level_and_kind_of_bodies(line: str, level: str, body: str) -> None:
    assert level_and_body(line) == (level, body)


# Where each system writes its level, and what it calls it.
SYSTEMS: dict[str, tuple[str, dict[str, str]]] = {
    "Android": (
        r"^\S+ \S+ +\d+ +\d+ ([VDIWEF]) ",
        {"V": "trace", "D": "debug", "I": "info", "W": "warn", "E": "error"},
    ),
    "Apache": (r"^\[[^]]+\] \[(\w+)\]", {"notice": "notice", "error": "error"}),
    "HDFS": (r"^\d+ \d+ \d+ (\w+) ", {"INFO": "info", "WARN": "warn"}),
    "HPC": (r"^()", {"": ""}),
    "Hadoop": (r"^\S+ \S+ (\w+) ", {"INFO": "info", "WARN": "warn", "ERROR": "error", "FATAL": "fatal"}),
    "Linux": (r"^(?:.{15} \w+ \S+: (warning): )?", {"": "", "warning": "warn"}),
    "OpenStack": (r"^\S+ \S+ \S+ \d+ (\w+) ", {"INFO": "info", "WARNING": "warn", "ERROR": "error"}),
    "Spark": (r"^\S+ \S+ (\w+) ", {"INFO": "info", "WARN": "warn"}),
    "Windows": (r"^\S+ \S+ (\w+) ", {"Info": "info"}),
    "Zookeeper": (r"^\S+ \S+ - (\w+) ", {"INFO": "info", "WARN": "warn", "ERROR": "error"}),
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_levels_of_ten_systems(system: str) -> None:
    if not LOGS.exists():
        pytest.skip(f"{LOGS} with the real logs is not there")
    pattern, names = SYSTEMS[system]
    data = (LOGS / f"{system}_2k.log").read_bytes().rstrip(b"\n") + b"\n"
    records = parse_all(data, Format.PLAIN)
    assert not [record for record in records if record.flags & FLAG_MULTILINE]
    wrong = Counter[tuple[str, str]]()
    for record in records:
        match = re.match(pattern, record.message)
        assert match is not None, record.message
        if record.level != names[match[1] or ""]:
            wrong[record.level, record.message] += 1
    assert not wrong
    assert len(records) == data.count(b"\n")
