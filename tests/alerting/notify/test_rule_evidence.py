"""Value, threshold and the last lines in a message; what looks like a secret is left out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import msgspec
import pytest

from alerting.notify.channels.model import Notification
from alerting.notify.evidence import EvidenceDesk
from alerting.notify.redact import redacted
from alerting.notify.rule_evidence import lines_query, merged, threshold
from alerting.notify.template_data import Evidence, LogLine
from alerting.rules.model import LogMetric
from collector.metrics.promql.parser import parse
from collector.search.language import parse as parse_search
from tests.fixtures.channels import notification
from tests.fixtures.chat_services import chat_service, slack_webhook
from tests.fixtures.push import Pusher, Stream


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("up > 5e8", "> 5e+08"),
        ("(up >= (0.5))", ">= 0.5"),
        ("80 < up", "> 80"),
        ("-1 == up", "== -1"),
        ("up != bool 3", "!= 3"),
        ("up > 5 and on () vector(1)", "> 5"),
        ("vector(1) unless up < 2", "< 2"),
        ("rate(x[5m]) / rate(y[5m]) * 100 > 90", "> 90"),
        ("up > down", ""),
        ("up", ""),
        ("absent(up)", ""),
    ],
)
def test_threshold(text: str, want: str) -> None:
    assert threshold(parse(text).expr) == want


@pytest.mark.parametrize(
    ("query", "by", "labels", "want"),
    [
        ("level:>=error", (), {"container": "web"}, "level:>=error"),
        ("level:>=error", (("container", "container"),), {"container": "web"}, 'level:>=error AND container:"web"'),
        ("a OR b", (("c", "container"),), {"c": 'x"y\\'}, '(a OR b) AND container:"x\\"y\\\\"'),
        ("a", (("c", "container"),), {}, "a"),
        ("", (("c", "container"), ("h", "host")), {"c": "x", "h": "y"}, 'container:"x" AND host:"y"'),
    ],
)
def test_lines_query(query: str, by: tuple[tuple[str, str], ...], labels: dict[str, str], want: str) -> None:
    assert lines_query(LogMetric("m_total", query, by), labels) == parse_search(want)


def test_merged() -> None:
    line = LogLine(1, "x")
    one = {"a": Evidence(1.0, "> 0", "x > 0", (line,)), "b": Evidence(links=(("L", "u"),))}
    other = {"a": Evidence(2.0, links=(("Answer", "u"),)), "c": Evidence(3.0)}
    assert merged(one, other) == {
        "a": Evidence(1.0, "> 0", "x > 0", (line,), (("Answer", "u"),)),
        "b": Evidence(links=(("L", "u"),)),
        "c": Evidence(3.0),
    }


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("Authorization: Bearer abcdef0123456789", "Authorization: Bearer [redacted]"),
        ("authorization=Basic dXNlcjpwYXNzd29yZA==", "authorization=Basic [redacted]"),
        ("login password=hunter2 ok", "login password=[redacted] ok"),
        ('{"user":"a","db_password":"x y","n":1}', '{"user":"a","db_password":[redacted],"n":1}'),
        ("api-key: k1, next", "api-key: [redacted], next"),
        ("POST /x?token=abc&page=2", "POST /x?token=[redacted]&page=2"),
        ("postgres://app:s3cret@db:5432/x", "postgres://app:[redacted]@db:5432/x"),
        ("jdbc:postgresql://app:s3cret@db:5432/x", "jdbc:postgresql://app:[redacted]@db:5432/x"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_ end", "jwt [redacted] end"),
        ("jwt-eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_ end", "jwt-[redacted] end"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted]"),
        ("ghp_abcdefghijklmnop0123", "[redacted]"),
        ("card 4111 1111 1111 1111 paid", "card [redacted] paid"),
        ("order 1234567890123456 of tokens", "order 1234567890123456 of tokens"),
        ("request took 1700000000123456789 ns", "request took 1700000000123456789 ns"),
        ("ERROR can't open /etc/passwd: permission denied", "ERROR can't open /etc/passwd: permission denied"),
        ("-----BEGIN RSA PRIVATE KEY----- MIIE", "[redacted]"),
        ("日志 密码 password：明文", "日志 密码 password：明文"),
    ],
)
def test_redacted(line: str, want: str) -> None:
    assert redacted(line) == want


@pytest.mark.parametrize("part", ["password", "token ", '"', "a.", "a-", "eyJ-", "eyJ-aaaaa.", "a://", "://:", "pwd='"])
def test_redacting_long_lines_takes_no_time(part: str) -> None:
    """A message shows a hundred of them, and they are redacted in the event loop."""
    line = part * (4000 // len(part))
    started = time.process_time()
    for _ in range(100):
        redacted(line)
    assert time.process_time() - started < 2


async def test_evidence_never_delays_a_notice(caplog: pytest.LogCaptureFixture) -> None:
    async def slow(notification: Notification) -> Mapping[str, Evidence]:
        await asyncio.sleep(60)
        return {}

    started = time.monotonic()
    assert await EvidenceDesk(slow, deadline_s=0.1).of(notification()) == {}
    assert time.monotonic() - started < 1
    assert "took longer than 0.1 s" in caplog.text


async def test_evidence_that_fails_is_left_out_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def broken(notification: Notification) -> Mapping[str, Evidence]:
        raise ZeroDivisionError

    desk = EvidenceDesk(broken)
    assert [await desk.of(notification()) for _ in range(3)] == [{}, {}, {}]
    assert caplog.text.count("messages go out without it") == 1


async def test_several_integrations_ask_once() -> None:
    asked = []

    async def source(notification: Notification) -> Mapping[str, Evidence]:
        asked.append(notification.integration)
        return {"f": Evidence(1.0)}

    desk = EvidenceDesk(source)
    for name in ("slack[0]", "email[0]"):
        assert await desk.of(msgspec.structs.replace(notification(), integration=name)) == {"f": Evidence(1.0)}
    await desk.of(msgspec.structs.replace(notification(), created_ns=9))
    assert len(asked) == 2


RULES = """
log_metrics:
- {name: log_errors_total, query: "level:>=error", by: [container]}
groups:
- name: logs
  interval: 1h
  rules:
  - {alert: ErrorLines, expr: "increase(log_errors_total[5m]) > 0", labels: {severity: page}, annotations: {runbook_url: "https://r/x"}}
"""  # noqa: E501


async def test_a_line_is_in_the_message_about_it(tmp_path: Path) -> None:
    """A collector as a process of its own, Alertmanager's configuration file, a stand-in for Slack."""
    async with chat_service(slack_webhook) as slack:
        (tmp_path / "rules.yml").write_text(RULES)
        (tmp_path / "am.yml").write_text(
            "route: {receiver: ops, group_wait: 0s}\n"
            f"receivers: [{{name: ops, slack_configs: [{{api_url: '{slack.url}/s3cret'}}]}}]\n"
        )
        with (tmp_path / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "deckwatch.cli", "collector", "--listen", "127.0.0.1:0"),
                *("--data-dir", str(tmp_path / "data"), "--rules", str(tmp_path / "rules.yml")),
                *("--alertmanager-config", str(tmp_path / "am.yml")),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, "DECKWATCH_ALERTING__LANGUAGE": "zh"},
            )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(30):
                address = (await process.stdout.readline()).decode().removeprefix("listening on ").strip()
            async with aiohttp.ClientSession() as session:
                web = Stream("web")
                now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                lines = f"{now} INFO fine\n{now} ERROR <!channel> no route, token=abc123\n".encode()
                await Pusher(f"http://{address.removeprefix('http://')}", session).push(web.batch([web.chunk(lines)]))
            async with asyncio.timeout(20):
                while not slack.got:
                    await asyncio.sleep(0.05)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            await process.wait()
    text = slack.got[0].body["attachments"][0]["text"]
    assert "🔥 *ErrorLines* · page\n当前值: *1* (阈值 &gt; 0)\n标签: container=web" in text
    assert f"最近匹配的日志:\n`{now} ERROR &lt;!channel&gt; no route, token=[redacted]`\n" in text
    assert "<https://r/x|处理手册>" in text
    assert slack.got[0].body["attachments"][0]["title"].startswith("[告警:1] ")
    assert "INFO fine" not in text
