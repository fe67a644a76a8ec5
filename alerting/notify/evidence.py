"""What speaks for an alert is gathered when a message is written, and never holds it up for long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from alerting.notify.channels.model import Notification
from alerting.notify.template_data import Evidence

log = logging.getLogger(__name__)

DEADLINE_S = 2.0
_REMEMBERED = 64

EvidenceSource = Callable[[Notification], Awaitable[Mapping[str, Evidence]]]
"""Evidence by fingerprint, with log lines redacted. It may be cancelled at any time and must not block the loop."""

_Key = tuple[str, str, int, frozenset[str]]


async def NO_EVIDENCE(notification: Notification) -> Mapping[str, Evidence]:
    return {}


class EvidenceDesk:
    """Asks once for what several integrations are told of the same group at the same time."""

    def __init__(self, source: EvidenceSource = NO_EVIDENCE, *, deadline_s: float = DEADLINE_S) -> None:
        self._source = source
        self._deadline_s = deadline_s
        self._known: dict[_Key, Mapping[str, Evidence]] = {}
        self._failing = False

    async def of(self, notification: Notification) -> Mapping[str, Evidence]:
        """Nothing where there is none, the source fails, or the deadline passes: a notice goes out without it."""
        key = _key(notification)
        if key not in self._known:
            found = await self._ask(notification)
            if found is None:
                return {}
            self._known[key] = found
            while len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]
        return self._known[key]

    async def _ask(self, notification: Notification) -> Mapping[str, Evidence] | None:
        try:
            async with asyncio.timeout(self._deadline_s):
                found = await self._source(notification)
        except TimeoutError:
            log.warning(
                "evidence for %s took longer than %g s: it is left out", notification.group_key, self._deadline_s
            )
            return None
        except Exception:  # whatever is wrong with evidence, the notice matters more
            if not self._failing:
                log.exception("evidence can't be gathered: messages go out without it")
            self._failing = True
            return None
        self._failing = False
        return found


def _key(notification: Notification) -> _Key:
    alerts = frozenset(alert.fingerprint for alert in notification.alerts)
    return notification.tenant, notification.group_key, notification.created_ns, alerts
