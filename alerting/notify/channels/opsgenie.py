"""Opsgenie's Alert API (docs.opsgenie.com): an alert is created under an alias, updated, and closed."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from alerting.notify.channels.answers import Verdict, by_code, json_object
from alerting.notify.channels.channel import ChannelContext, HttpChannel
from alerting.notify.channels.fields import Tmpl, Url
from alerting.notify.channels.global_config import Place
from alerting.notify.channels.http_client import HttpClient, Reply, Request
from alerting.notify.channels.http_config import HttpConfig
from alerting.notify.channels.lengths import cut
from alerting.notify.channels.model import Outcome
from alerting.notify.channels.pagerduty import dedup_key
from alerting.notify.channels.secrets import SecretText, one_of
from alerting.notify.channels.view import View
from deckwatch.runtime.settings_fields import Secret

MESSAGE_MOST, DESCRIPTION_MOST, NOTE_MOST, SOURCE_MOST, ENTITY_MOST, TAG_MOST = 130, 15_000, 25_000, 100, 512, 50
TAGS_MOST, ACTIONS_MOST, DETAILS_MOST = 20, 10, 8000
_PRIORITIES = ("P1", "P2", "P3", "P4", "P5")
_RESPONDERS = ("team", "teams", "user", "escalation", "schedule")
_RATE_LIMIT_WAIT_S = 60.0
"""Opsgenie counts by minutes and sends no Retry-After (docs: API rate limiting)."""


class Responder(msgspec.Struct, frozen=True):
    id: Tmpl = Tmpl("")
    name: Tmpl = Tmpl("")
    username: Tmpl = Tmpl("")
    type: Tmpl = Tmpl("")

    def __post_init__(self) -> None:
        if not (self.id or self.name or self.username):
            raise ValueError("give id, name or username")
        if "{{" not in self.type and self.type.lower() not in _RESPONDERS:
            raise ValueError(f"type: expected one of {', '.join(_RESPONDERS)}, or a template")


class OpsgenieConfig(msgspec.Struct, frozen=True):
    send_resolved: bool = True
    http_config: HttpConfig | None = None
    api_key: Secret | None = None
    api_key_file: Path | None = None
    api_url: Url | None = None
    message: Tmpl = Tmpl('{{ template "opsgenie.default.message" . }}')
    description: Tmpl = Tmpl('{{ template "opsgenie.default.description" . }}')
    source: Tmpl = Tmpl('{{ template "opsgenie.default.source" . }}')
    details: dict[str, Tmpl] = {}
    entity: Tmpl = Tmpl("")
    responders: tuple[Responder, ...] = ()
    visible_to: tuple[Responder, ...] = ()
    actions: Tmpl = Tmpl("")
    tags: Tmpl = Tmpl("")
    note: Tmpl = Tmpl("")
    priority: Tmpl = Tmpl("")
    update_alerts: bool = False

    def __post_init__(self) -> None:
        one_of("api_key", self.api_key, self.api_key_file, required=False)


class Opsgenie:
    def __init__(self, config: OpsgenieConfig, url: str, key: SecretText) -> None:
        self._config = config
        self._url = url.rstrip("/") + "/v2/alerts"
        self._key = key

    async def requests(self, view: View, client: HttpClient) -> list[Request]:
        key = self._key.reveal()
        headers = {"Authorization": f"GenieKey {view.exact(key, 'api_key') if '{{' in key else key}"}
        alias = dedup_key(view.notification.group_key)

        def request(method: str, path: str, body: dict[str, object]) -> Request:
            return Request(self._url + path, json.dumps(body, ensure_ascii=False).encode(), headers, method)

        def of_alias(what: str) -> str:
            return f"/{alias}/{what}?identifierType=alias"

        if not view.notification.firing:
            return [request("POST", of_alias("close"), {"source": view.line(self._config.source, SOURCE_MOST)})]
        alert = new_alert(self._config, view, alias)
        requests = [request("POST", "", alert)]
        if self._config.update_alerts:
            requests += [request("PUT", of_alias(name), {name: alert[name]}) for name in ("message", "description")]
        return requests

    def judge(self, request: Request, reply: Reply) -> Verdict:
        return judge(reply)


def judge(reply: Reply) -> Verdict:
    """202: taken. 422 names what is wrong with which field."""
    verdict = by_code(reply)
    if reply.code == 429 and verdict.retry_after_s is None:
        return msgspec.structs.replace(verdict, retry_after_s=_RATE_LIMIT_WAIT_S)
    body = json_object(reply)
    if verdict.outcome is not Outcome.REFUSED or "message" not in body:
        return verdict
    details = body.get("errors")
    words = f"{body['message']} {json.dumps(details) if details else ''}".strip()
    return Verdict(Outcome.REFUSED, str(body.get("code", "")), f"refused with {reply.code}: {cut(words, 300)}")


def new_alert(config: OpsgenieConfig, view: View, alias: str) -> dict[str, object]:
    details = {**view.common_labels, **{name: view.text(text) for name, text in config.details.items()}}
    always = {
        "alias": alias,
        "message": view.line(config.message, MESSAGE_MOST),
        "description": cut(view.text(config.description), DESCRIPTION_MOST),
        "details": _within(details),
        "source": view.line(config.source, SOURCE_MOST),
    }
    optional = {
        "responders": _people(config.responders, view),
        "visibleTo": _people(config.visible_to, view),
        "tags": _listed(view.text(config.tags), TAGS_MOST),
        "actions": _listed(view.text(config.actions), ACTIONS_MOST),
        "note": cut(view.text(config.note), NOTE_MOST),
        "priority": _priority(view.text(config.priority)),
        "entity": view.line(config.entity, ENTITY_MOST),
    }
    return {**always, **{name: value for name, value in optional.items() if value}}


def _priority(text: str) -> str:
    """Any other would have the alert refused."""
    return text.upper() if text.upper() in _PRIORITIES else ""


def _people(people: tuple[Responder, ...], view: View) -> list[dict[str, str]]:
    """Those whose templates come to nothing are left out; `teams` is a comma list of names."""
    made: list[dict[str, str]] = []
    for one in people:
        person = {name: text for name in one.__struct_fields__ if (text := view.text(getattr(one, name)))}
        kind = person.get("type", "").lower()
        if kind == "teams":
            made += [{"name": name, "type": "team"} for name in _listed(person.get("name", ""), 50)]
        elif person.keys() - {"type"}:
            made.append({**person, "type": kind})
    return made


def _listed(text: str, most: int) -> list[str]:
    names = [cut(name.strip(), TAG_MOST) for name in text.split(",") if name.strip()]
    return names[:most]


def _within(details: dict[str, str]) -> dict[str, str]:
    """All names and values together have a limit: what goes beyond is cut."""
    left = DETAILS_MOST
    kept: dict[str, str] = {}
    for name, text in details.items():
        if len(name) >= left:
            break
        kept[name] = cut(text, left - len(name))
        left -= len(name) + len(kept[name])
    return kept


def make(place: Place, config: OpsgenieConfig, context: ChannelContext) -> HttpChannel:
    """Raises ValueError."""
    defaults = place.defaults
    key = SecretText(config.api_key, config.api_key_file)
    if not key:
        key = one_of("api_key", defaults.opsgenie_api_key, defaults.opsgenie_api_key_file)
    client = HttpClient(config.http_config or defaults.http_config, timeout_s=context.timeout_s)
    service = Opsgenie(config, config.api_url or defaults.opsgenie_api_url, key)
    return HttpChannel(place.name, service, client, context, send_resolved=config.send_resolved)
