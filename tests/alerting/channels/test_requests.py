"""What each service is sent."""

# ruff: noqa: E501 - a row stands in one line

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alerting.notify.channels.model import Outcome
from alerting.notify.channels.pagerduty import dedup_key, encoded
from alerting.notify.message import GroupAlert
from tests.alerting.channels.test_answers import rig
from tests.fixtures.channels import RESOLVED, alert, notification
from tests.fixtures.chat_services import TOKEN, Canned

KEY = dedup_key('{}:{alertname="Hot"}')
MESSAGE = (
    "🔥 Hot · critical\nLabels: container=web\nSince: 2023-11-14 22:13:20 UTC\nExpression: http://g/graph?g0.expr=up\n\n"
    "All alerts: http://me/#/alerts"
)


async def body(name: str, *alerts: GroupAlert, **config: Any) -> Any:
    async with rig(name, **config) as (service, made):
        assert (await made.send(notification(*alerts))).outcome is Outcome.DELIVERED
    return service.got[-1].body


async def test_webhook() -> None:
    got = await body("webhook", alert("a"), alert("b"), max_alerts=1)
    assert [one["labels"]["container"] for one in got["alerts"]] == ["a"]
    assert (got["truncatedAlerts"], got["version"], got["groupKey"]) == (1, "4", '{}:{alertname="Hot"}')
    assert "undelivered" not in got


async def test_slack() -> None:
    got = await body(
        "slack",
        channel="#{{ .CommonLabels.severity }}",
        fields=[
            {"title": "Where", "value": "{{ .CommonLabels.container }}", "short": True},
            {"title": "a", "value": "b"},
        ],
        actions=[
            {"type": "button", "text": "Open", "url": "{{ .ExternalURL }}", "name": "gone"},
            {"type": "button", "text": "Ack", "name": "ack", "value": "1", "confirm": {"text": "Sure?"}},
        ],
        short_fields=False,
        link_names=True,
        title="{{ .Status }} & <more>",
        message_text="hi",
    )
    attachment = got.pop("attachments")[0]
    assert got == {"channel": "#critical", "username": "Deckwatch", "link_names": True, "text": "hi"}
    text = attachment.pop("text")
    assert text.startswith("🔥 *Hot* · critical\nLabels: container=web\n")
    assert "<http://me/#/alerts|All alerts>" in text
    assert attachment == {
        "fallback": "[FIRING:1] Hot (web critical) | http://me/#/alerts?receiver=ops",
        "callback_id": "",
        "footer": "",
        "title": "firing &amp; &lt;more&gt;",
        "title_link": "http://me/#/alerts?receiver=ops",
        "color": "danger",
        "fields": [{"title": "Where", "value": "web", "short": True}, {"title": "a", "value": "b", "short": False}],
        "actions": [
            {"type": "button", "text": "Open", "url": "http://me"},
            {"type": "button", "text": "Ack", "name": "ack", "value": "1", "confirm": {"text": "Sure?", "title": "", "ok_text": "", "dismiss_text": ""}},
        ],
        "mrkdwn_in": ["fallback", "pretext", "text"],
    }  # fmt: skip


async def test_slack_resolved() -> None:
    got = await body("slack", RESOLVED)
    assert (got["attachments"][0]["color"], got["attachments"][0]["title"]) == ("good", "[RESOLVED] Hot (web critical)")


async def test_pagerduty_trigger() -> None:
    got = await body(
        "pagerduty",
        severity='{{ if eq .CommonLabels.severity "critical" }}critical{{ else }}warning{{ end }}',
        links=[{"href": "http://r/{{ .CommonLabels.container }}", "text": "Runbook"}, {"href": "", "text": "none"}],
        images=[{"src": "http://i", "alt": "chart"}, {"src": "{{ .CommonLabels.none }}"}],
        details={"team": {"name": "{{ .CommonLabels.severity }}", "size": 3}, "num_firing": "mine"},
        **{"class": "cpu", "component": "", "group": "web"},
    )
    details = got["payload"].pop("custom_details")
    assert details["team"] == {"name": "critical", "size": 3}
    assert (details["num_firing"], details["num_resolved"]) == ("mine", "0")
    assert details["firing"].startswith("Labels:\n - alertname = Hot\n - container = web\n")
    assert got == {
        "routing_key": TOKEN,
        "event_action": "trigger",
        "dedup_key": KEY,
        "client": "Alertmanager",
        "client_url": "http://me/#/alerts?receiver=ops",
        "payload": {
            "summary": "[FIRING:1] Hot (web critical)",
            "source": "Alertmanager",
            "severity": "critical",
            "class": "cpu",
            "group": "web",
        },
        "images": [{"src": "http://i", "alt": "chart", "href": ""}],
        "links": [{"href": "http://r/web", "text": "Runbook"}],
    }


async def test_pagerduty_resolve() -> None:
    got = await body("pagerduty", RESOLVED)
    assert (got["event_action"], got["dedup_key"]) == ("resolve", KEY)


async def test_pagerduty_v1() -> None:
    got = await body("pagerduty v1")
    assert (got["service_key"], got["event_type"], got["incident_key"]) == (TOKEN, "trigger", KEY)
    assert got["description"] == "[FIRING:1] Hot (web critical)"
    assert (await body("pagerduty v1", RESOLVED))["event_type"] == "resolve"


async def test_a_routing_key_from_a_label(tmp_path: Path) -> None:
    got = await body("pagerduty", routing_key="{{ .CommonLabels.severity }}-key")
    assert got["routing_key"] == "critical-key"
    async with rig("pagerduty", routing_key="{{ .CommonLabels.nothing }}") as (service, made):
        (answer,) = (await made.send(notification())).answers
    assert (answer.outcome, answer.error) == (Outcome.REFUSED, "routing_key is empty for this group")
    assert service.got == []


async def test_a_severity_or_priority_that_there_is_none_keeps_nobody_from_being_called() -> None:
    template = "{{ .CommonLabels.container }}"  # web
    assert (await body("pagerduty", severity=template))["payload"]["severity"] == "error"
    assert (await body("pagerduty", severity="WARNING"))["payload"]["severity"] == "warning"
    assert "priority" not in await body("opsgenie", priority=template)
    assert (await body("opsgenie", priority="p2"))["priority"] == "P2"


async def test_a_channel_that_cant_be_written_is_a_refusal() -> None:
    async with rig("slack", channel="{{ .Nope }}") as (service, made):
        (answer,) = (await made.send(notification())).answers
    assert (answer.outcome, service.got) == (Outcome.REFUSED, [])
    assert answer.error.startswith("channel: the template fails: ")


def test_an_event_that_is_too_large_loses_its_details() -> None:
    event: dict[str, object] = {"payload": {"summary": "s", "custom_details": {"firing": "x" * 600_000}}}
    assert len(encoded(event, "payload")) < 300
    assert b"512KB" in encoded(event, "payload")
    assert b'"summary": "s"' in encoded(event, "payload")


async def test_opsgenie() -> None:
    config = {
        "update_alerts": True,
        "tags": "a, ,b",
        "priority": "P1",
        "details": {"team": "{{ .Status }}"},
        "responders": [
            {"name": "one, two", "type": "teams"},
            {"username": "{{ .CommonLabels.nobody }}", "type": "user"},
            {"name": "night", "type": "Schedule"},
        ],
    }
    async with rig("opsgenie", **config) as (service, made):
        await made.send(notification())
        await made.send(notification(RESOLVED))
    create, message, description, close = service.got
    assert (create.method, create.path) == ("POST", "/v2/alerts")
    made_alert = create.body
    assert made_alert.pop("description").startswith("🔥 Hot · critical")
    assert made_alert == {
        "alias": KEY,
        "message": "[FIRING:1] Hot (web critical)",
        "details": {"alertname": "Hot", "container": "web", "severity": "critical", "team": "firing"},
        "source": "http://me/#/alerts?receiver=ops",
        "responders": [
            {"name": "one", "type": "team"},
            {"name": "two", "type": "team"},
            {"name": "night", "type": "schedule"},
        ],
        "tags": ["a", "b"],
        "priority": "P1",
    }
    assert (message.method, message.path) == ("PUT", f"/v2/alerts/{KEY}/message")
    assert description.path == f"/v2/alerts/{KEY}/description"
    assert (close.method, close.path, close.query) == ("POST", f"/v2/alerts/{KEY}/close", {"identifierType": "alias"})


async def test_teams() -> None:
    card = (await body("teams"))["attachments"][0]["content"]
    title, text = card["body"]
    assert (title["text"], title["color"], title["weight"]) == (
        r"\[FIRING:1\] Hot \(web critical\)",
        "Attention",
        "Bolder",
    )
    assert text["text"].startswith("🔥 **Hot** · critical\n\nLabels: container=web\n\n")
    resolved = (await body("teams", RESOLVED))["attachments"][0]["content"]["body"][0]
    assert resolved["color"] == "Good"
    assert (await body("teams connector"))["themeColor"] == "8C1A1A"


async def test_telegram() -> None:
    got = await body("telegram", message_thread_id=5, disable_notifications=True)
    assert got.pop("text").startswith("<b>[FIRING:1] Hot (web critical)</b>\n🔥 <b>Hot</b> · critical\n")
    assert got == {
        "chat_id": -1001,
        "disable_web_page_preview": True,
        "disable_notification": True,
        "message_thread_id": 5,
        "parse_mode": "HTML",
    }


@pytest.mark.parametrize(
    ("mode", "message", "sent", "text"),
    [
        ("MarkdownV2", "*{{ .Status }}* {{ escape .ExternalURL }}", "MarkdownV2", "*firing* http://me"),
        ("Markdown", "*{{ .Status }}*", "Markdown", "*firing*"),
        ("", "{{ .Status }} <b>", "", "firing <b>"),
        ("HTML", "<b>{{ .CommonLabels.container }}</b>{{ `<&` }}", "HTML", "<b>web</b>&lt;&amp;"),
        ("HTML", "{{ .Nope }}", "HTML", "&lt;error expanding template: template: :1:3:"),
        ("HTML", "{{ .CommonLabels.none }}", "HTML", "(an empty message)"),
    ],
)
async def test_telegrams_modes(mode: str, message: str, sent: str, text: str) -> None:
    got = await body("telegram", parse_mode=mode, message=message)
    assert got.get("parse_mode", "") == sent
    assert got["text"].startswith(text)


async def test_our_own_message_needs_no_escapes_in_markdown_v2() -> None:
    got = await body("telegram", parse_mode="MarkdownV2")
    assert got["parse_mode"] == "HTML"


async def test_a_chat_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "chat").write_text("-1001\n")
    got = await body("telegram", chat_id=0, chat_id_file=str(tmp_path / "chat"))
    assert got["chat_id"] == -1001


async def test_discord() -> None:
    got = await body("discord", content="@here {{ .Status }}", username="bot", avatar_url="http://a")
    embed = got.pop("embeds")[0]
    assert (embed["title"], embed["color"]) == (r"\[FIRING:1\] Hot \(web critical\)", 0x992D22)
    assert embed["description"].startswith("🔥 **Hot** · critical\n")
    assert got == {
        "content": "@here firing",
        "username": "bot",
        "avatar_url": "http://a",
        "allowed_mentions": {"parse": ["everyone"]},
    }


async def test_dingtalk() -> None:
    got = await body("dingtalk", at={"mobiles": ["138001"], "user_ids": ["u1"], "all": False})
    assert got["at"] == {"atMobiles": ["138001"], "atUserIds": ["u1"], "isAtAll": False}
    assert got["markdown"]["title"] == "[FIRING:1] Hot (web critical)"
    assert got["markdown"]["text"].startswith("### ［FIRING:1］ Hot (web critical)  \n🔥 **Hot** · critical  \n")
    assert got["markdown"]["text"].endswith("\n\n@138001 @u1")
    plain = await body("dingtalk", message_type="text", at={"all": True})
    assert plain["text"]["content"] == f"[FIRING:1] Hot (web critical)\n{MESSAGE}"


async def test_wecom_bot() -> None:
    got = await body("wecom bot", message_type="text", mentioned_list=["@all"])
    assert got["text"] == {"content": f"[FIRING:1] Hot (web critical)\n{MESSAGE}", "mentioned_list": ["@all"]}
    markdown = await body("wecom bot")
    assert markdown["markdown"]["content"].startswith("**［FIRING:1］ Hot (web critical)**\n🔥 **Hot** · critical\n")


async def test_feishu() -> None:
    card = (await body("feishu"))["card"]
    assert card["header"]["title"]["content"] == "[FIRING:1] Hot (web critical)"
    assert card["header"]["template"] == "red"
    assert card["elements"][0]["content"].startswith("🔥 **Hot** · critical\n")
    assert (await body("feishu", RESOLVED))["card"]["header"]["template"] == "green"


async def test_wechats_token_is_kept_and_renewed() -> None:
    async with rig("wechat", message_type="markdown", to_user="{{ .CommonLabels.container }}", to_party="2") as (
        service,
        made,
    ):
        assert (await made.send(notification())).outcome is Outcome.DELIVERED
        assert (await made.send(notification())).outcome is Outcome.DELIVERED
        service.answers = [Canned(200, {"errcode": 42001, "errmsg": "access_token expired"})]
        (expired,) = (await made.send(notification())).answers
        assert (await made.send(notification())).outcome is Outcome.DELIVERED
    assert (expired.outcome, expired.business_code, expired.retry_after_s) == (Outcome.RETRY, "42001", 0.0)
    assert [got.path.rpartition("/")[2] for got in service.got] == [
        "gettoken",
        "send",
        "send",
        "send",
        "gettoken",
        "send",
    ]
    got = service.got[1].body
    assert got.pop("markdown")["content"].startswith("[FIRING:1] Hot (web critical)\n🔥 **Hot** · critical")
    assert got == {"touser": "web", "toparty": "2", "agentid": "7", "msgtype": "markdown", "safe": "0"}


async def test_a_template_that_fails_tells_people_all_the_same() -> None:
    got = await body("slack", text="{{ .Nope }}", title="{{ .Alerts.Nope }}")
    attachment = got["attachments"][0]
    assert attachment["text"].startswith("&lt;error expanding template: template: :1:3: executing")
    assert attachment["text"].endswith("&gt; [FIRING] Hot")
    assert attachment["title"].startswith("&lt;error expanding template")
