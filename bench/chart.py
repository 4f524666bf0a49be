# SPDX-License-Identifier: Apache-2.0
"""A chart of 100,000 points of one device as Grafana asks for it: a range query, answered from roll-ups.

A value a second for 28 hours, of which the last is not sealed. From the text of the query to the text of the answer, in
process and by the clock.
"""

from __future__ import annotations

import json
import math
import statistics
import tempfile
import time
from pathlib import Path

from armillary.api.prometheus import answers
from armillary.api.prometheus.found import Found
from armillary.api.prometheus.source import HubSource
from armillary.engines.series.retention import Retention
from armillary.engines.series.store import SeriesStore
from armillary.promql.evaluation import Evaluation, Steps
from armillary.promql.expression import parse_expression
from armillary.wire.hub.telemetry import Telemetry
from bench.result import result
from bench.series import START, flushed_and_sealed

POINTS = 100_000
STEP_MS = 250_000  # 400 points, a panel's width
LIMIT_MS = 100.0
ASKINGS = 15
QUERIES = ("temperature", "avg_over_time(temperature[10m])", "rate(temperature[10m])")
DEVICE = f"{7:0128x}"


def run() -> list[dict[str, object]]:
    """The slowest of three queries, each the median of its askings."""
    with tempfile.TemporaryDirectory() as scratch:
        store = SeriesStore(Path(scratch, "hub"), retention=Retention(), listener=lambda *_: None)
        _filled(store)
        spent = {query: _asked(store, query) for query in QUERIES}
        store.commits.close()
    parts = ", ".join(f"{query} {value:.1f} ms" for query, value in spent.items())
    conditions = f"{POINTS:,} points of one device, 400 shown, median of {ASKINGS} askings: {parts}; in process"
    return [result("chart", max(spent.values()), "ms", ("limit", LIMIT_MS), conditions)]


def _filled(store: SeriesStore) -> None:
    (number,) = store.commits.submit(store.restoring.devices([DEVICE])).result().values()
    for turn in range(POINTS):
        at = START + turn * 1000
        store.tail.add(turn + 1, number, Telemetry(at, {"temperature": round(20 + 5 * math.sin(turn / 300), 2)}))
        if turn % 20_000 == 19_999:
            flushed_and_sealed(store, turn + 1, at)


def _asked(store: SeriesStore, query: str) -> float:
    """Milliseconds of one query, by the clock."""
    steps = Steps(START, START + POINTS * 1000, STEP_MS)
    ((_, value, key),) = store.fleet.series((DEVICE,), None)
    series = [Found(key, {"__name__": value, "device": DEVICE}, value, "", 0)]
    spent = []
    for _ in range(ASKINGS):
        began = time.perf_counter()
        found = Evaluation(HubSource(store.fleet, lambda _: series), steps).value(parse_expression(query))
        answer = json.dumps(answers.success(answers.over_time(found, steps)))
        spent.append((time.perf_counter() - began) * 1000)
        if len(json.loads(answer)["data"]["result"][0]["values"]) < POINTS * 1000 // STEP_MS - 2:
            raise RuntimeError("the chart does not show every point")
    return statistics.median(spent)
