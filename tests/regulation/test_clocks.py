# SPDX-License-Identifier: Apache-2.0
"""When each stage of a case begins and is due, and that no entry puts a deadline off."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from armillary.errors import ConflictError, InvalidArgumentError
from armillary.regulation import case as rules
from armillary.regulation.case import CaseEntry, check_entry, standing
from armillary.regulation.clocks import AWARE, EXPLOITED, FIX, INCIDENT, KINDS, STAGES, month_after

HOUR, DAY = 3600, 86_400
AT = int(datetime(2026, 11, 28, 9, 30, tzinfo=UTC).timestamp())  # a Saturday


def entry(kind: str = AWARE, at: int = AT, **values: object) -> CaseEntry:
    given_values = {"number": 1, "recorded_at": at, "stated_at": at, "actor": "ann", **values}
    return CaseEntry(kind=kind, **given_values)  # type: ignore[arg-type]


def states(kind: str, *entries: CaseEntry, now: int) -> list[str]:
    return [each.state for each in standing(kind, entries, now).stages]


def due(kind: str, *entries: CaseEntry) -> list[int | None]:
    return [each.due_at for each in standing(kind, entries, AT).stages]


@pytest.mark.parametrize(
    ("at", "month_later"),
    [
        ((2026, 11, 28), (2026, 12, 28)),
        ((2026, 12, 31), (2027, 1, 31)),
        ((2027, 1, 31), (2027, 2, 28)),
        ((2028, 1, 30), (2028, 2, 29)),
        ((2027, 3, 31), (2027, 4, 30)),
    ],
)
def test_a_month_ends_on_the_same_day_or_the_last(at: tuple[int, int, int], month_later: tuple[int, int, int]) -> None:
    begun, ended = (int(datetime(*each, 13, 7, 5, tzinfo=UTC).timestamp()) for each in (at, month_later))
    assert month_after(begun) == ended


def test_an_exploited_vulnerability_is_due_after_24_and_72_hours_and_14_days_after_a_fix() -> None:
    assert due(EXPLOITED, entry()) == [AT + 24 * HOUR, AT + 72 * HOUR, None]
    fixed = entry(FIX, AT + 5 * DAY)
    assert due(EXPLOITED, entry(), fixed) == [AT + 24 * HOUR, AT + 72 * HOUR, AT + 19 * DAY]
    assert due(EXPLOITED, entry(), fixed, entry(FIX, AT + 7 * DAY))[2] == AT + 19 * DAY
    assert due(EXPLOITED, entry(), entry(FIX, AT - 30 * DAY))[2] == AT + 14 * DAY, "not before anybody knew"


def test_the_last_report_of_an_incident_is_due_a_month_after_the_notice() -> None:
    assert due(INCIDENT, entry())[2] is None
    sent = entry(rules.SUBMITTED, AT + 60 * HOUR, stage="72h")
    assert due(INCIDENT, entry(), sent)[2] == month_after(AT + 60 * HOUR)
    again = entry(rules.SUBMITTED, AT + 90 * HOUR, stage="72h", reference="R-2")
    found = standing(INCIDENT, (entry(), sent, again), AT + 91 * HOUR).stages
    assert found[2].due_at == month_after(AT + 60 * HOUR)
    assert found[1].reference == "R-2"
    assert due(INCIDENT, entry(), entry(FIX, AT))[2] is None, "a fix begins nothing here"


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (0, "running"), (16 * HOUR - 1, "running"), (16 * HOUR, "due-soon"), (24 * HOUR, "due-soon"),
        (24 * HOUR + 1, "overdue"),
    ],
)  # fmt: skip
def test_a_stage_is_near_and_then_over(after: int, expected: str) -> None:
    assert states(EXPLOITED, entry(), now=AT + after)[0] == expected
    assert states(EXPLOITED, entry(), now=AT + after)[2] == "waiting"


def test_what_was_submitted_is_in_time_or_late_and_what_was_closed_is_over() -> None:
    sent = entry(rules.SUBMITTED, AT + 24 * HOUR, stage="24h")
    late = entry(rules.SUBMITTED, AT + 72 * HOUR + 1, stage="72h")
    now = AT + 80 * HOUR
    assert states(EXPLOITED, entry(), sent, late, now=now) == ["submitted", "submitted-late", "waiting"]
    closed = entry(rules.CLOSED, now, text="not exploited after all")
    found = standing(EXPLOITED, (entry(), sent, closed), now)
    assert [each.state for each in found.stages] == ["submitted", "not-submitted", "not-submitted"]
    assert found.next_due is None
    assert [each.remaining_s(now) for each in found.stages] == [None, None, None]


def test_the_next_stage_is_the_one_that_is_due_first() -> None:
    found = standing(EXPLOITED, (entry(),), AT + 30 * HOUR).next_due
    assert found is not None
    assert (found.stage, found.remaining_s(AT + 30 * HOUR)) == ("24h", -6 * HOUR)


times = st.integers(min_value=1, max_value=AT + 100 * DAY)
later_entries = st.lists(
    st.builds(
        lambda kind, at, stage: entry(kind, at, stage=stage, text="x"),
        st.sampled_from([rules.CORRECTION, FIX, rules.SUBMITTED, rules.NOTE, rules.REFERENCE]),
        times,
        st.sampled_from(STAGES),
    ),
    max_size=8,
)


@given(st.sampled_from(KINDS), later_entries, later_entries)
def test_no_entry_puts_a_deadline_off(kind: str, some: list[CaseEntry], more: list[CaseEntry]) -> None:
    """What is added later moves a deadline to an earlier time or not at all; and nothing unbegins."""
    before, after = (due(kind, entry(), *some), due(kind, entry(), *some, *more))
    for one, other in zip(before, after, strict=True):
        assert one is None or (other is not None and other <= one)


def test_a_rule_that_took_the_last_time_would_put_a_deadline_off() -> None:
    """The control of the test above: the later correction is there to be taken."""
    corrected = entry(rules.CORRECTION, AT + 3 * DAY, text="we read it on Tuesday")
    assert due(EXPLOITED, entry(), corrected)[0] == AT + 24 * HOUR
    assert max(each.stated_at for each in (entry(), corrected)) + 24 * HOUR > AT + 24 * HOUR
    assert due(EXPLOITED, entry(), entry(rules.CORRECTION, AT - DAY, text="earlier"))[0] == AT


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (entry(rules.NOTE, AT, text=" "), "says why"),
        (entry(rules.CORRECTION, AT - 1), "says why"),
        (entry(rules.CLOSED, AT), "says why"),
        (entry(FIX, AT + 1), "until now"),
        (entry(FIX, 0), "until now"),
        (entry(rules.SUBMITTED, AT, stage="48h"), "24h, 72h, final"),
    ],
)
def test_what_cannot_be_an_entry_is_refused(wrong: CaseEntry, said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        check_entry(wrong, [entry()], AT)


def test_nothing_was_submitted_before_anybody_was_aware() -> None:
    """One wrong year would end the clock for good: the earliest time counts, and no entry is ever changed."""
    early = entry(rules.SUBMITTED, AT - DAY, stage="24h")
    with pytest.raises(InvalidArgumentError, match="becoming aware"):
        check_entry(early, [entry()], AT)
    earlier_known = entry(rules.CORRECTION, AT - 2 * DAY, text="we knew")
    assert check_entry(early, [entry(), earlier_known], AT) is early


def test_a_closed_case_takes_nothing_and_a_full_one_only_its_end() -> None:
    closed = entry(rules.CLOSED, AT, text="done")
    for kind in rules.ENTRY_KINDS[1:]:
        with pytest.raises(ConflictError, match="closed"):
            check_entry(entry(kind, AT, text="x", stage="24h"), [entry(), closed], AT)
    full = [entry()] * rules.MAX_ENTRIES
    with pytest.raises(ConflictError, match="entries"):
        check_entry(entry(rules.NOTE, AT, text="x"), full, AT)
    assert check_entry(closed, full, AT) is closed
    with pytest.raises(InvalidArgumentError, match="kind"):
        rules.check_kind("mild-incident")
