"""What a word is, how it is found in a text, and which tokens a text must hold for a query to match it.

A *word* is a maximal run of letters, marks, digits and underscores (`\\w` of Unicode TR18, as Rust's regex crate has
it), compared case-insensitively. A query term with other characters inside (10.0.0.1, /api/v1, user-id) is a phrase
of its words. A term with Chinese, Japanese or Korean characters is searched as a substring, since those scripts put
no spaces between words.

A *token* is what the filters of stored blocks hold: a maximal run of ASCII letters, digits and underscores, in lower
case, and each other character that has no case. ASCII letters are compared by ASCII's rules alone, so that a word
found by the regex is always found by its tokens (Unicode would fold the Kelvin sign to k, which is no token).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

import msgspec

from collector.search.fields import Kind, body_name, kind_of
from collector.search.quantities import network_of
from collector.search.query import (
    TEXT_FIELD,
    And,
    AnyOne,
    AnyRun,
    Exists,
    Or,
    Phrase,
    Query,
    Range,
    Regex,
    Substring,
    Term,
    Wildcard,
    Word,
)

_WORD_CATEGORIES = frozenset({"Nd", "Nl", "Pc"})
_JOINERS = "\u200c\u200d"
_TOKEN = re.compile(r"[A-Za-z0-9_]+")
_CJK = re.compile(
    "[\u1100-\u11ff\u3005-\u3007\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f"
    "\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff]"
)
_SAFE_VALUE = re.compile(r"[A-Za-z0-9_ .:,;@/-]*[A-Za-z0-9_][A-Za-z0-9_ .:,;@/-]*")
_SAFE_NAME = re.compile(r"[A-Za-z0-9_.@/-]+")
_META = re.compile(r"[\\.+*?()|\[\]{}^$#&~\-]")

PatternPart = str | AnyRun | AnyOne


def is_word_character(character: str) -> bool:
    if character.isascii():
        return character.isalnum() or character == "_"
    category = unicodedata.category(character)
    return category[0] in "LM" or category in _WORD_CATEGORIES or character in _JOINERS


def words(text: str) -> tuple[str, ...]:
    """The words of a text, in order, as they are written."""
    spaced = "".join(character if is_word_character(character) else " " for character in text)
    return tuple(spaced.split())


def tokens(text: str) -> tuple[str, ...]:
    """The tokens of a text in lower case: ASCII runs, then other characters."""
    return tuple(token.lower() for token in _TOKEN.findall(text)) + _caseless_characters(text)


def _caseless_characters(text: str) -> tuple[str, ...]:
    return tuple(c for c in text if not c.isascii() and is_word_character(c) and c.lower() == c.upper() == c.casefold())


def has_cjk(text: str) -> bool:
    return _CJK.search(text) is not None


# Finding: patterns in the syntax of Rust's regex crate ----------------------------------------------------------


def caseless(text: str) -> str:
    """A pattern for the text itself: ASCII letters fold by ASCII's rules, all others by Unicode's."""
    runs = re.findall(r"[\x00-\x7f]+|[^\x00-\x7f]+", text)
    return "".join(f"(?i-u:{_META.sub(_escaped, run)})" if run.isascii() else f"(?i:{run})" for run in runs)


def _escaped(match: re.Match[str]) -> str:
    return "\\" + match.group()


def phrase_pattern(phrase: tuple[str, ...]) -> str:
    return r"\b" + r"\W+".join(caseless(word) for word in phrase) + r"\b"


def wildcard_pattern(pattern: tuple[PatternPart, ...]) -> str:
    """Of a wildcard on the text: `*` and `?` are word characters, other non-word characters separate words; what
    stands outside of the first and last word has no say, and a `*` at an end leaves that end of the word open."""
    units = _units(pattern)
    left = right = r"\b"
    while units and units[0] in ("", AnyRun()):
        left = "" if units.pop(0) == AnyRun() else r"\b"
    while units and units[-1] in ("", AnyRun()):
        right = "" if units.pop() == AnyRun() else r"\b"
    return left + "".join(_unit_pattern(unit) for unit in units) + right


def _units(pattern: tuple[PatternPart, ...]) -> list[PatternPart]:
    """Words, wildcards, and "" for each run of non-word characters."""
    units: list[PatternPart] = []
    for part in pattern:
        if isinstance(part, str):
            units.extend(piece if is_word_character(piece[0]) else "" for piece in _runs(part))
        else:
            units.append(part)
    return units


def _runs(text: str) -> list[str]:
    """Maximal runs of word and of non-word characters."""
    runs: list[str] = []
    for character in text:
        if runs and is_word_character(runs[-1][0]) == is_word_character(character):
            runs[-1] += character
        else:
            runs.append(character)
    return runs


def _unit_pattern(unit: PatternPart) -> str:
    match unit:
        case AnyRun():
            return r"\w*"
        case AnyOne():
            return r"\w"
        case "":
            return r"\W+"
    return caseless(unit)


# Pruning: which tokens must be there ----------------------------------------------------------------------------


class Anything(msgspec.Struct, frozen=True):
    """Says nothing: any text may match."""


class Token(msgspec.Struct, frozen=True):
    """The text must hold this very token."""

    text: str


class Prefix(msgspec.Struct, frozen=True):
    """The text must hold a token that begins so."""

    text: str


class Every(msgspec.Struct, frozen=True):
    parts: tuple[Needs, ...]


class Some(msgspec.Struct, frozen=True):
    parts: tuple[Needs, ...]


Needs = Anything | Token | Prefix | Every | Some


def may_match(
    needs: Needs, may_contain: Callable[[str], bool], may_begin: Callable[[str], bool] = lambda prefix: True
) -> bool:
    """False: no text of the block can match. `may_contain(token)` and `may_begin(prefix)` may err towards True."""
    match needs:
        case Token(text):
            return may_contain(text)
        case Prefix(text):
            return may_begin(text)
        case Every(parts):
            return all(may_match(part, may_contain, may_begin) for part in parts)
        case Some(parts):
            return any(may_match(part, may_contain, may_begin) for part in parts)
    return True


def required_words(query: Query) -> Needs:
    """What every matching record's message must hold. Negations and other fields give nothing, but for body fields:
    their names and plain values stand in the message as they are (`values.text_hint` demands it of values too)."""
    match query:
        case And(parts):
            return _every([required_words(part) for part in parts])
        case Or(parts):
            return _some([required_words(part) for part in parts])
        case Word(_, text):
            return _every([Token(token) for token in tokens(text)])
        case Phrase(_, phrase):
            return _every([Token(token) for word in phrase for token in tokens(word)])
        case Substring(_, text):
            return _every([Token(character) for character in _caseless_characters(text)])
        case Wildcard(field, pattern) if field == TEXT_FIELD:
            return _every(_wildcard_needs(pattern))
        case Term(field, value) if kind_of(field) is Kind.BODY:
            return _every([*_name_needs(field), *(Token(token) for token in tokens(value) if is_verbatim(value))])
        case Wildcard(field) | Regex(field) | Range(field) | Exists(field) if kind_of(field) is Kind.BODY:
            return _every(_name_needs(field))
    return Anything()


def _name_needs(field: str) -> list[Needs]:
    """A body holds the names of its fields; nobody escapes these characters."""
    name = body_name(field)
    return [Token(token) for token in tokens(name)] if _SAFE_NAME.fullmatch(name) else []


def is_verbatim(value: str) -> bool:
    """Must this very text stand in a JSON or logfmt body, but for \\/? Others may be written with \\u escapes, or mean
    more than their text (a network)."""
    return _SAFE_VALUE.fullmatch(value) is not None and network_of(value) is None


def _every(parts: list[Needs]) -> Needs:
    telling = tuple(part for part in parts if part != Anything())
    if not telling:
        return Anything()
    return telling[0] if len(telling) == 1 else Every(telling)


def _some(parts: list[Needs]) -> Needs:
    return Anything() if Anything() in parts else Some(tuple(parts))


def _wildcard_needs(pattern: tuple[PatternPart, ...]) -> list[Needs]:
    """A token whose both ends are told is needed as it is; one whose end is open (foo*) as a prefix."""
    needs: list[Needs] = []
    for index, part in enumerate(pattern):
        if not isinstance(part, str):
            continue
        open_left, open_right = index > 0, index + 1 < len(pattern)
        for match in _TOKEN.finditer(part):
            text = match.group().lower()
            if match.start() == 0 and open_left:
                continue
            cut = match.end() == len(part) and open_right
            needs.append(Prefix(text) if cut else Token(text))
    return needs
