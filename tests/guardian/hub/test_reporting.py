# SPDX-License-Identifier: Apache-2.0
"""What a guardian reports stands in the twin, and nothing that an earlier start reported beside it."""

from __future__ import annotations

from typing import Any

from armillary.guardian.hub.reporting import LEAST_S, MOST_S, Report, attempts_each


def merged(twin: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """A twin after a report, as a hub merges it: RFC 7396."""
    found = dict(twin)
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        elif isinstance(value, dict):
            found[name] = merged(found[name] if isinstance(found.get(name), dict) else {}, value)
        else:
            found[name] = value
    return found


def section(**equipment: dict[str, Any]) -> dict[str, object]:
    return {"guardian": {"boot": "b", "equipment": equipment}}


def test_what_an_earlier_start_reported_is_taken_away() -> None:
    twin: dict[str, Any] = section(old={"link": "up"}, kept={"refused": {"rate": 402, "value": 19}})
    twin |= {"$version": 7, "deviceInformation": {"model": "x"}}
    now = section(kept={"refused": {"rate": 5}})
    report = Report(lambda: now)
    report.told(twin)
    patch = report.due(0.0)
    assert patch is not None
    assert merged(twin, patch) == {**now, "$version": 7, "deviceInformation": {"model": "x"}}
    report.sent(0.0)
    assert report.due(LEAST_S) is None


def test_what_was_reported_before_the_hub_said_what_stands_is_reported_again() -> None:
    twin: dict[str, Any] = section(old={"link": "up"})
    now = section(kept={"link": "up"})
    report = Report(lambda: now)
    first = report.due(0.0)
    assert first == now
    report.sent(0.0)
    report.told(twin)
    second = report.due(0.0)
    assert second is not None
    assert merged(merged(twin, first), second) == now


def test_a_twin_that_has_no_more_than_was_sent_makes_no_second_report() -> None:
    now = section(kept={"link": "up"})
    report = Report(lambda: now)
    assert report.due(0.0) == now
    report.sent(0.0)
    for stands in ({}, {"$version": 3}, now, {"guardian": 5}, {"guardian": {"equipment": [1]}}):
        report.told(stands)
        assert report.due(LEAST_S) is None


def test_what_is_no_longer_said_is_taken_away_within_a_connection() -> None:
    said = [section(one={"problem": "it is not signed", "link": "down"}), section(one={"link": "up"})]
    report = Report(lambda: said[0])
    twin = merged({}, report.due(0.0) or {})
    report.sent(0.0)
    del said[0]
    patch = report.due(LEAST_S)
    assert patch is not None
    assert merged(twin, patch) == said[0]


class Twin:
    """A twin whose link may change and whose exchanges count."""

    def __init__(self) -> None:
        self.link, self.exchanges = "up", 0
        self.report = Report(lambda: {"link": self.link, "counters": {"exchanges": self.exchanges}})

    def said(self, now: float) -> bool:
        """Whether something is reported at this moment."""
        found = self.report.due(now)
        if found is not None:
            self.report.sent(now)
        return found is not None


def test_what_changed_is_reported_and_what_did_not_is_not() -> None:
    twin = Twin()
    assert twin.said(0)
    assert not twin.said(MOST_S * 2)
    twin.link = "down"
    assert twin.said(MOST_S * 2 + LEAST_S)
    twin.link = "up"
    assert not twin.said(MOST_S * 2 + LEAST_S * 1.5), "not so soon"
    assert twin.said(MOST_S * 2 + LEAST_S * 2)


def test_what_counts_all_the_time_waits() -> None:
    twin = Twin()
    assert twin.said(0)
    twin.exchanges = 9
    assert not twin.said(MOST_S - 1)
    assert twin.said(MOST_S)


def test_a_new_connection_hears_all() -> None:
    twin = Twin()
    assert twin.said(0)
    twin.report.forget()
    assert twin.said(0.1)


def test_attempts_share_the_room_of_a_twin() -> None:
    assert attempts_each(1) == 20
    assert attempts_each(64) == 1
    assert all(attempts_each(number) * number <= 100 for number in range(1, 65))
