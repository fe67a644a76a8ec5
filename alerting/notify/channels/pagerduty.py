"""PagerDuty's Events API: version 2 by `routing_key`, version 1 by `service_key` (developer.pagerduty.com, events)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec
from msgspec import field

from alerting.notify.channels.answers import Verdict, by_code, json_object
from alerting.notify.channels.channel import ChannelContext, HttpChannel
from alerting.notify.channels.fields import Seconds, Tmpl, Url
from alerting.notify.channels.global_config import Place
from alerting.notify.channels.http_client import HttpClient, Reply, Request
from alerting.notify.channels.http_config import HttpConfig
from alerting.notify.channels.lengths import cut
from alerting.notify.channels.model import Outcome
from alerting.notify.channels.secrets import SecretText, one_of
from alerting.notify.channels.view import View
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.settings_fields import Secret

SUMMARY_MOST = 1024
EVENT_MOST_BYTES = 512_000
V1_URL = "https://events.pagerduty.com/generic/2010-04-15/create_event.json"
_SEVERITIES = ("critical", "error", "warning", "info")
_TOO_LARGE = "Custom details have been removed because the original event exceeds the maximum size of 512KB"
_DETAILS: dict[str, object] = {
    "firing": '{{ template "pagerduty.default.instances" .Alerts.Firing }}',
    "resolved": '{{ template "pagerduty.default.instances" .Alerts.Resolved }}',
    "num_firing": "{{ .Alerts.Firing | len }}",
    "num_resolved": "{{ .Alerts.Resolved | len }}",
}


class PagerdutyLink(msgspec.Struct, frozen=True):
    href: Tmpl = Tmpl("")
    text: Tmpl = Tmpl("")


class PagerdutyImage(msgspec.Struct, frozen=True):
    src: Tmpl = Tmpl("")
    alt: Tmpl = Tmpl("")
    href: Tmpl = Tmpl("")


class PagerdutyConfig(msgspec.Struct, frozen=True):
    send_resolved: bool = True
    http_config: HttpConfig | None = None
    routing_key: Secret | None = None
    routing_key_file: Path | None = None
    service_key: Secret | None = None
    service_key_file: Path | None = None
    url: Url | None = None
    client: Tmpl = Tmpl('{{ template "pagerduty.default.client" . }}')
    client_url: Tmpl = Tmpl('{{ template "pagerduty.default.clientURL" . }}')
    description: Tmpl = Tmpl('{{ template "pagerduty.default.description" .}}')
    severity: Tmpl = Tmpl("error")
    source: Tmpl = Tmpl("")  # the client
    details: dict[str, object] = {}
    images: tuple[PagerdutyImage, ...] = ()
    links: tuple[PagerdutyLink, ...] = ()
    class_: Tmpl = field(name="class", default=Tmpl(""))
    component: Tmpl = Tmpl("")
    group: Tmpl = Tmpl("")
    timeout: Seconds = Seconds(0.0)

    def __post_init__(self) -> None:
        one_of("routing_key", self.routing_key, self.routing_key_file, required=False)
        one_of("service_key", self.service_key, self.service_key_file, required=False)
        if not any((self.routing_key, self.routing_key_file, self.service_key, self.service_key_file)):
            raise ValueError("give routing_key (Events API v2) or service_key (v1), or one of them as a _file")


class Pagerduty:
    def __init__(self, config: PagerdutyConfig, url: str) -> None:
        self._config = config
        self._url = url
        self._routing_key = SecretText(config.routing_key, config.routing_key_file)
        self._service_key = SecretText(config.service_key, config.service_key_file)

    async def requests(self, view: View, client: HttpClient) -> list[Request]:
        if self._service_key:
            key = _key(self._service_key, view, "service_key")
            return [Request(self._url, encoded(v1_event(self._config, view, key), "details"), secrets=(key,))]
        key = _key(self._routing_key, view, "routing_key")
        return [Request(self._url, encoded(v2_event(self._config, view, key), "payload"), secrets=(key,))]

    def judge(self, request: Request, reply: Reply) -> Verdict:
        return judge(reply, is_v1=bool(self._service_key))


def judge(reply: Reply, *, is_v1: bool) -> Verdict:
    """A 400 says what is wrong with the event. Version 1 answers 403 where too many events come."""
    verdict = by_code(reply)
    if verdict.outcome is Outcome.DELIVERED:
        return verdict
    if is_v1 and reply.code == 403:
        return Verdict(Outcome.RETRY, error="answered 403: too many events", retry_after_s=reply.retry_after_s)
    body = json_object(reply)
    if reply.code != 400 or not body:
        return verdict
    errors = body.get("errors")
    words = ", ".join(map(str, errors)) if isinstance(errors, list) else ""
    return Verdict(
        Outcome.REFUSED, str(body.get("status", "")), f"refused the event: {body.get('message', '')}: {cut(words, 300)}"
    )


def dedup_key(group_key: str) -> str:
    """Alertmanager's: an incident that it opened is closed by us, and the other way round."""
    return hashlib.sha256(group_key.encode()).hexdigest()


def v2_event(config: PagerdutyConfig, view: View, routing_key: str) -> dict[str, object]:
    text = view.text
    payload = {
        "summary": view.line(config.description, SUMMARY_MOST),
        "source": text(config.source or config.client),
        "severity": _severity(text(config.severity)),
        "class": text(config.class_),
        "component": text(config.component),
        "group": text(config.group),
        "custom_details": _details(config, view),
    }
    return {
        "routing_key": routing_key,
        "event_action": "trigger" if view.notification.firing else "resolve",
        "dedup_key": dedup_key(view.notification.group_key),
        "client": text(config.client),
        "client_url": text(config.client_url),
        "payload": {name: value for name, value in payload.items() if value},
        "images": [image for one in config.images if (image := _filled(view, one))["src"]],
        "links": [link for one in config.links if (link := _filled(view, one))["href"]],
    }


def v1_event(config: PagerdutyConfig, view: View, service_key: str) -> dict[str, object]:
    fires = bool(view.notification.firing)
    client = {"client": view.text(config.client), "client_url": view.text(config.client_url)} if fires else {}
    return {
        "service_key": service_key,
        "event_type": "trigger" if fires else "resolve",
        "incident_key": dedup_key(view.notification.group_key),
        "description": view.line(config.description, SUMMARY_MOST),
        "details": _details(config, view),
        **client,
    }


def encoded(event: dict[str, object], holder: str) -> bytes:
    """An event that is too large loses its details, and says so."""
    body = json.dumps(event, ensure_ascii=False).encode()
    if len(body) <= EVENT_MOST_BYTES:
        return body
    notice = {"error": _TOO_LARGE}
    payload = event[holder]
    inner = {**payload, "custom_details": notice} if holder == "payload" and isinstance(payload, dict) else notice
    return json.dumps({**event, holder: inner}, ensure_ascii=False).encode()


def _severity(text: str) -> str:
    """PagerDuty refuses an event with any other: a label that says `page` is not to keep people from being called."""
    return text.lower() if text.lower() in _SEVERITIES else "error"


def _details(config: PagerdutyConfig, view: View) -> object:
    return view.nested({**_DETAILS, **config.details})


def _filled(view: View, one: PagerdutyLink | PagerdutyImage) -> dict[str, str]:
    return {name: view.text(getattr(one, name)) for name in one.__struct_fields__}


def _key(secret: SecretText, view: View, name: str) -> str:
    """It may be a template: one configuration for many services."""
    key = secret.reveal()
    key = view.exact(key, name) if "{{" in key else key
    if not key:
        raise Reject(f"{name} is empty for this group")
    return key


def make(place: Place, config: PagerdutyConfig, context: ChannelContext) -> HttpChannel:
    """Raises ValueError."""
    is_v1 = bool(config.service_key or config.service_key_file)
    url = config.url or (V1_URL if is_v1 else place.defaults.pagerduty_url)
    client = HttpClient(config.http_config or place.defaults.http_config, timeout_s=config.timeout or context.timeout_s)
    return HttpChannel(place.name, Pagerduty(config, url), client, context, send_resolved=config.send_resolved)
