"""A configuration file of Alertmanager, once it has been read and found right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from alerting.notify.channels.model import Integration
from alerting.notify.routes import Routing
from alerting.rules.model import RuleFault
from deckwatch.runtime.faults import Reject


class Configuration(msgspec.Struct, frozen=True):
    routing: Routing
    integrations: Mapping[str, tuple[Integration, ...]]  # by receiver, in the file's order
    shown: str = ""  # the file as the API shows it: defaults filled in, secrets left out
    files: tuple[str, ...] = ()  # that it was made from, globs among them: to be read again when one changes


class BadConfiguration(Reject):
    """Nothing of the file is used. Its text has one fault a line."""

    def __init__(self, faults: Iterable[RuleFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))
