"""The account over dead letters: kept, tried again, deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.collector.accounting.test_accounts import account, ndjson, sealed, verified
from tests.collector.deadletters.test_redrive import PATH, Fault, call, with_a_letter
from tests.fixtures.push import Stream


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    return Fault(monkeypatch)


async def test_a_letter_that_becomes_a_record_is_stored_under_its_own_stream(tmp_path: Path, fault: Fault) -> None:
    stream = Stream("web")
    async with with_a_letter(tmp_path) as (one, letter):
        for seal in (False, True):
            if seal:
                await sealed(one)
            kept = await account(one, stream)
            assert (kept["dead_letters"], kept["stored"], kept["balanced"]) == (15, 14, True)
        fault.mended = True
        await call(one, "POST", f"{PATH}/retry", id=letter["id"])
        (record,) = await one.logs("POISON")
        assert record["deckwatch.stream"] == stream.key
        for seal in (False, True):
            if seal:
                await sealed(one)
            found = await account(one, stream)
            assert (found["dead_letters"], found["stored"], found["records"]) == (0, 29, 3)
            assert found["balanced"], found
        verdicts, _ = await verified(one)
        assert verdicts["web"]["complete"], verdicts


async def test_a_letter_that_is_deleted_is_dropped_on_purpose(tmp_path: Path, fault: Fault) -> None:
    async with with_a_letter(tmp_path) as (one, letter):
        await sealed(one)
        await call(one, "DELETE", PATH, id=letter["id"])
        (found,) = await ndjson(one, "/api/v1/accounting")
        assert (found["dropped"], found["balanced"]) == ({"dead letter deleted": 15}, True)
