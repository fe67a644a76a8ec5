"""DingTalk's group robots (open.dingtalk.com, custom robot): signed, `errcode` inside a 200."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from urllib.parse import quote

import msgspec
from msgspec import field

from alerting.notify.channels.answers import Verdict, business
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

TEXT_MOST_BYTES = 18_000
"""Of 20,000 for the whole message."""
TITLE_MOST = 100
MOST, WINDOW_S = 20, 60.0
AGAIN: dict[str, float | None] = {"-1": None, "130101": 600.0, "410100": 600.0, "90018": 60.0}
"""Busy; faster than 20 a minute (the robot is shut out for ten minutes then), by two codes; too many calls."""


class DingtalkAt(msgspec.Struct, frozen=True):
    mobiles: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()
    all: bool = False


class DingtalkConfig(msgspec.Struct, frozen=True):
    """`webhook_url` with its access_token; `secret` where the robot's security is a signature."""

    send_resolved: bool = True
    http_config: HttpConfig | None = None
    webhook_url: Secret | None = None
    webhook_url_file: Path | None = None
    secret: Secret | None = None
    secret_file: Path | None = None
    message_type: str = "markdown"
    title: Tmpl = Tmpl('{{ template "dingtalk.default.title" . }}')
    message: Tmpl = Tmpl('{{ template "dingtalk.default.message" . }}')
    at: DingtalkAt = field(default=DingtalkAt())

    def __post_init__(self) -> None:
        secret_url("webhook_url", self.webhook_url, self.webhook_url_file)
        one_of("secret", self.secret, self.secret_file, required=False)
        if self.message_type not in ("markdown", "text"):
            raise ValueError("message_type: expected markdown or text")


class Dingtalk:
    def __init__(self, config: DingtalkConfig) -> None:
        self._config = config
        self._url = SecretText(config.webhook_url, config.webhook_url_file)
        self._secret = SecretText(config.secret, config.secret_file)

    async def requests(self, view: View, client: HttpClient) -> list[Request]:
        url = self._url.reveal_url()
        if self._secret:
            url = signed(url, self._secret.reveal(), time.time_ns() // 1_000_000)
        body = dingtalk_message(self._config, view)
        return [Request(url, json.dumps(body, ensure_ascii=False).encode())]

    def judge(self, request: Request, reply: Reply) -> Verdict:
        return business(reply, "errcode", "errmsg", AGAIN)


def signed(url: str, secret: str, at_ms: int) -> str:
    """HMAC-SHA256 of the time and the secret, with the secret as key. The time may be off by an hour."""
    digest = hmac.new(secret.encode(), f"{at_ms}\n{secret}".encode(), hashlib.sha256).digest()
    sign = quote(base64.b64encode(digest), safe="")
    return f"{url}{'&' if '?' in url else '?'}timestamp={at_ms}&sign={sign}"


def dingtalk_message(config: DingtalkConfig, view: View) -> dict[str, object]:
    at = {"atMobiles": list(config.at.mobiles), "atUserIds": list(config.at.user_ids), "isAtAll": config.at.all}
    called = " ".join(f"@{name}" for name in (*config.at.mobiles, *config.at.user_ids))
    title = view.line(config.title, TITLE_MOST)
    if config.message_type == "text":
        text = cut(f"{title}\n{view.text(config.message)}", TEXT_MOST_BYTES, utf8_bytes)
        return {"msgtype": "text", "text": {"content": f"{text}\n{called}".strip()}, "at": at}
    view = view.speaking(Dialect.CHINESE_MARKDOWN)
    text = f"### {view.escaped(title)}\n{view.text(config.message)}"
    # In its Markdown a line ends with two blanks; a person is called only where the text names him.
    text = "  \n".join(cut(text, TEXT_MOST_BYTES, utf8_bytes).split("\n"))
    return {"msgtype": "markdown", "markdown": {"title": title, "text": f"{text}\n\n{called}".strip()}, "at": at}


def make(place: Place, config: DingtalkConfig, context: ChannelContext) -> HttpChannel:
    """Raises ValueError."""
    client = HttpClient(config.http_config or place.defaults.http_config, timeout_s=context.timeout_s)
    robot = config.webhook_url.reveal() if config.webhook_url else str(config.webhook_url_file)
    pace = context.paces.of(f"dingtalk {hashlib.sha256(robot.encode()).hexdigest()}", MOST, WINDOW_S)
    return HttpChannel(place.name, Dingtalk(config), client, context, send_resolved=config.send_resolved, pace=pace)
