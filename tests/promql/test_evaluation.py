# SPDX-License-Identifier: Apache-2.0
"""Evaluation by itself: against promtool's own engine, and of rolled-up samples against the points they were made of."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.promql import evaluation
from armillary.promql.evaluation import Evaluation, Steps
from armillary.promql.expression import Selector, parse_expression
from armillary.promql.names import metric_name
from armillary.promql.samples import NAME, Row, Samples, Stretch

STEP_MS = 15_000
# Between two samples and their windows: promtool's Debian release counts a sample at a window's very beginning.
AT_S = 607
COUNTER = [0, 3, 7, 7, 12, 20, 21, 2, 5, 9, 14, 15, 22, 22, 30, 41, 43, 50, 4, 8, 11, 19, 25, 26, 33, 40, 41, 47, 52, 60,
           61, 62, 70, 75, 81, 90, 93, 99, 104, 110, 3]  # fmt: skip
SERIES: dict[str, Sequence[float | None]] = {
    'cups{device="a",place="bar"}': COUNTER,
    'cups{device="b",place="bar"}': [2 * each + 1 for each in COUNTER],
    'cups{device="c",place="hall"}': [None if n % 7 == 3 else 500 - 9 * n for n in range(41)],
    'heat{device="a",place="bar"}': [20 + (n * 7) % 13 / 4 for n in range(41)],
    'heat{device="b",place="bar"}': [0] * 41,
    'gone{device="a"}': [1, 2, 3, *[None] * 38],
}
EXPRESSIONS = [
    *(f"{function}(cups[3m])" for function in (
        "rate", "increase", "delta", "changes", "resets", "avg_over_time", "min_over_time", "max_over_time",
        "sum_over_time", "count_over_time", "last_over_time", "present_over_time", "stddev_over_time")),
    "rate(cups[20s])", "increase(cups[9m30s] offset 20s)", "rate(gone[10m])", "increase(gone[1m] offset 540s)", "delta(heat[2m10s])",
    "cups", "gone", "cups offset 4m", 'cups{device=~"a|c"}', 'cups{device!~"a|c"}', 'cups{place!="bar"}', 'cups{no=""}',
    *(f"{op}{by}(cups)" for op in ("sum", "avg", "min", "max", "count", "group", "stddev") for by in ("", " by (place) ")),
    "sum without (device) (cups)", "sum by (nothing) (cups)",
    "cups + heat", "heat / cups", "cups % 7", "cups ^ 2", "-cups", "cups / heat", *(f"{name}(heat - 22.3)" for name in ("abs", "ceil", "floor", "round")),
    "sqrt(heat)", "ln(heat + 1)", "log2(cups)", "log10(heat)", "abs(sum(cups))", "2 ^ heat", "heat - 20", "1 / (heat - heat)",
    "cups > 50", "cups > heat", "cups >= bool heat", "100 < cups", "cups == cups", "heat != bool 0", "cups <= 3",
    "cups - on(device) heat", 'cups{device="a"} - on(place) heat{device="b"}', 'cups{device="a"} / ignoring(device) heat{device="b"}',
    "cups > on(device, place) heat", 'cups{device="a"} > ignoring(device) heat{device="b"}', "cups > bool on(device) heat",
    "sum(cups) + on() sum(heat)", "sum(rate(cups[2m])) by (place) * 60", "1 + 2 * 3 ^ 2", "(1 + 2) * 3", "5 % 3 - 1 / 4", "1 > bool 2",
]  # fmt: skip


@dataclass
class Given:
    """Samples that are given, whatever grain is asked for."""

    rows: Sequence[Samples]

    def select(self, selector: Selector, start_ms: int, end_ms: int, grain_ms: int) -> Sequence[Samples]:  # noqa: ARG002
        return [
            row for row in self.rows if all(each.holds(row.labels.get(each.label, "")) for each in selector.matchers)
        ]


def labels_of(series: str) -> dict[str, str]:
    name, _, rest = series.partition("{")
    pairs = (each.split("=") for each in rest.rstrip("}").split(","))
    return {NAME: name, **{label: text.strip('"') for label, text in pairs}}


def samples_of(series: str, values: Sequence[float | None]) -> Samples:
    points = [(n * STEP_MS, float(value)) for n, value in enumerate(values) if value is not None]
    return Samples(labels_of(series), [at for at, _ in points], [value for _, value in points])


def value_at(text: str, at_ms: int, rows: Sequence[Samples]) -> Any:
    return Evaluation(Given(rows), Steps(at_ms, at_ms, 1)).value(parse_expression(text))


def rounded(value: float) -> float:
    """As Prometheus' round() to 1e-6."""
    inverse = 1 / 1e-6
    return value if not math.isfinite(value) else math.floor(value * inverse + 0.5) / inverse


def promised(text: str) -> dict[str, Any]:
    """A case of promtool: an expression and what we get for it."""
    found = value_at(text, AT_S * 1000, [samples_of(*each) for each in SERIES.items()])
    pairs: list[tuple[str, float]] = []
    for each in found:
        labels = each.labels if isinstance(each, Row) else {}
        inner = ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items() if name != NAME)
        pairs.append((f"{{{inner}}}", each.values[0] if isinstance(each, Row) else each))
    samples = [{"labels": labels, "value": repr(rounded(value)).replace("inf", ".inf")} for labels, value in pairs]
    is_number = bool(found) and not isinstance(found[0], Row)
    vector = f"vector({text})" if is_number else text
    return {"expr": f"round({vector}, 1e-6)", "eval_time": f"{AT_S}s", "exp_samples": samples}


def yaml_of(cases: Sequence[dict[str, Any]]) -> str:
    lines = ["evaluation_interval: 15s", "tests:", "- interval: 15s", "  input_series:"]
    for series, values in SERIES.items():
        text = " ".join("_" if each is None else repr(each) for each in values)
        lines += [f"  - series: {json.dumps(series)}", f"    values: {json.dumps(text)}"]
    lines.append("  promql_expr_test:")
    for case in cases:
        lines += [f"  - expr: {json.dumps(case['expr'])}", f"    eval_time: {case['eval_time']}", "    exp_samples:"]
        for each in case["exp_samples"]:
            lines += [f"    - labels: {json.dumps(each['labels'])}", f"      value: {each['value']}"]
    return "\n".join(lines).replace("exp_samples:\n  -", "exp_samples: []\n  -") + "\n"


def judged(cases: Sequence[dict[str, Any]], folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "cases.yml"
    file.write_text(yaml_of(cases))
    command = ["promtool", "test", "rules", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool; to enable: scripts/install-test-tools")
def test_promtools_engine_gets_the_same(tmp_path: Path) -> None:
    cases = [promised(text) for text in EXPRESSIONS]
    done = judged(cases, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(len(each["exp_samples"]) for each in cases) > 80
    cases[0]["exp_samples"][0]["value"] = "12345"  # the control
    assert judged(cases[:1], tmp_path).returncode != 0


def rolled_up(points: Sequence[tuple[int, float]], width: int) -> Samples:
    grouped: dict[int, list[float]] = {}
    for at, value in points:
        grouped.setdefault(at - at % width, []).append(value)
    return Samples(
        {NAME: "t"},
        [start + width - 1 for start in grouped],
        [each[-1] for each in grouped.values()],
        width,
        [Stretch(len(each), min(each), max(each), sum(each)) for each in grouped.values()],
    )


@given(
    st.lists(st.integers(-50, 50), min_size=1, max_size=60),
    st.sampled_from(("avg", "min", "max", "sum", "count", "last")),
)
def test_whole_stretches_say_what_their_points_say(values: Sequence[int], kind: str) -> None:
    points = [(20_000 * n, float(value)) for n, value in enumerate(values)]
    raw = Samples({NAME: "t"}, [at for at, _ in points], [value for _, value in points])
    end = 60_000 * (points[-1][0] // 60_000 + 1) - 1
    window = f"{kind}_over_time(t[{(end + 1) // 1000}s])"
    one, two = (value_at(window, end, [each]) for each in (raw, rolled_up(points, 60_000)))
    assert one[0].values == pytest.approx(two[0].values)


def test_of_hours_the_last_value_stands_for_the_next() -> None:
    rows = [rolled_up([(n * 60_000, float(n)) for n in range(180)], 3_600_000)]
    steps = Steps(0, 4 * 3_600_000, 3_600_000)
    (row,) = Evaluation(Given(rows), steps).value(parse_expression("t"))
    assert row.values == [None, 59.0, 119.0, 179.0, None]


def test_a_query_asks_for_a_grain_that_its_step_and_windows_bear() -> None:
    asked: list[tuple[int, int, int]] = []

    class Asking(Given):
        def select(self, selector: Selector, start_ms: int, end_ms: int, grain_ms: int) -> Sequence[Samples]:
            asked.append((start_ms, end_ms, grain_ms))
            return super().select(selector, start_ms, end_ms, grain_ms)

    for text, first, last, step in (
        ("t", 10**9, 10**9, 1), ("t offset 1m", 10**9, 2 * 10**9, 3_600_000), ("rate(t[10m])", 10**9, 10**9, 1),
        ("changes(t[10m])", 10**9, 10**9, 1),
    ):  # fmt: skip
        Evaluation(Asking(()), Steps(first, last, step)).value(parse_expression(text))
    assert asked == [
        (10**9 - 300_000, 10**9, 0), (10**9 - 60_000 - 3_600_000, 2 * 10**9 - 60_000, 3_600_000),
        (10**9 - 600_000, 10**9, 120_000), (10**9 - 600_000, 10**9, 0),
    ]  # fmt: skip


def test_results_are_bounded_before_they_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Samples({NAME: "t", "n": str(n)}, [0], [1.0]) for n in range(3)]
    monkeypatch.setattr(evaluation, "MAX_RESULT_VALUES", 30)
    assert Evaluation(Given(rows), Steps(0, 9000, 1000)).value(parse_expression("t"))
    for text, last in (("t", 10_000), ("count(t) + count(t)", 9000)):
        with pytest.raises(InvalidArgumentError, match="at most 30 values"):
            Evaluation(Given(rows), Steps(0, last, 1000)).value(parse_expression(text))


def test_nesting_is_counted_outside_of_texts_and_comments() -> None:
    closers = 'a{b="' + ")" * 60 + '"}'
    parse_expression(closers.replace(")", "("))
    for hidden in (closers, "a # " + ")" * 60 + "\n", "a{b='" + ")" * 60 + "'}", "a{b=`" + ")" * 60 + "`}"):
        with pytest.raises(InvalidArgumentError, match="nested"):
            parse_expression(hidden + " + " + "(" * 55 + "1" + ")" * 55)
    with pytest.raises(InvalidArgumentError, match="at most 20 selectors"):
        parse_expression("+".join("a" * 21))
    assert parse_expression("+".join("a" * 20))


def test_windows_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "MAX_WINDOW_VALUES", 100)
    rows = [Samples({NAME: "t"}, range(0, 41 * STEP_MS, STEP_MS), [1.0] * 41)]
    assert Evaluation(Given(rows), Steps(600_000, 600_000, 1)).value(parse_expression("rate(t[10m])"))
    with pytest.raises(InvalidArgumentError, match="windows of at most 100"):
        Evaluation(Given(rows), Steps(300_000, 600_000, 15_000)).value(parse_expression("rate(t[10m])"))


@pytest.mark.parametrize(
    "text",
    [
        "cups + cups",
        "cups + on(place) heat",
        "cups + on(device) group_left heat",
        '{device=~".+"} + cups',
        "1 == 1",
        "sum(1)",
    ],
)
def test_what_has_no_answer_is_an_error(text: str) -> None:
    rows = [samples_of(*each) for each in SERIES.items()]
    if text == "cups + cups":  # the control
        assert len(value_at(text, 0, rows)) == 3
        return
    with pytest.raises(InvalidArgumentError, match=r"^query: "):
        value_at(text, 0, rows)


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from([
    "cups", "heat", "[5m]", "(", ")", "rate", "sum", " by (", "a", "{", "}", '="x"', "=~", '"("', "+", "-", ">", " bool ",
    "1", "offset 1m", "@", "[1h:5m]", ",", "^", "%", "NaN", "Inf"]), max_size=12).map("".join)))  # fmt: skip
def test_any_text_is_evaluated_or_refused(text: str) -> None:
    rows = [samples_of(*each) for each in SERIES.items()]
    with contextlib.suppress(InvalidArgumentError):
        value_at(text, 300_000, rows)


@given(st.text(max_size=20))
def test_every_name_becomes_one_that_prometheus_takes(name: str) -> None:
    found = metric_name(name)
    assert found.isascii()
    assert found.isidentifier()
