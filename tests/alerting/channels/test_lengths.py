"""Cutting and escaping, over whatever text there may be."""

from __future__ import annotations

import contextlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.notify.channels.lengths import Size, characters, cut, cut_html, utf8_bytes, utf16_units
from alerting.notify.channels.markup import MARKUP, Dialect, clean, one_line
from alerting.templates.html_sink import HtmlSink
from alerting.templates.nodes import Source, TemplateError
from alerting.templates.parser import parse_template

TEXTS = st.text(
    alphabet=st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("<>&\\*`é\u200d🏽👩[](){}|@"))
)
SIZES = st.sampled_from([characters, utf8_bytes, utf16_units])


@pytest.mark.parametrize(
    ("text", "most", "size", "want"),
    [
        ("abc", 3, characters, "abc"),
        ("abcd", 3, characters, "ab…"),
        ("ab", 0, characters, ""),
        ("äöü", 5, utf8_bytes, "ä…"),
        ("日志日志", 9, utf8_bytes, "日志…"),
        ("🔥🔥🔥", 5, utf16_units, "🔥🔥…"),
        ("ab👩\u200d🚒", 4, characters, "ab…"),
        ("abe\u0301xyz", 4, characters, "ab…"),
        ("ab\\*cd", 4, characters, "ab…"),
    ],
)
def test_cut(text: str, most: int, size: Size, want: str) -> None:
    assert cut(text, most, size) == want


@pytest.mark.parametrize(
    ("text", "most", "want"),
    [
        ("<b>bold</b>", 20, "<b>bold</b>"),
        ("<b>bold text</b> more", 14, "<b>bold t…</b>"),
        ("x &amp; y", 5, "x …"),
        ('see <a href="http://x/y">here</a> and there', 30, 'see <a href="http://x/y">…</a>'),
        ('see <a href="http://x/y">here</a> and there', 20, "see …"),
        ("<b><i>deep and long</i></b>", 18, "<b><i>dee…</i></b>"),
    ],
)
def test_cut_html(text: str, most: int, want: str) -> None:
    assert cut_html(text, most) == want


@given(text=TEXTS, most=st.integers(0, 60), size=SIZES)
@settings(max_examples=300, deadline=None)
def test_what_is_cut_fits(text: str, most: int, size: Size) -> None:
    kept = cut(text, most, size)
    assert size(kept) <= most
    assert kept == text or text.startswith(kept.removesuffix("…"))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


PIECES = st.lists(
    st.one_of(
        TEXTS.map(lambda text: MARKUP[Dialect.TELEGRAM_HTML].bold(clean(text))), TEXTS.map(MARKUP[Dialect.HTML].code)
    ),
    max_size=6,
)


@given(pieces=PIECES, most=st.integers(0, 80))
@settings(max_examples=200, deadline=None)
def test_html_that_is_cut_is_whole(pieces: list[str], most: int) -> None:
    kept = cut_html("".join(pieces), most)
    assert len(kept) <= most
    tags = _Tags()
    tags.feed(kept)
    assert tags.open == []


@given(text=TEXTS)
@settings(max_examples=300, deadline=None)
def test_what_is_escaped_is_no_markup(text: str) -> None:
    assert not re.search(r"[<>]", MARKUP[Dialect.SLACK].escape(text))
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;|quot;|#x27;)", MARKUP[Dialect.TELEGRAM_HTML].escape(text))
    assert not re.search(r"[<>*\[\]`]", MARKUP[Dialect.FEISHU].escape(text))
    assert not re.search(r"[<>*\[\]`]", MARKUP[Dialect.CHINESE_MARKDOWN].escape(text))
    bare = re.sub(r"\\.", "", MARKUP[Dialect.TELEGRAM_MARKDOWN_V2].escape(text), flags=re.DOTALL)
    assert not re.search(r"[_*\[\]()~`>#+=|{}.!\\-]", bare)
    assert "\n" not in one_line(text)


@given(value=TEXTS)
@settings(max_examples=300, deadline=None)
def test_a_value_never_leaves_its_place_in_html(value: str) -> None:
    """One element, one attribute, one text, whatever the values are."""
    sink = HtmlSink()
    for text in ('<p title="', None, '" class=', None, "><a href='", None, "'>", None, "</a></p>"):
        if text is None:
            sink.value(value)
        else:
            sink.text(text)
    seen: list[object] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append((tag, sorted(name for name, _ in attrs)))

    Reader().feed(sink.whole())
    assert seen == [("p", ["class", "title"]), ("a", ["href"])]


PARTS = ["{{", "}}", "if", " ", "end", "range", ".", "$x", ":=", "|", "(", ")", '"a"', "`", "-", "1", "define", "else"]


@given(text=st.lists(st.sampled_from([*PARTS, "len", "/*", "*/", "'"]), max_size=14).map("".join))
@settings(max_examples=500, deadline=None)
def test_no_text_breaks_the_parser(text: str) -> None:
    with contextlib.suppress(TemplateError):
        parse_template(Source("", text), frozenset({"len"}), frozenset())
