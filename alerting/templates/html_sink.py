"""Output as HTML, each value escaped for the place where it stands (go/src/html/template, contextual autoescaping).

Go works the contexts out from the template's tree; here they are followed in the output as it is written, which comes
to the same where a template keeps its branches alike. Contexts: text, an attribute's value (quoted or not, with URLs
recognised by the attribute's name), title and textarea, script, style, comments, the inside of a tag.
"""

from __future__ import annotations

import html
import json
import re
from enum import StrEnum

from alerting.templates.values import Datum, SafeHtml, text_of

UNSAFE = "ZgotmplZ"
"""What Go writes instead of a value that must not stand where it was put."""
_URL_ATTRIBUTES = {
    *("action", "archive", "background", "cite", "classid", "codebase", "data", "formaction", "href", "icon"),
    *("longdesc", "manifest", "poster", "profile", "src", "usemap", "xmlns"),
}
_SAFE_SCHEMES = ("http", "https", "mailto")
_RAW = {"script", "style", "textarea", "title"}


class _Place(StrEnum):
    TEXT = "text"
    TAG = "tag"
    ATTRIBUTE = "attribute"
    COMMENT = "comment"
    RAW = "raw"


class HtmlSink:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self._place = _Place.TEXT
        self._element = ""
        self._attribute = ""
        self._quote = ""
        self._value = ""  # of the attribute, or the text of a script, as far as it was written

    def whole(self) -> str:
        return "".join(self.parts)

    def value(self, value: Datum) -> None:
        escaped = self._escaped(value)
        self.parts.append(escaped)
        if self._place in (_Place.ATTRIBUTE, _Place.RAW):
            self._value += escaped
        elif isinstance(value, SafeHtml):
            self._follow(escaped)

    def text(self, text: str) -> None:
        """Comments of HTML are left out, as Go does."""
        while text:
            before = self._place
            rest = self._step(text)
            passed = text[: len(text) - len(rest)]
            if self._place is _Place.COMMENT and before is _Place.TEXT:
                passed = passed.removesuffix("<!--")
            if before is not _Place.COMMENT:
                self.parts.append(passed)
            text = rest

    # Where the output has come to -----------------------------------------------------------------------------------

    def _follow(self, text: str) -> None:
        while text:
            text = self._step(text)

    def _step(self, text: str) -> str:
        """What is left behind the next change of place."""
        match self._place:
            case _Place.TEXT:
                return self._in_text(text)
            case _Place.COMMENT:
                return self._until(text, "-->", _Place.TEXT)
            case _Place.RAW:
                return self._in_raw(text)
            case _Place.TAG:
                return self._in_tag(text)
            case _Place.ATTRIBUTE:
                return self._in_attribute(text)

    def _until(self, text: str, mark: str, after: _Place) -> str:
        at = text.find(mark)
        if at < 0:
            return ""
        self._place = after
        return text[at + len(mark) :]

    def _in_text(self, text: str) -> str:
        found = re.search(r"<(!--|/?([A-Za-z][-A-Za-z0-9:]*))", text)
        if found is None:
            return ""
        if found[1] == "!--":
            self._place = _Place.COMMENT
        else:
            self._place, self._attribute = _Place.TAG, ""
            self._element = "" if found[1].startswith("/") else found[1].lower()
        return text[found.end() :]

    def _in_raw(self, text: str) -> str:
        found = re.search(rf"</{self._element}\b", text, re.IGNORECASE)
        if found is None:
            self._value += text
            return ""
        self._place, self._element = _Place.TAG, ""
        return text[found.end() :]

    def _in_tag(self, text: str) -> str:
        found = re.match(r"\s*(?:(>)|(/)|([^\s=>/\"']+)|(=)\s*([\"']?)|(.))", text, re.DOTALL)
        if found is None:
            return ""
        if found[1]:
            self._place, self._value = _Place.RAW if self._element in _RAW else _Place.TEXT, ""
        elif found[3]:
            self._attribute = found[3].lower()
        elif found[4]:
            self._place, self._quote, self._value = _Place.ATTRIBUTE, found[5], ""
        return text[found.end() :]

    def _in_attribute(self, text: str) -> str:
        end = re.search(self._quote or r"[\s>]", text)
        if end is None:
            self._value += text
            return ""
        self._place, self._attribute = _Place.TAG, ""
        return text[end.end() if self._quote else end.start() :]

    # Escaping -------------------------------------------------------------------------------------------------------

    def _escaped(self, value: Datum) -> str:
        match self._place:
            case _Place.TEXT:
                return str(value) if isinstance(value, SafeHtml) else escape_text(text_of(value))
            case _Place.RAW:
                return self._escaped_raw(value)
            case _Place.COMMENT:
                return ""
            case _Place.TAG:
                text = text_of(value)
                return text if re.fullmatch(r"[A-Za-z0-9-]+", text) and not _is_special(text) else UNSAFE
            case _Place.ATTRIBUTE:
                return self._escaped_attribute(text_of(value))

    def _escaped_raw(self, value: Datum) -> str:
        if self._element == "script":
            return script_value(value, self._value)
        if self._element == "style":
            return css_value(text_of(value))
        return escape_text(text_of(value))

    def _escaped_attribute(self, text: str) -> str:
        name = self._attribute
        if name in _URL_ATTRIBUTES or (name.startswith("data-") and ("url" in name or "uri" in name or "src" in name)):
            text = self._url(text)
        elif name == "style":
            text = css_value(text)
        elif name.startswith("on"):
            text = script_value(text, html.unescape(self._value))
        escaped = escape_text(text)
        return escaped if self._quote else re.sub(r"[\s=`]", lambda mark: f"&#{ord(mark.group())};", escaped)

    def _url(self, text: str) -> str:
        """At its start the scheme is looked at; in a query everything but letters is encoded."""
        if "?" in self._value or "#" in self._value:
            return _percent(text, "")
        if not self._value.strip():
            scheme, colon, _ = text.partition(":")
            if colon and "/" not in scheme and scheme.lower() not in _SAFE_SCHEMES:
                return f"#{UNSAFE}"
        return normalized_url(text)


def escape_text(text: str) -> str:
    marks = {"\0": "\ufffd", '"': "&#34;", "&": "&amp;", "'": "&#39;", "+": "&#43;", "<": "&lt;", ">": "&gt;"}
    return "".join(marks.get(mark, mark) for mark in text)


def normalized_url(text: str) -> str:
    """What may not stand in a URL is encoded, what is encoded already stays."""
    return re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", _percent(text, "!#$%&*+,/:;=?@[]"))


def _percent(text: str, kept: str) -> str:
    return re.sub(
        rf"[^A-Za-z0-9._~{re.escape(kept)}-]",
        lambda mark: "".join(f"%{byte:02x}" for byte in mark.group().encode()),
        text,
    )


def script_value(value: Datum, before: str = "") -> str:
    """A JSON value that ends no script; inside of a quoted text what goes on with it."""
    if value is None:
        return "null"
    plain = value if isinstance(value, bool | int | float) else text_of(value)
    quoted = json.dumps(text_of(value) if _open_quote(before) else plain, ensure_ascii=False)
    marks = {mark: f"\\u{ord(mark):04x}" for mark in "<>&'+`\u2028\u2029"}
    text = "".join(marks.get(mark, mark) for mark in quoted)
    return text[1:-1].replace('\\"', "\\u0022").replace("/", "\\/") if _open_quote(before) else text


def _open_quote(script: str) -> str:
    """The quotation mark that is open at the end of a script's text."""
    opened = ""
    for mark in re.findall(r"\\.|[\"'`]", script, re.DOTALL):
        if mark == opened:
            opened = ""
        elif not opened and mark in ("'", '"', "`"):
            opened = mark
    return opened


def css_value(text: str) -> str:
    """A plain word or number; anything that could be more is not let through."""
    lowered = text.lower()
    harmless = re.fullmatch(r"[\w\s#%.,!-]*", text) and "expression" not in lowered and "mozbinding" not in lowered
    return text if harmless and "--" not in text else UNSAFE


def _is_special(name: str) -> bool:
    lowered = name.lower()
    return lowered.startswith("on") or lowered == "style" or lowered in _URL_ATTRIBUTES
