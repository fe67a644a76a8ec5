"""Secrets of channels: from the configuration, or from a file that is read anew for each message.

A rotated secret works at once, and a file that is missing now holds messages up instead of losing them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from alerting.notify.channels.fields import is_http
from deckwatch.runtime.faults import Retry
from deckwatch.runtime.settings_fields import Secret


class SecretText:
    """`given` wins; without it `file`. Neither shows itself."""

    def __init__(self, given: Secret | None, file: Path | None) -> None:
        self._given = given
        self._file = file

    def reveal(self) -> str:
        """Raises Retry: the file can't be read now."""
        if self._given is not None:
            return self._given.reveal()
        return read_secret(self._file) if self._file else ""

    def reveal_url(self) -> str:
        """Raises Retry: the file can't be read, or holds no URL."""
        url = self.reveal()
        if not is_http(url):
            raise Retry(f"{self._file or 'the configured URL'} does not hold an http:// or https:// URL")
        return url

    def __bool__(self) -> bool:
        return bool(self._given and self._given.reveal()) or self._file is not None

    def __repr__(self) -> str:
        return "SecretText(***)"


def read_secret(path: Path) -> str:
    """Raises Retry."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise Retry(f"{path} can't be read: {reason}") from None


def one_of(name: str, given: Secret | None, file: Path | None, *, required: bool = True) -> SecretText:
    """Of `name` and `name_file`. Raises ValueError: both, or neither where one is required."""
    if given is not None and file is not None:
        raise ValueError(f"give either {name} or {name}_file, not both")
    if required and not (given and given.reveal()) and file is None:
        raise ValueError(f"give {name} or {name}_file")
    return SecretText(given, file)


def secret_url(name: str, given: Secret | None, file: Path | None) -> SecretText:
    """As `one_of`, for a URL. Raises ValueError."""
    secret = one_of(name, given, file)
    if given is not None and not is_http(given.reveal()):
        raise ValueError(f"{name} must be http:// or https:// and name a host")
    return secret


def basic_auth(name: str, password: str) -> str:
    """The header's value, in UTF-8 (RFC 7617)."""
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def host_of(url: str) -> str:
    """What may be shown of a URL."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname or "?"
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def without(text: str, secrets: Iterable[str]) -> str:
    """A service's own words, should they quote a secret back."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
