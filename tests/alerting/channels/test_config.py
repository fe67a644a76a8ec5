"""Receivers of Alertmanager's file: what is taken, what is refused and how that is said."""

# ruff: noqa: E501 - a row stands in one line

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from alerting.notify.channels.fields import FieldReader
from alerting.notify.channels.global_config import GlobalConfig
from tests.fixtures.channels import faults, integrations

URL = "https://hooks.example.org/s3cret"


@pytest.mark.parametrize(
    ("receiver", "defaults", "want"),
    [
        ({"name": "x"}, {}, []),
        ({"name": "x", "webhook_configs": None}, {}, []),
        ({"webhook_configs": [{"url": URL}, {"url": URL, "send_resolved": False}]}, {}, ["webhook[0] True", "webhook[1] False"]),
        ({"slack_configs": [{"channel": "#a"}]}, {"slack_api_url": URL}, ["slack[0] False"]),
        ({"slack_configs": [{"channel": "#a"}]}, {"slack_app_token": "t"}, ["slack[0] False"]),
        ({"email_configs": [{"to": "a@example.org"}]}, {"smtp_from": "b@example.org", "smtp_smarthost": "mail.example.org:587"}, ["email[0] False"]),
        ({"pagerduty_configs": [{"service_key": "k"}]}, {}, ["pagerduty[0] True"]),
        ({"opsgenie_configs": [{}]}, {"opsgenie_api_key_file": "/etc/key"}, ["opsgenie[0] True"]),
        ({"telegram_configs": [{"chat_id": -1, "bot_token": 12}]}, {}, ["telegram[0] True"]),
        ({"discord_configs": [{"webhook_url_file": "f"}]}, {}, ["discord[0] True"]),
        ({"msteams_configs": [{"webhook_url": URL}], "msteamsv2_configs": [{"webhook_url": URL}]}, {}, ["msteams[0] True", "msteamsv2[0] True"]),
        ({"wechat_configs": [{"corp_id": "c"}]}, {"wechat_api_secret": "s"}, ["wechat[0] False"]),
        ({"dingtalk_configs": [{"webhook_url": URL}], "wecom_bot_configs": [{"webhook_url": URL}], "feishu_configs": [{"webhook_url": URL}]}, {}, ["dingtalk[0] True", "wecom_bot[0] True", "feishu[0] True"]),
        # In Alertmanager's order, whatever stands first in the file
        ({"slack_configs": [{"api_url": URL}], "webhook_configs": [{"url": URL}]}, {}, ["webhook[0] True", "slack[0] False"]),
    ],
)  # fmt: skip
def test_integrations(receiver: dict[str, Any], defaults: dict[str, Any], want: list[str]) -> None:
    assert [f"{one.name} {one.send_resolved}" for one in integrations(receiver, defaults)] == want


@pytest.mark.parametrize(
    ("receiver", "defaults", "want"),
    [
        ({"webhook_configs": [{}]}, {}, ["webhook_configs[0]: give url or url_file"]),
        ({"webhook_configs": [{"url": URL, "url_file": "f"}]}, {}, ["webhook_configs[0]: give either url or url_file, not both"]),
        ({"webhook_configs": [{"url": "ftp://s3cret"}]}, {}, ["webhook_configs[0]: url must be http:// or https:// and name a host"]),
        ({"webhook_configs": [{"url": URL, "max_alerts": -1}]}, {}, ["webhook_configs[0]: max_alerts must be 0 or more"]),
        ({"webhook_configs": [{"url": URL, "timeout": "10"}]}, {}, ['webhook_configs[0].timeout: not a duration: "10"; expected a number and a unit (ms, s, m, h, d, w, y), such as 1h30m']),
        ({"webhook_configs": [{"url": URL, "send_resolved": "yes"}]}, {}, ["webhook_configs[0].send_resolved: expected true or false, got text"]),
        ({"webhook_configs": {"url": URL}}, {}, ["webhook_configs: expected a list"]),
        ({"webhook_configs": ["x"]}, {}, ["webhook_configs[0]: expected a mapping, got text"]),
        ({"webhook_configs": [{"url": ["s3cret"]}]}, {}, ["webhook_configs[0].url: expected text, got a list"]),
        ({"slack_configs": [{"api_url": URL, "titel": "x"}]}, {}, ["slack_configs[0].titel: unknown field; did you mean title?"]),
        ({"slack_configs": [{"api_url": URL, "title": "{{ .Status "}]}, {}, ["slack_configs[0].title: unclosed action at character 1"]),
        ({"slack_configs": [{"api_url": URL, "fields": [{"title": "a"}]}]}, {}, ["slack_configs[0].fields[0]: Missing required field 'value'"]),
        ({"slack_configs": [{"api_url": URL, "actions": [{"type": "button", "text": "x"}]}]}, {}, ["slack_configs[0].actions[0]: give url or name"]),
        ({"slack_configs": [{}]}, {}, ["slack_configs[0]: give api_url, api_url_file, app_token or app_token_file, here or in global (slack_...)"]),
        ({"slack_configs": [{"api_url": URL, "app_token": "s3cret"}]}, {}, ["slack_configs[0]: give either api_url or app_token, not both"]),
        ({"slack_configs": [{"api_url": URL, "update_message": True}]}, {}, ["slack_configs[0]: update_message is not supported: each notification is a message of its own"]),
        ({"email_configs": [{}]}, {}, ["email_configs[0]: Missing required field 'to'"]),
        ({"email_configs": [{"to": "a@b"}]}, {}, ["email_configs[0]: give from, here or as global.smtp_from"]),
        ({"email_configs": [{"to": "a@b", "from": "c@d", "smarthost": "x"}]}, {}, ["email_configs[0]: smarthost: expected host:port, here or as global.smtp_smarthost"]),
        ({"email_configs": [{"to": "a@b", "from": "c@d", "smarthost": "x:25", "headers": {"a": "1", "A": "2"}}]}, {}, ["email_configs[0]: headers: a given twice"]),
        ({"pagerduty_configs": [{"severity": "x"}]}, {}, ["pagerduty_configs[0]: give routing_key (Events API v2) or service_key (v1), or one of them as a _file"]),
        ({"opsgenie_configs": [{"api_key": "s3cret", "responders": [{"name": "a", "type": "crowd"}]}]}, {}, ["opsgenie_configs[0].responders[0]: type: expected one of team, teams, user, escalation, schedule, or a template"]),
        ({"telegram_configs": [{"bot_token": "s3cret"}]}, {}, ["telegram_configs[0]: give either chat_id or chat_id_file"]),
        ({"telegram_configs": [{"chat_id": 1}]}, {}, ["telegram_configs[0]: give bot_token or bot_token_file"]),
        ({"telegram_configs": [{"bot_token": "s3cret", "chat_id": "x"}]}, {}, ["telegram_configs[0].chat_id: expected a whole number, got text"]),
        ({"telegram_configs": [{"bot_token": "s3cret", "chat_id": 1, "parse_mode": "html"}]}, {}, ["telegram_configs[0]: parse_mode: expected HTML, Markdown, MarkdownV2 or an empty text"]),
        ({"wechat_configs": [{"api_secret": "s3cret"}]}, {}, ["wechat_configs[0]: give corp_id, here or as global.wechat_api_corp_id"]),
        ({"wecom_bot_configs": [{"webhook_url": URL, "mentioned_list": ["@all"]}]}, {}, ["wecom_bot_configs[0]: mentioned_list and mentioned_mobile_list need message_type: text"]),
        ({"pushover_configs": [{}]}, {}, ["pushover_configs: not supported; use webhook_configs, or apprise_configs for many services"]),
        ({"sns_configs": [{}], "fax_configs": [{}]}, {}, ["sns_configs: not supported; use webhook_configs, or apprise_configs for many services", "fax_configs: unknown field"]),
        ({"webhook_configs": [{"url": URL, "http_config": {"basic_auth": {"username": "u"}, "bearer_token": "s3cret"}}]}, {}, ["webhook_configs[0].http_config: give at most one of basic_auth, authorization, oauth2, bearer_token, bearer_token_file"]),
        ({"webhook_configs": [{"url": URL, "http_config": {"proxy_url": "socks5://x"}}]}, {}, ["webhook_configs[0].http_config: proxy_url: only http:// and https:// proxies are supported"]),
        ({"webhook_configs": [{"url": URL, "http_config": {"tls_config": {"cert_file": "c"}}}]}, {}, ["webhook_configs[0].http_config.tls_config: cert_file and key_file are given together"]),
        ({"webhook_configs": [{"url": URL, "http_config": {"tls_config": {"ca_file": "nowhere.pem"}}}]}, {}, ["webhook_configs[0]: tls_config: /etc/alerts/nowhere.pem can't be read: No such file or directory"]),
        ({"webhook_configs": [{"url": URL, "http_config": {"http_headers": {"Authorization": {"values": ["s3cret"]}}}}]}, {}, ["webhook_configs[0].http_config: http_headers: Authorization can't be set here"]),
    ],
)  # fmt: skip
def test_faults(receiver: dict[str, Any], defaults: dict[str, Any], want: list[str]) -> None:
    found = faults(receiver, defaults)
    assert found == [f"receivers[0].{fault}" for fault in want]
    assert "s3cret" not in "".join(found)


def test_all_faults_come_together() -> None:
    receiver = {
        "webhook_configs": [{}, {"url": URL, "max_alert": 1}],
        "slack_configs": [{"api_url": URL, "text": "{{"}],
    }
    assert faults(receiver, {"smtp_requires_tls": True, "opsgenie_api_url": "x"}) == [
        "global.smtp_requires_tls: unknown field; did you mean smtp_require_tls?",
        "global.opsgenie_api_url: expected a URL that starts with http:// or https:// and names a host",
        "receivers[0].webhook_configs[0]: give url or url_file",
        "receivers[0].webhook_configs[1].max_alert: unknown field; did you mean max_alerts?",
        "receivers[0].slack_configs[0].text: unclosed action at character 1",
    ]


def test_apprise_has_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)  # Python's own way to say that it isn't there
    found = faults({"apprise_configs": [{"urls": ["json://localhost"]}]})
    assert found == ["receivers[0].apprise_configs[0]: apprise is not installed: install deckwatch[apprise]"]


def test_relative_paths_start_from_the_files_folder(tmp_path: Path) -> None:
    reader = FieldReader(tmp_path, lambda text: None)
    defaults = reader.read(GlobalConfig, {"opsgenie_api_key_file": "key", "slack_api_url_file": "/abs"}, "global")
    assert defaults is not None
    assert (defaults.opsgenie_api_key_file, defaults.slack_api_url_file) == (tmp_path / "key", Path("/abs"))
