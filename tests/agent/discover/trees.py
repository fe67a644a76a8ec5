"""Folders of containers as an engine leaves them, made from recorded descriptions."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


def container_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def write_container(
    containers: Path,
    name: str,
    *,
    like: str = "dw-done",
    labels: dict[str, str] | None = None,
    driver: str = "json-file",
    log: bytes | None = b'{"log":"x\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n',
    state: dict[str, Any] | None = None,
) -> str:
    """Its id. Files are put in place by rename, as the engine does."""
    ident = container_id(name)
    folder = containers / ident
    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads((DATA / like / "config.v2.json").read_bytes())
    hostconfig = json.loads((DATA / like / "hostconfig.json").read_bytes())
    log_path = folder / f"{ident}-json.log"
    config.update(ID=ident, Name=f"/{name}", LogPath=str(log_path))
    config["Config"]["Labels"] = labels or {}
    config["State"].update(state or {})
    hostconfig["LogConfig"]["Type"] = driver
    if log is not None:
        log_path.write_bytes(log)
    replace(folder / "hostconfig.json", json.dumps(hostconfig))
    replace(folder / "config.v2.json", json.dumps(config))
    return ident


def replace(path: Path, text: str) -> None:
    fresh = path.with_name(f".tmp-{path.name}")
    fresh.write_text(text)
    fresh.rename(path)
