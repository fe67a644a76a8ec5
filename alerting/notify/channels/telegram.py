"""Telegram's Bot API, sendMessage (core.telegram.org/bots/api). Failures carry `ok: false` and may carry
`parameters.retry_after`."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import msgspec

from alerting.notify.channels.answers import DELIVERED, Verdict, by_code, json_object
from alerting.notify.channels.channel import ChannelContext, HttpChannel
from alerting.notify.channels.fields import Tmpl, Url
from alerting.notify.channels.global_config import Place
from alerting.notify.channels.http_client import HttpClient, Reply, Request
from alerting.notify.channels.http_config import HttpConfig
from alerting.notify.channels.lengths import cut, cut_html, utf16_units
from alerting.notify.channels.markup import Dialect
from alerting.notify.channels.model import Outcome
from alerting.notify.channels.secrets import SecretText, one_of, read_secret
from alerting.notify.channels.view import View
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.settings_fields import Secret

TEXT_MOST = 4096
MOST, WINDOW_S = 20, 60.0
"""Messages to one group (core.telegram.org/bots/faq)."""
_DEFAULT = '{{ template "telegram.default.message" . }}'
_DIALECTS = {
    "HTML": Dialect.TELEGRAM_HTML,
    "Markdown": Dialect.TELEGRAM_MARKDOWN,
    "MarkdownV2": Dialect.TELEGRAM_MARKDOWN_V2,
    "": Dialect.PLAIN,
}


class TelegramConfig(msgspec.Struct, frozen=True):
    send_resolved: bool = True
    http_config: HttpConfig | None = None
    api_url: Url | None = None
    bot_token: Secret | None = None
    bot_token_file: Path | None = None
    chat_id: int = 0
    chat_id_file: Path | None = None
    message_thread_id: int = 0
    message: Tmpl = Tmpl(_DEFAULT)
    disable_notifications: bool = False
    parse_mode: str = "HTML"

    def __post_init__(self) -> None:
        one_of("bot_token", self.bot_token, self.bot_token_file, required=False)
        if bool(self.chat_id) == (self.chat_id_file is not None):
            raise ValueError("give either chat_id or chat_id_file")
        if self.parse_mode not in _DIALECTS:
            raise ValueError("parse_mode: expected HTML, Markdown, MarkdownV2 or an empty text")


class Telegram:
    def __init__(self, config: TelegramConfig, url: str, token: SecretText) -> None:
        self._config = config
        self._url = url.rstrip("/")
        self._token = token

    async def requests(self, view: View, client: HttpClient) -> list[Request]:
        token = self._token.reveal()
        url = f"{self._url}/bot{token}/sendMessage"
        mode, text = written(self._config, view)
        plain = Request(url, self._body(plain_text(mode, text), ""), secrets=(token,))
        return [Request(url, self._body(text, mode), secrets=(token,), plain=plain)]

    def _body(self, text: str, mode: str) -> bytes:
        config = self._config
        body: dict[str, object] = {
            "chat_id": config.chat_id or _chat(read_secret(config.chat_id_file or Path())),
            "text": text,
            "disable_web_page_preview": True,
            "disable_notification": config.disable_notifications,
        }
        if config.message_thread_id:
            body["message_thread_id"] = config.message_thread_id
        if mode:
            body["parse_mode"] = mode
        return json.dumps(body, ensure_ascii=False).encode()

    def judge(self, request: Request, reply: Reply) -> Verdict:
        return judge(reply)


def written(config: TelegramConfig, view: View) -> tuple[str, str]:
    """(parse mode, text). Our own message is HTML whatever the mode: its words would need escapes in MarkdownV2."""
    mode = "HTML" if config.message == _DEFAULT and config.parse_mode else config.parse_mode
    view = view.speaking(_DIALECTS[mode])
    text = view.html(config.message) if mode == "HTML" else view.text(config.message)
    text = text.strip() or view.escaped("(an empty message)")
    return mode, cut_html(text, TEXT_MOST, utf16_units) if mode == "HTML" else cut(text, TEXT_MOST, utf16_units)


def plain_text(mode: str, text: str) -> str:
    """What is left without markup, for a text that Telegram can't parse."""
    if mode == "HTML":
        return html.unescape(re.sub(r"</?[a-zA-Z][^<>]*>", "", text))
    return re.sub(r"\\([_*\[\]()~`>#+\-=|{}.!\\])", r"\1", text) if mode else text


def judge(reply: Reply) -> Verdict:
    body = json_object(reply)
    if body.get("ok") is True:
        return DELIVERED
    if "error_code" not in body:
        verdict = by_code(reply)
        odd = verdict.outcome is Outcome.DELIVERED
        return Verdict(Outcome.RETRY, error=f"answered {reply.code} without ok: true") if odd else verdict
    code, words = str(body["error_code"]), str(body.get("description", ""))
    parameters = body.get("parameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    wish = parameters.get("retry_after")
    after_s = float(wish) if isinstance(wish, int | float) else reply.retry_after_s
    if "migrate_to_chat_id" in parameters:
        words += f": the group became a supergroup, set chat_id to {parameters['migrate_to_chat_id']}"
    if code == "429" or code.startswith("5"):
        return Verdict(Outcome.RETRY, code, f"error {code}: {words}", after_s)
    return Verdict(Outcome.REFUSED, code, f"error {code}: {words}", try_plain="can't parse entities" in words)


def _chat(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Reject("chat_id_file does not hold a whole number") from None


def make(place: Place, config: TelegramConfig, context: ChannelContext) -> HttpChannel:
    """Raises ValueError."""
    defaults = place.defaults
    token = SecretText(config.bot_token, config.bot_token_file)
    if not token:
        token = one_of("bot_token", defaults.telegram_bot_token, defaults.telegram_bot_token_file)
    client = HttpClient(config.http_config or defaults.http_config, timeout_s=context.timeout_s)
    service = Telegram(config, config.api_url or defaults.telegram_api_url, token)
    pace = context.paces.of(f"telegram {config.chat_id or config.chat_id_file}", MOST, WINDOW_S)
    return HttpChannel(place.name, service, client, context, send_resolved=config.send_resolved, pace=pace)
