"""What the cgroup source hands on after each look, for the counters that go on."""

from __future__ import annotations

import msgspec

from agent.model import FoundContainer


class GroupLook(msgspec.Struct, frozen=True, kw_only=True):
    """One container's cgroup. Counters count from the beginning of the cgroup; None: the kernel doesn't tell."""

    path: str
    id: str  # of the container
    inode: int  # of the cgroup's directory: one number for one life of a cgroup. 0: it changed while it was read
    cpu_ns: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    oom_kills: int | None = None
    working_set_bytes: int | None = None
    network: str = ""  # whose counters these are: the network namespace. Empty: another container speaks for it
    received_bytes: int | None = None
    sent_bytes: int | None = None


class DirectoryLook(msgspec.Struct, frozen=True):
    """A group that isn't a container's: one that holds containers, or a neighbour of theirs."""

    inode: int
    cpu_ns: int  # of all that ever ran below it, what has ended included
    holds: bool  # containers, or it may


MOST_LOOKS = 8
"""Kept for a reader that is late (its disk hangs): the newest one tells all that the older ones did, but for containers
that came and went between."""


class Look(msgspec.Struct, frozen=True):
    ts_ns: int
    groups: tuple[GroupLook, ...]
    directories: dict[str, DirectoryLook]  # by path; read before the groups
    fresh: frozenset[str]  # paths of directories that were not there at the look before
    containers: dict[str, FoundContainer]  # the inventory as of this look
