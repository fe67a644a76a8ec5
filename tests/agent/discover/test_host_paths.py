"""The host's paths, from inside a container that has its root at another place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.discover.host_paths import HostPaths


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host: /data/docker is where /var/lib/docker leads to, by links absolute and relative; and a loop."""
    (tmp_path / "data/docker/containers").mkdir(parents=True)
    (tmp_path / "var/lib").mkdir(parents=True)
    (tmp_path / "var/lib/docker").symlink_to("/data/docker")
    (tmp_path / "var/lib/rel").symlink_to("../../data/docker")
    (tmp_path / "var/lib/up").symlink_to("../../../../../../../../data")
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize(
    ("outer", "real"),
    [
        ("/var/lib/docker/containers", "/data/docker/containers"),
        ("/var/lib/rel/containers", "/data/docker/containers"),
        ("/var/lib/up/docker", "/data/docker"),  # nothing leads above the host's root
        ("/var/lib/docker/containers/new/new-json.log", "/data/docker/containers/new/new-json.log"),
        ("/var/./lib/../lib//docker", "/data/docker"),
        ("/none/such", "/none/such"),
        ("/", "/"),
    ],
)
def test_real_paths_stay_below_the_root(root: Path, outer: str, real: str) -> None:
    paths = HostPaths(str(root))
    assert paths.real(paths.inner(outer)) == f"{root}{real}"
    assert paths.outer(paths.inner(outer)) == outer


def test_a_loop_ends(root: Path) -> None:
    paths = HostPaths(str(root))
    assert paths.real(paths.inner("/loop/x")) == f"{root}/loop/x"


def test_without_a_root_of_its_own(root: Path) -> None:
    paths = HostPaths("")
    assert paths.inner("/a") == paths.outer("/a") == "/a"
    assert paths.real(f"{root}/var/lib/rel") == os.path.realpath(root / "data/docker")


def test_a_trailing_slash_is_no_matter() -> None:
    assert HostPaths("/host/").inner("/var") == "/host/var"
    assert HostPaths("/host").outer("/host") == "/"
    assert HostPaths("/host").outer("/hostess/x") == "/hostess/x"
