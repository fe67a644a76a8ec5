"""docs/channels.md names every channel and every function that there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerting.notify.channels.config import KINDS, NOT_SUPPORTED
from alerting.notify.template_functions import FUNCTION_NAMES
from alerting.templates.builtins import BUILTINS

DOC = (Path(__file__).parents[3] / "docs" / "channels.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("field", [*KINDS, *sorted(NOT_SUPPORTED - {"hipchat_configs", "compass_configs"})])
def test_every_channel_is_named(field: str) -> None:
    assert f"`{field.removesuffix('_configs')}`" in DOC


@pytest.mark.parametrize("name", sorted(FUNCTION_NAMES - set(BUILTINS) - {"and", "or", "now", "subject"}))
def test_every_function_is_named(name: str) -> None:
    assert f"`{name}`" in DOC
