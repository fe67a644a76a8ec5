"""kill -9 at random points while alerts are posted, silenced and ended. DECKWATCH_KILLS=200 for more of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fixtures.prometheus_server import free_port
from tests.fixtures.webhook_receiver import WebhookReceiver, webhook_receiver

KILLS = int(os.environ.get("DECKWATCH_KILLS", "6"))
CONFIG = """
route: {receiver: ops, group_by: [alertname], group_wait: 0s, group_interval: 1s}
receivers: [{name: ops, webhook_configs: [{url: HOOK}]}]
"""


class Killed:
    """The process, killed and started again until it is left in peace."""

    def __init__(self, folder: Path, config: Path) -> None:
        self._arguments = (str(folder), str(config))
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.kills = 0
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.fixtures.alertmanager_process", *self._arguments, str(self._port)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            assert await self._process.stdout.readline() == b"ready\n"

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
            self.kills += 1

    async def plague(self, times: int, chance: random.Random) -> None:
        for _ in range(times):
            await asyncio.sleep(chance.uniform(0, 0.6))
            await self.kill()
            await self.start()


class Poster:
    """What was answered with 200 is in force; what wasn't is said again."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session
        self.fired: list[str] = []
        self.ended: list[str] = []
        self.silences: list[str] = []

    async def say(self, path: str, body: Any) -> Any:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                timeout = aiohttp.ClientTimeout(total=10)
                async with self._session.post(f"{self._url}/api/v2/{path}", json=body, timeout=timeout) as answer:
                    assert answer.status == 200, await answer.text()
                    raw = await answer.read()
                    return json.loads(raw) if raw else None
            await asyncio.sleep(0.05)

    async def fire(self, name: str) -> None:
        start = f"2026-01-01T00:00:00.{len(self.fired):09d}Z"
        await self.say("alerts", [{"labels": {"alertname": name}, "startsAt": start, "endsAt": "2100-01-01T00:00:00Z"}])
        self.fired.append(name)

    async def end(self, name: str) -> None:
        start = f"2026-01-01T00:00:00.{self.fired.index(name):09d}Z"
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
        await self.say("alerts", [{"labels": {"alertname": name}, "startsAt": start, "endsAt": ends}])
        self.ended.append(name)

    async def silence(self, name: str) -> None:
        matcher = {"name": "alertname", "value": name, "isRegex": False}
        body = {"matchers": [matcher], "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2100-01-01T00:00:00Z"}
        made = await self.say("silences", {**body, "createdBy": "x", "comment": "y"})
        self.silences.append(made["silenceID"])

    async def load(self, stop: asyncio.Event) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            if number % 7 == 0:
                await self.silence(f"quiet{number}")
            await self.fire(f"{'quiet' if number % 7 == 0 else 'loud'}{number}")
            loud = [name for name in self.fired if name.startswith("loud") and name not in self.ended]
            if number % 3 == 0 and loud:
                await self.end(loud[0])


def heard(hook: WebhookReceiver) -> dict[str, dict[str, set[str]]]:
    """As a receiver that honours the idempotency key hears it: alert -> status -> keys."""
    told: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for got in hook.got:
        for alert in got.body["alerts"]:
            told[alert["labels"]["alertname"]][alert["status"]].add(got.headers["Idempotency-Key"])
    return told


@pytest.mark.timeout(60 + 20 * KILLS)
async def test_no_alert_silence_or_message_is_lost_and_none_repeated(tmp_path: Path) -> None:
    config = tmp_path / "am.yml"
    process = Killed(tmp_path, config)
    async with webhook_receiver() as hook, aiohttp.ClientSession() as session, AsyncExitStack() as end:
        end.push_async_callback(process.kill)
        config.write_text(CONFIG.replace("HOOK", hook.url))
        await process.start()
        poster, stop = Poster(process.url, session), asyncio.Event()
        load = asyncio.create_task(poster.load(stop))
        await process.plague(KILLS, random.Random(7))
        stop.set()
        await load
        loud = [name for name in poster.fired if name.startswith("loud")]
        async with asyncio.timeout(60):
            while {name for name, told in heard(hook).items() if "resolved" in told} < set(poster.ended):
                await asyncio.sleep(0.1)
            while set(heard(hook)) < set(loud):
                await asyncio.sleep(0.1)
        async with session.get(f"{process.url}/api/v2/alerts") as answer:
            known = {each["labels"]["alertname"] for each in await answer.json()}
        async with session.get(f"{process.url}/api/v2/silences") as answer:
            silences = {each["id"] for each in await answer.json()}
    told = heard(hook)
    print(f"{KILLS} kills: {len(loud)} alerts told, {len(poster.ended)} ended, {len(silences)} silences")
    assert known == set(poster.fired) - set(poster.ended)
    assert silences >= set(poster.silences)
    assert set(told) == set(loud)
    assert {name: len(each["firing"]) for name, each in told.items()} == dict.fromkeys(loud, 1)
    assert {name: len(told[name]["resolved"]) for name in poster.ended} == dict.fromkeys(poster.ended, 1)
    starts = {(each["labels"]["alertname"], each["startsAt"]) for got in hook.got for each in got.body["alerts"]}
    assert len(starts) == len(told)
