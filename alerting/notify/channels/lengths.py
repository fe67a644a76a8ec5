"""Services take messages of so many characters, bytes or UTF-16 units: what is longer is cut, visibly and whole."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

MARK = "…"
_TAG = re.compile(r"<(/?)([a-zA-Z][-a-zA-Z0-9]*)[^<>]*>")
_JOINERS = "\u200d\ufe0e\ufe0f"


def characters(text: str) -> int:
    return len(text)


def utf8_bytes(text: str) -> int:
    return len(text.encode())


def utf16_units(text: str) -> int:
    """Telegram and JavaScript count so: most emoji are two."""
    return len(text.encode("utf-16-le")) // 2


Size = Callable[[str], int]


def cut(text: str, most: int, size: Size = characters, mark: str = MARK) -> str:
    """At most so long, `mark` at the end where something is missing. No character is split, nor what belongs to it
    (accents, skin colours) left behind."""
    if size(text) <= most:
        return text
    room = most - size(mark)
    low, high = 0, min(len(text), max(room, 0))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(text[:middle]) <= room else (low, middle - 1)
    kept = _whole(text, low)
    return kept + mark if room >= 0 else ""


def cut_html(text: str, most: int, size: Size = characters, mark: str = MARK) -> str:
    """As `cut`; no tag or entity is split, and what is open is closed."""
    if size(text) <= most:
        return text
    room = most
    while room > 0:
        kept = re.sub(r"<[^<>]*$|&[#\w]*$", "", cut(text, room, size, ""))
        closed = kept + mark + "".join(f"</{name}>" for name in reversed(_open_tags(kept)))
        if size(closed) <= most:
            return closed
        room -= max(size(closed) - most, 1)
    return ""


def _open_tags(text: str) -> list[str]:
    opened: list[str] = []
    for closes, name in _TAG.findall(text):
        if not closes:
            opened.append(name)
        elif opened and opened[-1] == name:
            opened.pop()
    return opened


def _whole(text: str, length: int) -> str:
    """The first characters, without half a grapheme at their end. A lone backslash would escape the mark."""
    while 0 < length < len(text) and (unicodedata.combining(text[length]) or text[length] in _JOINERS):
        length -= 1
    kept = text[:length].rstrip("\u200d")
    slashes = len(kept) - len(kept.rstrip("\\"))
    return kept[:-1] if slashes % 2 else kept
