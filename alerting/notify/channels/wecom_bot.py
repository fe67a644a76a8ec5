"""WeCom's group bots (developer.work.weixin.qq.com, group robots): `errcode` inside a 200."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec

from alerting.notify.channels.answers import Verdict, business
from alerting.notify.channels.channel import ChannelContext, HttpChannel
from alerting.notify.channels.fields import Tmpl
from alerting.notify.channels.global_config import Place
from alerting.notify.channels.http_client import HttpClient, Reply, Request
from alerting.notify.channels.http_config import HttpConfig
from alerting.notify.channels.lengths import cut, utf8_bytes
from alerting.notify.channels.markup import Dialect
from alerting.notify.channels.secrets import SecretText, secret_url
from alerting.notify.channels.view import View
from deckwatch.runtime.settings_fields import Secret

MARKDOWN_MOST_BYTES, TEXT_MOST_BYTES = 4096, 2048
MOST, WINDOW_S = 20, 60.0
AGAIN: dict[str, float | None] = {"-1": None, "45009": 60.0, "45033": 5.0}
"""Busy; more than 20 a minute; too many at a time."""


class WecomBotConfig(msgspec.Struct, frozen=True):
    """`webhook_url` with its key. People can be called only in a text: `message_type: text`."""

    send_resolved: bool = True
    http_config: HttpConfig | None = None
    webhook_url: Secret | None = None
    webhook_url_file: Path | None = None
    message_type: str = "markdown"
    message: Tmpl = Tmpl('{{ template "wecom_bot.default.message" . }}')
    mentioned_list: tuple[str, ...] = ()
    mentioned_mobile_list: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        secret_url("webhook_url", self.webhook_url, self.webhook_url_file)
        if self.message_type not in ("markdown", "text"):
            raise ValueError("message_type: expected markdown or text")
        if self.message_type == "markdown" and (self.mentioned_list or self.mentioned_mobile_list):
            raise ValueError("mentioned_list and mentioned_mobile_list need message_type: text")


class WecomBot:
    def __init__(self, config: WecomBotConfig) -> None:
        self._config = config
        self._url = SecretText(config.webhook_url, config.webhook_url_file)

    async def requests(self, view: View, client: HttpClient) -> list[Request]:
        body = json.dumps(bot_message(self._config, view), ensure_ascii=False)
        return [Request(self._url.reveal_url(), body.encode())]

    def judge(self, request: Request, reply: Reply) -> Verdict:
        return business(reply, "errcode", "errmsg", AGAIN)


def bot_message(config: WecomBotConfig, view: View) -> dict[str, object]:
    if config.message_type == "text":
        text = {
            "content": cut(view.text(config.message), TEXT_MOST_BYTES, utf8_bytes),
            "mentioned_list": list(config.mentioned_list),
            "mentioned_mobile_list": list(config.mentioned_mobile_list),
        }
        return {"msgtype": "text", "text": {name: value for name, value in text.items() if value}}
    content = view.speaking(Dialect.CHINESE_MARKDOWN).text(config.message)
    return {"msgtype": "markdown", "markdown": {"content": cut(content, MARKDOWN_MOST_BYTES, utf8_bytes)}}


def make(place: Place, config: WecomBotConfig, context: ChannelContext) -> HttpChannel:
    """Raises ValueError."""
    client = HttpClient(config.http_config or place.defaults.http_config, timeout_s=context.timeout_s)
    robot = config.webhook_url.reveal() if config.webhook_url else str(config.webhook_url_file)
    pace = context.paces.of(f"wecom {hashlib.sha256(robot.encode()).hexdigest()}", MOST, WINDOW_S)
    return HttpChannel(place.name, WecomBot(config), client, context, send_resolved=config.send_resolved, pace=pace)
