"""Apprise, where the extra is installed: a receipt for each of its URLs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from alerting.notify.channels.model import Outcome
from tests.fixtures.channels import RESOLVED, faults, integrations, notification
from tests.fixtures.chat_services import Canned, chat_service

pytest.importorskip("apprise", reason="apprise is not installed (deckwatch[apprise])")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:apprise")


async def test_each_url_has_a_receipt() -> None:
    async with chat_service(lambda got: Canned()) as good, chat_service(lambda got: Canned(500)) as bad:
        urls = [service.url.replace("http://", "json://") + "/s3cret" for service in (good, bad)]
        config: dict[str, Any] = {"urls": urls, "title": "{{ .Status }}"}
        (made,) = integrations({"apprise_configs": [config]})
        sent = await made.send(notification())
        again = await made.send(msgspec.structs.replace(notification(RESOLVED), reached=sent.reached))
        await made.close()
    assert [(answer.target, answer.outcome) for answer in sent.answers] == [
        ("urls[0] (JSON)", Outcome.DELIVERED),
        ("urls[1] (JSON)", Outcome.RETRY),
    ]
    assert [answer.target for answer in again.answers] == ["urls[1] (JSON)"]
    body = good.got[0].body
    assert (body["title"], body["type"]) == ("firing", "failure")
    assert body["message"].startswith("🔥 Hot · critical\n")
    assert len(good.got) == 1
    assert "s3cret" not in repr(sent)


def test_a_url_that_apprise_does_not_know() -> None:
    found = faults({"apprise_configs": [{"urls": ["nonsense://s3cret"]}, {"urls": []}]})
    assert found == [
        "receivers[0].apprise_configs[0]: urls[0]: apprise does not know this kind of URL",
        "receivers[0].apprise_configs[1]: urls: give at least one",
    ]
