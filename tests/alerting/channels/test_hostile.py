"""Labels, annotations and log lines that try to format, link, call people, or break the message: channel by channel.

What is sent goes to stand-ins that check it as the real services do.
"""

# ruff: noqa: E501 - a row stands in one line

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from alerting.notify.channels.fields import HtmlTmpl, Tmpl
from alerting.notify.channels.mail_message import MailTexts, Threading, written
from alerting.notify.channels.model import Notification, Outcome
from alerting.notify.channels.view import View
from alerting.notify.message import GroupAlert
from alerting.notify.notification_templates import NotificationTemplates
from alerting.notify.template_data import Evidence, LogLine
from tests.alerting.channels.test_answers import CONFIGS
from tests.fixtures.channels import S, integrations, notification
from tests.fixtures.chat_services import chat_service

HOSTILE = (
    "<b>bold</b> <!channel> <!here|here> <@U123> <@all> @everyone @here <at id=all></at> *star* _under_ `tick` ~s~ "
    "[click](http://evil.example) <http://evil.example|safe> | > # \\ {{ .Status }} %s \x00\x07\x1b[31mred\x1b[0m "
    "\u202emarks\u202c\r\nBcc: victim@example.org\n# heading\n</td><script>alert(1)</script> &amp; \u2028 日志 🔥"
)
LABELS = (("alertname", "Hot"), ("container", HOSTILE), ("severity", HOSTILE))
ALERT = GroupAlert(
    LABELS,
    (("description", HOSTILE), ("runbook_url", 'javascript:alert("x")'), ("summary", HOSTILE)),
    1_700_000_000 * S,
    0,
    'http://g/") <script>',
)
GROUP = (("alertname", HOSTILE),)


async def evidence(notification: Notification) -> Mapping[str, Evidence]:
    return {ALERT.fingerprint: Evidence(1.5, HOSTILE, HOSTILE, (LogLine(S, HOSTILE),), ((HOSTILE, "http://x/y"),))}


async def sent(name: str, alert: GroupAlert = ALERT, **changes: Any) -> tuple[Outcome, Any]:
    """(what came of it, the body)"""
    rules, kind, config = CONFIGS[name]
    async with chat_service(rules) as service:
        filled = {
            field: value.replace("{url}", service.url) if isinstance(value, str) else value
            for field, value in {**config, **changes}.items()
        }
        (made,) = integrations({f"{kind}_configs": [filled]}, evidence=evidence)
        outcome = (await made.send(notification(alert, group_labels=GROUP))).outcome
        await made.close()
        got = service.got[-1]
    return outcome, got.body


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "webhook"])
async def test_the_service_takes_it(name: str) -> None:
    """Control characters and marks that turn the direction of writing never leave the house."""
    outcome, body = await sent(name)
    assert outcome is Outcome.DELIVERED
    texts = "".join(_texts(body))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202a-\u202e]", texts)
    assert "日志 🔥" in texts
    assert "{{ .Status }}" in texts.replace("\\", "").replace("&#123;", "{")


@pytest.mark.parametrize(
    ("name", "never"),
    [
        ("slack", r"<!|<@|<http://evil|(?<!\w)<b>"),
        ("slack app", r"<!|<@|<http://evil|(?<!\w)<b>"),
        ("telegram", r"<script|<b>bold|<at |<a href=.javascript|<http"),
        ("discord", r"(?<!\\)[<>]|@everyone|(?<!\\)\[click|(?<!\\)\*star"),
        ("teams", r"(?<!\\)<script|(?<!\\)\[click|(?<!\\)\*star"),
        ("teams connector", r"(?<!\\)<script|(?<!\\)\[click|(?<!\\)\*star"),
        ("dingtalk", r"<|\[click|\*star"),
        ("wecom bot", r"<@|<b>|\[click"),
        ("feishu", r"<at |<b>|\[click|\*star"),
    ],
)
async def test_nothing_of_it_is_markup(name: str, never: str) -> None:
    _, body = await sent(name)
    assert not re.findall(never, "\n".join(_marked_texts(name, body)))


@pytest.mark.parametrize(
    ("name", "changes", "never"),
    [
        ("slack", {"text": "{{ .CommonLabels.container }}", "title": "{{ .CommonLabels.container }}"}, r"<!|<@|@here|@channel"),
        ("wecom bot", {"message": "{{ .CommonLabels.container }}"}, r"<@"),
        ("feishu", {"message": "{{ .CommonLabels.container }}"}, r"<at\b"),
    ],
)  # fmt: skip
async def test_a_users_own_template_calls_nobody_by_what_it_inserts(
    name: str, changes: dict[str, Any], never: str
) -> None:
    _, body = await sent(name, **changes)
    assert not re.findall(never, "\n".join(_marked_texts(name, body)))


@pytest.mark.parametrize(
    ("content", "allowed"),
    [
        ("", []),
        ("{{ .CommonLabels.container }}", []),
        ("@here {{ .Status }}", ["everyone"]),
        ("<@&42> <@7>", ["roles", "users"]),
    ],
)
async def test_discord_calls_whom_the_configuration_calls(content: str, allowed: list[str]) -> None:
    _, body = await sent("discord", content=content)
    assert body["allowed_mentions"] == {"parse": allowed}


async def test_telegram_gets_plain_text_where_it_cant_parse_the_markup() -> None:
    """The message comes through, without its markup."""
    outcome, body = await sent("telegram", parse_mode="MarkdownV2", message="*{{ .Status }}* (1-2) {{ .Alerts | len }}")
    assert outcome is Outcome.DELIVERED
    assert "parse_mode" not in body
    assert body["text"] == "*firing* (1-2) 1"
    outcome, body = await sent("telegram", message="<b>{{ .Status }}</b><br>x &amp; y")
    assert (outcome, body["text"]) == (Outcome.DELIVERED, "firingx & y")


def test_mail() -> None:
    """A line end in a label can't add a header."""
    texts = MailTexts(
        Tmpl("Alerts <a@example.org>"),
        Tmpl("b@example.org"),
        {"X-Container": "{{ .CommonLabels.container }}", "Subject": "{{ .CommonLabels.container }}"},
        HtmlTmpl('{{ template "email.default.html" . }}'),
        Tmpl('{{ template "email.default.text" . }}'),
        Threading(),
    )
    view = View(notification(ALERT, group_labels=GROUP), NotificationTemplates(), {})
    mail = message_from_bytes(written(texts, view, datetime.now(UTC)).body, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    assert mail["Bcc"] is None
    assert "Bcc: victim@example.org" in mail["Subject"]
    html = mail.get_body(("html",))
    assert html is not None
    page = html.get_content()
    assert "<script" not in page
    assert "<b>bold" not in page
    assert 'href="#ZgotmplZ"' in page
    assert "\x1b" not in page


LONG = "長い🔥é" * 20_000


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "webhook"])
async def test_what_is_too_long_is_cut_with_a_mark(name: str) -> None:
    """The stand-ins refuse what the services would."""
    labels = (("alertname", LONG), ("container", LONG))
    long = GroupAlert(labels, (("description", LONG), ("summary", LONG)), 1_700_000_000 * S)
    outcome, body = await sent(name, long)
    assert outcome is Outcome.DELIVERED
    texts = list(_texts(body))
    assert any("…" in text for text in texts) or "removed because" in "".join(texts)
    assert "\ud83d" not in "".join(texts)


def _texts(body: object) -> list[str]:
    match body:
        case str():
            return [body]
        case dict():
            return [text for value in body.values() for text in _texts(value)]
        case list():
            return [text for value in body for text in _texts(value)]
    return []


def _marked_texts(name: str, body: Any) -> list[str]:
    """Those parts of a body that the service reads as markup."""
    match name:
        case "slack" | "slack app":
            shown = body["attachments"][0]
            return [shown["text"], shown["title"], shown["fallback"]]
        case "telegram":
            return [body["text"]]
        case "discord":
            return [
                re.sub(r"\]\(https?://[^)]*\)|`[^`]*`", "", body["embeds"][0]["description"]),
                body["embeds"][0]["title"],
            ]
        case "teams":
            return [re.sub(r"`[^`]*`", "", part["text"]) for part in body["attachments"][0]["content"]["body"]]
        case "teams connector":
            return [re.sub(r"`[^`]*`", "", body["text"]), body["title"]]
        case "dingtalk":
            return [body["markdown"]["text"]]
        case "wecom bot":
            return [body["markdown"]["content"]]
    return [body["card"]["elements"][0]["content"]]
