"""Which configuration is in force: one file, one for each tenant, or the settings' webhooks."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from alerting.alertmanager.model import BadConfiguration
from alerting.configurations import load_all
from alerting.notify.channels.context import Shared
from alerting.settings import AlertingSettings, WebhookSettings
from deckwatch.runtime.settings import Secret

FILE = "route: {receiver: NAME}\nreceivers: [{name: NAME, webhook_configs: [{url: 'http://127.0.0.1:9'}]}]\n"


def file(path: Path, name: str, text: str = FILE) -> Path:
    made = path / f"{name}.yml"
    made.write_text(text.replace("NAME", name))
    return made


def webhook(name: str = "") -> WebhookSettings:
    return WebhookSettings(name=name, url=Secret("http://127.0.0.1:9/secret"))


def test_one_webhook_is_the_root_and_is_told_at_once() -> None:
    made = load_all(AlertingSettings(webhooks=(webhook(),), repeat_interval_s=60), Shared())
    root = made.routings.shared.root
    assert (root.receiver, root.key, root.group_by, root.group_wait_ns, root.at_once) == (
        *("webhook", "{}", ("alertname",), 0),
        True,
    )
    assert root.repeat_interval_ns == 60 * 10**9
    assert made.receivers == 1
    shown = yaml.safe_load(made.of("anybody").shown)
    assert shown["route"]["repeat_interval"] == "60s"
    assert shown["receivers"][0]["webhook_configs"][0]["url"] == "http://127.0.0.1:9/<secret>"


def test_several_webhooks_are_all_told() -> None:
    made = load_all(AlertingSettings(webhooks=(webhook(), webhook("other"), webhook())), Shared())
    told = made.routings.shared.root.matching({"alertname": "A"})
    assert [route.receiver for route in told] == ["webhook", "other", "webhook-3"]
    assert len({route.id for route in told}) == 3


def test_nobody_is_told_where_nothing_is_configured() -> None:
    made = load_all(AlertingSettings(), Shared())
    assert made.receivers == 0
    assert made.routings.shared.receivers == {"nobody": ()}


def test_a_tenant_may_have_its_own(tmp_path: Path) -> None:
    settings = AlertingSettings(
        alertmanager_config=file(tmp_path, "all"), alertmanager_configs={"blue": str(file(tmp_path, "theirs"))}
    )
    made = load_all(settings, Shared())
    assert made.routings.of("blue").root.receiver == "theirs"
    assert made.routings.of("red").root.receiver == "all"
    assert (made.routings.of("blue").scope, made.routings.of("red").scope) == ("blue", "")
    assert set(made.integrations) == {"", "blue"}


def test_faults_of_all_files_come_together(tmp_path: Path) -> None:
    settings = AlertingSettings(
        alertmanager_config=file(tmp_path, "a", "route: {}"),
        alertmanager_configs={"blue": str(file(tmp_path, "b", "receivers: []"))},
        webhooks=(webhook(),),
    )
    with pytest.raises(BadConfiguration) as caught:
        load_all(settings, Shared())
    told = str(caught.value)
    assert "a.yml:1:8: route: the root route must name a receiver" in told
    assert "b.yml:1:1: there is no `route`" in told
    assert "alerting.webhooks: with alertmanager_config receivers stand in its file" in told


def test_a_fallback_receiver_must_be_there(tmp_path: Path) -> None:
    settings = AlertingSettings(alertmanager_config=file(tmp_path, "ops"), fallback_receiver="nope")
    with pytest.raises(BadConfiguration, match=r'alerting\.fallback_receiver: there is no receiver "nope"'):
        load_all(settings, Shared())
    load_all(AlertingSettings(alertmanager_config=file(tmp_path, "ops"), fallback_receiver="ops"), Shared())


def test_a_look_tells_of_changed_templates(tmp_path: Path) -> None:
    text = FILE + "templates: ['*.tmpl']\n"
    made = load_all(AlertingSettings(alertmanager_config=file(tmp_path, "ops", text)), Shared())
    before = made.look()
    (tmp_path / "a.tmpl").write_text('{{ define "x" }}{{ end }}')
    assert made.look() != before
