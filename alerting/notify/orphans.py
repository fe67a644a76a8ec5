"""Messages to receivers that the configuration has no longer: nobody will ever take them, so they are given up after a
while, with a receipt. Until then the receiver may come back."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from alerting.notify.channels.delivery import Receivers
from alerting.notify.channels.model import Answer, Outcome
from alerting.notify.channels.receipts import receipts_of
from alerting.state_store import StateStore

log = logging.getLogger(__name__)


def give_up_orphans(store: StateStore, configured: Mapping[str, Receivers], before_ns: int, now_ns: int) -> int:
    """How many that were made before that time. `configured`: receivers by scope."""
    given_up = 0
    for scope in store.scopes():
        outbox = store.outbox(scope)
        known = {(name, one.name) for name, ones in configured.get(scope, {}).items() for one in ones}
        for receiver, integration in sorted(outbox.queue_lengths().keys() - known):
            answer = Answer(Outcome.RETRY, integration, error=f"{receiver} {integration} is no longer configured")
            while (queued := outbox.next(receiver, integration)) is not None:
                if queued.notification.created_ns >= before_ns:
                    break
                outbox.finish(queued, receipts_of(queued, [answer], now_ns, given_up=True))
                given_up += 1
                log.error(
                    "the message about %s is given up: %s of the receiver %s is no longer configured",
                    *(queued.notification.group_key, integration, receiver),
                )
    return given_up
