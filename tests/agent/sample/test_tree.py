from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from agent.sample.attribution import GroupKind
from agent.sample.tree import CgroupTree
from tests.agent.sample.trees import NotedFaults, StrictFaults

A, B, C = "a" * 64, "b" * 64, "c" * 64
CONTAINERS = frozenset({GroupKind.CONTAINER})


def tree(root: Path) -> CgroupTree:
    return CgroupTree(str(root), CONTAINERS, StrictFaults())


def make(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).mkdir(parents=True)


def test_finds_what_comes_and_goes_without_a_full_walk(tmp_path: Path) -> None:
    make(tmp_path, f"docker/{A}", "system.slice/nginx.service", "user.slice")
    looked = tree(tmp_path)
    assert looked.look(fully=True).appeared == (f"/docker/{A}",)
    assert looked.look(fully=False).appeared == ()
    make(tmp_path, f"docker/{B}", f"system.slice/docker-{C}.scope")
    assert set(looked.look(fully=False).appeared) == {f"/docker/{B}", f"/system.slice/docker-{C}.scope"}
    (tmp_path / "docker" / A).rmdir()
    assert looked.look(fully=False).vanished == (f"/docker/{A}",)
    assert set(looked.groups) == {f"/docker/{B}", f"/system.slice/docker-{C}.scope"}


def test_one_gone_and_one_come_is_seen_by_the_full_walk(tmp_path: Path) -> None:
    make(tmp_path, f"docker/{A}")
    looked = tree(tmp_path)
    looked.look(fully=True)
    (tmp_path / "docker" / A).rmdir()
    make(tmp_path, f"docker/{B}")
    looked.look(fully=False)
    assert set(looked.look(fully=True).appeared) | set(looked.groups) == {f"/docker/{B}"}
    assert set(looked.groups) == {f"/docker/{B}"}


def test_nested(tmp_path: Path) -> None:
    """Podman's inner group is its container's; Docker in Docker is a container of its own; systemd inside is not."""
    make(
        tmp_path,
        f"machine.slice/libpod-{A}.scope/container",
        f"docker/{B}/docker/{C}",
        f"docker/{B}/system.slice/nginx.service",
    )
    looked = CgroupTree(str(tmp_path), frozenset(GroupKind), StrictFaults())
    looked.look(fully=True)
    assert set(looked.groups) == {f"/machine.slice/libpod-{A}.scope", f"/docker/{B}", f"/docker/{B}/docker/{C}"}


def test_a_whole_branch_goes(tmp_path: Path) -> None:
    make(tmp_path, f"kubepods/pod11111111-2222-3333-4444-555555555551/{A}", f"docker/{B}")
    looked = tree(tmp_path)
    looked.look(fully=True)
    shutil.rmtree(tmp_path / "kubepods")
    looked.look(fully=False)
    assert set(looked.groups) == {f"/docker/{B}"}


def test_units_only_where_asked_for(tmp_path: Path) -> None:
    make(tmp_path, "system.slice/nginx.service")
    assert tree(tmp_path).look(fully=True).appeared == ()
    units = CgroupTree(str(tmp_path), frozenset({GroupKind.UNIT}), StrictFaults())
    assert units.look(fully=True).appeared == ("/system.slice/nginx.service",)


def test_a_missing_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tree(tmp_path / "none").look(fully=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody who may not look")
def test_what_may_not_be_looked_into_leaves_the_rest() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        make(root, f"docker/{A}", f"closed.slice/docker-{B}.scope")
        (root / "closed.slice").chmod(0o700)
        faults = NotedFaults()
        looked = CgroupTree(folder, CONTAINERS, faults)
        os.seteuid(65534)
        try:
            looked.look(fully=True)
        finally:
            os.seteuid(0)
        assert set(looked.groups) == {f"/docker/{A}"}
        assert faults.noted == ["closed.slice: PermissionError"]
        (root / "closed.slice").chmod(0o755)
        assert looked.look(fully=False).appeared == (f"/closed.slice/docker-{B}.scope",)
