"""`global:` of Alertmanager's configuration file: what receivers use where they say nothing of their own."""

from __future__ import annotations

from pathlib import Path

import msgspec

from alerting.notify.channels.fields import Seconds, Tmpl, Url
from alerting.notify.channels.http_config import HttpConfig, TlsConfig
from deckwatch.runtime.settings_fields import Secret


class GlobalConfig(msgspec.Struct, frozen=True):
    """Fields of channels that are not supported are taken too: a file that never uses them loads unchanged."""

    resolve_timeout: Seconds = Seconds(300.0)
    http_config: HttpConfig = HttpConfig()
    smtp_from: Tmpl = Tmpl("")
    smtp_hello: str = "localhost"
    smtp_smarthost: str = ""
    smtp_auth_username: str = ""
    smtp_auth_password: Secret | None = None
    smtp_auth_password_file: Path | None = None
    smtp_auth_secret: Secret | None = None
    smtp_auth_secret_file: Path | None = None
    smtp_auth_identity: str = ""
    smtp_require_tls: bool = True
    smtp_tls_config: TlsConfig = TlsConfig()
    smtp_force_implicit_tls: bool | None = None
    slack_api_url: Secret | None = None
    slack_api_url_file: Path | None = None
    slack_app_token: Secret | None = None
    slack_app_token_file: Path | None = None
    slack_app_url: Url = Url("https://slack.com/api/chat.postMessage")
    pagerduty_url: Url = Url("https://events.pagerduty.com/v2/enqueue")
    opsgenie_api_url: Url = Url("https://api.opsgenie.com/")
    opsgenie_api_key: Secret | None = None
    opsgenie_api_key_file: Path | None = None
    wechat_api_url: Url = Url("https://qyapi.weixin.qq.com/cgi-bin/")
    wechat_api_secret: Secret | None = None
    wechat_api_secret_file: Path | None = None
    wechat_api_corp_id: str = ""
    telegram_api_url: Url = Url("https://api.telegram.org")
    telegram_bot_token: Secret | None = None
    telegram_bot_token_file: Path | None = None
    victorops_api_url: Url = Url("")
    victorops_api_key: Secret | None = None
    victorops_api_key_file: Path | None = None
    webex_api_url: Url = Url("")
    rocketchat_api_url: Url = Url("")
    rocketchat_token: Secret | None = None
    rocketchat_token_file: Path | None = None
    rocketchat_token_id: Secret | None = None
    rocketchat_token_id_file: Path | None = None
    mattermost_webhook_url: Secret | None = None
    mattermost_webhook_url_file: Path | None = None
    jira_api_url: Url = Url("")

    def __post_init__(self) -> None:
        pairs = ("smtp_auth_password", "smtp_auth_secret", "slack_api_url", "slack_app_token", "opsgenie_api_key")
        for name in (*pairs, "wechat_api_secret", "telegram_bot_token", "victorops_api_key"):
            if getattr(self, name) is not None and getattr(self, f"{name}_file") is not None:
                raise ValueError(f"give either {name} or {name}_file, not both")


class Place(msgspec.Struct, frozen=True):
    """Where in the file an integration stands, and what it falls back on."""

    name: str  # `slack[0]`
    defaults: GlobalConfig
