"""What a followed log asks of the tailer that keeps all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from agent.tail.catcher import Catcher
from agent.tail.links import Links
from agent.tail.listing import Listings
from agent.tail.logfile import FileId
from agent.tail.settings import TailSettings
from agent.tail.state import StreamMemory, StreamState
from agent.tail.tail import Tail

if TYPE_CHECKING:
    from agent.tail.followed import Followed


class Keeper(Protocol):
    """Called in the tailer's thread only."""

    agent: str
    settings: TailSettings
    memory: StreamMemory
    listings: Listings
    catcher: Catcher
    links: Links
    started_ns: int
    begin_at_end: bool
    """In files that were there when the agent started: this is its very first start."""

    def may_have(self, file: FileId, followed: Followed) -> bool:
        """False: another source reads this very file already."""
        ...

    def adopted(self, tail: Tail, followed: Followed) -> None: ...

    def resumed(self, tail: Tail) -> None:
        """Taken over from the memory: the collector's position is to be compared."""
        ...

    def named(self) -> None:
        """A stream got its name: it must be durable before anything of the stream is sent."""
        ...

    def let_go(self, tail: Tail, *, listed: bool) -> None:
        """It is read out and acked, or what it lost is declared."""
        ...

    def unlisted(self, state: StreamState) -> None:
        """The file of a closed stream has gone."""
        ...

    def relisted(self, state: StreamState) -> None:
        """The file of a closed stream, or a copy of it, is there under this name."""
        ...

    def pass_damage(self, tail: Tail) -> None:
        """What of it can't be read is given up."""
        ...

    def complain(self, path: str, error: OSError | None) -> None:
        """Said once for each path; None: it works again."""
        ...

    def now_ns(self) -> int: ...

    def now(self) -> float: ...
