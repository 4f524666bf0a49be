# SPDX-License-Identifier: Apache-2.0
"""One catalog whose rules fire without end silences nobody else: shares of waiting actions, turns, alerts a minute."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.hub.running_hub import DEVICE, Client, RunningHub, wait_until
from tests.platform.rules.test_rules import alerts, put

from armillary.api.views import status as views_status
from armillary.engines.database.on_demand import OnDemand
from armillary.engines.database.sqlite_file import Layout, open_file
from armillary.engines.rules import database, rows, shares
from armillary.engines.rules.alerts import AlertFilter
from armillary.engines.rules.rows import Alert, Fired, RuleDelivery
from armillary.engines.rules.store import RuleStore
from armillary.platform.rules import actions as rule_actions, keeping as rule_keeping, plans as rule_plans
from armillary.platform.rules.actions import ActionSettings, RuleActions
from armillary.platform.rules.keeping import RuleCounters, RuleKeeping
from armillary.platform.rules.pending import Queue
from armillary.platform.rules.plans import Plan


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RuleStore]:
    made = RuleStore(tmp_path)
    yield made
    made.close()


def firing(number: int, catalog: str, rule: str, *, actions: int = 1, operators: bool = False) -> Fired:
    key = f"{catalog}-{rule}-{number}"
    alert = Alert(
        id=key, catalog=catalog, rule_id=rule, rule_name=rule, severity="high", device_id=catalog, fired_ms=number,
        at_ms=number, trace={},
    )  # fmt: skip
    owner = shares.owner_of(None if operators else catalog, catalog)
    made = [
        RuleDelivery(
            id=f"{key}.{each}", catalog=catalog, action=str(each), kind="webhook", target=f"{key}.{each}", options={},
            due_ms=number, owner=owner, rule_id=rule,
        )
        for each in range(actions)
    ]  # fmt: skip
    return Fired(alert, made)


def kept(store: RuleStore, *fired: Fired) -> list[RuleDelivery]:
    """Keep firings; all deliveries that these alerts have now."""
    store.commits.submit(rows.keep((), fired, None)).result(10)
    wanted = {each.alert.id for each in fired}
    return [
        one for each in store.alerts.found(AlertFilter(), 1000) if each.id in wanted for one in store.deliveries.of(each)
    ]  # fmt: skip


def small(monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    for name, limit in limits.items():
        monkeypatch.setattr(shares, name, limit)


def counted(store: RuleStore) -> tuple[int, int]:
    """Waiting and dead deliveries, by the kept counts; they are what the rows say."""
    said = store.deliveries.counts()
    query = "SELECT coalesce(sum(state = 'waiting'), 0), coalesce(sum(state = 'dead'), 0) FROM delivery"
    found = store._database.read(lambda connection: tuple(connection.execute(query).fetchone()))
    assert found == (said["waiting"], said["dead"])
    return said["waiting"], said["dead"]


@pytest.mark.parametrize("is_shared", [True, False], ids=["shares", "control: one queue for all"])
def test_who_fills_its_share_loses_its_own_actions_and_nobody_elses(
    store: RuleStore, monkeypatch: pytest.MonkeyPatch, *, is_shared: bool
) -> None:
    small(monkeypatch, MAX_WAITING=12, MAX_WAITING_OF_OWNER=6, MAX_WAITING_OF_RULE=4, MIN_WAITING_OF_OWNER=2)
    if not is_shared:
        monkeypatch.setattr(shares, "owner_of", lambda *_: "all")
    flood = kept(store, *(firing(each, "Beta", f"r{each % 3}", actions=8) for each in range(10)))
    waiting = [each for each in flood if each.state == "waiting"]
    assert len(flood) == 80
    assert len(waiting) == 6
    assert max(sum(each.rule_id == rule for each in waiting) for rule in ("r0", "r1", "r2")) == 4
    (alpha,) = kept(store, firing(1, "Alpha", "fire"))
    (operators,) = kept(store, firing(1, "Beta", "operators", operators=True))
    assert {alpha.state, operators.state} == ({"waiting"} if is_shared else {"dead"})
    if not is_shared:
        return
    assert store.deliveries.counts() == {"waiting": 8, "dead": 74, "owners_full": 1, "rules_full": 1}
    # Many catalogs fill everything: each still has its least share, and no word says how much the others have.
    kept(store, *(firing(each, "Gamma", f"g{each}") for each in range(6)))
    last = kept(store, *(firing(each, "Delta", f"d{each}") for each in range(4)))
    assert sorted(each.state for each in last) == ["dead", "dead", "waiting", "waiting"]
    texts = {each.error for each in (*flood, *last)} - {""}
    assert texts == {
        "4 deliveries of this rule were waiting already",
        "6 deliveries of this catalog's rules were waiting already",
        "2 deliveries of this catalog's rules were waiting already",
    }
    counted(store)


def test_what_waits_goes_with_its_rule_and_replays_keep_to_the_share(
    store: RuleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch, MAX_WAITING_OF_OWNER=3)
    kept(store, *(firing(each, "Beta", "r") for each in range(5)))
    assert counted(store) == (3, 2)
    store.commits.submit(rows.withdrawn(["r"], 9)).result(10)
    assert counted(store) == (0, 5)
    dead = store.deliveries.dead("Beta", before=None, limit=10)
    assert {each.error for each in dead} >= {"the rule was deleted before this was done"}
    numbers = [each.number for each in dead]
    assert store.commits.submit(rows.replayed("Beta", numbers + numbers, 9)).result(10) == 3
    assert counted(store) == (3, 2)
    monkeypatch.setattr(rows, "MAX_ALERTS", 0)
    store.commits.submit(rows.pruned).result(10)
    assert counted(store) == (0, 0)


def test_old_alerts_of_who_has_most_go_first(store: RuleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_ALERTS", 4)
    kept(store, firing(1, "Alpha", "fire"), *(firing(each, "Beta", "r") for each in range(9)))
    assert store.commits.submit(rows.pruned).result(10) == 6
    assert [each.catalog for each in store.alerts.found(AlertFilter(), 100)] == ["Beta", "Beta", "Beta", "Alpha"]


def test_a_database_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    first = Layout(database.LAYOUT.application_id, 1, database._SCHEMA)
    made = open_file(tmp_path / database.FILE_NAME, first, "rules")
    for row in (
        "alert VALUES (7, 'a', 'Beta', 'r', 'R', 'high', 'd', 1, 1, '{}', NULL, NULL, NULL)",
        "delivery VALUES (1, 'a.0', 7, 'Beta', '1', 'webhook', 'h', '{}', 'waiting', 1, 0, 1, '')",
        "delivery VALUES (2, 'a.1', 7, 'Beta', '2', 'webhook', 'h', '{}', 'done', 1, 1, 1, '')",
    ):
        made.write(lambda connection, row=row: connection.execute(f"INSERT INTO {row}"))
    made.close()
    for _ in range(2):  # brought up to date, then as it is
        store = RuleStore(tmp_path)
        assert counted(store) == (1, 0)
        (found,) = store.deliveries.due(10, 10)
        assert (found.owner, found.rule_id) == ("beta", "r")
        store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / database.FILE_NAME)) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (3,)


@pytest.mark.parametrize(("most", "is_begun"), [(3, True), (100, False)], ids=["turns", "control: no limit"])
def test_targets_that_do_not_answer_leave_attempts_for_other_owners(
    store: RuleStore, monkeypatch: pytest.MonkeyPatch, *, most: int, is_begun: bool
) -> None:
    monkeypatch.setattr(rule_actions, "MAX_ATTEMPTS_OF_OWNER", most)
    kept(store, *(firing(each, "Beta", f"r{each}", actions=8) for each in range(20)), firing(99, "Alpha", "fire"))

    async def owners() -> set[str]:
        unused: Any = None
        kept_in = OnDemand(lambda: store, lambda: True)
        actions = RuleActions(kept_in, unused, unused, unused, unused, ActionSettings(), lambda: 1.0)

        async def silent(_: RuleDelivery) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(actions, "_attempt", silent)
        await actions._look()
        found = {each.owner for each, _ in actions._under_way.values()}
        await actions.close()
        return found

    assert ("alpha" in asyncio.run(owners())) is is_begun


def plan_of(device: str, catalog: str) -> Plan:
    plan = Plan(device)
    plan.catalog, plan.is_dirty = catalog, True
    return plan


@pytest.mark.parametrize("catalog", ["Alpha", "Beta"], ids=["turns", "control: of the same owner"])
def test_owners_take_turns_in_commits(catalog: str) -> None:
    queue = Queue(lambda: 5.0)
    for each in range(50):
        queue.note(plan_of(f"b{each}", "Beta"), [firing(number, "Beta", "r") for number in range(20)])
    queue.note(plan_of("mine", catalog), [firing(1, catalog, "fire")])
    taken = queue.take(40)
    assert sum(len(each) for each in taken) <= 60, "bounded, but for the last device"
    assert ("mine" in [each.plan.device_id for each in taken]) is (catalog == "Alpha")
    before, count = len(queue), sum(len(each) for each in taken)
    queue.note(taken[0].plan, [firing(99, "Beta", "later")])
    queue.give_back(taken)
    assert len(queue) == before + count + 1
    again = {each.plan.device_id: each.news for each in queue.take(10**6)}
    last = again[taken[0].plan.device_id][-1]
    assert isinstance(last, Fired)
    assert last.alert.rule_id == "later", "what could not be kept comes first"
    assert (len(queue), queue.age_s) == (0, 0.0)


def test_what_is_kept_at_the_end_is_bounded_and_the_rest_is_evaluated_again(
    store: RuleStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping = RuleKeeping(OnDemand(lambda: store, lambda: True), RuleCounters(), lambda: None)
    plans = [plan_of(each, each) for each in ("one", "two", "quiet")]

    def end() -> tuple[set[str], int]:
        for plan in plans[:2]:
            plan.is_dirty = True
            keeping.note(plan, [firing(1, plan.device_id, "r")])
        store.commits.submit(keeping.last_change(plans, 7)).result(10)
        return {each.device_id for each in store.states()}, store.evaluated()

    monkeypatch.setattr(rule_keeping, "MAX_NEWS_AT_CLOSE", 1)
    assert end() == ({"one", "quiet"}, -1), "the states of a device never say more than its alerts"
    assert [each.device_id for each in store.alerts.found(AlertFilter(), 100)] == ["one"]
    monkeypatch.setattr(rule_keeping, "MAX_NEWS_AT_CLOSE", 10)
    assert end() == ({"one", "two", "quiet"}, 7)


def test_a_rule_that_fires_too_often_is_counted_on_its_last_alert(
    running: RunningHub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_plans, "MAX_ALERTS_OF_RULE", 3)
    put(running, "hot", actions=[{"kind": "quarantine"}])

    def toggled(values: Sequence[int]) -> None:
        for value in values:
            client.telemetry({"t": value})

    toggled([40, 20] * 10)
    wait_until(lambda: running.platform.counters()["rule_firings_counted"] == 7, "the rest is counted")
    assert [each.more for each in alerts(running)] == [7, 0, 0]
    wait_until(lambda: alerts(running)[0].over_ms, "it is over with the last value")
    toggled([40])
    wait_until(lambda: alerts(running)[0].more == 8, "one more")
    assert alerts(running)[0].over_ms is None, "its conditions are met again"
    # What makes the rule begin anew for the device gives it no further alerts.
    running.call(running.platform.rules._look_again, DEVICE)
    toggled([20, 40, 20])
    wait_until(lambda: alerts(running)[0].more == 9, "counted too")
    # Control: without the limit each has an alert.
    monkeypatch.setattr(rule_plans, "MAX_ALERTS_OF_RULE", 1000)
    toggled([40, 20] * 5)
    wait_until(lambda: len(alerts(running)) == 8, "an alert each")


def test_rules_that_fire_all_the_time_do_not_put_off_the_checkpoint(
    store: RuleStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a crash has everything since the last quiet moment evaluated again."""
    keeping = RuleKeeping(OnDemand(lambda: store, lambda: True), RuleCounters(), lambda: None)
    posted: list[Any] = []
    monkeypatch.setattr(keeping, "post", lambda change, *_: posted.append(change))
    monkeypatch.setattr(rule_keeping, "CHECKPOINT_S", 0.0)
    busy, quiet = plan_of("busy", "Beta"), plan_of("quiet", "Alpha")
    keeping.note(busy, [firing(1, "Beta", "r")])
    keeping.settle([busy, quiet], 7)
    pruning, change = posted
    assert pruning is rows.pruned
    store.commits.submit(change).result(10)
    assert ({each.device_id for each in store.states()}, store.evaluated()) == ({"busy", "quiet"}, 7)
    # The hub ends while a commit is under way: whether the disk took it nobody knows, so its device is left alone.
    busy.is_dirty = quiet.is_dirty = True
    busy.open_seq = quiet.open_seq = 9
    keeping.note(busy, [firing(2, "Beta", "r")])
    store.commits.submit(keeping.last_change([busy, quiet], 9)).result(10)
    assert ({each.device_id: each.seq for each in store.states()}, store.evaluated()) == ({"busy": -1, "quiet": 9}, 7)
    assert [each.fired_ms for each in store.alerts.found(AlertFilter(), 100)] == [1]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({}, None),
        ({"rule_firings_uncommitted_now": 5_001}, "5001 firings wait to be kept"),
        ({"rule_firings_uncommitted_now": 1, "rule_firings_uncommitted_age_s_now": 16}, "the oldest for 16 s"),
        ({"rule_action_owners_full_now": 1}, "1 catalogs have as many actions waiting as they may"),
        ({"rule_action_rules_full_now": 2}, "2 rules have as many actions waiting as they may"),
        ({"rule_actions_waiting_now": 40_000}, "nearly all do"),
        ({"rule_commits_failed": 1, "rule_firings_uncommitted_now": 1}, "the disk refused firings"),
        ({"rules_unreadable": 1}, "1 rules are unreadable"),
    ],
)
def test_the_status_says_what_is_wrong_with_rules(counts: dict[str, int], words: str | None) -> None:
    names = (
        "rules_enabled_now", "rule_actions_waiting_now", "rule_actions_dead_letters_now", "rules_unreadable",
        "rule_commits_failed", "rule_firings_uncommitted_now", "rule_firings_uncommitted_age_s_now",
        "rule_action_owners_full_now", "rule_action_rules_full_now",
    )  # fmt: skip
    platform: Any = SimpleNamespace(rules=SimpleNamespace(count=lambda: {**dict.fromkeys(names, 0), **counts}))
    state, detail = views_status._rules(platform)
    assert state == ("ok" if words is None else "degraded")
    assert (words or "") in detail
