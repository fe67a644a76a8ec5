"""No word of a block may ever be missed; few others may seem to be there."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.search.words import tokens
from collector.store.embedded.wordfilter import WordFilter, build


def filter_of(messages: list[str]) -> WordFilter:
    text = b"".join(message.encode() for message in messages)
    ends = np.cumsum([0, *(len(message.encode()) for message in messages)])
    return WordFilter(build(np.frombuffer(text, np.uint8) if text else np.zeros(0, np.uint8), ends.astype(np.int64)))


@settings(deadline=None)  # the first call may compile the kernel
@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40), min_size=1, max_size=20))
def test_every_token_of_every_message_is_found(messages: list[str]) -> None:
    words = filter_of(messages)
    for message in messages:
        for token in tokens(message):
            assert words.may_contain(token), (message, token)


def test_case_digits_neighbours_and_other_scripts() -> None:
    words = filter_of(["ERROR: Disk sda1 is 97% full…", "发生错误 in café_3"])
    for word in ("error", "disk", "sda1", "97", "full", "发", "错", "in", "caf", "_3"):
        assert words.may_contain(word), word
    for word in ("err", "sda", "9", "cafe_3", "warn", "误差"):
        assert not words.may_contain(word), word


def test_false_positives_stay_below_two_percent_from_few_words_to_many() -> None:
    rng = random.Random(3)
    for count in (10, 3000, 200_000):
        words = filter_of([f"id={rng.randrange(10**12)} n" for _ in range(count)])
        wrong = sum(words.may_contain(f"absent{n}") for n in range(5000))
        assert wrong / 5000 < 0.025, count


def test_an_empty_block_has_no_word() -> None:
    assert not filter_of(["", ""]).may_contain("x")
