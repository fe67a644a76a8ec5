"""Random expressions that are well typed, and a corpus of ordinary ones."""

from __future__ import annotations

from hypothesis import strategies as st

CORPUS = (
    "up",
    'http_requests_total{job="api", status!~"2..", path=~"/a|/b"}',
    '{__name__=~"node_.*", instance!=""}',
    '{"http.requests", "label.name"="x"}',
    "rate(http_requests_total[5m])",
    "rate(http_requests_total[1h30m] offset 1w)",
    "foo offset -5m",
    "foo @ 1609746000",
    "foo @ -1.5 offset 1m",
    "rate(foo[5m] @ start())",
    "sum(rate(foo[5m])) by (job) / on (job) group_left (version) build_info",
    "a + on (x, y) b",
    "a * ignoring (z) group_right b",
    "a and b or c unless d",
    "-a ^ 2 ^ -1 * 3",
    "1 + 2 * 3 - 4 / 5 % 6 atan2 7",
    "a > bool 1",
    "topk by (job) (3, sum without (instance) (rate(x[1m])))",
    'count_values("version", build_version)',
    "quantile(0.95, foo)",
    "histogram_quantile(0.9, sum by (le) (rate(latency_bucket[5m])))",
    "max_over_time(rate(foo[1m])[1h:5m] offset 10m)",
    "min_over_time((a - b)[30m:] @ end())",
    'label_replace(up, "host", "$1", "instance", "(.*):.*")',
    'label_join(up, "all", "-", "job", "instance")',
    "absent(up) * time() + vector(1)",
    "predict_linear(disk_free[6h], 4 * 3600)",
    "avg by () (sum by (a, b) (c))",
    "0x1F + 1e3 + .5 + Inf - NaN",
    "(((a)))",
    "a == bool on () b",
    'sum by ("label.name") (a)',
    "sum without () (a)",
    "clamp_max(day_of_week(), 3)",
    "node:cpu:rate5m",
    "by + without + offset + sum",
)

_NAMES = st.sampled_from(["a", "b_total", "node:cpu", "sum", "by", "start"])
_LABELS = st.sampled_from(["job", "le", "instance", "on", "dotted.name"])
_VALUES = st.sampled_from(["", "x", 'quo"ted', "back\\slash", "new\nline", "ü", "\t"])
_DURATIONS = st.sampled_from(["1ms", "30s", "5m", "1h30m", "2d", "1w", "1y"])
_OPERATORS = st.sampled_from(["+", "-", "*", "/", "%", "^", "atan2"])
_COMPARISONS = st.sampled_from(["==", "!=", ">", "<", ">=", "<="])
_SETS = st.sampled_from(["and", "or", "unless"])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _label(name: str) -> str:
    return name if "." not in name else _quoted(name)


_MATCHERS = st.builds(
    lambda name, op, value: f"{_label(name)}{op}{_quoted(value)}", _LABELS, st.sampled_from(["=", "!="]), _VALUES
)
_SELECTORS = st.builds(lambda name, inner: f"{name}{{{','.join(inner)}}}", _NAMES, st.lists(_MATCHERS, max_size=3))
_MODIFIERS = st.sampled_from(["", " offset 5m", " offset -1h", " @ 17.25", " @ start()", " @ end() offset 1d"])
_NUMBERS = st.sampled_from(["0", "1", "-2", "1e3", "0.5", "Inf", "-Inf", "NaN", "1h", "0x10"])
_GROUPING = st.builds(
    lambda word, names: f" {word} ({', '.join(map(_label, names))}) ",
    st.sampled_from(["by", "without"]),
    st.lists(_LABELS, max_size=2, unique=True),
)
_MATCHING = st.builds(
    lambda word, names, group: f" {word} ({', '.join(map(_label, names))}){group}",
    st.sampled_from(["on", "ignoring"]),
    st.lists(st.sampled_from(["job", "le"]), max_size=2, unique=True),
    st.sampled_from(["", " group_left ()", " group_left (instance)", " group_right ()"]),
)

SCALARS = st.recursive(
    _NUMBERS,
    lambda inner: st.one_of(
        st.builds(lambda left, op, right: f"({left} {op} {right})", inner, _OPERATORS, inner),
        st.builds(lambda left, op, right: f"({left} {op} bool {right})", inner, _COMPARISONS, inner),
        st.builds(lambda one: f"-({one})", inner),
    ),
    max_leaves=4,
)


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    ranges = st.one_of(
        st.builds(lambda one, span, more: f"{one}[{span}]{more}", _SELECTORS, _DURATIONS, _MODIFIERS),
        st.builds(
            lambda one, span, step, more: f"({one})[{span}:{step}]{more}",
            inner,
            _DURATIONS,
            st.one_of(st.just(""), _DURATIONS),
            _MODIFIERS,
        ),
    )
    over = st.sampled_from(["rate", "max_over_time", "count_over_time", "deriv", "absent_over_time"])
    return st.one_of(
        st.builds(lambda name, one: f"{name}({one})", over, ranges),
        st.builds(lambda one: f"({one})", inner),
        st.builds(lambda sign, one: f"{sign}{one}", st.sampled_from("+-"), inner),
        st.builds(lambda left, op, right: f"{left} {op} {right}", inner, _OPERATORS, SCALARS),
        st.builds(lambda left, op, how, right: f"({left}) {op}{how} ({right})", inner, _OPERATORS, _MATCHING, inner),
        st.builds(lambda left, op, right: f"{left} {op} {right}", inner, _SETS, inner),
        st.builds(lambda left, op, right: f"{left} {op} bool {right}", inner, _COMPARISONS, inner),
        st.builds(
            lambda name, how, one: f"{name}{how}({one})", st.sampled_from(["sum", "avg", "max"]), _GROUPING, inner
        ),
        st.builds(lambda how, number, one: f"topk{how}({number}, {one})", _GROUPING, SCALARS, inner),
        st.builds(lambda one, number: f"clamp_max({one}, {number})", inner, SCALARS),
    )


VECTORS = st.recursive(st.builds(lambda one, more: one + more, _SELECTORS, _MODIFIERS), _compound, max_leaves=6)
