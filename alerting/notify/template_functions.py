"""Functions of notifications' templates: Alertmanager's (template.DefaultFuncs), and ours."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from alerting.notify.channels.markup import MARKUP, Dialect, clean, one_line
from alerting.notify.words import WORDS, Language
from alerting.templates.builtins import BUILTINS
from alerting.templates.execution import Functions
from alerting.templates.moments import Duration, Moment
from alerting.templates.numbers import humanize_duration
from alerting.templates.texts import TEXT_FUNCTIONS
from alerting.templates.values import Datum, FunctionFailed, SafeHtml, as_text, as_texts, text_of, type_of

_WORD = re.compile(r"\w+(?:['’.:·]\w+)*")
"""As UAX #29 parts words: a stop or an apostrophe between two letters parts none."""


def title(text: Datum) -> str:
    """golang.org/x/text/cases.Title: the first letter of each word large, the others small."""
    return _WORD.sub(lambda word: _titled(word.group().lower()), as_text(text))


def _titled(word: str) -> str:
    first = next((place for place, mark in enumerate(word) if mark.isalpha()), 0)
    return word[:first] + word[first : first + 1].title() + word[first + 1 :]


def date(layout: Datum, moment: Datum) -> str:
    return _moment(moment).format(as_text(layout))


def in_zone(name: Datum, moment: Datum) -> Moment:
    return Moment(_moment(moment).ns, zone(as_text(name)))


def zone(name: str) -> ZoneInfo:
    """Raises FunctionFailed."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise FunctionFailed(f"unknown time zone {name}") from None


def json_text(value: Datum) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def pairs(*values: Datum) -> dict[str, Datum]:
    if len(values) % 2:
        raise FunctionFailed("dict needs a value for each key")
    return {as_text(key): value for key, value in zip(values[::2], values[1::2], strict=True)}


def append(items: Datum, *more: Datum) -> list[Datum]:
    if not isinstance(items, list):
        raise FunctionFailed(f"wrong type for value; expected a list; got {type_of(items)}")
    return [*items, *more]


def limited(most: Datum, items: Datum) -> list[Datum]:
    """The first of a list."""
    if not isinstance(items, list) or isinstance(most, bool) or not isinstance(most, int):
        raise FunctionFailed("limit needs a number and a list")
    return list(items[: max(0, most)])


def _raw(value: Datum) -> str:
    """What is escaped now needs no taming besides (channels.markup.tamed)."""
    return clean(text_of(value)).replace("<\u200b", "<")


def _plain(value: Datum) -> object:
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | bool | int | float | None) else text_of(value)


def _moment(value: Datum) -> Moment:
    if not isinstance(value, Moment):
        raise FunctionFailed(f"wrong type for value; expected time.Time; got {type_of(value)}")
    return value


FUNCTIONS: Functions = {
    **BUILTINS,
    **{name: TEXT_FUNCTIONS[name] for name in ("toUpper", "toLower", "match", "reReplaceAll", "safeHtml")},
    "title": title,
    "trimSpace": lambda text: as_text(text).strip(),
    "join": lambda mark, texts: as_text(mark).join(as_texts(texts)),
    "stringSlice": lambda *texts: [as_text(text) for text in texts],
    "safeUrl": lambda text: SafeHtml(as_text(text)),
    "urlUnescape": lambda text: unquote(as_text(text).replace("+", " ")),
    "humanizeDuration": humanize_duration,
    "date": date,
    "tz": in_zone,
    "toJson": json_text,
    "list": lambda *values: list(values),
    "append": append,
    "dict": pairs,
    # Ours
    "limit": limited,
    "line": lambda text: one_line(text_of(text)),
    "span": lambda start, end: str(Duration(_moment(end).ns - _moment(start).ns).to(1_000_000_000, rounded=True)),
}
_BOUND = ("since", "now", "say", "when", "escape", "bold", "code", "link", "subject")
FUNCTION_NAMES = frozenset(FUNCTIONS) | {"and", "or", *_BOUND}


def bound_functions(dialect: Dialect, language: Language, now_ns: int, time_zone: ZoneInfo) -> Functions:
    """Those that depend on the channel, the reader and the time. `subject` is for the templates to bind."""
    markup = MARKUP[dialect]
    words = WORDS[language]
    made = SafeHtml if dialect in (Dialect.HTML, Dialect.TELEGRAM_HTML) else str
    return {
        "since": lambda moment: Moment(now_ns).methods()["Sub"](_moment(moment)),
        "now": lambda: Moment(now_ns),
        "say": lambda name: words[as_text(name)],
        "when": lambda moment: Moment(_moment(moment).ns, time_zone).format("2006-01-02 15:04:05 MST"),
        "escape": lambda text: made(markup.escape(_raw(text))),
        "bold": lambda text: made(markup.bold(_raw(text))),
        "code": lambda text: made(markup.code(_raw(text))),
        "link": lambda text, url: made(markup.link(_raw(text), as_text(url))),
    }
