"""Who is told, and where. URLs may be secrets: nothing here shows more of one than its host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from alerting.settings import WebhookSettings
from deckwatch.runtime.faults import Retry, Unusable


class Receiver:
    """A webhook. Its URL and token are read for each message, so that a rotated secret works at once."""

    def __init__(self, settings: WebhookSettings, name: str) -> None:
        self.name = name
        self.send_resolved = settings.send_resolved
        self.max_alerts = settings.max_alerts
        self._settings = settings

    def url(self) -> str:
        """Raises Retry: a file can't be read now, or doesn't hold a URL."""
        if self._settings.url.reveal():
            return self._settings.url.reveal()
        url = _secret(self._settings.url_file)
        if not _is_http(url):
            raise Retry(f"receiver {self.name}: {self._settings.url_file} does not hold an http:// or https:// URL")
        return url

    def headers(self) -> dict[str, str]:
        if not self._settings.token_file:
            return {}
        return {"Authorization": f"Bearer {_secret(self._settings.token_file)}"}


def receivers(webhooks: Iterable[WebhookSettings]) -> tuple[Receiver, ...]:
    """Those without a name are named webhook, webhook-2... Raises Unusable with every fault."""
    made: list[Receiver] = []
    faults: list[str] = []
    for number, settings in enumerate(webhooks, start=1):
        name = settings.name or ("webhook" if number == 1 else f"webhook-{number}")
        if bool(settings.url.reveal()) == bool(settings.url_file):
            faults.append(f"alerting.webhooks {number} ({name}): give either url or url_file")
        elif not settings.url_file and not _is_http(settings.url.reveal()):
            faults.append(f"alerting.webhooks {number} ({name}): url must be http:// or https:// and name a host")
        made.append(Receiver(settings, name))
    names = Counter(receiver.name for receiver in made)
    faults += [f"alerting.webhooks: the name {name} stands {n} times" for name, n in names.items() if n > 1]
    if faults:
        raise Unusable("\n".join(faults))
    return tuple(made)


def host_of(url: str) -> str:
    """What may be shown of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or '?'}" + (f":{parts.port}" if parts.port else "")


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port is not False
    except ValueError:
        return False


def _secret(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise Retry(f"{path} can't be read: {reason}") from None
