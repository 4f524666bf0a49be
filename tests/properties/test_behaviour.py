# SPDX-License-Identifier: Apache-2.0
"""Properties of simulated behaviour: it follows from seed and time alone, stays in its bounds, and has no memory."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.sim.templates.behaviour import device_seed, observe, parse, strength_of
from armillary.sim.templates.signal import KINDS

ORIGIN = 1_790_000_000.0
moments = st.floats(min_value=ORIGIN - 30 * 86_400, max_value=ORIGIN + 400 * 86_400, allow_nan=False)
seeds = st.text(alphabet="0123456789abcdef", min_size=1, max_size=32).map(lambda text: device_seed(text, "role", 1))
lows = st.floats(min_value=-1000, max_value=1000)
spans = st.floats(min_value=0, max_value=1000)
hours = st.lists(st.floats(min_value=0, max_value=50), min_size=24, max_size=24).filter(lambda each: sum(each) > 1)
places = st.lists(
    st.tuples(st.floats(min_value=47.0, max_value=47.9), st.floats(min_value=-122.9, max_value=-122.0)).map(list),
    min_size=2,
    max_size=6,
)


@st.composite
def bounded(draw: st.DrawFn) -> dict[str, Any]:
    """A signal whose values lie between its low and its high."""
    low = draw(lows)
    high = low + draw(spans)
    kind = draw(st.sampled_from(["uniform", "walk", "fill", "drain"]))
    table: dict[str, Any] = {"kind": kind, "low": low, "high": high}
    if kind == "uniform":
        table["hold_s"] = draw(st.integers(1, 3600))
    else:
        table["period_s"] = draw(st.integers(10, 100_000))
    return table


@st.composite
def anything(draw: st.DrawFn) -> dict[str, Any]:
    """A signal of any kind that needs no other."""
    kind = draw(
        st.sampled_from(["bounded", "normal", "daily", "counter", "route", "place", "states", "choice", "object"])
    )
    if kind == "bounded":
        return draw(bounded())
    tables: dict[str, dict[str, Any]] = {
        "normal": {"mean": draw(lows), "deviation": draw(spans)},
        "daily": {"hours": draw(hours), "noise": 0.1},
        "counter": {"per_day": draw(spans), "hours": draw(hours)},
        "route": {"places": draw(places), "speed_kmh": draw(st.integers(1, 900)), "loop": draw(st.booleans())},
        "place": {"at": draw(places)[0], "spread_m": draw(st.integers(0, 500))},
        "states": {"steps": [["idle", draw(st.integers(10, 900))], ["busy", draw(st.integers(10, 900))], ["off", 5]]},
        "choice": {"choices": [["a", 1], ["b", draw(st.integers(1, 9))]], "slot_s": draw(st.integers(1, 900))},
        "object": {"fields": {"x": draw(bounded()), "y": {"kind": "normal", "mean": 1, "deviation": 2}}},
    }
    return {"kind": kind, **tables[kind]}


def look(table: dict[str, Any], seed: bytes, at_s: float, **device: Any) -> Any:
    behaviour = parse({"signals": {"x": table}, **device})
    return observe(behaviour, seed=seed, number=1, origin_s=ORIGIN, at_s=at_s, settings={}).values["x"]


@given(table=anything(), seed=seeds, times=st.lists(moments, min_size=1, max_size=5))
def test_same_seed_and_time_give_the_same_value_whatever_was_looked_at_before(
    table: dict[str, Any], seed: bytes, times: list[float]
):
    """A restart at any moment gives the same future: there is nothing but seed and time."""
    behaviour = parse({"signals": {"x": table}})

    def once(at_s: float) -> Any:
        return observe(behaviour, seed=seed, number=1, origin_s=ORIGIN, at_s=at_s, settings={}).values

    forward = [once(at_s) for at_s in times]
    assert [once(at_s) for at_s in reversed(times)] == forward[::-1]
    assert [look(table, seed, at_s) for at_s in times] == [each["x"] for each in forward]


@given(table=bounded(), seed=seeds, at_s=moments)
def test_values_lie_between_low_and_high(table: dict[str, Any], seed: bytes, at_s: float):
    slack = 1e-6 * max(1.0, abs(table["high"]), abs(table["low"]))
    assert table["low"] - slack <= look(table, seed, at_s) <= table["high"] + slack


@given(
    table=anything(),
    least=lows,
    span=spans,
    seed=seeds,
    at_s=moments,
    change=st.sampled_from([{"add": 1e6}, {"times": -1e3}, {"to": 1e9}]),
)
def test_bounds_hold_through_incidents(
    table: dict[str, Any], least: float, span: float, seed: bytes, at_s: float, change: dict[str, float]
):
    always = {
        "name": "always",
        "every_s": 10,
        "lasts_s": 10,
        "past_chance": 1.0,
        "changes": [{"signal": "x", **change}],
    }
    value = look({**table, "least": least, "most": least + span}, seed, at_s, incidents=[always])
    numbers = value.values() if isinstance(value, dict) else [value]
    for number in numbers:
        if isinstance(number, (int, float)):
            assert least <= number <= least + span


@given(per_day=spans, weights=hours, seed=seeds, first=moments, step=st.floats(min_value=0, max_value=86_400))
def test_counters_never_run_backwards_and_add_up(
    per_day: float, weights: list[float], seed: bytes, first: float, step: float
):
    table = {"kind": "counter", "per_day": per_day, "hours": weights, "start": 100}
    slack = 1e-6 * max(1.0, per_day)
    assert look(table, seed, first + step) >= look(table, seed, first) - slack
    day = look(table, seed, first - first % 3600 + 86_400) - look(table, seed, first - first % 3600)
    assert math.isclose(day, per_day, rel_tol=1e-6, abs_tol=1e-4)


@given(per_day=spans, weights=hours, seed=seeds, at_s=moments)
def test_a_rate_is_the_slope_of_its_counter(per_day: float, weights: list[float], seed: bytes, at_s: float):
    at_s = at_s - at_s % 3600 + 1800  # not across an edge of two hours
    counter = {"kind": "counter", "per_day": per_day, "hours": weights}
    behaviour = parse({"signals": {"c": counter, "r": {"kind": "rate", "of": "c"}}})

    def once(when: float) -> Any:
        return observe(behaviour, seed=seed, number=1, origin_s=ORIGIN, at_s=when, settings={}).values

    slope = (once(at_s + 30)["c"] - once(at_s - 30)["c"]) * 60
    assert math.isclose(slope, once(at_s)["r"], rel_tol=0.02, abs_tol=1e-3)


@settings(max_examples=examples(50))
@given(
    every=st.integers(100, 5000),
    share=st.floats(min_value=0.05, max_value=0.9),
    jitter=st.floats(min_value=0, max_value=1),
    seed=seeds,
    occurrence=st.integers(-50, 50),
)
def test_a_certain_incident_comes_once_a_turn_and_lasts_its_time(
    every: int, share: float, jitter: float, seed: bytes, occurrence: int
):
    lasts = every * share
    incident = parse(
        {
            "signals": {"x": {"kind": "constant", "value": 1}},
            "incidents": [
                {
                    "name": "i",
                    "every_s": every,
                    "lasts_s": lasts,
                    "jitter_s": (every - lasts) * jitter,
                    "first_s": 7,
                    "past_chance": 1.0,
                    "changes": [{"signal": "x", "to": 2}],
                }
            ],
        }
    ).incidents[0]
    step = every / 400
    there = [
        strength_of(incident, seed=seed, number=1, since_origin_s=7 + occurrence * every + number * step) > 0
        for number in range(400)
    ]
    assert abs(sum(there) * step - lasts) <= 2 * step
    edges = sum(1 for one, two in pairwise(there) if one != two)
    assert edges <= 2


def test_every_kind_of_signal_is_looked_at_here_or_needs_others():
    covered = {"uniform", "walk", "fill", "drain", "normal", "daily", "counter", "route", "place", "states", "choice"}
    assert set(KINDS) == covered | {"object", "rate", "derived", "constant", "setting"}
