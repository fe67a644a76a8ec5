"""`deckwatch collector` as a process of its own: what people said about an incident outlives kill -9."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deckwatch.cli import run
from deckwatch.wire.model import Format
from tests.alerting.test_daemon import samples
from tests.chaos.daemons import Daemon
from tests.fixtures.promtool import check_metrics
from tests.fixtures.push import Pusher, Stream
from tests.fixtures.webhook_receiver import webhook_receiver

CONFIG = """
collector: {listen: "127.0.0.1:0", data_dir: FOLDER/data}
alerting:
  rules: [FOLDER/rules.yml]
  builtin_rules: false
  oncall: [FOLDER/oncall.yml]
  external_url: https://deckwatch.example.org
  webhooks: [{name: ops, url: HOOK}]
"""
RULES = """
groups:
- name: memory
  interval: 300ms
  rules: [{alert: MemoryHigh, expr: container_memory_usage_bytes > 1e6, labels: {team: web}}]
"""
ONCALL = "escalation_policies: [{name: all, steps: [{notify: [{receiver: ops}], repeat: {every: 1h, times: 9}}]}]\n"


@pytest.mark.timeout(400)  # two starts of a collector, on a machine that has much else to do
async def test_what_people_said_outlives_a_kill(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "oncall.yml").write_text(ONCALL)
    config = tmp_path / "deckwatch.yml"
    async with webhook_receiver() as hook:
        config.write_text(CONFIG.replace("FOLDER", str(tmp_path)).replace("HOOK", hook.url))
        arguments = ("collector", "--config", str(config))
        daemon = Daemon("collector", tmp_path, arguments, tmp_path / "data" / "address")
        await asyncio.to_thread(daemon.start)
        try:
            await _fire(daemon.url)
            await hook.wait_until(lambda got: any("incident" in each.body["groupKey"] for each in got), 120)
            (incident,) = await asyncio.to_thread(_incidents, daemon)
            words = ["ack", incident["id"], "--for", "2h", "--comment", "on it", "--as", "zoe"]
            assert await asyncio.to_thread(run, [*words, "--collector", daemon.url]) == 0
            assert "acknowledged by zoe until" in capfd.readouterr().out
            count = len(hook.got)
            daemon.kill()
            await asyncio.to_thread(daemon.start)
            (again,) = await asyncio.to_thread(_incidents, daemon)
            assert (again["id"], again["state"], again["owner"]) == (incident["id"], "acknowledged", "zoe")
            assert again["opened"] == incident["opened"]
            timeline = json.loads(daemon.get(f"/api/v1/incidents/{again['id']}"))["timeline"]
            assert [entry["kind"] for entry in timeline].count("escalated") == 1
            text = daemon.get("/metrics")
            labels = 'tenant="default",rule="MemoryHigh",team="web"'
            assert f"deckwatch_alerting_incident_acknowledge_seconds_count{{{labels}}} 1\n" in text
            assert check_metrics(text.encode()) == []
            paths = json.loads(daemon.get("/api/v1/openapi.json"))["paths"]
            assert {"/api/v1/incidents/{id}/acknowledge", "/api/v1/oncall/{schedule}"} <= paths.keys()
            assert len(hook.got) == count
        finally:
            await asyncio.to_thread(daemon.stop)
    assert "Traceback" not in daemon.log_text()


async def _fire(url: str) -> None:
    spool = Stream("spool", form=Format.FRAMES)
    async with aiohttp.ClientSession() as session:
        chunk = spool.chunk(samples({"container_memory_usage_bytes": 2e6}))
        await Pusher(url, session).push(spool.batch([chunk]))


def _incidents(daemon: Daemon) -> list[dict[str, Any]]:
    """Once there are some that a receiver knows of."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found: list[dict[str, Any]] = json.loads(daemon.get("/api/v1/incidents"))["incidents"]
        if found and "notified" in found[0]:
            return found
        time.sleep(0.1)
    raise TimeoutError("no incident that somebody was told of")
