"""Whatever else apprise knows: an optional extra for services that have no channel of their own.

Apprise says only whether a service took a message, so what it did not take is tried again.
"""

from __future__ import annotations

import importlib
import time
from typing import Protocol

import msgspec

from alerting.notify.channels.channel import ChannelContext
from alerting.notify.channels.fields import Tmpl
from alerting.notify.channels.global_config import Place
from alerting.notify.channels.lengths import cut
from alerting.notify.channels.model import Answer, Notification, Outcome, Sent
from deckwatch.runtime.settings_fields import Secret

TITLE_MOST, MESSAGE_MOST = 250, 30_000
"""Services with shorter messages are apprise's to cut."""


class AppriseConfig(msgspec.Struct, frozen=True):
    urls: tuple[Secret, ...]
    send_resolved: bool = True
    title: Tmpl = Tmpl('{{ template "apprise.default.title" . }}')
    message: Tmpl = Tmpl('{{ template "apprise.default.message" . }}')

    def __post_init__(self) -> None:
        if not self.urls:
            raise ValueError("urls: give at least one")


class _Service(Protocol):
    """One of apprise's plugins, behind its Apprise object."""

    async def async_notify(self, body: str, title: str, notify_type: str, body_format: str) -> bool | None: ...


class AppriseChannel:
    """Implements `Integration`."""

    def __init__(
        self, name: str, config: AppriseConfig, services: tuple[tuple[str, _Service], ...], context: ChannelContext
    ) -> None:
        self.name = name
        self.send_resolved = config.send_resolved
        self._config = config
        self._services = services
        self._context = context

    at_once = 1

    def wait_s(self, monotonic_s: float) -> float:
        return 0.0

    async def send(self, notification: Notification) -> Sent:
        view = await self._context.view(notification)
        title = view.line(self._config.title, TITLE_MOST)
        message = cut(view.text(self._config.message), MESSAGE_MOST)
        kind = "failure" if notification.firing else "success"
        answers = []
        for target, service in self._services:
            if target not in notification.reached:
                answers.append(await self._ask(service, target, title, message, kind))
        return Sent(tuple(answers))

    async def _ask(self, service: _Service, target: str, title: str, message: str, kind: str) -> Answer:
        started = time.perf_counter()
        taken = await service.async_notify(body=message, title=title, notify_type=kind, body_format="text")
        latency_s = time.perf_counter() - started
        if taken:
            return Answer(Outcome.DELIVERED, target, latency_s=latency_s)
        return Answer(Outcome.RETRY, target, error=f"{target}: apprise could not deliver it", latency_s=latency_s)

    async def close(self) -> None:
        """Apprise keeps no connections."""


def make(place: Place, config: AppriseConfig, context: ChannelContext) -> AppriseChannel:
    """Raises ValueError."""
    try:
        apprise = importlib.import_module("apprise")
    except ImportError:
        raise ValueError("apprise is not installed: install deckwatch[apprise]") from None
    services: list[tuple[str, _Service]] = []
    for number, url in enumerate(config.urls):
        service = apprise.Apprise()
        if not service.add(url.reveal()):
            raise ValueError(f"urls[{number}]: apprise does not know this kind of URL")
        services.append((f"urls[{number}] ({service[0].service_name})", service))
    return AppriseChannel(place.name, config, tuple(services), context)
