"""Options of rules and notifications."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from alerting.notify.words import Language
from alerting.track.settings import IncidentSettings
from deckwatch.runtime.settings import Secret


class WebhookSettings(Struct, frozen=True):
    name: Annotated[str, Meta(description="Name of the receiver; it stands in messages, metrics and logs.")] = ""
    url: Annotated[Secret, Meta(description="Where to POST. Only its host is ever logged or shown.")] = Secret("")
    url_file: Annotated[str, Meta(description="File that holds the URL; read again for each message.")] = ""
    token_file: Annotated[str, Meta(description="File that holds a bearer token; read again for each message.")] = ""
    send_resolved: Annotated[bool, Meta(description="Tell of resolved alerts too.")] = True
    max_alerts: Annotated[int, Meta(description="At most so many alerts in one message; 0 = all.", ge=0)] = 0


class AlertingSettings(Struct, frozen=True):
    rules: Annotated[tuple[str, ...], Meta(description="Globs of rule files.")] = ()
    builtin_rules: Annotated[
        bool,
        Meta(description="Load the rules that come with Deckwatch, too: gaps, lag, silent agents, dead letters."),
    ] = True
    evaluation_interval_s: Annotated[
        float, Meta(description="How often groups are evaluated that name no interval.", ge=0.1)
    ] = 60.0
    reload_interval_s: Annotated[float, Meta(description="How often rule files are looked at for changes.", ge=0.1)] = (
        5.0
    )
    arrival_gap_s: Annotated[
        float,
        Meta(description="Groups over log metrics are evaluated as lines arrive, at most once in this time.", ge=0.01),
    ] = 0.25
    log_metric_series: Annotated[
        int, Meta(description="At most so many label sets of one log metric; the rest is counted together.", ge=1)
    ] = 1000
    external_url: Annotated[str, Meta(description="Where people reach this collector; goes into messages.")] = ""
    external_labels: Annotated[
        dict[str, str], Meta(description="Labels that every alert gets when it is sent, such as the cluster.")
    ] = {}
    alertmanager_config: Annotated[
        Path | None,
        Meta(description="Alertmanager's configuration file: routes, receivers, inhibition, time intervals."),
    ] = None
    alertmanager_configs: Annotated[
        dict[str, str], Meta(description="Such files of single tenants; all others share the one above.")
    ] = {}
    utf8_label_names: Annotated[
        bool,
        Meta(description="Take any text as a label name of posted alerts and silences, as Alertmanager does by 0.28."),
    ] = False
    webhooks: Annotated[
        tuple[WebhookSettings, ...], Meta(description="Receivers of all alerts, without a configuration file.")
    ] = ()
    repeat_interval_s: Annotated[
        float, Meta(description="An unchanged group that fires is told again after this time.", ge=1)
    ] = 14_400.0
    send_timeout_s: Annotated[float, Meta(description="Of one POST to a receiver.", gt=0)] = 10.0
    retry_most_s: Annotated[float, Meta(description="Longest wait between two tries of a receiver.", gt=0)] = 60.0
    give_up_after_s: Annotated[
        float, Meta(description="A message that nobody took for this long is dropped, with an error.", ge=1)
    ] = 259_200.0
    fallback_receiver: Annotated[
        str, Meta(description="Receiver that is told when a message does not reach another one; empty: nobody is.")
    ] = ""
    fallback_after_s: Annotated[
        float, Meta(description="A message that waits for so long is told to the fallback receiver, too.", ge=1)
    ] = 300.0
    language: Annotated[
        Language, Meta(description="Of messages that no template of yours writes; alertmanager: its very own texts.")
    ] = Language.ENGLISH
    time_zone: Annotated[str, Meta(description="Of the times in messages, such as Asia/Shanghai.")] = "UTC"
    oncall: Annotated[
        tuple[str, ...], Meta(description="Globs of on-call files: users, schedules, escalation policies.")
    ] = ()
    incidents: IncidentSettings = IncidentSettings()
