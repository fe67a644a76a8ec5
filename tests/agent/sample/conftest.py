from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.recordings.unpack import unpack

Recordings = Callable[[str], Path]


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    """Gives a recording's directory, unpacked once a session."""
    unpacked: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in unpacked:
            unpacked[name] = unpack(name, tmp_path_factory.mktemp(name))
        return unpacked[name]

    return get
