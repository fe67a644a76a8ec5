"""Debian's amtool and a real Prometheus, against the collector as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fixtures.alert_daemon import AlertDaemon
from tests.fixtures.prometheus_server import prometheus_server
from tests.fixtures.webhook_receiver import WebhookReceiver, webhook_receiver

CONFIG = """
route:
  receiver: ops
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
  routes:
    - matchers: [ team="db" ]
      receiver: db
inhibit_rules:
  - source_matchers: [ alertname="HostDown" ]
    target_matchers: [ severity="warning" ]
    equal: [host]
receivers:
  - name: ops
    webhook_configs: [{url: 'HOOK/ops'}]
  - name: db
    webhook_configs: [{url: 'HOOK/db'}]
    dingtalk_configs: [{webhook_url: 'HOOK/robot?access_token=s'}]
"""


@pytest.fixture
async def hook() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture
async def daemon(tmp_path: Path, hook: WebhookReceiver) -> AsyncIterator[AlertDaemon]:
    (tmp_path / "am.yml").write_text(CONFIG.replace("HOOK", hook.url))
    made = AlertDaemon(
        tmp_path,
        *("--alertmanager-config", str(tmp_path / "am.yml")),
        environment={"DECKWATCH_ALERTING__RELOAD_INTERVAL_S": "3600", "DECKWATCH_ALERTING__BUILTIN_RULES": "false"},
    )
    await made.start()
    yield made
    await made.end(signal.SIGKILL)


async def amtool(url: str, *words: str, code: int = 0, stdin: str = "") -> str:
    program = shutil.which("amtool")
    if program is None:
        pytest.skip("amtool is not installed (Debian: apt-get install prometheus-alertmanager)")
    process = await asyncio.create_subprocess_exec(
        *(program, *words, f"--alertmanager.url={url}"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "TZ": "UTC"},
    )
    out, err = await process.communicate(stdin.encode())
    assert process.returncode == code, f"amtool {' '.join(words)}: {out.decode()} {err.decode()}"
    return out.decode() + (err.decode() if code else "")


async def test_amtool(daemon: AlertDaemon, hook: WebhookReceiver) -> None:
    url = daemon.url
    assert "Cluster Status:  disabled" in await amtool(url, "cluster", "show")
    shown = await amtool(url, "config", "show")
    assert "access_token" not in shown
    assert "left out, since Alertmanager's tools don't know it: dingtalk_configs of the receiver db" in shown
    tree = await amtool(url, "config", "routes", "show")
    assert '{team="db"}  receiver: db' in tree
    assert await amtool(url, "config", "routes", "test", "team=db") == "db\n"
    assert await amtool(url, "config", "routes", "test", "team=web") == "ops\n"
    (daemon.folder / "shown.yml").write_text(shown)
    assert "SUCCESS" in await amtool(url, "check-config", str(daemon.folder / "shown.yml"))

    await amtool(url, "alert", "add", "Hot", "host=n1", "severity=warning", "--annotation=summary=it is hot")
    (first,) = await hook.wait(1)
    assert (first.path, first.body["commonAnnotations"]) == ("/hook/ops", {"summary": "it is hot"})
    found = json.loads(await amtool(url, "alert", "query", "-o", "json"))
    assert [each["labels"]["alertname"] for each in found] == ["Hot"]
    assert "it is hot" in await amtool(url, "alert", "query", "host=n1")
    assert json.loads(await amtool(url, "alert", "query", "host=n2", "-o", "json")) == []

    silence = (await amtool(url, "silence", "add", "alertname=Hot", "host=~n.*", "-c", "planned", "-d", "1h")).strip()
    assert json.loads(await amtool(url, "alert", "query", "-o", "json")) == []
    muted = json.loads(await amtool(url, "alert", "query", "--silenced", "-o", "json"))
    assert muted[0]["status"]["silencedBy"] == [silence]
    assert silence in await amtool(url, "silence", "query")
    assert await amtool(url, "silence", "update", silence, "-d", "2h", "-o", "simple") != ""
    listed = json.loads(await amtool(url, "silence", "query", "-o", "json"))
    assert [each["id"] for each in listed] == [silence]
    await amtool(url, "silence", "expire", silence)
    assert json.loads(await amtool(url, "silence", "query", "-o", "json")) == []
    assert json.loads(await amtool(url, "silence", "query", "--expired", "-o", "json"))[0]["id"] == silence
    imported = (await amtool(url, "silence", "import", stdin=json.dumps(listed))).strip()
    assert imported != silence  # what has expired stays so: it is a new one
    assert [each["id"] for each in json.loads(await amtool(url, "silence", "query", "-o", "json"))] == [imported]


async def test_alerts_of_one_tenant_are_no_others_business(daemon: AlertDaemon, hook: WebhookReceiver) -> None:
    blue = f"{daemon.url}/tenants/blue"
    await amtool(blue, "alert", "add", "Hot", "host=n1")
    await amtool(blue, "silence", "add", "alertname=Cold", "-c", "theirs")
    (got,) = await hook.wait(1)
    assert got.body["groupKey"] == '{}:{alertname="Hot", tenant="blue"}'
    assert json.loads(await amtool(daemon.url, "alert", "query", "-o", "json")) == []
    assert json.loads(await amtool(daemon.url, "silence", "query", "-o", "json")) == []
    assert len(json.loads(await amtool(blue, "alert", "query", "-o", "json"))) == 1
    assert len(json.loads(await amtool(blue, "silence", "query", "-o", "json"))) == 1
    async with aiohttp.ClientSession() as session:
        for path, want in (("alerts", 1), ("silences", 1), ("alerts/groups", 1)):
            async with session.get(f"{daemon.url}/api/v2/{path}", params={"tenant": "blue"}) as answer:
                assert len(await answer.json()) == want
            async with session.get(f"{daemon.url}/api/v2/{path}", params={"tenant": "red"}) as answer:
                assert await answer.json() == []
        async with session.get(f"{daemon.url}/api/v2/alerts", headers={"X-Scope-OrgID": "blue"}) as answer:
            assert len(await answer.json()) == 1
        async with session.get(f"{daemon.url}/api/v1/notifications", params={"tenant": "blue"}) as answer:
            (told,) = (await answer.json())["data"]["receipts"]
            assert told["tenant"] == "blue"
        async with session.get(f"{daemon.url}/api/v1/notifications") as answer:
            assert (await answer.json())["data"]["receipts"] == []
        async with session.get(f"{daemon.url}/api/v2/alerts", params={"tenant": "../x"}) as answer:
            assert answer.status == 400


PROMETHEUS = """
global: {evaluation_interval: 1s, external_labels: {cluster: lab}}
rule_files: [rules.yml]
alerting:
  alertmanagers:
    - path_prefix: PREFIX
      static_configs: [{targets: ['ADDRESS']}]
"""
RULES = """
groups:
  - name: g
    interval: 1s
    rules:
      - {alert: Fires, expr: 'vector(1) unless on () (vector(time()) > UNTIL)', labels: {severity: warning, host: n1}}
"""


@pytest.mark.parametrize("prefix", ["/", "/tenants/blue"])
async def test_a_real_prometheus_sends_its_alerts(daemon: AlertDaemon, hook: WebhookReceiver, prefix: str) -> None:
    folder = daemon.folder / "prometheus"
    folder.mkdir()
    (folder / "rules.yml").write_text(RULES.replace("UNTIL", str(int(time.time()) + 15)))
    address = daemon.url.removeprefix("http://")
    config = PROMETHEUS.replace("ADDRESS", address).replace("PREFIX", prefix)
    with prometheus_server(folder, config, "--rules.alert.resend-delay=1s"):
        (fired,) = await hook.wait(1, within_s=30)
        (alert,) = fired.body["alerts"]
        assert alert["labels"] == {
            "alertname": "Fires",
            "cluster": "lab",
            "host": "n1",
            "severity": "warning",
            **({"tenant": "blue"} if "blue" in prefix else {}),
        }
        assert alert["generatorURL"]
        await asyncio.sleep(3)
        assert len(hook.got) == 1  # it is sent again every second, and told once
        over = (await hook.wait(2, within_s=30))[1]
        assert over.body["status"] == "resolved"
        assert over.body["alerts"][0]["startsAt"] == alert["startsAt"]


async def test_sighup_reads_the_configuration_again_and_a_bad_one_changes_nothing(
    daemon: AlertDaemon, hook: WebhookReceiver
) -> None:
    file = daemon.folder / "am.yml"
    good = file.read_text()

    async def receivers() -> list[dict[str, Any]]:
        async with aiohttp.ClientSession() as session, session.get(f"{daemon.url}/api/v2/receivers") as answer:
            names: list[dict[str, Any]] = await answer.json()
            return names

    async def until(told: str) -> None:
        async with asyncio.timeout(20):
            while told not in daemon.log:
                await asyncio.sleep(0.05)

    file.write_text(good.replace("receiver: db", "receiver: nobody"))
    os.kill(daemon.process.pid, signal.SIGHUP)
    await until("there is no receiver")
    assert "stays in force" in daemon.log
    assert await receivers() == [{"name": "ops"}, {"name": "db"}]
    file.write_text(good.replace("- name: db", "- name: data").replace("receiver: db", "receiver: data"))
    os.kill(daemon.process.pid, signal.SIGHUP)
    async with asyncio.timeout(20):
        while {"name": "data"} not in await receivers():
            await asyncio.sleep(0.05)
    await amtool(daemon.url, "alert", "add", "Hot", "team=db")
    got = await hook.wait_until(lambda got: any(one.path == "/hook/db" for one in got))
    assert {one.body["receiver"] for one in got if one.path == "/hook/db"} == {"data"}
