"""Slack: incoming webhooks, and chat.postMessage with a token (api.slack.com, messaging and rate limits).

A webhook answers the text `ok`; the web API answers 200 with `ok: false` where it failed.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from alerting.notify.channels.answers import DELIVERED, Verdict, by_code, json_object, said
from alerting.notify.channels.channel import ChannelContext, HttpChannel
from alerting.notify.channels.fields import Seconds, Tmpl, Url
from alerting.notify.channels.global_config import Place
from alerting.notify.channels.http_client import HttpClient, Reply, Request
from alerting.notify.channels.http_config import HttpConfig
from alerting.notify.channels.lengths import cut
from alerting.notify.channels.markup import Dialect
from alerting.notify.channels.model import Outcome
from alerting.notify.channels.secrets import SecretText, one_of, secret_url
from alerting.notify.channels.view import View
from deckwatch.runtime.settings_fields import Secret

TITLE_MOST = 1024
TEXT_MOST = 30_000
"""Of 40,000 characters in all, beyond which Slack cuts or refuses (msg_too_long)."""
_AGAIN = {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
_AGAIN |= {"rollup_error", "message_limit_exceeded"}


class SlackField(msgspec.Struct, frozen=True):
    title: Tmpl
    value: Tmpl
    short: bool | None = None


class SlackConfirmation(msgspec.Struct, frozen=True):
    text: Tmpl
    title: Tmpl = Tmpl("")
    ok_text: Tmpl = Tmpl("")
    dismiss_text: Tmpl = Tmpl("")


class SlackAction(msgspec.Struct, frozen=True):
    type: Tmpl
    text: Tmpl
    url: Tmpl = Tmpl("")
    style: Tmpl = Tmpl("")
    name: Tmpl = Tmpl("")
    value: Tmpl = Tmpl("")
    confirm: SlackConfirmation | None = None

    def __post_init__(self) -> None:
        if not self.url and not self.name:
            raise ValueError("give url or name")


class SlackConfig(msgspec.Struct, frozen=True):
    send_resolved: bool = False
    http_config: HttpConfig | None = None
    api_url: Secret | None = None
    api_url_file: Path | None = None
    app_token: Secret | None = None
    app_token_file: Path | None = None
    app_url: Url | None = None
    channel: Tmpl = Tmpl("")
    username: Tmpl = Tmpl('{{ template "slack.default.username" . }}')
    color: Tmpl = Tmpl('{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}')
    title: Tmpl = Tmpl('{{ template "slack.default.title" . }}')
    title_link: Tmpl = Tmpl('{{ template "slack.default.titlelink" . }}')
    pretext: Tmpl = Tmpl('{{ template "slack.default.pretext" . }}')
    text: Tmpl = Tmpl('{{ template "slack.default.text" . }}')
    message_text: Tmpl = Tmpl("")
    fields: tuple[SlackField, ...] = ()
    short_fields: bool = False
    footer: Tmpl = Tmpl('{{ template "slack.default.footer" . }}')
    fallback: Tmpl = Tmpl('{{ template "slack.default.fallback" . }}')
    callback_id: Tmpl = Tmpl('{{ template "slack.default.callbackid" . }}')
    icon_emoji: Tmpl = Tmpl('{{ template "slack.default.iconemoji" . }}')
    icon_url: Tmpl = Tmpl('{{ template "slack.default.iconurl" . }}')
    image_url: Tmpl = Tmpl("")
    thumb_url: Tmpl = Tmpl("")
    link_names: bool = False
    mrkdwn_in: tuple[str, ...] = ()
    actions: tuple[SlackAction, ...] = ()
    timeout: Seconds = Seconds(0.0)
    update_message: bool = False

    def __post_init__(self) -> None:
        if self.update_message:
            raise ValueError("update_message is not supported: each notification is a message of its own")


class Slack:
    def __init__(self, config: SlackConfig, url: SecretText, token: SecretText | None) -> None:
        """With a `token` the web API is spoken to, else a webhook."""
        self._config = config
        self._url = url
        self._token = token

    async def requests(self, view: View, client: HttpClient) -> list[Request]:
        headers = {"Authorization": f"Bearer {self._token.reveal()}"} if self._token else {}
        body = json.dumps(slack_message(self._config, view.speaking(Dialect.SLACK)), ensure_ascii=False)
        return [Request(self._url.reveal_url(), body.encode(), headers, content_type="application/json; charset=utf-8")]

    def judge(self, request: Request, reply: Reply) -> Verdict:
        return judge(reply)


def judge(reply: Reply) -> Verdict:
    if not 200 <= reply.code < 300:
        return by_code(reply)
    if "json" not in reply.headers.get("content-type", ""):
        words = said(reply)
        return DELIVERED if words == "ok" else Verdict(Outcome.REFUSED, words, f"answered 200, but said: {words}")
    body = json_object(reply)
    if body.get("ok") is True:
        return DELIVERED
    code = str(body.get("error", "no error named"))
    outcome = Outcome.RETRY if code in _AGAIN or not body else Outcome.REFUSED
    return Verdict(outcome, code, f"answered 200 with ok: false: {code}", reply.retry_after_s)


def slack_message(config: SlackConfig, view: View) -> dict[str, object]:
    """Empty fields are left out, as Alertmanager does."""
    message = {
        "channel": view.exact(config.channel, "channel"),
        "username": view.text(config.username),
        "icon_emoji": view.text(config.icon_emoji),
        "icon_url": view.text(config.icon_url),
        "text": cut(view.text(config.message_text), TEXT_MOST),
        "link_names": config.link_names,
        "attachments": [_attachment(config, view)],
    }
    return {name: value for name, value in message.items() if value}


def _attachment(config: SlackConfig, view: View) -> dict[str, object]:
    text = view.text
    always = {
        "text": cut(text(config.text), TEXT_MOST),
        "fallback": cut(view.escaped(view.line(config.fallback, TITLE_MOST)), TEXT_MOST),
        "callback_id": text(config.callback_id),
        "footer": text(config.footer),
    }
    optional = {
        "title": view.escaped(view.line(config.title, TITLE_MOST)),
        "title_link": text(config.title_link),
        "pretext": cut(text(config.pretext), TEXT_MOST),
        "image_url": text(config.image_url),
        "thumb_url": text(config.thumb_url),
        "color": text(config.color),
        "fields": [_field(config, one, view) for one in config.fields],
        "actions": [_action(one, view) for one in config.actions],
    }
    marked = list(config.mrkdwn_in) or ["fallback", "pretext", "text"]
    return {**always, **{name: value for name, value in optional.items() if value}, "mrkdwn_in": marked}


def _field(config: SlackConfig, one: SlackField, view: View) -> dict[str, object]:
    short = config.short_fields if one.short is None else one.short
    return {"title": view.text(one.title), "value": cut(view.text(one.value), TEXT_MOST), "short": short}


def _action(action: SlackAction, view: View) -> dict[str, object]:
    made: dict[str, object] = {
        "type": view.text(action.type),
        "text": view.text(action.text),
        "url": view.text(action.url),
        "style": view.text(action.style),
    }
    if not action.url:
        made |= {"name": view.text(action.name), "value": view.text(action.value)}
        if action.confirm:
            names = ("text", "title", "ok_text", "dismiss_text")
            made["confirm"] = {name: view.text(getattr(action.confirm, name)) for name in names}
    return {name: value for name, value in made.items() if value}


def make(place: Place, config: SlackConfig, context: ChannelContext) -> HttpChannel:
    """Raises ValueError."""
    url, token = _way(place, config)
    client = HttpClient(config.http_config or place.defaults.http_config, timeout_s=config.timeout or context.timeout_s)
    return HttpChannel(place.name, Slack(config, url, token), client, context, send_resolved=config.send_resolved)


def _way(place: Place, config: SlackConfig) -> tuple[SecretText, SecretText | None]:
    """The receiver's own before the global one; there, a webhook before an app."""
    defaults = place.defaults
    own_token = one_of("app_token", config.app_token, config.app_token_file, required=False)
    if config.api_url or config.api_url_file:
        if own_token:
            raise ValueError("give either api_url or app_token, not both")
        return secret_url("api_url", config.api_url, config.api_url_file), None
    app_url = SecretText(Secret(config.app_url or defaults.slack_app_url), None)
    if own_token:
        return app_url, own_token
    if defaults.slack_api_url or defaults.slack_api_url_file:
        return secret_url("global.slack_api_url", defaults.slack_api_url, defaults.slack_api_url_file), None
    token = one_of("global.slack_app_token", defaults.slack_app_token, defaults.slack_app_token_file, required=False)
    if not token:
        raise ValueError("give api_url, api_url_file, app_token or app_token_file, here or in global (slack_...)")
    return app_url, token
