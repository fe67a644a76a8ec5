"""How many files were born at a log's path since somebody last knew all of them. Pure: the catcher feeds it.

Docker's json-file driver deletes the oldest rotated file, renames the others, and creates the live one anew (moby
daemon/logger/loggerutils/logfile.go). The kernel tells of each of these steps, in order, whether or not anybody got to
open the file in between. A file that was born and that nobody opened is a generation that nobody read.
"""

from __future__ import annotations

from agent.inotify import Change, Notice


class Births:
    """The names of one log in its folder, by the file that was born at its path and carries them now.

    Files that were there before carry none. `count` goes up with each birth; `settle` takes it back to 0 when as many
    files were opened.
    """

    __slots__ = ("_born", "_moving", "_names", "count", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self._names: tuple[tuple[str, int], ...] = ()  # (name in the folder, number of its birth), few at a time
        self._moving: tuple[int, int | None] | None = None  # cookie of the last rename, and what is on its way
        self._born = 0

    @property
    def names(self) -> list[str]:
        """Where files stand that were born here, the oldest first."""
        return [name for name, _ in sorted(self._names, key=lambda named: named[1])]

    def take(self, notice: Notice) -> bool:
        """True: this log's files changed names."""
        change, name = notice.change, notice.name
        if change & Change.ISDIR or not name:
            return False
        if change & Change.MOVED_FROM:
            return self._left(notice)
        if change & Change.MOVED_TO:
            return self._arrived(notice)
        if change & Change.CREATE and name == self.name:
            self._bear()
            return True
        if change & Change.DELETE:
            return self._unname(name) is not None or name == self.name
        return False

    def _unname(self, name: str) -> int | None:
        number = next((number for known, number in self._names if known == name), None)
        if number is not None:
            self._names = tuple(named for named in self._names if named[0] != name)
        return number

    def _left(self, notice: Notice) -> bool:
        number = self._unname(notice.name)
        self._moving = (notice.cookie, number)  # both halves of a rename within one folder come one after the other
        return number is not None or notice.name == self.name

    def _arrived(self, notice: Notice) -> bool:
        number = None
        if self._moving is not None and self._moving[0] == notice.cookie:
            number, self._moving = self._moving[1], None
        covered = self._unname(notice.name) is not None
        if number is not None:
            self._name(notice.name, number)
            return True
        if notice.name == self.name:
            self._bear()
            return True
        return covered

    def _bear(self) -> None:
        self._born += 1
        self.count += 1
        self._name(self.name, self._born)

    def _name(self, name: str, number: int) -> None:
        self._unname(name)
        self._names = (*self._names, (name, number))

    def settle(self) -> None:
        """All births so far are accounted for."""
        self.count = 0

    def forget(self) -> None:
        """Events were lost: nobody knows which file carries which name."""
        self.count = 0
        self._names, self._moving = (), None


def unseen(births: int, opened: int) -> int:
    """Generations that nobody opened, once no more events are on their way. A file that was opened before its birth
    was told of is counted when that is."""
    return max(0, births - opened)
