"""What is read beside the containers, over trees of files."""

from __future__ import annotations

import shutil
from collections import deque
from pathlib import Path

import pytest

from agent.sample.containers import ContainerSource
from agent.sample.hierarchy import find_hierarchies
from agent.sample.inventory_view import InventoryView
from agent.sample.kept import DescriptorPool
from agent.sample.settings import SampleSettings
from agent.sample.workload.look import GroupLook, Look
from agent.sample.workload.meter import MOST_NEIGHBOURS, above
from tests.agent.sample.trees import StaticInventory, StrictFaults

A, B = "a" * 64, "b" * 64


class Tree:
    """A host with cgroups of one kind, made of plain files; only what is asked for here stands in them."""

    def __init__(self, root: Path, *, v2: bool) -> None:
        self.v2 = v2
        self.root = root
        self.base = root / "sys/fs/cgroup" / ("" if v2 else "cpuacct")
        self.base.mkdir(parents=True)
        (root / "proc").mkdir()
        (root / "proc/stat").write_text("cpu 0\nbtime 1700000000\n")
        (root / "proc/diskstats").write_text("")
        if v2:
            (self.base / "cgroup.controllers").write_text("cpu memory\n")

    def put(self, path: str, ns: int, *, procs: str = "") -> None:
        folder = self.base / path.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.procs").write_text(procs)
        if self.v2:
            (folder / "cpu.stat").write_text(f"usage_usec {ns // 1000}\nuser_usec 0\nsystem_usec 0\n")
        else:
            (folder / "cpuacct.usage").write_text(f"{ns}\n")

    def remove(self, path: str) -> None:
        shutil.rmtree(self.base / path.lstrip("/"))


class Looks:
    def __init__(self, tree: Tree, *, holders: tuple[str, ...] = (), units: bool = False) -> None:
        self.looks: deque[Look] = deque()
        settings = SampleSettings(slow_every=1, systemd_units=units)
        view = InventoryView(StaticInventory())
        self.pool = DescriptorPool(1000)
        self.source = ContainerSource(
            settings, find_hierarchies(str(tree.root)), str(tree.root), view, self.pool, StrictFaults(),
            holders=holders, looks=self.looks,
        )  # fmt: skip

    def look(self) -> Look:
        self.source.look(1)
        return self.looks.pop()

    def groups(self) -> dict[str, GroupLook]:
        return {group.path: group for group in self.look().groups}

    def directories(self) -> dict[str, tuple[int, bool]]:
        return {path: (one.cpu_ns, one.holds) for path, one in self.look().directories.items()}


@pytest.fixture(params=[False, True], ids=["v1", "v2"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    return Tree(tmp_path / "host", v2=request.param)


def test_the_group_above_and_those_beside(tree: Tree) -> None:
    tree.put("/system.slice", 9000)
    tree.put("/system.slice/nginx.service", 3000)
    tree.put(f"/system.slice/docker-{A}.scope", 1000)
    tree.put("/user.slice", 7000)
    looks = Looks(tree)
    assert looks.directories() == {"/system.slice": (9000, True), "/system.slice/nginx.service": (3000, False)}
    tree.remove("/system.slice/nginx.service")
    tree.put("/system.slice", 12000)
    assert looks.directories() == {"/system.slice": (12000, True)}
    looks.source.close()
    assert looks.pool.kept == 0


def test_units_are_neighbours_also_where_they_are_sampled(tree: Tree) -> None:
    tree.put("/system.slice", 9000)
    tree.put("/system.slice/nginx.service", 3000)
    tree.put(f"/system.slice/docker-{A}.scope", 1000)
    looks = Looks(tree, units=True)
    look = looks.look()
    assert {path: one.holds for path, one in look.directories.items()} == {
        "/system.slice": True,
        "/system.slice/nginx.service": False,
    }
    assert [group.id for group in look.groups] == [A]


def test_an_engines_own_group_is_known_before_its_first_container(tree: Tree) -> None:
    tree.put("/docker", 5000)
    tree.put("/mine", 5000)
    looks = Looks(tree)
    assert looks.directories() == {"/docker": (5000, True)}
    tree.put(f"/mine/{A}", 1000)
    assert looks.directories() == {"/docker": (5000, True), "/mine": (5000, True)}
    tree.remove(f"/mine/{A}")
    assert looks.directories() == {"/docker": (5000, True), "/mine": (5000, True)}
    assert Looks(tree, holders=("/mine", "/gone")).directories() == {"/docker": (5000, True), "/mine": (5000, True)}


def test_too_many_neighbours(tree: Tree) -> None:
    tree.put("/system.slice", 9000)
    tree.put(f"/system.slice/docker-{A}.scope", 1000)
    for number in range(MOST_NEIGHBOURS + 1):
        tree.put(f"/system.slice/{number}.service", 1000)
    assert Looks(tree).directories() == {}


def test_a_group_with_processes_of_its_own(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "host", v2=False)
    tree.put("/docker", 5000, procs="17\n")
    assert Looks(tree).directories() == {}


def test_a_restart_in_the_same_place_is_another_cgroup(tree: Tree) -> None:
    tree.put("/docker", 5000)
    tree.put(f"/docker/{A}", 1000)
    looks = Looks(tree)
    before = looks.groups()[f"/docker/{A}"]
    assert before.cpu_ns == 1000
    assert before.inode == (tree.base / "docker" / A).stat().st_ino
    (tree.base / "docker" / A).rename(tree.base / "docker" / B)  # keeps the inode for itself
    tree.put(f"/docker/{A}", 2000)
    uncertain = looks.groups()[f"/docker/{A}"]
    assert uncertain.inode == 0  # it changed since the last look: the figures may be of either
    after = looks.groups()[f"/docker/{A}"]
    assert after.inode not in (0, before.inode)


def test_what_is_new(tree: Tree) -> None:
    tree.put("/docker", 5000)
    looks = Looks(tree)
    assert looks.look().fresh == frozenset()  # everything is new to us: nothing is known to be new
    tree.put(f"/docker/{A}", 1000)
    assert looks.look().fresh == {f"/docker/{A}"}
    assert looks.look().fresh == frozenset()


@pytest.mark.parametrize(
    ("path", "want"),
    [
        ("/docker/a", ["/docker"]),
        ("/kubepods/burstable/pod1/a", ["/kubepods", "/kubepods/burstable", "/kubepods/burstable/pod1"]),
        ("/a", []),
        ("/docker/outer/docker/inner", []),  # its figures are in those of the outer one
    ],
)
def test_above(path: str, want: list[str]) -> None:
    assert above(path, {"/docker/outer": 1}) == want
