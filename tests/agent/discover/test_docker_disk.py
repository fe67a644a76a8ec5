"""The engine's folder, read without the engine."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from agent.discover.docker_disk import DockerDisk, is_cgroup_of
from agent.discover.docker_reader import Engine, Seen
from agent.discover.settings import DiscoverSettings
from agent.model import ContainerState
from deckwatch.runtime.faults import Reject
from tests.agent.discover.trees import container_id, write_container

ID = "4f" * 32
OTHER = "5e" * 32


def looked(disk: DockerDisk, folder: Path) -> dict[str, Seen]:
    return {seen.found.container.name: seen for seen in disk.look(Engine(containers_dir=str(folder))).seen.values()}


def test_names_states_logs(tmp_path: Path) -> None:
    write_container(tmp_path, "done", labels={"app": "shop"})
    write_container(tmp_path, "binary", driver="local")
    write_container(tmp_path, "fresh", like="dw-created", log=None)
    (tmp_path / "not-a-container").mkdir()
    seen = looked(DockerDisk(DiscoverSettings()), tmp_path)
    assert set(seen) == {"done", "binary", "fresh"}
    assert seen["done"].found.container.labels == (("app", "shop"),)
    source = seen["done"].source
    assert source is not None
    assert source.ended
    assert Path(source.path).exists()
    assert seen["binary"].unreadable == "local"
    assert seen["fresh"].found.state is ContainerState.CREATED


def test_a_change_is_seen_and_nothing_is_read_twice(tmp_path: Path) -> None:
    disk = DockerDisk(DiscoverSettings())
    ident = write_container(tmp_path, "old-name")
    before = looked(disk, tmp_path)["old-name"]
    config = tmp_path / ident / "config.v2.json"
    config.chmod(0)  # unreadable would not matter: it has not changed
    assert looked(disk, tmp_path)["old-name"].found == before.found
    write_container(tmp_path, "new-name")  # another
    text = config.read_text().replace("/old-name", "/renamed")
    config.unlink()
    config.write_text(text)
    assert set(looked(disk, tmp_path)) == {"renamed", "new-name"}


@pytest.mark.parametrize("broken", ["", "{", '{"Config": 7}', "\0" * 4096])
def test_a_broken_file_is_told_and_the_log_is_followed(tmp_path: Path, broken: str) -> None:
    good, bad = write_container(tmp_path, "good"), write_container(tmp_path, "bad")
    (tmp_path / bad / "config.v2.json").write_text(broken)
    look = DockerDisk(DiscoverSettings()).look(Engine(containers_dir=str(tmp_path)))
    assert set(look.broken) == {bad}
    assert str(tmp_path / bad) in look.broken[bad]
    assert look.seen[good].found.container.name == "good"
    nameless = look.seen[bad]
    assert nameless.source is not None
    assert nameless.source.name == f"{bad}/json.log"
    assert not nameless.source.ended
    assert nameless.found.container.name == ""


def test_missing_files(tmp_path: Path) -> None:
    disk = DockerDisk(DiscoverSettings())
    ident = write_container(tmp_path, "half", log=b"")
    engine = Engine(containers_dir=str(tmp_path))
    (tmp_path / ident / "hostconfig.json").unlink()
    seen = disk.read(ident, engine)
    assert seen is not None
    assert seen.source is not None  # the engine's default driver
    (tmp_path / ident / "config.v2.json").unlink()
    assert disk.read(ident, engine) is None
    assert disk.read(OTHER, engine) is None


def test_unreadable_config_says_where(tmp_path: Path) -> None:
    ident = write_container(tmp_path, "odd")
    (tmp_path / ident / "config.v2.json").unlink()
    (tmp_path / ident / "config.v2.json").mkdir()
    with pytest.raises(Reject, match=r"config\.v2\.json: Is a directory"):
        DockerDisk(DiscoverSettings()).read(ident, Engine(containers_dir=str(tmp_path)))


def test_the_folder_itself(tmp_path: Path) -> None:
    disk = DockerDisk(DiscoverSettings())
    assert disk.look(Engine(containers_dir=str(tmp_path / "none"))).unreached == "No such file or directory"


def test_who_is_said_to_run_must_run(tmp_path: Path) -> None:
    """Our own process lives, but /proc/self/cgroup names no container; a pid beyond the kernel's limit never does."""
    write_container(tmp_path, "alive", like="dw-paused", state={"Paused": False, "Pid": os.getpid()})
    write_container(tmp_path, "crashed", like="dw-paused", state={"Paused": False, "Pid": 2**22 + 1})
    seen = looked(DockerDisk(DiscoverSettings()), tmp_path)
    alive, crashed = seen["alive"].found, seen["crashed"].found
    if is_cgroup_of(container_id("alive"), Path("/proc/self/cgroup").read_text()):
        assert (alive.state, alive.pid) == (ContainerState.RUNNING, os.getpid())
    assert (crashed.state, crashed.pid, crashed.exit_code) == (ContainerState.EXITED, None, None)


@pytest.mark.parametrize(
    ("cgroups", "want"),
    [
        (f"0::/system.slice/docker-{ID}.scope\n", True),
        (f"4:memory:/docker/{ID}\n0::/\n", True),
        (f"4:memory:/docker/{OTHER}\n", False),
        (f"0::/docker/{OTHER}/docker/{ID}\n", True),  # Docker in Docker
        ("0::/\n", True),  # hidden by a cgroup namespace: nobody can tell
    ],
)
def test_is_cgroup_of(cgroups: str, want: bool) -> None:
    assert is_cgroup_of(ID, cgroups) is want


def test_a_thousand_containers(tmp_path: Path) -> None:
    for number in range(1000):
        write_container(tmp_path, f"c{number}", log=None)
    disk, engine = DockerDisk(DiscoverSettings()), Engine(containers_dir=str(tmp_path))
    first = disk.look(engine)
    assert (len(first.seen), first.broken) == (1000, {})
    started_s = time.process_time()
    assert disk.look(engine) == first
    assert time.process_time() - started_s < 0.5  # measured: 0.012 s
