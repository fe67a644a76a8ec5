"""WeCom's applications, Alertmanager's `wechat_configs` (developer.work.weixin.qq.com, message/send).

An access token of two hours is fetched first; then comes `errcode` inside a 200."""

from __future__ import annotations

import json
import time
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from alerting.notify.channels.answers import Verdict, business, json_object
from alerting.notify.channels.channel import ChannelContext, HttpChannel
from alerting.notify.channels.fields import Tmpl, Url
from alerting.notify.channels.global_config import Place
from alerting.notify.channels.http_client import HttpClient, Reply, Request
from alerting.notify.channels.http_config import HttpConfig
from alerting.notify.channels.lengths import cut, utf8_bytes
from alerting.notify.channels.markup import Dialect
from alerting.notify.channels.model import Outcome
from alerting.notify.channels.secrets import SecretText, host_of, one_of
from alerting.notify.channels.view import View
from deckwatch.runtime.faults import Reject, Retry
from deckwatch.runtime.settings_fields import Secret

MESSAGE_MOST_BYTES = 2048
_STALE = ("40014", "42001", "40001")
"""The access token is not valid, has expired, or was renewed elsewhere: another one helps at once."""
AGAIN: dict[str, float | None] = {"-1": None, "45009": 60.0, "45033": 5.0, **dict.fromkeys(_STALE, 0.0)}
_EARLY_S = 120.0


class WechatConfig(msgspec.Struct, frozen=True):
    send_resolved: bool = False
    http_config: HttpConfig | None = None
    api_secret: Secret | None = None
    api_secret_file: Path | None = None
    corp_id: Tmpl = Tmpl("")
    api_url: Url | None = None
    message: Tmpl = Tmpl('{{ template "wechat.default.message" . }}')
    message_type: str = "text"
    to_user: Tmpl = Tmpl('{{ template "wechat.default.to_user" . }}')
    to_party: Tmpl = Tmpl('{{ template "wechat.default.to_party" . }}')
    to_tag: Tmpl = Tmpl('{{ template "wechat.default.to_tag" . }}')
    agent_id: Tmpl = Tmpl('{{ template "wechat.default.agent_id" . }}')

    def __post_init__(self) -> None:
        one_of("api_secret", self.api_secret, self.api_secret_file, required=False)
        if self.message_type not in ("text", "markdown"):
            raise ValueError("message_type: expected text or markdown")


class _Token(msgspec.Struct, frozen=True):
    text: str
    ends_s: float  # monotonic


class Wechat:
    def __init__(self, config: WechatConfig, url: str, corp_id: str, secret: SecretText) -> None:
        self._config = config
        self._url = url.rstrip("/")
        self._corp_id = corp_id
        self._secret = secret
        self._token: _Token | None = None

    async def requests(self, view: View, client: HttpClient) -> list[Request]:
        if self._token is None or time.monotonic() >= self._token.ends_s:
            self._token = await self._renewed(view, client)
        url = f"{self._url}/message/send?{urlencode({'access_token': self._token.text})}"
        return [Request(url, json.dumps(app_message(self._config, view), ensure_ascii=False).encode())]

    async def _renewed(self, view: View, client: HttpClient) -> _Token:
        """Raises Retry and Reject."""
        query = {"corpid": view.exact(self._corp_id, "corp_id"), "corpsecret": self._secret.reveal()}
        request = Request(f"{self._url}/gettoken?{urlencode(query)}", b"", method="GET")
        reply = await client.send(request)
        verdict = business(reply, "errcode", "errmsg", AGAIN)
        where = f"{host_of(request.url)} gave no access token"
        if verdict.outcome is Outcome.RETRY:
            raise Retry(f"{where}: {verdict.error}", after_s=verdict.retry_after_s)
        body = json_object(reply)
        token, life = body.get("access_token"), body.get("expires_in", 7200)
        if verdict.outcome is Outcome.REFUSED or not isinstance(token, str) or not token:
            raise Reject(f"{where}: {verdict.error or 'the answer holds none'}; check corp_id and api_secret")
        life_s = float(life) if isinstance(life, int | float) else 7200.0
        return _Token(token, time.monotonic() + max(0.0, life_s - _EARLY_S))

    def judge(self, request: Request, reply: Reply) -> Verdict:
        verdict = business(reply, "errcode", "errmsg", AGAIN)
        if verdict.business_code in _STALE:
            self._token = None
        return verdict


def app_message(config: WechatConfig, view: View) -> dict[str, object]:
    spoken = view.speaking(Dialect.CHINESE_MARKDOWN) if config.message_type == "markdown" else view
    people = {
        "touser": view.exact(config.to_user, "to_user"),
        "toparty": view.exact(config.to_party, "to_party"),
        "totag": view.exact(config.to_tag, "to_tag"),
    }
    return {
        **{name: text for name, text in people.items() if text},
        "agentid": view.exact(config.agent_id, "agent_id"),
        "msgtype": config.message_type,
        config.message_type: {"content": cut(spoken.text(config.message), MESSAGE_MOST_BYTES, utf8_bytes)},
        "safe": "0",
    }


def make(place: Place, config: WechatConfig, context: ChannelContext) -> HttpChannel:
    """Raises ValueError."""
    defaults = place.defaults
    secret = SecretText(config.api_secret, config.api_secret_file)
    if not secret:
        secret = one_of("api_secret", defaults.wechat_api_secret, defaults.wechat_api_secret_file)
    corp_id = config.corp_id or defaults.wechat_api_corp_id
    if not corp_id:
        raise ValueError("give corp_id, here or as global.wechat_api_corp_id")
    client = HttpClient(config.http_config or defaults.http_config, timeout_s=context.timeout_s)
    service = Wechat(config, config.api_url or defaults.wechat_api_url, corp_id, secret)
    return HttpChannel(place.name, service, client, context, send_resolved=config.send_resolved)
