"""Receivers of a configuration file become integrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from alerting.alertmanager.load import Receivers
from alerting.notify.channels.config import read_global, read_receiver
from alerting.notify.channels.context import Shared, channel_context
from alerting.notify.channels.fields import ConfigFault, FieldReader
from alerting.notify.notification_templates import BadTemplates
from alerting.settings import AlertingSettings


class ReceiverMaker(msgspec.Struct, frozen=True):
    settings: AlertingSettings
    shared: Shared

    def __call__(
        self,
        given: Sequence[Mapping[str, Any]],
        defaults: Mapping[str, Any],
        templates: Sequence[Path],
        folder: Path,
    ) -> tuple[Receivers, Sequence[ConfigFault]]:
        faults: list[ConfigFault] = []
        try:
            context = channel_context(self.settings, self.shared, map(str, templates), folder)
        except BadTemplates as bad:
            faults = [ConfigFault("templates", f"{where}: {problem}") for where, problem in bad.faults]
            context = channel_context(self.settings, self.shared)
        reader = FieldReader(folder, context.templates.check)
        fallback = read_global(defaults, reader)
        made = {
            str(one.get("name", "")): read_receiver(one, f"receivers[{place}]", fallback, context, reader)
            for place, one in enumerate(given)
        }
        return made, [*faults, *reader.faults]
