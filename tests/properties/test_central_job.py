# SPDX-License-Identifier: Apache-2.0
"""A job in IoT Central's form is read into a job that is written as that form again."""

from __future__ import annotations

from typing import Any

from hypothesis import given, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.twin.author.job import parse_job
from armillary.twin.central.job import (
    central_data,
    central_limits,
    central_schedule,
    job_body,
    schedule_body,
    targets_of,
)

TARGET = "dtmi:a:b;1"
NAMES = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
VALUES = st.integers(-5, 5) | st.booleans() | st.from_regex(r"[a-z]{0,5}", fullmatch=True)


def entries(kind: str, paths: st.SearchStrategy[str], least: int, most: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    made = st.dictionaries(paths, VALUES, min_size=least, max_size=most)
    return made.map(lambda d: [{"type": kind, "target": TARGET, "path": p, "value": v} for p, v in d.items()])


DATA = st.one_of(
    entries("property", NAMES | NAMES.map("part.{}".format), 1, 4),
    entries("cloudProperty", NAMES, 1, 3),
    entries("command", NAMES | NAMES.map("part.{}".format), 1, 1),
)
MEASURES = st.builds(dict, type=st.sampled_from(["number", "percentage"]), value=st.integers(1, 100))
STARTS = st.integers(0, 2**32).map(lambda s: central_schedule(parse_job(_minimal(s)))["start"])
ENDS = st.none() | st.builds(dict, type=st.just("occurrences"), occurrences=st.integers(1, 999))


def _minimal(start: int) -> dict[str, Any]:
    return {"name": "x", "group": "g", "action": {"kind": "command", "command": "c"}, "start": start}


@given(DATA, st.none() | MEASURES, st.none() | MEASURES)
def test_a_job_comes_back(data: list[dict[str, Any]], batch: Any, threshold: Any) -> None:
    given_body = {"displayName": "J", "data": data, "batch": batch, "cancellationThreshold": threshold}
    if "part" in [each["path"] for each in data]:
        return  # a component and a property of one name: no template has both
    assert targets_of(given_body) == (TARGET,)
    job = parse_job(job_body(given_body, name="n", group="g", components=("part",)))
    assert sorted(map(repr, central_data(job, TARGET))) == sorted(map(repr, data))
    limits = {} if batch is None else {"batch": batch}
    limits |= {} if threshold is None else {"cancellationThreshold": {**threshold, "batch": False}}
    assert central_limits(job) == limits


@given(STARTS, st.sampled_from(["daily", "weekly"]), ENDS)
def test_a_schedule_comes_back(start: str, recurrence: str, end: Any) -> None:
    schedule = {"start": start, "recurrence": recurrence, **({} if end is None else {"end": end})}
    made = schedule_body(schedule)
    assert central_schedule(parse_job({**_minimal(0), **made})) == schedule


@given(
    st.recursive(
        st.none() | st.text(max_size=5) | st.integers() | st.booleans(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "start",
                        "recurrence",
                        "end",
                        "type",
                        "date",
                        "occurrences",
                        "data",
                        "path",
                        "target",
                        "value",
                        "batch",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    )
)
def test_anything_else_is_refused_by_name(document: Any) -> None:
    for read in (schedule_body, lambda d: targets_of(d if isinstance(d, dict) else {"data": d})):
        try:
            read(document)
        except InvalidArgumentError as error:
            assert error.remedy  # noqa: PT017 - what is asked
