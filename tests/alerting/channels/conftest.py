"""Fixtures of the channels' tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ca` has signed `server` (for 127.0.0.1)."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    fresh = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *fresh, "-days", "2", "-subj", "/CN=ours", "-keyout", "ca.key", "-out", "ca")
    openssl("req", "-new", *fresh, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr")
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1\n")
    signed = ("-CA", "ca", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "extensions")
    openssl("x509", "-req", "-in", "server.csr", *signed, "-days", "2", "-out", "server")
    return folder
