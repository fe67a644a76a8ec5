"""The templates by which notifications are written: ours and Alertmanager's names, then the files of `templates:`.

A later definition takes an earlier one's place, unless it holds nothing but white space (Go's rule).
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

from alerting.notify.channels.markup import Dialect
from alerting.notify.template_functions import FUNCTION_NAMES, FUNCTIONS, bound_functions
from alerting.notify.words import Language
from alerting.templates.execution import Execution, Functions, Sink, TextSink
from alerting.templates.html_sink import HtmlSink
from alerting.templates.nodes import Body, Parsed, Source, TemplateError
from alerting.templates.parser import parse_template
from alerting.templates.values import Datum
from deckwatch.runtime.faults import Reject

MAX_FILE_BYTES = 1 << 20
_OURS = files("alerting.notify.templates")
_NO_VARIABLES: frozenset[str] = frozenset()


class BadTemplates(Reject):
    """`faults`: (file or pattern, problem). Nothing of the files is used."""

    def __init__(self, faults: Iterable[tuple[str, str]]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(f"{where}: {problem}" for where, problem in self.faults))


class NotificationTemplates:
    """Parsed once. `check`, `text` and `html` take texts of the configuration, which may name what the files define."""

    def __init__(
        self,
        sources: Iterable[Source] = (),
        *,
        language: Language = Language.ENGLISH,
        time_zone: ZoneInfo = ZoneInfo("UTC"),  # noqa: B008 - never changed
    ) -> None:
        """Raises BadTemplates."""
        self.language = language
        self._time_zone = time_zone
        self._defined: dict[str, Body] = {}
        self._parsed: dict[str, Parsed] = {}
        own = ("own.tmpl",) if language is not Language.ALERTMANAGER else ()
        faults = []
        for source in (*map(_own, ("names.tmpl", "messages.tmpl", *own)), *sources):
            try:
                self._add(source)
            except TemplateError as error:
                faults.append((source.name, str(error)))
        if faults:
            raise BadTemplates(faults)

    def check(self, text: str) -> str | None:
        """What is wrong with a text of the configuration."""
        try:
            self._parse(text)
        except TemplateError as error:
            return str(error)
        return None

    def text(self, text: str, data: Datum, dialect: Dialect, now_ns: int) -> str:
        """Raises FunctionFailed, or TemplateError (a Reject)."""
        sink = TextSink()
        self._run(text, data, sink, dialect, now_ns)
        return sink.whole()

    def html(self, text: str, data: Datum, dialect: Dialect, now_ns: int) -> str:
        """As `text`; what is inserted is escaped."""
        sink = HtmlSink()
        self._run(text, data, sink, dialect, now_ns)
        return sink.whole()

    def _run(self, text: str, data: Datum, sink: Sink, dialect: Dialect, now_ns: int) -> None:
        parsed = self._parse(text)
        defined = {**self._defined, **parsed.defined} if parsed.defined else self._defined
        bound: Functions = {
            **bound_functions(dialect, self.language, now_ns, self._time_zone),
            "subject": lambda dot: Execution(FUNCTIONS, defined, TextSink(), bound=bound).called("__subject", dot),
        }
        Execution(FUNCTIONS, defined, sink, bound=bound).run(parsed.main, data)

    def _parse(self, text: str) -> Parsed:
        parsed = self._parsed.get(text)
        if parsed is None:
            parsed = self._parsed[text] = parse_template(Source("", text), FUNCTION_NAMES, _NO_VARIABLES)
        return parsed

    def _add(self, source: Source) -> None:
        parsed = parse_template(source, FUNCTION_NAMES, _NO_VARIABLES)
        named: Mapping[str, Body] = {Path(source.name).name: parsed.main, **parsed.defined}
        for name, body in named.items():
            if not body.is_empty or name not in self._defined:
                self._defined[name] = body


def load_templates(
    patterns: Iterable[str],
    folder: Path,
    *,
    language: Language = Language.ENGLISH,
    time_zone: ZoneInfo = ZoneInfo("UTC"),  # noqa: B008 - never changed
) -> NotificationTemplates:
    """Of the files that `patterns` name, relative to `folder`; a pattern may match nothing yet. Raises BadTemplates:
    the faults of all files."""
    sources, faults = [], []
    for path in template_paths(patterns, folder):
        try:
            sources.append(Source(str(path), _read(path)))
        except (OSError, UnicodeDecodeError, TemplateError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            faults.append((str(path), f"can't be read: {reason}"))
    try:
        templates = NotificationTemplates(sources, language=language, time_zone=time_zone)
    except BadTemplates as error:
        raise BadTemplates([*faults, *error.faults]) from None
    if faults:
        raise BadTemplates(faults)
    return templates


def template_paths(patterns: Iterable[str], folder: Path) -> list[Path]:
    """In the order of the patterns, those of one pattern sorted."""
    return [Path(name) for pattern in patterns for name in sorted(glob.glob(str(folder / pattern)))]  # noqa: PTH207 - absolute patterns too


def _read(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise TemplateError(f"it is larger than {MAX_FILE_BYTES >> 20} MiB")
    return raw.decode()


def _own(name: str) -> Source:
    return Source(name, _OURS.joinpath(name).read_text(encoding="utf-8"))
