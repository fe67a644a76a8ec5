"""`deckwatch collector` as a process of its own, with rules and a receiver; lines and samples come as from an agent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from deckwatch.wire.codec import pack_frame
from deckwatch.wire.model import Format, Samples
from tests.collector.metrics.frames import Values, frame
from tests.fixtures.promtool import check_metrics
from tests.fixtures.push import Pusher, Stream
from tests.fixtures.webhook_receiver import WebhookReceiver, webhook_receiver

RULES = """
log_metrics:
- name: log_errors_total
  query: level:>=error
  by: [container]
groups:
- name: logs
  interval: 1h
  rules:
  - {alert: ErrorLines, expr: "increase(log_errors_total[5m]) > 0"}
- name: memory
  interval: 500ms
  rules:
  - {alert: MemoryHigh, expr: "container_memory_usage_bytes > 1e6"}
"""
TARGET = f"id=/docker/{'ab' * 32},name=web,image=busybox"


class Daemon:
    def __init__(self, folder: Path, hook: WebhookReceiver) -> None:
        self.folder = folder
        (folder / "rules.yml").write_text(RULES)
        self._arguments = ("--rules", str(folder / "*.yml"), "--webhook", hook.url)
        self.url = ""
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Waits until it says where it listens."""
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "deckwatch.cli", "collector", "--listen", "127.0.0.1:0"),
                *("--data-dir", str(self.folder / "data"), *self._arguments),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, "DECKWATCH_ALERTING__RELOAD_INTERVAL_S": "3600"},  # only a signal has it look again
            )
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            line = (await self.process.stdout.readline()).decode()
        assert line.startswith("listening on"), (self.folder / "log").read_text()
        self.url = line.removeprefix("listening on ").strip()
        self.url = self.url if self.url.startswith("http") else f"http://{self.url}"

    async def end(self, how: signal.Signals) -> int:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)
        return await self.process.wait()


@pytest.fixture
async def hook() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture
async def daemon(tmp_path: Path, hook: WebhookReceiver) -> AsyncIterator[Daemon]:
    made = Daemon(tmp_path, hook)
    await made.start()
    yield made
    await made.end(signal.SIGKILL)


def samples(values: Values) -> bytes:
    made = frame(0, {TARGET: values})
    return pack_frame(Samples(made.source, time.time_ns(), made.tenant, made.schemas, made.targets))


async def test_log_and_metric_rules_reach_the_receiver_and_a_kill_repeats_nothing(
    daemon: Daemon, hook: WebhookReceiver
) -> None:
    web, spool = Stream("web"), Stream("spool", form=Format.FRAMES)
    async with aiohttp.ClientSession() as session:
        push = Pusher(daemon.url, session)
        written = time.monotonic()
        await push.push(web.batch([web.chunk(b"2026-11-24T08:00:00Z ERROR boom\n")]))
        (got,) = await hook.wait(1)
        assert got.alerts == {"web": "firing"}
        assert got.at - written < 5  # the very first: kernels are loaded meanwhile
        await push.push(spool.batch([spool.chunk(samples({"container_memory_usage_bytes": 2e6}))]))
        got = (await hook.wait(2))[1]
        assert got.body["alerts"][0]["labels"]["alertname"] == "MemoryHigh"
        assert got.body["alerts"][0]["labels"]["host"] == "host-1"
        async with session.get(f"{daemon.url}/metrics") as answer:
            text = await answer.text()
        assert 'log_errors_total{container="web"} 1\n' in text
        assert check_metrics(text.encode()) == []
        async with session.get(f"{daemon.url}/api/v1/containers") as answer:
            assert [row["name"] for row in (await answer.json())["containers"]] == ["web"]
        await asyncio.sleep(0.5)  # the receiver's answers are noted
        await daemon.end(signal.SIGKILL)
        await daemon.start()
        push = Pusher(daemon.url, session)
        await push.push(web.batch([web.chunk(b"2026-11-24T08:00:01Z ERROR bang\n")]))
        async with asyncio.timeout(10):
            while 'log_errors_total{container="web"} 2\n' not in text:
                async with session.get(f"{daemon.url}/metrics") as answer:
                    text = await answer.text()
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.7)
        assert len(hook.got) == 2
        db = Stream("db")
        await push.push(db.batch([db.chunk(b"2026-11-24T08:00:02Z ERROR other\n")]))
        assert (await hook.wait(3))[2].alerts == {"web": "firing", "db": "firing"}
        assert await daemon.end(signal.SIGTERM) == 0
        assert "Traceback" not in (daemon.folder / "log").read_text()


async def test_sighup_reads_the_rules_again(daemon: Daemon) -> None:
    async with aiohttp.ClientSession() as session:
        (daemon.folder / "rules.yml").write_text("groups: [{name: other, rules: [{alert: A, expr: up}]}]\n")
        assert daemon.process is not None
        os.kill(daemon.process.pid, signal.SIGHUP)
        names: list[str] = []
        async with asyncio.timeout(20):
            while "other" not in names or "logs" in names:  # those that come with Deckwatch are among them
                async with session.get(f"{daemon.url}/api/v1/rules") as answer:
                    names = [group["name"] for group in (await answer.json())["data"]["groups"]]
                await asyncio.sleep(0.05)


async def test_bad_rules_are_one_message_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text("groups: [{name: a, rules: [{alert: X, expr: 'up =='}, {alert: Y}]}]\n")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deckwatch.cli", "collector", "--listen", "127.0.0.1:0"),
        *("--data-dir", str(tmp_path / "data"), "--rules", str(tmp_path / "*.yml"), "--webhook", "ftp://x"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    assert process.returncode == 2
    assert "alerting.webhooks 1 (webhook): url must be http:// or https:// and name a host" in err.decode()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deckwatch.cli", "collector", "--listen", "127.0.0.1:0"),
        *("--data-dir", str(tmp_path / "data"), "--rules", str(tmp_path / "*.yml")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    assert process.returncode == 2
    assert 'rule 1 "X": could not parse expression' in err.decode()
    assert 'rule 2 "Y": expr is missing' in err.decode()
    assert "Traceback" not in err.decode()


CHAIN = """
log_metrics:
- {name: boom_total, query: boom, by: [container]}
groups:
- name: chain
  interval: 300ms
  rules:
  - {record: 'container:memory:max', expr: max by (name) (container_memory_usage_bytes)}
  - {alert: TooMuch, expr: 'container:memory:max > 1e6 and on () (boom_total > 0)', for: 1h}
"""


async def test_what_rules_and_log_metrics_make_is_asked_for_like_any_sample(daemon: Daemon) -> None:
    """Also after a restart; the alert keeps the time since when it is pending."""
    web, spool = Stream("web"), Stream("spool", form=Format.FRAMES)
    async with aiohttp.ClientSession() as session:

        async def value(query: str) -> str:
            async with session.get(f"{daemon.url}/api/v1/query", params={"query": query}) as answer:
                (found,) = (await answer.json())["data"]["result"] or [{"value": [0, ""]}]
            return str(found["value"][1])

        async def until(query: str, want: str) -> None:
            async with asyncio.timeout(40):
                while await value(query) != want:
                    await asyncio.sleep(0.2)

        (daemon.folder / "rules.yml").write_text(CHAIN)
        assert daemon.process is not None
        os.kill(daemon.process.pid, signal.SIGHUP)
        push = Pusher(daemon.url, session)
        await push.push(spool.batch([spool.chunk(samples({"container_memory_usage_bytes": 2e6}))]))
        await push.push(web.batch([web.chunk(b"2026-11-24T08:00:00Z boom\n")]))
        await until("container:memory:max", "2000000")
        await until('ALERTS{alertname="TooMuch", alertstate="pending"}', "1")
        await until("boom_total", "1")  # it is told every 15 s
        assert await value("round(increase(boom_total[5m]), 0.1)") == "1"
        since = await value("ALERTS_FOR_STATE")
        await until("deckwatch_agent_up offset 1s", "1")  # kept, not only seen
        await daemon.end(signal.SIGKILL)
        await daemon.start()
        assert await value("container:memory:max") == "2000000"
        assert await value("boom_total") == "1"
        await until("count_over_time(container:memory:max[10s]) > bool 3", "1")
        assert await value("ALERTS_FOR_STATE") == since
