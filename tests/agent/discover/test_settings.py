"""The options of discovery load from a file like all others and show themselves."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from agent.discover.settings import DiscoverSettings
from deckwatch.runtime.settings import BadSettings, load


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    discover: DiscoverSettings = DiscoverSettings()


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "deckwatch.yaml"
    file.write_text(
        "agent:\n  discover:\n    host_root: /host\n    labels: {allow: ['*'], max_count: 8}\n"
        "    docker: {enabled: false, request_timeout_s: 1m}\n"
    )
    discover = load(Section, section="agent", file=file, env={}).discover
    assert discover.host_root == "/host"
    assert (discover.labels.allow, discover.labels.max_count) == (("*",), 8)
    assert (discover.docker.enabled, discover.docker.request_timeout_s) == (False, 60.0)
    assert discover.cri == DiscoverSettings().cri


def test_faults_are_told_together(tmp_path: Path) -> None:
    file = tmp_path / "deckwatch.yaml"
    file.write_text("agent:\n  discover:\n    docker: {inspect_concurrency: 0, sokcet: /x}\n    tenant: ''\n")
    with pytest.raises(BadSettings) as caught:
        load(Section, section="agent", file=file, env={})
    for option in ("docker.inspect_concurrency", "docker.sokcet", "tenant"):
        assert f"agent.discover.{option}" in str(caught.value)
