"""An integration over HTTP: what a service wants to be sent, and what its answers mean, are the service's own; time,
receipts and secrets are the same for all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

import msgspec

from alerting.notify.channels.answers import Verdict
from alerting.notify.channels.http_client import HttpClient, Reply, Request
from alerting.notify.channels.model import Answer, Notification, Outcome, Sent
from alerting.notify.channels.pace import Pace, Paces
from alerting.notify.channels.secrets import host_of
from alerting.notify.channels.view import View
from alerting.notify.evidence import EvidenceDesk
from alerting.notify.notification_templates import NotificationTemplates
from deckwatch.runtime.faults import Reject, Retry

UNLIMITED = Pace(1, 0.0)
AT_ONCE = 4
"""Messages of different groups: a slow service is not to hold up the others for long."""


class ChannelContext(msgspec.Struct, frozen=True):
    """What all channels share."""

    templates: NotificationTemplates
    evidence: EvidenceDesk
    paces: Paces
    timeout_s: float = 10.0

    async def view(self, notification: Notification, *, with_evidence: bool = True) -> View:
        evidence = await self.evidence.of(notification) if with_evidence else {}
        return View(notification, self.templates, evidence)


class Service(Protocol):
    async def requests(self, view: View, client: HttpClient) -> Sequence[Request]:
        """In the order in which they are sent; the first that fails ends it. Raises Retry and Reject."""
        ...

    def judge(self, request: Request, reply: Reply) -> Verdict: ...


class HttpChannel:
    """Implements `Integration`."""

    def __init__(
        self,
        name: str,
        service: Service,
        client: HttpClient,
        context: ChannelContext,
        *,
        send_resolved: bool,
        pace: Pace = UNLIMITED,
        with_evidence: bool = True,
    ) -> None:
        """`with_evidence`: its messages are for people; a machine's are not to wait for what it doesn't read."""
        self.name = name
        self.send_resolved = send_resolved
        self._service = service
        self._client = client
        self._context = context
        self._pace = pace
        self._with_evidence = with_evidence

    @property
    def at_once(self) -> int:
        """Where messages are few a minute, they go one by one: the limit is looked at before each."""
        return AT_ONCE if self._pace is UNLIMITED else 1

    def wait_s(self, monotonic_s: float) -> float:
        return self._pace.wait_s(monotonic_s)

    async def send(self, notification: Notification) -> Sent:
        target = self.name
        started = time.perf_counter()
        answer = Answer(Outcome.REFUSED, target, error="there is nothing to send")
        try:
            view = await self._context.view(notification, with_evidence=self._with_evidence)
            for request in await self._service.requests(view, self._client):
                target = host_of(request.url)
                self._pace.took(time.monotonic())
                answer = await self._ask(request, notification.key, target)
                if answer.outcome is not Outcome.DELIVERED:
                    break
        except Retry as fault:
            answer = Answer(Outcome.RETRY, target, error=str(fault), retry_after_s=fault.after_s)
        except Reject as fault:
            answer = Answer(Outcome.REFUSED, target, error=str(fault))
        return Sent((msgspec.structs.replace(answer, latency_s=time.perf_counter() - started),))

    async def _ask(self, request: Request, key: str, target: str) -> Answer:
        headers = {"Idempotency-Key": key, **request.headers}
        request = msgspec.structs.replace(request, headers=headers)
        reply = await self._client.send(request)
        verdict = self._service.judge(request, reply)
        if verdict.try_plain and request.plain is not None:
            return await self._ask(request.plain, key, target)
        error = f"{target}: {verdict.error}" if verdict.error else ""
        return Answer(
            verdict.outcome,
            target,
            reply.code,
            verdict.business_code,
            error,
            verdict.retry_after_s,
        )

    async def close(self) -> None:
        await self._client.close()
