# SPDX-License-Identifier: Apache-2.0
"""Alerts in the rules' database: what each filter finds, counts, and what acknowledging many does and refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from armillary.engines.rules import alerts as alert_rows, rows
from armillary.engines.rules.alerts import AlertFilter, all_acknowledged
from armillary.engines.rules.rows import Alert, Fired, Over
from armillary.engines.rules.store import RuleStore

# (rule, device, severity, fired) of the alerts 1 to 5 of North; the sixth is South's.
ROWS = (
    ("hot", "a", "low", 10), ("hot", "b", "critical", 20), ("cold", "a", "critical", 30), ("cold", "b", "low", 40),
    ("hot", "a", "medium", 50),
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RuleStore]:
    made = RuleStore(tmp_path)
    found = [*(("North", *row) for row in ROWS), ("South", "hot", "c", "critical", 60)]
    fired = [
        Fired(
            Alert(id=f"{at}", catalog=catalog, rule_id=rule, rule_name=rule, severity=severity, device_id=device,
                  fired_ms=at, at_ms=at, trace={}), ()
        )
        for catalog, rule, device, severity, at in found
    ]  # fmt: skip
    made.commits.submit(rows.keep((), [*fired, Over("cold", "b", 45)], None)).result(10)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (AlertFilter(), [6, 5, 4, 3, 2, 1]),
        (AlertFilter(catalog="north"), [5, 4, 3, 2, 1]),
        (AlertFilter(catalog="North", rule_id="hot"), [5, 2, 1]),
        (AlertFilter(catalog="North", device_ids=("a", "c")), [5, 3, 1]),
        (AlertFilter(device_ids=()), []),
        (AlertFilter(severities=("critical", "medium")), [6, 5, 3, 2]),
        (AlertFilter(since_ms=20, until_ms=40), [3, 2]),
        (AlertFilter(state="cleared"), [4]),
        (AlertFilter(state="active", up_to=3), [3, 2, 1]),
        (AlertFilter(state="acknowledged"), []),
    ],
)
def test_a_filter_finds_and_counts_the_same(store: RuleStore, wanted: AlertFilter, numbers: list[int]) -> None:
    assert [each.number for each in store.alerts.found(wanted, 100)] == numbers
    assert store.alerts.count(wanted) == len(numbers)


def test_open_alerts_are_counted_by_severity_gravest_first(store: RuleStore) -> None:
    assert list(store.alerts.open_by_severity("North").items()) == [("critical", 2), ("medium", 1), ("low", 2)]
    assert store.alerts.open_by_severity(None)["critical"] == 3
    assert store.alerts.open_by_severity("East") == {}


def acknowledge(
    store: RuleStore, wanted: AlertFilter, numbers: list[int] | None = None, count: int | None = None
) -> tuple[int, bool]:
    change = all_acknowledged(wanted, numbers, count, "ann", 99, "seen")
    found: tuple[int, bool] = store.commits.submit(change).result(10)
    return found


def test_many_are_acknowledged_where_they_are_as_many_as_was_said(store: RuleStore) -> None:
    north = AlertFilter(catalog="North")
    assert acknowledge(store, north, count=4) == (5, False)
    assert store.alerts.count(AlertFilter(state="acknowledged")) == 0
    assert acknowledge(store, AlertFilter(catalog="North", up_to=4), count=4) == (4, True)
    (one,) = store.alerts.found(AlertFilter(catalog="North", state="open"), 9)
    assert one.number == 5  # fired since somebody looked
    done = store.alerts.found(AlertFilter(state="acknowledged"), 1)[0]
    assert (done.acknowledged_by, done.acknowledged_ms, done.note) == ("ann", 99, "seen")


def test_numbers_of_another_catalog_and_of_acknowledged_alerts_change_nothing(store: RuleStore) -> None:
    assert acknowledge(store, AlertFilter(catalog="North"), numbers=[5, 6, 77]) == (1, True)
    assert [each.number for each in store.alerts.found(AlertFilter(state="acknowledged"), 9)] == [5]
    assert acknowledge(store, AlertFilter(catalog="North"), numbers=[5]) == (0, True)
    assert acknowledge(store, AlertFilter(), numbers=[6]) == (1, True)  # control: South's is there for who sees all


def test_more_than_one_transaction_takes_are_refused_whole(store: RuleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_rows, "MAX_ACKNOWLEDGED", 4)
    assert acknowledge(store, AlertFilter(catalog="North")) == (5, False)
    assert store.alerts.count(AlertFilter(state="acknowledged")) == 0
    assert acknowledge(store, AlertFilter(catalog="North", rule_id="hot")) == (3, True)
