"""What a check found."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    NOTE = "note"  # worth knowing; nothing is wrong
    MENDED = "mended"  # it was wrong
    WRONG = "wrong"  # it is


class Finding(msgspec.Struct, frozen=True):
    severity: Severity
    where: str
    what: str
    mend: str = ""  # what helps


class Report(msgspec.Struct, frozen=True):
    checked: dict[str, int]  # how many of what were looked at
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """0: nothing is wrong (any more); 1: something is."""
        return int(any(finding.severity is Severity.WRONG for finding in self.findings))


class Findings:
    """Gathers while the check goes on."""

    def __init__(self) -> None:
        self._found: list[Finding] = []
        self._checked: dict[str, int] = {}

    def checked(self, what: str, count: int = 1) -> None:
        self._checked[what] = self._checked.get(what, 0) + count

    def note(self, where: object, what: str) -> None:
        self._found.append(Finding(Severity.NOTE, str(where), what))

    def mended(self, where: object, what: str) -> None:
        self._found.append(Finding(Severity.MENDED, str(where), what))

    def wrong(self, where: object, what: str, mend: str) -> None:
        self._found.append(Finding(Severity.WRONG, str(where), what, mend))

    def report(self) -> Report:
        return Report(self._checked, tuple(self._found))
