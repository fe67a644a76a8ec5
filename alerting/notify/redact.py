"""Log lines go to chats and mailboxes of many people: what looks like a secret is left out of them."""

from __future__ import annotations

import re

MARK = "[redacted]"
_MOST = 4000
_WORDS = r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|auth(?:orization)?|cookie|session(?:[_-]?id)?|client[_-]?secret)"  # noqa: E501
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # Headers and what stands behind their scheme: Authorization: Bearer x
    (re.compile(r"(?i)\b(bearer|basic|digest|negotiate|token)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {MARK}"),
    # name=value, "name": "value", name: value; with a prefix (db_password) or without
    (
        re.compile(
            rf"(?i)((?<![/\w.-])[\w.-]{{0,40}}?{_WORDS}[\w-]{{0,40}}[\"']?\s{{0,3}}[=:]\s{{0,3}})"
            rf"(?!(?:bearer|basic|digest|negotiate|token)\s|\[redacted\])(\"(?:\\.|[^\"\\])*\"|'[^']*'|[^\s,;&\"'}}\])]+)"
        ),
        rf"\1{MARK}",
    ),
    # https://user:password@host
    (re.compile(r"(?i)([a-z0-9+.-]://[^\s:/@]*):[^\s/@]+@"), rf"\1:{MARK}@"),
    # JSON Web Tokens
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}+\.[A-Za-z0-9_-]{5,}+\.[A-Za-z0-9_-]*"), MARK),
    # Keys that say by their beginning whose they are: AWS, GitHub, GitLab, Slack, Stripe, Google
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), MARK),
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk_live_|rk_live_|AIza)[A-Za-z0-9_-]{10,}"), MARK),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL), MARK),
)
_DIGITS = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")


def redacted(line: str) -> str:
    """Of its first 4,000 characters: more of it is never shown."""
    line = line[:_MOST]
    for pattern, instead in _PATTERNS:
        line = pattern.sub(instead, line)
    return _DIGITS.sub(lambda found: MARK if _is_card(found.group()) else found.group(), line)


def _is_card(text: str) -> bool:
    """Luhn's check sum: one number in ten that is no card is taken for one, a card never for something else."""
    digits = [int(mark) for mark in text if mark.isdigit()]
    doubled = [sum(divmod(digit * 2, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 and digits[0] in (3, 4, 5, 6)
