"""What all channels share, put together from the settings and the `templates:` of a configuration file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from alerting.notify.channels.channel import ChannelContext
from alerting.notify.channels.delivery import DeliveryPolicy
from alerting.notify.channels.pace import Paces
from alerting.notify.evidence import EvidenceDesk
from alerting.notify.notification_templates import load_templates
from alerting.settings import AlertingSettings
from deckwatch.runtime.faults import Unusable


class Shared:
    """What outlives a reload: rate limits as far as they are used up, evidence that was gathered."""

    def __init__(self, evidence: EvidenceDesk | None = None) -> None:
        self.evidence = evidence or EvidenceDesk()
        self.paces = Paces()


def channel_context(
    settings: AlertingSettings, shared: Shared, patterns: Iterable[str] = (), folder: Path = Path()
) -> ChannelContext:
    """Raises BadTemplates (a Reject) with the faults of all files, Unusable: no such time zone."""
    templates = load_templates(patterns, folder, language=settings.language, time_zone=time_zone(settings.time_zone))
    return ChannelContext(templates, shared.evidence, shared.paces, settings.send_timeout_s)


def delivery_policy(settings: AlertingSettings) -> DeliveryPolicy:
    """Whether the fallback receiver is one of the receivers is for the reader of the configuration to say."""
    return DeliveryPolicy(
        settings.retry_most_s, settings.give_up_after_s, settings.fallback_receiver, settings.fallback_after_s
    )


def time_zone(name: str) -> ZoneInfo:
    """Raises Unusable."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Unusable(f"alerting.time_zone: there is no time zone {name!r}; give one such as Asia/Shanghai") from None
