"""Feishu's and Lark's group bots (open.feishu.cn, custom bots): signed, `code` (or `StatusCode`) inside a 200."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path

import msgspec

from alerting.notify.channels.answers import Verdict, business, json_object
from alerting.notify.channels.channel import ChannelContext, HttpChannel
from alerting.notify.channels.fields import Tmpl
from alerting.notify.channels.global_config import Place
from alerting.notify.channels.http_client import HttpClient, Reply, Request
from alerting.notify.channels.http_config import HttpConfig
from alerting.notify.channels.lengths import cut, utf8_bytes
from alerting.notify.channels.markup import Dialect
from alerting.notify.channels.secrets import SecretText, one_of, secret_url
from alerting.notify.channels.view import View
from deckwatch.runtime.settings_fields import Secret

TEXT_MOST_BYTES = 16_000
"""Of 20 KB for the whole request."""
TITLE_MOST = 200
MOST, WINDOW_S = 100, 60.0
AGAIN: dict[str, float | None] = {"11232": 60.0, "11247": 5.0, "11233": 60.0}
"""Too many messages of this bot; of this tenant; trouble inside."""


class FeishuConfig(msgspec.Struct, frozen=True):
    """`secret` where the bot's security is a signature."""

    send_resolved: bool = True
    http_config: HttpConfig | None = None
    webhook_url: Secret | None = None
    webhook_url_file: Path | None = None
    secret: Secret | None = None
    secret_file: Path | None = None
    title: Tmpl = Tmpl('{{ template "feishu.default.title" . }}')
    message: Tmpl = Tmpl('{{ template "feishu.default.message" . }}')

    def __post_init__(self) -> None:
        secret_url("webhook_url", self.webhook_url, self.webhook_url_file)
        one_of("secret", self.secret, self.secret_file, required=False)


class Feishu:
    def __init__(self, config: FeishuConfig) -> None:
        self._config = config
        self._url = SecretText(config.webhook_url, config.webhook_url_file)
        self._secret = SecretText(config.secret, config.secret_file)

    async def requests(self, view: View, client: HttpClient) -> list[Request]:
        body = card_message(self._config, view)
        if self._secret:
            body |= signature(self._secret.reveal(), int(time.time()))
        return [Request(self._url.reveal_url(), json.dumps(body, ensure_ascii=False).encode())]

    def judge(self, request: Request, reply: Reply) -> Verdict:
        return judge(reply)


def judge(reply: Reply) -> Verdict:
    field = "StatusCode" if "code" not in json_object(reply) else "code"
    message = "StatusMessage" if field == "StatusCode" else "msg"
    return business(reply, field, message, AGAIN)


def signature(secret: str, at_s: int) -> dict[str, object]:
    """HMAC-SHA256 of nothing, with the time and the secret as key. The time may be off by an hour."""
    digest = hmac.new(f"{at_s}\n{secret}".encode(), b"", hashlib.sha256).digest()
    return {"timestamp": str(at_s), "sign": base64.b64encode(digest).decode()}


def card_message(config: FeishuConfig, view: View) -> dict[str, object]:
    text = cut(view.speaking(Dialect.FEISHU).text(config.message), TEXT_MOST_BYTES, utf8_bytes)
    title = {"tag": "plain_text", "content": view.line(config.title, TITLE_MOST)}
    card = {
        "config": {"wide_screen_mode": True},
        "header": {"title": title, "template": "red" if view.notification.firing else "green"},
        "elements": [{"tag": "markdown", "content": text}],
    }
    return {"msg_type": "interactive", "card": card}


def make(place: Place, config: FeishuConfig, context: ChannelContext) -> HttpChannel:
    """Raises ValueError."""
    client = HttpClient(config.http_config or place.defaults.http_config, timeout_s=context.timeout_s)
    robot = config.webhook_url.reveal() if config.webhook_url else str(config.webhook_url_file)
    pace = context.paces.of(f"feishu {hashlib.sha256(robot.encode()).hexdigest()}", MOST, WINDOW_S)
    return HttpChannel(place.name, Feishu(config), client, context, send_resolved=config.send_resolved, pace=pace)
