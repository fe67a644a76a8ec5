"""The bearer token: from a file or the environment, never from the command line (other users see that)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deckwatch.runtime.faults import Unusable
from deckwatch.runtime.settings_fields import Secret

TOKEN_VARIABLE = "DECKWATCH_TOKEN"  # noqa: S105 - its name, not its value
LEAST_LENGTH = 16


def read_token(token_file: Path | None, env: Mapping[str, str], *, option: str = "--token-file") -> Secret | None:
    """The token of the file, else of DECKWATCH_TOKEN; None where neither is given. Raises Unusable."""
    if token_file is not None:
        return _checked(_read(token_file, option), f"{option} {token_file}")
    if TOKEN_VARIABLE in env:
        return _checked(env[TOKEN_VARIABLE], TOKEN_VARIABLE)
    return None


def _read(path: Path, option: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Unusable(f"{option} {path}: can't be read: {reason}") from None


def _checked(text: str, origin: str) -> Secret:
    token = text.strip()
    if len(token) < LEAST_LENGTH:
        raise Unusable(
            f"{origin}: a token has at least {LEAST_LENGTH} characters; make one with `openssl rand -hex 32`"
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise Unusable(f"{origin}: a token is one line of printable ASCII without spaces")
    return Secret(token)
