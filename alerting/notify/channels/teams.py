"""Microsoft Teams: workflows take an adaptive card (`msteamsv2_configs`), the older connectors a MessageCard
(`msteams_configs`). A connector answers 200 also where Teams turned the message away; the body tells."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from alerting.notify.channels.answers import DELIVERED, Verdict, by_code, said
from alerting.notify.channels.channel import ChannelContext, HttpChannel
from alerting.notify.channels.fields import Tmpl
from alerting.notify.channels.global_config import Place
from alerting.notify.channels.http_client import HttpClient, Reply, Request
from alerting.notify.channels.http_config import HttpConfig
from alerting.notify.channels.lengths import cut, utf8_bytes
from alerting.notify.channels.markup import Dialect
from alerting.notify.channels.model import Outcome
from alerting.notify.channels.secrets import SecretText, secret_url
from alerting.notify.channels.view import View
from deckwatch.runtime.settings_fields import Secret

TEXT_MOST_BYTES = 20_000
"""Of 28 KB for the whole message (learn.microsoft.com, Teams limits); JSON may make text a little longer."""
TITLE_MOST = 256


class TeamsWorkflowConfig(msgspec.Struct, frozen=True):
    send_resolved: bool = True
    http_config: HttpConfig | None = None
    webhook_url: Secret | None = None
    webhook_url_file: Path | None = None
    title: Tmpl = Tmpl('{{ template "msteamsv2.default.title" . }}')
    text: Tmpl = Tmpl('{{ template "msteamsv2.default.text" . }}')

    def __post_init__(self) -> None:
        secret_url("webhook_url", self.webhook_url, self.webhook_url_file)


class TeamsConnectorConfig(msgspec.Struct, frozen=True):
    send_resolved: bool = True
    http_config: HttpConfig | None = None
    webhook_url: Secret | None = None
    webhook_url_file: Path | None = None
    title: Tmpl = Tmpl('{{ template "msteams.default.title" . }}')
    summary: Tmpl = Tmpl('{{ template "msteams.default.summary" . }}')
    text: Tmpl = Tmpl('{{ template "msteams.default.text" . }}')

    def __post_init__(self) -> None:
        secret_url("webhook_url", self.webhook_url, self.webhook_url_file)


class TeamsWorkflow:
    def __init__(self, config: TeamsWorkflowConfig) -> None:
        self._config = config
        self._url = SecretText(config.webhook_url, config.webhook_url_file)

    async def requests(self, view: View, client: HttpClient) -> list[Request]:
        view = view.speaking(Dialect.MARKDOWN)
        card = adaptive_card(
            view.escaped(view.line(self._config.title, TITLE_MOST)),
            _lines(cut(view.text(self._config.text), TEXT_MOST_BYTES, utf8_bytes)),
            fires=bool(view.notification.firing),
        )
        return [Request(self._url.reveal_url(), json.dumps(card, ensure_ascii=False).encode())]

    def judge(self, request: Request, reply: Reply) -> Verdict:
        return by_code(reply)


class TeamsConnector:
    def __init__(self, config: TeamsConnectorConfig) -> None:
        self._config = config
        self._url = SecretText(config.webhook_url, config.webhook_url_file)

    async def requests(self, view: View, client: HttpClient) -> list[Request]:
        view = view.speaking(Dialect.MARKDOWN)
        card = {
            "@context": "http://schema.org/extensions",
            "@type": "MessageCard",
            "title": view.escaped(view.line(self._config.title, TITLE_MOST)),
            "summary": view.escaped(view.line(self._config.summary, TITLE_MOST)),
            "text": _lines(cut(view.text(self._config.text), TEXT_MOST_BYTES, utf8_bytes)),
            "themeColor": "8C1A1A" if view.notification.firing else "2DC72D",
        }
        return [Request(self._url.reveal_url(), json.dumps(card, ensure_ascii=False).encode())]

    def judge(self, request: Request, reply: Reply) -> Verdict:
        return judge_connector(reply)


def judge_connector(reply: Reply) -> Verdict:
    """The body of a success is `1`. Otherwise it quotes the answer that the connector got itself."""
    if not 200 <= reply.code < 300 or said(reply) in ("1", ""):
        return by_code(reply)
    words = said(reply)
    may_pass = any(f"error {code}" in words for code in ("429", "412", "502", "503", "504"))
    if "failed" not in words and not may_pass:
        return DELIVERED
    return Verdict(Outcome.RETRY if may_pass else Outcome.REFUSED, "", f"answered {reply.code}, but said: {words}")


def adaptive_card(title: str, text: str, *, fires: bool) -> dict[str, object]:
    heading = {"type": "TextBlock", "text": title, "weight": "Bolder", "size": "Medium", "wrap": True}
    body = [
        {**heading, "style": "heading", "color": "Attention" if fires else "Good"},
        {"type": "TextBlock", "text": text, "wrap": True},
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": body,
        "msteams": {"width": "full"},
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": card}]}


def _lines(text: str) -> str:
    """In Markdown a line ends with an empty one."""
    return "\n\n".join(line for line in text.split("\n") if line.strip())


def make_workflow(place: Place, config: TeamsWorkflowConfig, context: ChannelContext) -> HttpChannel:
    """Raises ValueError."""
    client = HttpClient(config.http_config or place.defaults.http_config, timeout_s=context.timeout_s)
    return HttpChannel(place.name, TeamsWorkflow(config), client, context, send_resolved=config.send_resolved)


def make_connector(place: Place, config: TeamsConnectorConfig, context: ChannelContext) -> HttpChannel:
    """Raises ValueError."""
    client = HttpClient(config.http_config or place.defaults.http_config, timeout_s=context.timeout_s)
    return HttpChannel(place.name, TeamsConnector(config), client, context, send_resolved=config.send_resolved)
