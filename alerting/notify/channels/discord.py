"""Discord's webhooks (discord.com/developers, execute webhook and rate limits). Waits are fractions of a second, in the
body and in the header."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec

from alerting.notify.channels.answers import Verdict, by_code, json_object
from alerting.notify.channels.channel import ChannelContext, HttpChannel
from alerting.notify.channels.fields import Tmpl
from alerting.notify.channels.global_config import Place
from alerting.notify.channels.http_client import HttpClient, Reply, Request
from alerting.notify.channels.http_config import HttpConfig
from alerting.notify.channels.lengths import cut, utf16_units
from alerting.notify.channels.markup import Dialect
from alerting.notify.channels.model import Outcome
from alerting.notify.channels.secrets import SecretText, secret_url
from alerting.notify.channels.view import View
from deckwatch.runtime.settings_fields import Secret

CONTENT_MOST, TITLE_MOST, DESCRIPTION_MOST, NAME_MOST = 2000, 256, 4000, 80
"""A description may have 4,096, all of an embed 6,000."""
MOST, WINDOW_S = 30, 60.0
_RED, _GREEN = 0x992D22, 0x2ECC71


class DiscordConfig(msgspec.Struct, frozen=True):
    send_resolved: bool = True
    http_config: HttpConfig | None = None
    webhook_url: Secret | None = None
    webhook_url_file: Path | None = None
    content: Tmpl = Tmpl('{{ template "discord.default.content" . }}')
    title: Tmpl = Tmpl('{{ template "discord.default.title" . }}')
    message: Tmpl = Tmpl('{{ template "discord.default.message" . }}')
    username: Tmpl = Tmpl("")
    avatar_url: Tmpl = Tmpl("")

    def __post_init__(self) -> None:
        secret_url("webhook_url", self.webhook_url, self.webhook_url_file)


class Discord:
    def __init__(self, config: DiscordConfig) -> None:
        self._config = config
        self._url = SecretText(config.webhook_url, config.webhook_url_file)

    async def requests(self, view: View, client: HttpClient) -> list[Request]:
        body = discord_message(self._config, view.speaking(Dialect.MARKDOWN))
        return [Request(self._url.reveal_url(), json.dumps(body, ensure_ascii=False).encode())]

    def judge(self, request: Request, reply: Reply) -> Verdict:
        return judge(reply)


def judge(reply: Reply) -> Verdict:
    body = json_object(reply)
    verdict = by_code(reply)
    if verdict.outcome is Outcome.DELIVERED:
        return verdict
    after = body.get("retry_after")
    after_s = float(after) if isinstance(after, int | float) else reply.retry_after_s
    code = str(body.get("code", ""))
    return msgspec.structs.replace(verdict, business_code=code, retry_after_s=after_s)


def discord_message(config: DiscordConfig, view: View) -> dict[str, object]:
    embed = {
        "title": view.escaped(view.line(config.title, TITLE_MOST // 2)),
        "description": cut(view.text(config.message), DESCRIPTION_MOST, utf16_units),
        "color": _RED if view.notification.firing else _GREEN,
    }
    optional = {
        "content": cut(view.text(config.content), CONTENT_MOST, utf16_units),
        "username": view.line(config.username, NAME_MOST),
        "avatar_url": view.text(config.avatar_url),
    }
    given = {name: value for name, value in optional.items() if value}
    return {**given, "embeds": [embed], "allowed_mentions": {"parse": allowed_mentions(config.content)}}


def allowed_mentions(content: str) -> list[str]:
    """Only what the configuration itself writes calls people; a label that holds @everyone does not."""
    found = {"everyone": "@everyone" in content or "@here" in content, "roles": "<@&" in content}
    users = content.replace("<@&", "")
    return [name for name, there in {**found, "users": "<@" in users}.items() if there]


def make(place: Place, config: DiscordConfig, context: ChannelContext) -> HttpChannel:
    """Raises ValueError."""
    client = HttpClient(config.http_config or place.defaults.http_config, timeout_s=context.timeout_s)
    secret = config.webhook_url.reveal() if config.webhook_url else str(config.webhook_url_file)
    pace = context.paces.of(f"discord {hashlib.sha256(secret.encode()).hexdigest()}", MOST, WINDOW_S)
    return HttpChannel(place.name, Discord(config), client, context, send_resolved=config.send_resolved, pace=pace)
