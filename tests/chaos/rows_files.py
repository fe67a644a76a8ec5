"""Rows: what happens to log files while they are read, or while nobody reads them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.row import Row
from tests.chaos.stage import CannotRun, Stage
from tests.chaos.writer import DockerWriter, LogWriter, docker_line, say

BANNER = "service starting, build 1f3a " * 48
"""Longer than a fingerprint: generations that begin with it can't be told apart by that."""


def burst_then_rotation(stage: Stage) -> None:
    """300 bytes a line, all at once, and rotated at once: only an open descriptor has it still."""
    log = stage.docker_log(max_files=2, say=lambda number: say(number) + " " + "x" * 200)
    stage.start()
    log.write(10)
    stage.wait_drained()
    while log.written < stage.lines:
        log.write(min(5000, stage.lines - log.written))
    log.rotate()
    log.write(10)


def rotations_while_away(rotations: int) -> Callable[[Stage], None]:
    """max-file 2: all but the last two files have no name any more when the collector is back."""

    def act(stage: Stage) -> None:
        log = stage.docker_log(max_files=2)
        stage.start()
        log.write(stage.lines // (rotations + 2))
        stage.wait_drained()
        stage.collector.kill()
        for _ in range(rotations):
            log.write(stage.lines // (rotations + 2))
            log.rotate()
            stage.nap(0.3, 0.6)
        log.write(stage.lines // (rotations + 2))
        stage.collector.start()

    return act


def deleted_behind_burst(stage: Stage) -> None:
    """As `docker rm -f` does, a second after the container's last line."""
    log = stage.docker_log()
    stage.start()
    while log.written < stage.lines:
        log.write(min(5000, stage.lines - log.written))
    time.sleep(1)
    log.delete()


def copytruncate(*, agent_up: bool, compress: bool = False) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        log = stage.plain_log()
        stage.start()
        for _ in range(3):
            log.write(stage.lines // 6)
            stage.nap(0.3, 0.6)
            if not agent_up:
                stage.agent.kill()
                log.write(stage.lines // 6)
            log.copytruncate(compress=compress)
            log.write(stage.lines // 6)
            stage.ready()

    return act


def inode_reused(stage: Stage) -> None:
    """The new file at the path has the deleted one's inode, the agent up and down by turns."""
    log = stage.plain_log()
    stage.start()
    for turn in range(6):
        log.write(stage.lines // 6)
        stage.wait_acked()
        if turn % 2:
            stage.agent.kill()
        inode = log.path.stat().st_ino
        log.delete()
        _file_of_inode(stage.folder, inode).rename(log.path)
        log.recreate()
        if turn % 2:
            stage.agent.start()


def _file_of_inode(folder: Path, inode: int) -> Path:
    """Raises CannotRun where the file system doesn't use an inode again soon."""
    made = [folder / f"empty-{n}" for n in range(2000)]
    try:
        for path in made:
            path.touch()
            if path.stat().st_ino == inode:
                return path.rename(folder / "found")
    finally:
        for path in made:
            path.unlink(missing_ok=True)
    raise CannotRun(f"inode {inode} was not used again by 2,000 new files")


def symbolic_links(stage: Stage) -> None:
    """A file, two links to it and a folder that leads there; then a link as the kubelet keeps it moves on."""
    real = stage.folder / "real"
    real.mkdir()
    first = LogWriter(real / "0.log", stage.ledger)
    (stage.logs / "a.log").symlink_to(real / "0.log")
    (stage.logs / "b.log").symlink_to(stage.logs / "a.log")
    (stage.logs / "folder").symlink_to(real)
    stage.start(globs=[str(stage.logs / "*.log"), str(stage.logs / "folder" / "*.log")])
    first.write(stage.lines // 3)
    stage.wait_acked()
    second = LogWriter(real / "1.log", stage.ledger)
    second.write(stage.lines // 3)
    (stage.logs / "new").symlink_to(real / "1.log")
    (stage.logs / "new").rename(stage.logs / "a.log")
    first.write(stage.lines // 3)
    stage.nap(0.2, 0.5)
    second.write(10)
    first.close()
    second.close()


def regrown_past_position(stage: Stage) -> None:
    """Cut and written anew with the same banner, beyond where reading was: by size and first bytes nothing has
    happened. What was not read before the cut is destroyed: nothing here, for all was acked."""
    log = stage.plain_log()
    stage.start()
    for turn in range(4):
        log.put_raw(f"{BANNER}\n".encode())
        log.write(stage.lines // 8 * (turn + 1) // 4)
        stage.wait_acked()
        if turn % 2:
            stage.agent.kill()
        log.truncate()
        log.put_raw(f"{BANNER}\n".encode())
        log.write(stage.lines // 8 * (turn + 2) // 4)
        stage.ready()
        stage.wait_acked()


def truncated_unread(stage: Stage) -> None:
    """Cut in place while the agent is down, with lines behind its position: they are nowhere."""
    log = stage.plain_log()
    stage.start()
    log.write(stage.lines // 3)
    stage.wait_acked()
    stage.agent.kill()
    acked = log.generation.size
    log.write(stage.lines // 3)
    log.truncate(unread_from=acked)
    log.write(stage.lines // 6)
    stage.agent.start()
    log.write(stage.lines // 6)


def long_line_in_pieces(stage: Stage) -> None:
    """40 KiB, which json-file writes in pieces of 16 KiB; a daemon is killed between two of them. The first and the
    last piece have a number each."""
    log = stage.docker_log()
    stage.start()
    victims = [stage.agent, stage.collector] * 2
    for victim in victims:
        for _ in range(min(500, stage.lines // 200)):
            _write_pieces(stage, log)
        _write_pieces(stage, log, between=lambda victim=victim: stage.restart(victim))  # type: ignore[misc]


def _write_pieces(stage: Stage, log: DockerWriter, between: Callable[[], None] = lambda: None) -> None:
    with stage.ledger.lock:
        number = stage.ledger.sent
        log.put([docker_line((say(number) + " ").ljust(16384, "x"))])
        log.put_raw(docker_line("y" * 16384))
    between()
    with stage.ledger.lock:
        number = stage.ledger.sent
        log.put([docker_line(f"{'z' * 8000} {say(number)}\n")])


def many_files(stage: Stage) -> None:
    """Half of them are there before the agent, half come at once while it runs; all are written to, and it is
    killed."""
    count = min(5000, stage.lines // 4)
    logs = [stage.plain_log(f"app-{n:05}") for n in range(count // 2)]
    for log in logs:
        log.write(1)
    stage.start()
    logs += [stage.plain_log(f"app-{n:05}") for n in range(count // 2, count)]
    each = max(1, stage.lines // count // 2)
    for log in logs:
        log.write(each)
    stage.restart(stage.agent)
    for log in logs:
        log.write(each)
    for log in logs:
        log.close()


def gigantic_line(size_bytes: int) -> Callable[[Stage], None]:
    """One line without an end for a very long while; then it ends and others follow."""

    def act(stage: Stage) -> None:
        log = stage.plain_log()
        stage.start()
        log.write(100)
        while log.generation.size < size_bytes:
            with stage.ledger.lock:
                first = stage.ledger.sent
                log.put([(say(number) + " ").ljust(1024, "x").encode() for number in range(first, first + 1024)])
        log.put_raw(b"\n")
        log.write(100)

    return act


def nul_bytes(stage: Stage) -> None:
    """In lines; and in front of them, as a writer that doesn't append leaves them behind a truncation: a hole."""
    log = stage.plain_log(say=lambda number: f"\0{say(number)}\0\0\0 after")
    stage.start()
    log.write(stage.lines // 2)
    stage.wait_acked()
    log.close()
    log.path.rename(log.path.with_name("app.log.1"))
    hole = 5 << 20
    with log.path.open("wb") as file:
        file.truncate(hole)
    log.recreate()
    log.generation.grow(bytes(hole))
    log.write(stage.lines // 2)


def removed_while_down(stage: Stage) -> None:
    """Its log goes with it while the agent is down: a hard link of the agent's keeps the rest, which
    is read once discovery has not named the log for a while."""
    log = stage.docker_log()
    stage.start(agent={"tail": {"absent_s": 1.0}})
    log.write(stage.lines // 2)
    stage.wait_acked()
    stage.collector.kill()
    log.write(stage.lines // 2)
    stage.nap(0.5, 1.0)
    stage.agent.kill()
    log.delete()
    stage.ready()


ROWS = (
    Row("burst, then rotation", burst_then_rotation),
    Row("two rotations while the collector is away", rotations_while_away(2), in_short=False),
    Row("five rotations while the collector is away", rotations_while_away(5)),
    Row("file deleted 1 s after a burst", deleted_behind_burst),
    Row("copytruncate, agent up", copytruncate(agent_up=True), in_short=False),
    Row("copytruncate, agent down", copytruncate(agent_up=False), in_short=False),
    Row("copytruncate to .gz, agent down", copytruncate(agent_up=False, compress=True)),
    Row("inode reused at once", inode_reused, doubts=True),
    Row("symbolic links", symbolic_links, in_short=False),
    Row("truncated, grown past the position, same banner", regrown_past_position, doubts=True),
    Row("truncated unread while the agent is down", truncated_unread, destroys=True, settle_s=4.0),
    Row("killed between the pieces of a 40 KiB line", long_line_in_pieces, most_lines=100_000),
    Row("5,000 files at once", many_files, in_short=False),
    Row("a line of 64 MB", gigantic_line(64_000_000), cut_records=True, in_short=False),
    Row("a line of 1 GB", gigantic_line(1_000_000_000), cut_records=True, in_short=False, drain_s=600),
    Row("NUL bytes", nul_bytes),
    Row("container removed while the agent is down", removed_while_down, settle_s=4.0),
)
