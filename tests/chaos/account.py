"""The account of a run: which numbers the store holds, read from the store, not from anybody's counters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import msgspec

_NUMBER = re.compile(r"number (\d+) of the series")


class Account(msgspec.Struct, frozen=True):
    sent: int
    stored: int
    lost: tuple[int, ...]
    repeated: tuple[int, ...]

    @property
    def balances(self) -> bool:
        return not self.lost and not self.repeated and self.sent == self.stored

    def __str__(self) -> str:
        return f"sent {self.sent}, stored {self.stored}, lost {len(self.lost)}, repeated {len(self.repeated)}"


def account(sent: int, records: Iterable[dict[str, object]]) -> Account:
    seen: Counter[int] = Counter()
    for record in records:
        match = _NUMBER.search(str(record["message"]))
        if match:
            seen[int(match[1])] += 1
    lost = tuple(number for number in range(sent) if number not in seen)
    repeated = tuple(sorted(number for number, count in seen.items() if count > 1))
    return Account(sent, sum(seen.values()), lost, repeated)
