"""The configuration as `/api/v2/status` shows it: defaults filled in, secrets left out, still a file that
Alertmanager's tools read (amtool routes by it).

Receivers of ours that Alertmanager doesn't know would make its tools refuse the whole; a comment names them instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from alerting.notify.channels.secrets import host_of

SECRET = "<secret>"  # noqa: S105 - what Alertmanager writes instead of one, and takes back
_SECRET_FIELD = re.compile(
    r"(?:.*_)?(?:password|secret|token|token_id|credentials|api_key|service_key|routing_key|user_key|access_key)"
)
_SECRET_URLS = ("slack_api_url", "webhook_url")
_SECRET_LISTS = ("secrets", "proxy_connect_header")
"""Of http_config: whatever stands in them, at any depth."""
_URL_PASSWORD = re.compile(r"(?<=://)([^/?#@:\s]*):[^/?#\s]*@")
_OURS = ("dingtalk_configs", "wecom_bot_configs", "feishu_configs", "apprise_configs")
_HTTP = {"follow_redirects": True, "enable_http2": True}
_GLOBAL = {
    "resolve_timeout": "5m",
    "http_config": _HTTP,
    "smtp_hello": "localhost",
    "smtp_require_tls": True,
    "pagerduty_url": "https://events.pagerduty.com/v2/enqueue",
    "opsgenie_api_url": "https://api.opsgenie.com/",
    "wechat_api_url": "https://qyapi.weixin.qq.com/cgi-bin/",
    "victorops_api_url": "https://alert.victorops.com/integrations/generic/20131114/alert/",
    "telegram_api_url": "https://api.telegram.org",
    "webex_api_url": "https://webexapis.com/v1/messages",
}
"""Alertmanager 0.25's defaults."""


def shown(file: Mapping[str, Any]) -> str:
    glob = {**_GLOBAL, **(file.get("global") or {})}
    body = {
        "global": _redacted(glob),
        "route": _route(file.get("route") or {}),
        **({"inhibit_rules": file["inhibit_rules"]} if file.get("inhibit_rules") else {}),
        "receivers": [_receiver(each, glob["http_config"]) for each in file.get("receivers") or ()],
        "templates": file.get("templates") or [],
        **{name: file[name] for name in ("mute_time_intervals", "time_intervals") if file.get(name)},
    }
    text = yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=10**6)
    return text + "".join(f"# {line}\n" for line in _left_out(file))


def _route(route: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {name: value for name, value in route.items() if name != "routes"}
    made.setdefault("continue", False)
    if route.get("routes"):
        made["routes"] = [_route(child) for child in route["routes"]]
    return made


def _receiver(receiver: Mapping[str, Any], http: Mapping[str, Any]) -> dict[str, Any]:
    made = {name: value for name, value in receiver.items() if name not in _OURS}
    webhooks = [_webhook(each, http) for each in made.get("webhook_configs") or ()]
    rest = _redacted({name: value for name, value in made.items() if name != "webhook_configs"})
    return {**rest, **({"webhook_configs": webhooks} if webhooks else {})}


def _webhook(webhook: Mapping[str, Any], http: Mapping[str, Any]) -> dict[str, Any]:
    made = {"send_resolved": True, "http_config": http, "max_alerts": 0, **webhook}
    if made.get("url"):
        made["url"] = shown_url(str(made["url"]))
    return {name: _redacted(value, name) for name, value in made.items()}


def shown_url(url: str) -> str:
    """A webhook's path is often its secret; its host never is."""
    host = host_of(url)
    return host if url.rstrip("/") == host else f"{host}/{SECRET}"


def _redacted(value: Any, name: str = "") -> Any:
    if name in _SECRET_LISTS:
        return _all_hidden(value)
    if isinstance(value, Mapping):
        inside_slack = name == "slack_configs"
        return {
            key: SECRET if inside_slack and key == "api_url" and inner else _redacted(inner, key)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_redacted(each, name) for each in value]
    secret = _SECRET_FIELD.fullmatch(name) or name in _SECRET_URLS
    if secret and value not in (None, ""):
        return SECRET
    # proxy_url and kin, as Go's URL.Redacted writes it
    return _URL_PASSWORD.sub(r"\1:xxxxx@", value) if isinstance(value, str) else value


def _all_hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _all_hidden(inner) for key, inner in value.items()}
    return [_all_hidden(each) for each in value] if isinstance(value, list) else SECRET


def _left_out(file: Mapping[str, Any]) -> list[str]:
    return [
        f"left out, since Alertmanager's tools don't know it: {name} of the receiver {receiver.get('name')}"
        for receiver in file.get("receivers") or ()
        for name in _OURS
        if receiver.get(name)
    ]
