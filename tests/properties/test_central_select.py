# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608 - queries of IoT Central, which no database sees
"""IoT Central's query: what it shows of rows is what a plain reading of it says, and what is no query is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.twin.central.select import MAX_ROWS, parse_select, results

FROM = " FROM dtmi:a:b;1"
VALUES = st.none() | st.integers(-3, 3) | st.booleans() | st.sampled_from(["a", "b"])
ROWS = st.lists(
    st.fixed_dictionaries({"$id": st.sampled_from(["x", "y"]), "$ts": st.integers(0, 5000), "t": VALUES}), max_size=12
)


def shown(text: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    head, _, tail = text.partition(" WHERE ")
    return results(parse_select(f"SELECT {head}{FROM}" + (f" WHERE {tail}" if tail else "")), rows)


@given(ROWS, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), st.integers(-3, 3))
def test_a_comparison_chooses_numbers_only(rows: list[dict[str, Any]], mark: str, wanted: int) -> None:
    python = {"=": "__eq__", "!=": "__ne__", "<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}[mark]
    expected = [
        {"$id": row["$id"], "t": row["t"]}
        for row in rows
        if isinstance(row["t"], int) and not isinstance(row["t"], bool) and getattr(row["t"], python)(wanted)
    ]
    assert shown(f"$id, t WHERE t {mark} {wanted}", rows) == expected


@given(ROWS)
def test_functions_add_up_what_is_there(rows: list[dict[str, Any]]) -> None:
    numbers = [r["t"] for r in rows if isinstance(r["t"], int) and not isinstance(r["t"], bool)]
    (found,) = shown("SUM(t), MAX(t), MIN(t), AVG(t), COUNT(t)", rows)
    assert found["count_t"] == sum(row["t"] is not None for row in rows)
    assert found["sum_t"] == (sum(numbers) if numbers else None)
    assert (found["max_t"], found["min_t"]) == ((max(numbers), min(numbers)) if numbers else (None, None))
    assert found["avg_t"] == (sum(numbers) / len(numbers) if numbers else None)
    grouped = results(parse_select(f"SELECT COUNT(t) AS n, LAST(t) AS l{FROM} GROUP BY WINDOW(PT1S)"), rows)
    assert sum(each["n"] for each in grouped) == found["count_t"]
    assert [each["$ts"] for each in grouped] == sorted(
        {f"1970-01-01T00:00:0{r['$ts'] // 1000}.000Z" for r in rows}, reverse=True
    )


@given(ROWS, st.booleans(), st.integers(1, 5))
def test_rows_are_sorted_before_they_are_cut(rows: list[dict[str, Any]], downwards: bool, top: int) -> None:
    found = results(
        parse_select(f"SELECT TOP {top} $ts AS at{FROM} ORDER BY at {'DESC' if downwards else 'ASC'}"), rows
    )
    expected = sorted((row["$ts"] for row in rows), reverse=downwards)[:top]
    assert [each["at"] for each in found] == [f"1970-01-01T00:00:0{ms // 1000}.{ms % 1000:03}Z" for ms in expected]


ROW = {"$id": "x", "$ts": 1000, "$simulated": False, "t": 5, "p.q": "on", "s": None}


@pytest.mark.parametrize(
    ("condition", "chosen"),
    [("t > 4 AND p.q = 'on'", 1), ("t > 9 OR p.q = 'on'", 1), ("t > 9 OR (p.q = 'on' AND t < 5)", 0), ("s != 1", 0),
     ("$id IN ['y', 'x']", 1), ("$simulated = false", 1), ("t = 'on'", 0), ("t IN [5.0]", 1), ('p.q >= "oa"', 1),
     ("WITHIN_WINDOW(P1D) AND t = 5", 1), ("t <> 5", 0), ("(t = 1 OR t = 5) AND (t = 5)", 1)],
)  # fmt: skip
def test_conditions(condition: str, chosen: int) -> None:
    assert len(shown(f"$id WHERE {condition}", [ROW])) == chosen


def test_what_is_read() -> None:
    query = parse_select(
        "select top 3 $id as ID, temperature AS t from dtmi:azurertos:devkit:hlby5jgib2o "
        "where WITHIN_WINDOW(P2DT12H) AND t > 0 and $id = 'a\\'b' order by ID desc"
    )
    assert query.template == "dtmi:azurertos:devkit:hlby5jgib2o"
    assert (query.names, query.window, query.order, query.top) == ({"temperature"}, 216_000_000, ("ID", True), 3)
    assert query.range_ms(10**12) == (10**12 - 216_000_000, 10**12 + 1)
    window = "WITHIN_WINDOW('2021-06-13T13:00:00Z/2021-06-13T15:30:00Z')"
    start, end = parse_select(f"SELECT t{FROM} WHERE {window}").range_ms(0)
    assert end - start == 9_000_001
    assert parse_select(f"SELECT t{FROM}").top == MAX_ROWS


@pytest.mark.parametrize(
    "text",
    ["SELECT *" + FROM, "SELECT t", "SELECT t FROM devices", "SELECT TOP 0 t" + FROM, "SELECT a, a" + FROM, "",
     "SELECT t" + FROM + " WHERE WITHIN_WINDOW(P1D) OR t = 1", "SELECT t" + FROM + " WHERE t = 1 OR WITHIN_WINDOW(P1D)",
     "SELECT t" + FROM + " WHERE (WITHIN_WINDOW(P1D))", "SELECT t" + FROM + " WHERE WITHIN_WINDOW(1)", "SELECT $x" + FROM,
     "SELECT AVG(t), t" + FROM, "SELECT t" + FROM + " GROUP BY WINDOW(PT1M)", "SELECT AVG(t)" + FROM + " GROUP BY WINDOW(P)",
     "SELECT AVG($id)" + FROM, "SELECT t" + FROM + " ORDER t", "SELECT t" + FROM + " WHERE t", "SELECT t" + FROM + " WHERE t ~ 1",
     "SELECT t" + FROM + " WHERE t IN []", "SELECT t" + FROM + " trailing", "SELECT " + ", ".join(f"a{n}" for n in range(16)) + FROM,
     "SELECT t" + FROM + " WHERE WITHIN_WINDOW(P99999D)", "SELECT t" + FROM + " WHERE " + "(" * 20 + "t = 1" + ")" * 20,
     "SELECT t" + FROM + " WHERE " + " AND ".join(["t = 1"] * 51), "SELECT t" + FROM + " WHERE WITHIN_WINDOW('a/b')"],
)  # fmt: skip
def test_what_is_no_query_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="query: expected"):
        parse_select(text)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for query in (text, f"SELECT {text}{FROM}", "SELECT t" + FROM + " WHERE " + text):
        try:
            results(parse_select(query), [ROW])
        except InvalidArgumentError as error:
            assert error.remedy  # noqa: PT017 - what is asked
