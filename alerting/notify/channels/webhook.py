"""Alertmanager's webhook, version 4: the body that whatever receives alerts understands."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from alerting.notify.channels.answers import Verdict, by_code
from alerting.notify.channels.channel import ChannelContext, HttpChannel
from alerting.notify.channels.fields import Seconds, is_http
from alerting.notify.channels.global_config import Place
from alerting.notify.channels.http_client import HttpClient, Reply, Request
from alerting.notify.channels.http_config import HttpConfig
from alerting.notify.channels.model import Notification
from alerting.notify.channels.secrets import SecretText, one_of
from alerting.notify.channels.view import View
from alerting.notify.message import ordered_alerts, webhook_body
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.settings_fields import Secret


class WebhookConfig(msgspec.Struct, frozen=True):
    url: Secret | None = None
    url_file: Path | None = None
    send_resolved: bool = True
    max_alerts: int = 0  # 0: all
    timeout: Seconds = Seconds(0.0)  # 0: the setting's
    http_config: HttpConfig | None = None

    def __post_init__(self) -> None:
        one_of("url", self.url, self.url_file)
        if self.url is not None and "{{" not in self.url.reveal() and not is_http(self.url.reveal()):
            raise ValueError("url must be http:// or https:// and name a host")
        if self.max_alerts < 0:
            raise ValueError("max_alerts must be 0 or more")


class Webhook:
    def __init__(self, url: SecretText, max_alerts: int) -> None:
        self._url = url
        self._max_alerts = max_alerts

    async def requests(self, view: View, client: HttpClient) -> list[Request]:
        url = self._url.reveal()
        if "{{" in url:
            url = view.exact(url, "url")
            if not is_http(url):
                raise Reject("the url's template does not give an http:// or https:// URL")
        else:
            url = self._url.reveal_url()
        body = message_body(view.notification, self._max_alerts)
        return [Request(url, json.dumps(body, ensure_ascii=False).encode())]

    def judge(self, request: Request, reply: Reply) -> Verdict:
        return by_code(reply)


def message_body(notification: Notification, max_alerts: int) -> dict[str, object]:
    alerts = ordered_alerts(notification.alerts)
    kept = alerts[:max_alerts] if max_alerts else alerts
    body = webhook_body(
        notification.receiver,
        notification.group_key,
        notification.group_labels,
        kept,
        notification.external_url,
        truncated=len(alerts) - len(kept),
    )
    if notification.undelivered is not None:
        body["undelivered"] = msgspec.to_builtins(notification.undelivered)
    return body


def make(place: Place, config: WebhookConfig, context: ChannelContext) -> HttpChannel:
    """Raises ValueError."""
    client = HttpClient(config.http_config or place.defaults.http_config, timeout_s=config.timeout or context.timeout_s)
    service = Webhook(SecretText(config.url, config.url_file), config.max_alerts)
    return HttpChannel(place.name, service, client, context, send_resolved=config.send_resolved, with_evidence=False)
