"""Webhooks of our own settings, for whoever needs no configuration file: each is a receiver with one integration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from alerting.notify.channels import webhook
from alerting.notify.channels.channel import ChannelContext
from alerting.notify.channels.fields import is_http
from alerting.notify.channels.global_config import GlobalConfig, Place
from alerting.notify.channels.http_config import Authorization, HttpConfig
from alerting.notify.channels.model import Integration
from alerting.settings import WebhookSettings
from deckwatch.runtime.faults import Unusable


def webhook_receivers(
    webhooks: Iterable[WebhookSettings], context: ChannelContext
) -> dict[str, tuple[Integration, ...]]:
    """By their names; those without one are named webhook, webhook-2... Raises Unusable with every fault."""
    named = [
        (one.name or ("webhook" if number == 1 else f"webhook-{number}"), one)
        for number, one in enumerate(webhooks, start=1)
    ]
    faults = [
        f"alerting.webhooks {number} ({name}): {problem}"
        for number, (name, one) in enumerate(named, start=1)
        if (problem := _problem(one))
    ]
    counted = Counter(name for name, _ in named)
    faults += [f"alerting.webhooks: the name {name} stands {n} times" for name, n in counted.items() if n > 1]
    if faults:
        raise Unusable("\n".join(faults))
    return {name: (_integration(one, context),) for name, one in named}


def _problem(settings: WebhookSettings) -> str:
    if bool(settings.url.reveal()) == bool(settings.url_file):
        return "give either url or url_file"
    if not settings.url_file and not is_http(settings.url.reveal()):
        return "url must be http:// or https:// and name a host"
    return ""


def _integration(settings: WebhookSettings, context: ChannelContext) -> Integration:
    """Redirects are not followed: a message is not sent to where nobody configured it."""
    token = Authorization(credentials_file=Path(settings.token_file)) if settings.token_file else None
    config = webhook.WebhookConfig(
        url=None if settings.url_file else settings.url,
        url_file=Path(settings.url_file) if settings.url_file else None,
        send_resolved=settings.send_resolved,
        max_alerts=settings.max_alerts,
        http_config=HttpConfig(authorization=token, follow_redirects=False),
    )
    return webhook.make(Place("webhook[0]", GlobalConfig()), config, context)
