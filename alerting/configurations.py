"""Which configurations of notifications are in force: Alertmanager's files, or the settings' webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from alerting.alertmanager.load import load_configuration
from alerting.alertmanager.model import BadConfiguration, Configuration
from alerting.alertmanager.receivers import ReceiverMaker
from alerting.alertmanager.shown import shown
from alerting.notify.channels.context import Shared, channel_context
from alerting.notify.channels.delivery import Receivers
from alerting.notify.channels.simple import webhook_receivers
from alerting.notify.notifier import Routings
from alerting.notify.routes import IntegrationInfo, Routing
from alerting.notify.webhook_routing import NOBODY, webhook_route
from alerting.rules.model import RuleFault
from alerting.rules.watch import Look, look
from alerting.settings import AlertingSettings

SHARED = ""
"""Scope of the configuration of all tenants that have none of their own."""


class Configurations(msgspec.Struct, frozen=True):
    by_scope: Mapping[str, Configuration]

    @property
    def routings(self) -> Routings:
        tenants = {scope: made.routing for scope, made in self.by_scope.items() if scope != SHARED}
        return Routings(self.by_scope[SHARED].routing, tenants)

    @property
    def integrations(self) -> Mapping[str, Receivers]:
        """By scope."""
        return {scope: made.integrations for scope, made in self.by_scope.items()}

    def of(self, tenant: str) -> Configuration:
        return self.by_scope.get(tenant, self.by_scope[SHARED])

    @property
    def receivers(self) -> int:
        """That have an integration."""
        return sum(bool(ones) for made in self.by_scope.values() for ones in made.integrations.values())

    def look(self) -> Look:
        return look(file for made in self.by_scope.values() for file in made.files)


def load_all(settings: AlertingSettings, shared: Shared) -> Configurations:
    """Raises BadConfiguration with the faults of all files."""
    maker = ReceiverMaker(settings, shared)
    faults: list[RuleFault] = []
    made: dict[str, Configuration] = {}
    for scope, file in {SHARED: settings.alertmanager_config, **settings.alertmanager_configs}.items():
        try:
            made[scope] = load_configuration(Path(file), maker, scope=scope) if file else _of_webhooks(settings, shared)
        except BadConfiguration as bad:
            faults += bad.faults
    if settings.alertmanager_config and settings.webhooks:
        problem = "with alertmanager_config receivers stand in its file: put the URL there under webhook_configs"
        faults.append(RuleFault("alerting.webhooks", problem))
    fallback = settings.fallback_receiver
    if fallback and not faults and not any(fallback in each.integrations for each in made.values()):
        faults.append(RuleFault("alerting.fallback_receiver", f'there is no receiver "{fallback}"'))
    if faults:
        raise BadConfiguration(faults)
    return Configurations(made)


def _of_webhooks(settings: AlertingSettings, shared: Shared) -> Configuration:
    """Raises Unusable: faults in the settings."""
    made = webhook_receivers(settings.webhooks, channel_context(settings, shared)) or {NOBODY: ()}
    info = {name: tuple(IntegrationInfo(one.name, one.send_resolved) for one in ones) for name, ones in made.items()}
    route = webhook_route(list(made), round(settings.repeat_interval_s * 1e9))
    return Configuration(Routing(route, info), made, shown(_file(list(made), settings)))


def _file(names: list[str], settings: AlertingSettings) -> dict[str, object]:
    """The configuration file that comes nearest."""
    route: dict[str, object] = {"receiver": names[0], "group_by": ["alertname"], "group_wait": "0s"}
    route["repeat_interval"] = f"{max(1, round(settings.repeat_interval_s))}s"
    if len(names) > 1:
        route["routes"] = [{"receiver": name, "continue": True} for name in names]
    webhooks = [
        {"url": one.url.reveal() if one.url.reveal() else "http://url-file", "send_resolved": one.send_resolved}
        for one in settings.webhooks
    ]
    if not webhooks:
        return {"route": route, "receivers": [{"name": name} for name in names]}
    receivers = [{"name": name, "webhook_configs": [one]} for name, one in zip(names, webhooks, strict=True)]
    return {"route": route, "receivers": receivers}
