"""One receiver of Alertmanager's configuration file -> its integrations, or every fault with its path.

templates = load_templates(patterns, folder, language=...)
reader = FieldReader(folder, templates.check)
defaults = read_global(mapping, reader)
integrations = read_receiver(mapping, "receivers[0]", defaults, context, reader)
if reader.faults: ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from alerting.notify.channels import (
    apprise,
    dingtalk,
    discord,
    email,
    feishu,
    opsgenie,
    pagerduty,
    slack,
    teams,
    telegram,
    webhook,
    wechat,
    wecom_bot,
)
from alerting.notify.channels.channel import ChannelContext
from alerting.notify.channels.fields import FieldReader
from alerting.notify.channels.global_config import GlobalConfig, Place
from alerting.notify.channels.model import Integration

Make = Callable[[Place, Any, ChannelContext], Integration]


class Kind(msgspec.Struct, frozen=True):
    name: str  # as Alertmanager numbers integrations: `webhook[0]`
    config: type[msgspec.Struct]
    make: Make


KINDS: dict[str, Kind] = {
    "webhook_configs": Kind("webhook", webhook.WebhookConfig, webhook.make),
    "email_configs": Kind("email", email.EmailConfig, email.make),
    "pagerduty_configs": Kind("pagerduty", pagerduty.PagerdutyConfig, pagerduty.make),
    "opsgenie_configs": Kind("opsgenie", opsgenie.OpsgenieConfig, opsgenie.make),
    "wechat_configs": Kind("wechat", wechat.WechatConfig, wechat.make),
    "slack_configs": Kind("slack", slack.SlackConfig, slack.make),
    "telegram_configs": Kind("telegram", telegram.TelegramConfig, telegram.make),
    "discord_configs": Kind("discord", discord.DiscordConfig, discord.make),
    "msteams_configs": Kind("msteams", teams.TeamsConnectorConfig, teams.make_connector),
    "msteamsv2_configs": Kind("msteamsv2", teams.TeamsWorkflowConfig, teams.make_workflow),
    "dingtalk_configs": Kind("dingtalk", dingtalk.DingtalkConfig, dingtalk.make),
    "wecom_bot_configs": Kind("wecom_bot", wecom_bot.WecomBotConfig, wecom_bot.make),
    "feishu_configs": Kind("feishu", feishu.FeishuConfig, feishu.make),
    "apprise_configs": Kind("apprise", apprise.AppriseConfig, apprise.make),
}
NOT_SUPPORTED = frozenset(
    f"{name}_configs"
    for name in (
        *("pushover", "victorops", "sns", "webex", "jira", "rocketchat", "mattermost", "incidentio"),
        *("hipchat", "compass"),
    )
)


def read_global(data: object, reader: FieldReader) -> GlobalConfig:
    """The defaults where it can't be read; its faults are with the reader."""
    return reader.read(GlobalConfig, data, "global") or GlobalConfig()


def read_receiver(
    data: Mapping[str, object], path: str, defaults: GlobalConfig, context: ChannelContext, reader: FieldReader
) -> tuple[Integration, ...]:
    """In Alertmanager's order: kind by kind, numbered within each. `name` is for the caller to read."""
    for field in data:
        if field in NOT_SUPPORTED:
            reader.fault(f"{path}.{field}", "not supported; use webhook_configs, or apprise_configs for many services")
        elif field not in KINDS and field != "name":
            reader.fault(f"{path}.{field}", "unknown field")
    made: list[Integration] = []
    for field, kind in KINDS.items():
        configs = data.get(field)
        if configs is not None and not isinstance(configs, list):
            reader.fault(f"{path}.{field}", "expected a list")
            continue
        for number, config in enumerate(configs or []):
            integration = _read(kind, number, config, f"{path}.{field}[{number}]", defaults, context, reader)
            if integration is not None:
                made.append(integration)
    return tuple(made)


def _read(
    kind: Kind,
    number: int,
    data: object,
    path: str,
    defaults: GlobalConfig,
    context: ChannelContext,
    reader: FieldReader,
) -> Integration | None:
    config = reader.read(kind.config, data, path)
    if config is None:
        return None
    try:
        return kind.make(Place(f"{kind.name}[{number}]", defaults), config, context)
    except ValueError as error:
        reader.fault(path, str(error))
        return None
