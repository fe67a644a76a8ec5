"""The languages in which channels read a message: how what is inserted is escaped, and how a part is made bold, a link,
or code. A label or a log line is never markup, whatever is in it: it can neither format, link, nor call people.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from html import escape as html_escape

import msgspec

_BIDI = "\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c"
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROL = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029{_BIDI}\ud800-\udfff\ufeff]")
_FULL_WIDTH = str.maketrans("<>[]*`#", "＜＞［］＊｀＃")


class Dialect(StrEnum):
    PLAIN = "plain"
    HTML = "html"
    SLACK = "slack"
    TELEGRAM_HTML = "telegram html"
    TELEGRAM_MARKDOWN = "telegram markdown"
    TELEGRAM_MARKDOWN_V2 = "telegram markdown v2"
    MARKDOWN = "markdown"  # Discord, Teams
    CHINESE_MARKDOWN = "chinese markdown"  # DingTalk, WeCom: no way to escape is documented
    FEISHU = "feishu"


class Markup(msgspec.Struct, frozen=True):
    """Each takes plain text and gives markup. `link(text, url)`."""

    escape: Callable[[str], str]
    bold: Callable[[str], str]
    code: Callable[[str], str]
    link: Callable[[str, str], str]


def clean(text: str) -> str:
    """Without what no message needs: terminal colours, control characters, marks that turn the direction of writing."""
    return _CONTROL.sub("", _ANSI.sub("", text.replace("\r\n", "\n")))


def one_line(text: str) -> str:
    return " ⏎ ".join(part.strip() for part in clean(text).replace("\t", " ").split("\n") if part.strip())


def _slack(text: str) -> str:
    """api.slack.com, formatting: these three and no others."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _backslash(marks: str) -> Callable[[str], str]:
    pattern = re.compile(f"([{re.escape(marks)}])")
    return lambda text: pattern.sub(r"\\\1", text)


_markdown_marks = _backslash("\\`*_~|#[]()<>")


def _markdown(text: str) -> str:
    """`@everyone` is parted by a character without width, too."""
    return _markdown_marks(text).replace("@", "@\u200b")


def _feishu(text: str) -> str:
    """open.feishu.cn, card markdown: what is special is written as an HTML entity."""
    return re.sub(r"[&<>*_~`\[\]()#\\:|+$-]", lambda mark: f"&#{ord(mark.group())};", text)


def _url(url: str) -> str:
    """In round brackets or quotes, nothing in it ends it."""
    return re.sub(
        r"[\s()<>\"'|\\`]", lambda mark: "".join(f"%{byte:02X}" for byte in mark.group().encode()), clean(url)
    )


def _html_link(text: str, url: str) -> str:
    return f'<a href="{html_escape(_url(url))}">{html_escape(text)}</a>' if is_link(url) else html_escape(text)


def _markdown_link(escape: Callable[[str], str]) -> Callable[[str, str], str]:
    return lambda text, url: f"[{escape(text)}]({_url(url)})" if is_link(url) else escape(text)


_CALLS = {
    Dialect.SLACK: re.compile(r"(<)(?=[!@#])|(@)(?=here|channel|everyone)"),
    Dialect.CHINESE_MARKDOWN: re.compile(r"(<)(?=@)"),
    Dialect.FEISHU: re.compile(r"(<)(?=at\b)"),
}


def tamed(dialect: Dialect) -> Callable[[str], str]:
    """For what a user's own template inserts as it is: it looks the same, but calls nobody. (Discord is told by
    `allowed_mentions`.)"""
    pattern = _CALLS.get(dialect)
    return (lambda text: pattern.sub("\\g<0>\u200b", text)) if pattern else str


def is_link(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _code_span(text: str) -> str:
    """A backquote can't be escaped inside of one."""
    return f"`{text.replace('`', 'ˋ')}`"


_v2 = _backslash("\\_*[]()~`>#+-=|{}.!")
_legacy = _backslash("_*`[")


def _chinese(text: str) -> str:
    return text.translate(_FULL_WIDTH)


MARKUP = {
    Dialect.PLAIN: Markup(str, str, str, lambda text, url: f"{text}: {clean(url)}" if is_link(url) else text),
    Dialect.HTML: Markup(
        html_escape,
        lambda text: f"<b>{html_escape(text)}</b>",
        lambda text: f"<code>{html_escape(text)}</code>",
        _html_link,
    ),
    Dialect.TELEGRAM_HTML: Markup(
        html_escape,
        lambda text: f"<b>{html_escape(text)}</b>",
        lambda text: f"<code>{html_escape(text)}</code>",
        _html_link,
    ),
    Dialect.SLACK: Markup(
        _slack,
        lambda text: f"*{_slack(text)}*",
        lambda text: _slack(_code_span(text)),
        lambda text, url: f"<{_slack(_url(url))}|{_slack(text)}>" if is_link(url) else _slack(text),
    ),
    Dialect.TELEGRAM_MARKDOWN: Markup(
        _legacy,
        lambda text: f"*{text.replace('*', '')}*",
        _code_span,
        lambda text, url: f"[{text.replace(']', ')')}]({_url(url)})" if is_link(url) else _legacy(text),
    ),
    Dialect.TELEGRAM_MARKDOWN_V2: Markup(
        _v2,
        lambda text: f"*{_v2(text)}*",
        lambda text: "`" + text.replace("\\", "\\\\").replace("`", "\\`") + "`",
        _markdown_link(_v2),
    ),
    Dialect.MARKDOWN: Markup(_markdown, lambda text: f"**{_markdown(text)}**", _code_span, _markdown_link(_markdown)),
    Dialect.CHINESE_MARKDOWN: Markup(
        _chinese, lambda text: f"**{_chinese(text)}**", _chinese, _markdown_link(_chinese)
    ),
    Dialect.FEISHU: Markup(_feishu, lambda text: f"**{_feishu(text)}**", _feishu, _markdown_link(_feishu)),
}
