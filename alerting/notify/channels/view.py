"""One notification, ready to be written in the language of a channel."""

from __future__ import annotations

import time
from collections.abc import Mapping

from alerting.notify.channels.lengths import MARK, Size, characters, cut
from alerting.notify.channels.markup import MARKUP, Dialect, clean, one_line, tamed
from alerting.notify.channels.model import Notification
from alerting.notify.notification_templates import NotificationTemplates
from alerting.notify.template_data import Data, Evidence
from alerting.templates.values import Datum, FunctionFailed
from deckwatch.runtime.faults import Reject


class View:
    """`text` and `html` never fail: a template that does is replaced by what is wrong with it, and people are told all
    the same. `exact` is for what must be right or not sent at all: addresses, keys, URLs."""

    def __init__(
        self,
        notification: Notification,
        templates: NotificationTemplates,
        evidence: Mapping[str, Evidence],
        dialect: Dialect = Dialect.PLAIN,
    ) -> None:
        self.notification = notification
        self.dialect = dialect
        self._templates = templates
        self._evidence = evidence
        self._data = Data(notification, evidence, tamed(dialect))

    def speaking(self, dialect: Dialect) -> View:
        return View(self.notification, self._templates, self._evidence, dialect)

    @property
    def common_labels(self) -> dict[str, str]:
        found = self._data.fields()["CommonLabels"]
        return {name: clean(str(text)) for name, text in found.items()} if isinstance(found, Mapping) else {}

    def text(self, template: str) -> str:
        try:
            return clean(self._templates.text(template, self._data, self.dialect, time.time_ns()))
        except (FunctionFailed, Reject) as error:
            return self._failure(error)

    def html(self, template: str) -> str:
        try:
            return clean(self._templates.html(template, self._data, self.dialect, time.time_ns()))
        except (FunctionFailed, Reject) as error:
            return self._failure(error)

    def exact(self, template: str, what: str) -> str:
        """Raises Reject."""
        try:
            return one_line(self._templates.text(template, self._data, Dialect.PLAIN, time.time_ns()))
        except (FunctionFailed, Reject) as error:
            raise Reject(f"{what}: the template fails: {error}") from None

    def line(self, template: str, most: int, size: Size = characters) -> str:
        """One line of plain text, cut where it is too long."""
        return cut(one_line(self.speaking(Dialect.PLAIN).text(template)), most, size, MARK)

    def escaped(self, text: str) -> str:
        return MARKUP[self.dialect].escape(tamed(self.dialect)(text))

    def nested(self, value: object) -> Datum:
        """Texts in mappings and lists of the configuration are templates; the rest stays as it is."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {str(name): self.nested(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self.nested(one) for one in value]
        return value if isinstance(value, bool | int | float | None) else str(value)

    def _failure(self, error: Exception) -> str:
        return self.escaped(f"<error expanding template: {error}> {self._title()}")

    def _title(self) -> str:
        names = " ".join(text for _, text in self.notification.group_labels)
        return one_line(f"[{self.notification.status.upper()}] {names}")
