"""Relabelling, as Prometheus' own tests have it (prometheus/model/relabel/relabel_test.go)."""

from __future__ import annotations

import msgspec
import pytest

from deckwatch.runtime.relabel import anchored, relabel
from deckwatch.runtime.relabel_settings import RelabelSettings

ABC = {"a": "foo", "b": "bar", "c": "baz"}


def rule(**options: object) -> RelabelSettings:
    return msgspec.convert(options, RelabelSettings)


@pytest.mark.parametrize(
    ("labels", "rules", "want"),
    [
        (
            ABC,
            [rule(source_labels=["a"], regex="f(.*)", target_label="d", replacement="ch${1}-ch${1}")],
            {**ABC, "d": "choo-choo"},
        ),
        (
            ABC,
            [
                rule(source_labels=["a", "b"], regex="f(.*);(.*)r", target_label="a", replacement="b${1}${2}m"),
                rule(source_labels=["c", "a"], regex="(b).*b(.*)ba(.*)", target_label="d", replacement="$1$2$2$3"),
            ],
            {**ABC, "a": "boobam", "d": "boooom"},
        ),
        (ABC, [rule(source_labels=["a"], regex=".*o.*", action="drop")], None),
        (ABC, [rule(source_labels=["a"], regex="o", action="drop")], ABC),
        (ABC, [rule(source_labels=["a"], regex="no-match", action="keep")], None),
        (ABC, [rule(source_labels=["a"], regex="f.*", action="keep")], ABC),
        (ABC, [rule(source_labels=["a"], regex="f", target_label="b", replacement="bar2")], ABC),
        (ABC, [rule(source_labels=["a"], regex="foo", target_label="b", replacement="")], {"a": "foo", "c": "baz"}),
        (ABC, [rule(target_label="d", replacement="fixed")], {**ABC, "d": "fixed"}),
        (
            {"a": "foo", "b": "bar", "c": "baz"},
            [rule(source_labels=["c"], target_label="d", action="hashmod", modulus=1000)],
            {**ABC, "d": "976"},
        ),
        (
            {"a": "foo\nbar"},
            [rule(source_labels=["a"], target_label="b", action="hashmod", modulus=1000)],
            {"a": "foo\nbar", "b": "734"},
        ),
        (
            {"a": "foo", "b1": "bar", "b2": "baz"},
            [rule(regex="(b.*)", replacement="bar_${1}", action="labelmap")],
            {"a": "foo", "b1": "bar", "b2": "baz", "bar_b1": "bar", "bar_b2": "baz"},
        ),
        (
            {"a": "foo", "__meta_my_bar": "aaa", "__meta_my_baz": "bbb", "__meta_other": "ccc"},
            [rule(regex="__meta_(my.*)", action="labelmap")],
            {
                "a": "foo",
                "__meta_my_bar": "aaa",
                "__meta_my_baz": "bbb",
                "__meta_other": "ccc",
                "my_bar": "aaa",
                "my_baz": "bbb",
            },
        ),
        (
            {"a": "some-name-value"},
            [
                rule(
                    source_labels=["a"],
                    regex="some-([^-]+)-([^,]+)",
                    replacement="${2}",
                    target_label="${1}",
                )
            ],
            {"a": "some-name-value", "name": "value"},
        ),
        (
            {"a": "some-name-0"},
            [rule(source_labels=["a"], regex="some-([^-]+)-([^,]+)", target_label="${2}")],
            {"a": "some-name-0"},
        ),
        ({"a": "foo", "b1": "bar", "b2": "baz"}, [rule(regex="(b.*)", action="labelkeep")], {"b1": "bar", "b2": "baz"}),
        ({"a": "foo", "b1": "bar", "b2": "baz"}, [rule(regex="(b.*)", action="labeldrop")], {"a": "foo"}),
        (
            {"foo": "bAr123Foo"},
            [
                rule(source_labels=["foo"], action="uppercase", target_label="up"),
                rule(source_labels=["foo"], action="lowercase", target_label="low"),
            ],
            {"foo": "bAr123Foo", "up": "BAR123FOO", "low": "bar123foo"},
        ),
        (
            {"__tmp_port": "1234", "__port1": "1234"},
            [rule(source_labels=["__tmp_port"], action="keepequal", target_label="__port1")],
            {"__tmp_port": "1234", "__port1": "1234"},
        ),
        (
            {"__tmp_port": "1234", "__port1": "1"},
            [rule(source_labels=["__tmp_port"], action="keepequal", target_label="__port1")],
            None,
        ),
        (
            {"__tmp_port": "1234", "__port1": "1234"},
            [rule(source_labels=["__tmp_port"], action="dropequal", target_label="__port1")],
            None,
        ),
        (
            {"a": "x\ny"},
            [rule(source_labels=["a"], regex=".*", target_label="b", replacement="$0")],
            {"a": "x\ny", "b": "x\ny"},
        ),
        (
            {"a": "x"},
            [rule(source_labels=["a"], target_label="b", replacement="$$1 $1x ${1}x $9")],
            {"a": "x", "b": "$1  xx "},
        ),
        ({"a": "FOO"}, [rule(source_labels=["a"], regex="(?i)foo", action="keep")], {"a": "FOO"}),
        ({"a": "v", "b": ""}, [], {"a": "v"}),
    ],
)  # fmt: skip
def test_relabel(labels: dict[str, str], rules: list[RelabelSettings], want: dict[str, str] | None) -> None:
    assert relabel(labels, [one.rule() for one in rules]) == want


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"regex": "(", "target_label": "a"}, "regex '\\(' can't be read"),
        ({"action": "hashmod", "target_label": "a"}, "needs a modulus"),
        ({"action": "lowercase"}, "needs a target_label"),
        ({"regex": "\\pN", "action": "keep"}, "can't be read"),
    ],
)
def test_rules_that_can_not_be(options: dict[str, object], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        rule(**options)


def test_a_regex_must_match_the_whole() -> None:
    assert anchored("a|b").fullmatch("ab") is None
