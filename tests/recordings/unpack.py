"""Unpacks a recording into a directory that can be taken for a host's root. See the README beside each archive."""

from __future__ import annotations

import tarfile
from pathlib import Path

HERE = Path(__file__).parent


def unpack(name: str, into: Path) -> Path:
    """The recording's own directory: it holds moments (t0, t1 ...) or, of the parity recordings, cgroup/ and proc/."""
    with tarfile.open(HERE / f"{name}.tar.xz") as archive:
        archive.extractall(into, filter="data")
    root = into / name if (into / name).is_dir() else into
    for link in root.glob("*/proc/*/ns/net.link"):  # namespaces were recorded as the text of their links
        link.with_suffix("").symlink_to(link.read_text().strip())
    if (root / "cgroup").is_dir():  # parity: the cgroup tree stands beside, not at its path
        (root / "sys/fs").mkdir(parents=True)
        (root / "sys/fs/cgroup").symlink_to(root / "cgroup")
    return root
