"""`deckwatch alerts`, `silence` and `why` against alerts that are known."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from alerting.notifications import Notifications
from alerting.notify.alerts import AlertRecord
from alerting.notify.message import fingerprint
from alerting.settings import AlertingSettings
from alerting.state_store import StateStore
from deckwatch.alerts.client import Alert, Matcher, read_matcher
from deckwatch.alerts.show import alert_row, table
from deckwatch.cli import run
from deckwatch.runtime.clock import SystemClock
from deckwatch.runtime.faults import Unusable
from tests.alerting.notify.test_dispatch import receipt

CONFIG = """
route: {receiver: ops, group_by: [alertname], group_wait: 0s, group_interval: 5m, repeat_interval: 4h, routes: [
  {matchers: [team=night], mute_time_intervals: [always]}, {matchers: [team=none], receiver: none}]}
inhibit_rules: [{source_matchers: [alertname=Down], target_matchers: [severity=warning], equal: [host]}]
receivers: [{name: ops, webhook_configs: [{url: 'http://127.0.0.1:9/x'}]}, {name: none}]
time_intervals: [{name: always, time_intervals: [{}]}]
"""
Say = Callable[..., Coroutine[Any, Any, str]]


@pytest.fixture
async def known(tmp_path: Path) -> AsyncIterator[Notifications]:
    (tmp_path / "am.yml").write_text(CONFIG)
    store = StateStore(tmp_path / "alerts.sqlite")
    settings = AlertingSettings(alertmanager_config=tmp_path / "am.yml")
    made = Notifications(settings, store, SystemClock(), CollectorRegistry())
    yield made
    store.close()


@pytest.fixture
async def say(known: Notifications, capfd: pytest.CaptureFixture[str]) -> AsyncIterator[Say]:
    app = web.Application()
    app.add_routes([*known.routes(), *(each.route() for each in known.endpoints())])
    server = TestServer(app)
    async with server:
        url = str(server.make_url("/"))

        async def told(*words: str, code: int = 0) -> str:
            assert await asyncio.to_thread(run, [*words, "--collector", url]) == code
            printed = capfd.readouterr()
            return printed.err if code else printed.out

        yield told


def put(known: Notifications, name: str, **labels: str) -> str:
    now_ns = SystemClock().now_ns()
    own = tuple(sorted({"alertname": name, **labels}.items()))
    record = AlertRecord(fingerprint(own), own, (("summary", f"{name} is up"),), now_ns, 0, now_ns, by_rule=True)
    known.notifier.put("default", [record], now_ns)
    return record.fingerprint


def deliver(known: Notifications) -> None:
    outbox = known.notifier._store.outbox()
    while (queued := outbox.next("ops", "webhook[0]")) is not None:
        outbox.finish(queued, [receipt("delivered")])


async def test_alerts(known: Notifications, say: Say) -> None:
    assert await say("alerts") == "no alerts\n"
    first = put(known, "Hot", host="n1", severity="page")
    put(known, "Down", host="n2")
    put(known, "Slow", host="n2", severity="warning")
    rows = [line.split("\t") for line in (await say("alerts")).splitlines()]
    assert {(row[0], row[1]) for row in rows} == {("Hot", "firing"), ("Down", "firing"), ("Slow", "inhibited")}
    (row,) = [line.split("\t") for line in (await say("alerts", "Hot", "host=~n.*")).splitlines()]
    assert row[3:] == ["host=n1 severity=page", "Hot is up", "ops", first]
    assert [line.split("\t")[0] for line in (await say("alerts", "--inhibited")).splitlines()] == ["Slow"]
    assert len((await say("alerts", "--active", "--inhibited")).splitlines()) == 3
    assert await say("alerts", "--receiver", "nobody") == "no alerts\n"
    shown = json.loads(await say("alerts", "Hot", "--json"))
    assert (shown["fingerprint"], shown["status"]["state"]) == (first, "active")
    assert "is no matcher" in await say("alerts", "a=~", "=b", code=2)
    assert "the regular expression" in await say("alerts", "a=~(", code=1)


async def test_silences(known: Notifications, say: Say) -> None:
    put(known, "Hot", host="n1")
    assert await say("silence", "list") == "no silences\n"
    id_ = (await say("silence", "add", "Hot", "host=~n.*", "--for", "2h", "--comment", "planned")).strip()
    (row,) = [line.split("\t") for line in (await say("silence", "list")).splitlines()]
    assert (row[0], row[1], row[3], row[5]) == (id_, "active", 'alertname="Hot" host=~"n.*"', "planned")
    assert (await say("alerts", "--silenced")).startswith("Hot\tsilenced\t")
    assert await say("silence", "list", "alertname=Cold") == "no silences\n"
    assert await say("silence", "expire", id_) == f"{id_} expired\n"
    assert await say("silence", "list") == "no silences\n"
    assert json.loads(await say("silence", "list", "--expired", "--json"))["status"]["state"] == "expired"
    later = (await say("silence", "add", "Hot", "--start", "now+1h", "--comment", "later")).strip()
    assert (await say("silence", "list")).startswith(f"{later}\tpending\t")
    assert "must be of type uuid" in await say("silence", "expire", "x", code=1)
    assert "silence not found" in await say("silence", "expire", "00000000-0000-0000-0000-000000000000", code=1)
    assert "must not match the empty string" in await say("silence", "add", "a=~.*", "--comment", "c", code=1)
    assert "either --for or --end" in await say(
        "silence", "add", "a=b", "--comment", "c", "--for", "1h", "--end", "now+2h", code=2
    )


async def test_why(known: Notifications, say: Say) -> None:
    hot = put(known, "Hot", host="n1")
    told = await say("why", hot)
    assert "    webhook[0]: 1 message on the way; deduplicated: told at" in told
    deliver(known)
    told = await say("why", "Hot", "host=n1")
    assert f"  {hot}: firing since " in told
    assert '  receiver ops, by the route {}\n    group {}:{alertname="Hot"}: 1 alert\n' in told
    assert "the group's next turn: " in told
    assert "webhook[0]: deduplicated: told at " in told
    assert "again from " in told
    put(known, "Hot", host="n2")
    assert "webhook[0]: is told at the group's next turn: new in group" in await say("why", "Hot", "host=n2")

    down = put(known, "Down", host="n2")
    slow = put(known, "Slow", host="n2", severity="warning")
    told = await say("why", slow)
    assert f"  nobody is told: inhibited by the alert {down} (deckwatch why {down})" in told
    assert "webhook[0]: not told" in told
    put(known, "Night", team="night")
    assert "    it is muted now by the time interval always\n" in await say("why", "Night")
    silence = (await say("silence", "add", "Hot", "--comment", "c")).strip()
    told = await say("why", hot)
    assert f"silenced by {silence}" in told
    assert "webhook[0]: not told now; it was told at " in told
    told = await say("why", "Cold", "host=n9")
    assert "not known; this is what would become of it" in told
    assert "its first message would come after 0 s" in told
    assert "webhook[0]: knows nothing of it" in told
    assert "nobody is behind this receiver: it has no integration" in await say("why", "X", "team=none")
    assert json.loads(await say("why", hot, "--json"))["alerts"][0]["state"] == "firing"
    assert "no alert with the fingerprint 0123456789abcdef is known" in await say("why", "0123456789abcdef", code=1)
    assert 'only name="value" is taken' in await say("why", "a=~b", code=1)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("HighMem", Matcher("alertname", "HighMem", False)),
        ("a=b", Matcher("a", "b", False)),
        ('a="b \\"c\\""', Matcher("a", 'b "c"', False)),
        ("a!=b", Matcher("a", "b", False, False)),
        ("a=~b=c", Matcher("a", "b=c", True)),
        ("a!~b", Matcher("a", "b", True, False)),
        ('"a.b"=c', Matcher("a.b", "c", False)),
        ("a=", Matcher("a", "", False)),
    ],
)
def test_matchers(text: str, want: Matcher) -> None:
    assert read_matcher(text) == want
    assert read_matcher(str(want)) == want


@pytest.mark.parametrize("text", ["", "=b", "a b = c =", "~"])
def test_what_is_no_matcher(text: str) -> None:
    with pytest.raises(Unusable, match="is no matcher"):
        read_matcher(text)


def test_names_from_outside_can_not_steer_a_terminal() -> None:
    alert = msgspec.json.decode(
        b'{"fingerprint": "f", "labels": {"alertname": "A\\u001b[31m\\tB"}, "annotations": {"summary": "x\\ny"},'
        b' "startsAt": "2026-01-01T00:00:00.000Z", "status": {"state": "active"}}',
        type=Alert,
    )
    row = alert_row(alert)
    assert not any(char in cell for cell in row for char in "\x1b\t\n")
    assert table(["ALERT", "STATE"], [row[:2]]).row_count == 1
