# SPDX-License-Identifier: Apache-2.0
"""What a channel hears by its choice."""

from __future__ import annotations

from armillary.wire.notification.choice import Choice


def test_an_empty_choice_hears_everything() -> None:
    every = Choice()
    assert every.hears_of("finding", "clock")
    assert every.hears_of("action")
    assert every.hears_from("info")


def test_topics_kinds_and_severity_narrow_it() -> None:
    choice = Choice(topics=("finding",), finding_kinds=("clock",), min_severity="high")
    assert [choice.hears_of(*asked) for asked in (("finding",), ("finding", "clock"), ("finding", "x"), ("action",))] == [
        True, True, False, False,
    ]  # fmt: skip
    assert [choice.hears_from(each) for each in ("medium", "high", "critical")] == [False, True, True]


def test_kinds_of_findings_narrow_no_other_topic() -> None:
    assert Choice(finding_kinds=("clock",)).hears_of("action", "x")
