# SPDX-License-Identifier: Apache-2.0
"""The queries of actions, playbooks and quarantine: what SQLite answers and stores, PostgreSQL does as well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, create_engine, select
from tests import postgresql
from tests.engines.records import update_play

from armillary.engines.records.queries import devices as device_rows, rollouts as rollout_rows
from armillary.engines.records.queries.planning import reach
from armillary.engines.records.response import actions, kept, playbooks, presence, targets
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.security.response_rows import Action, ActionApproval
from armillary.service.watch.detections import Observation
from armillary.service.watch.watch import record

NOW, MINE = update_play.NOW, update_play.CATALOG
ACTION, LOST, WHOLE, BACK = (UUID(int=number) for number in (81, 82, 83, 84))


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    running = postgresql.Server()
    yield running
    running.close()


def action(action_id: UUID, **changes: Any) -> Action:
    made = Action(
        action_id=action_id, catalog_id=MINE, kind="quarantine", state="running", target={"devices": ["a"]},
        options={}, reason="r", playbook="", finding_id=None, asked_by="anna", asked_at=NOW, approved_by="",
        changed_at=NOW, expires_at=NOW + 60, devices=3, is_capped=True,
    )  # fmt: skip
    return replace(made, **changes)


def played(connection: Connection) -> dict[str, Any]:
    seen: dict[str, Any] = {"needed": [presence.is_needed(connection)]}
    ids = [update_play.device_id(number) for number in range(1, 5)]
    finding = record(
        connection,
        Observation(
            kind="proof-replayed", key=("x",), severity="high", title="t", cause="c", proposed_action="p", at=NOW,
            catalog_id=MINE, device_ids=tuple(ids[:2]),
        ),
        NOW,
    )  # fmt: skip
    aims = {
        "ids": targets.by_ids(MINE, ids),
        "others": targets.by_ids(UUID(int=9), ids),
        "group": targets.by_group(MINE, update_play.GROUP),
        "finding": targets.by_finding(MINE, finding.finding_id),
        "image": targets.by_image(MINE, update_play.NEW),
        "sets": targets.by_sets(MINE, update_play.GROUP, [1]),
        "floor": targets.below_floor("mt3620", 1, 5),
    }
    seen["aims"] = {
        name: (targets.count(connection, one), targets.first_ids(connection, one, 2)) for name, one in aims.items()
    }
    rollout_rows.add(connection, update_play.rollout(update_play.RINGED))
    seen["fleet"] = targets.fleet(connection, MINE), targets.fleet(connection, None)
    seen["rollouts"] = [each.rollout_id for each in targets.rollouts_of(connection, MINE)]
    seen["images"] = [targets.images_of(connection, each) for each in targets.rollouts_of(connection, MINE)]
    rollout_rows.change(connection, update_play.RINGED, {"state": "cancelled"})
    for each in (ACTION, LOST):
        seen[f"gather {each}"] = actions.gather(connection, each, aims["ids"], 0)
    seen["gathered"] = actions.gathered(connection, ACTION)
    actions.add(connection, action(ACTION, finding_id=finding.finding_id))
    actions.add(connection, action(WHOLE, kind="halt", state="waiting", catalog_id=None))
    seen["lost"] = actions.forget_lost(connection), actions.gathered(connection, LOST)
    seen["under way"] = [each.action_id for each in actions.under_way(connection)]
    chosen = actions.next_devices(connection, ACTION, "pending", 3)
    seen["next"] = chosen
    actions.mark(connection, ACTION, [number for number, _ in chosen[:2]], "done", at=NOW, counts=True)
    actions.skip(connection, ACTION, {chosen[2][0]: "why"})
    seen["counted"] = [actions.counted_since(connection, MINE, NOW - each) for each in (1, 0)]
    actions.add(connection, action(BACK, kind="roll-back", state="done", is_capped=True, done=3, changed_at=NOW))
    seen["counted with a roll-back"] = [actions.counted_since(connection, MINE, NOW - each) for each in (1, 0)]
    seen["times"] = actions.done_at(connection, ACTION, [chosen[0][0]])
    seen["devices"] = actions.devices(connection, ACTION, state=None, limit=2, after=None)
    seen["skipped"] = actions.devices(connection, ACTION, state="skipped", limit=2, after=None).items
    seen["pages"] = [
        [each.action_id for each in actions.page(connection, limit=5, before=None, **how).items]
        for how in ({"catalog_id": None}, {"catalog_id": MINE}, {"catalog_id": None, "kind": "halt"},
                    {"catalog_id": None, "states": ("waiting",)},
                    {"catalog_id": None, "finding_id": finding.finding_id})
    ]  # fmt: skip
    actions.change(connection, WHOLE, effects={"rollouts": ["x"]}, said="s")
    seen["one"] = actions.one(connection, WHOLE), actions.one(connection, LOST)
    seen["overdue"] = [len(actions.overdue(connection, NOW + each, 5)) for each in (59, 60)]
    wanted = {"kinds": ("proof-replayed",), "severities": ("high",), "catalogs": [MINE], "limit": 5, "past": 0}
    narrowed = ({"devices": (2, 2)}, {"devices": (3, None)}, {"devices": (0, 1)}, {"catalogs": [UUID(int=9)]})
    seen["narrowed"] = [len(playbooks.unapplied(connection, "own", **(wanted | each))) for each in narrowed]
    waiting = playbooks.unapplied(connection, "own", **wanted)
    seen["unapplied"] = [(each.kind, each.severity, each.devices, each.catalog_id) for each in waiting]
    seen["run"] = [playbooks.note_run(connection, "own", finding.finding_id, at=NOW) for _ in range(2)]
    seen["applied"] = playbooks.unapplied(connection, "own", **wanted)
    playbooks.prune_runs(connection)
    for enabled in (True, False):
        playbooks.set_enabled(connection, MINE, "own", enabled=enabled, at=NOW, actor="anna")
    playbooks.set_enabled(connection, None, "own", enabled=True, at=NOW, actor="anna")
    seen["settings"] = playbooks.settings(connection), playbooks.settings(connection, "none")
    asked = ActionApproval(second_person_above=3, expires_after_s=60, changed_at=NOW, changed_by="anna")
    playbooks.set_approval(connection, MINE, asked)
    seen["approval"] = playbooks.approval(connection, MINE), playbooks.approval(connection, UUID(int=9))
    device_rows.quarantine(connection, ids[0], at=NOW, until=NOW + 5, reason="r")
    seen["over"] = [device_rows.quarantines_over(connection, now=NOW + each, limit=5) for each in (4, 5)]
    found = device_rows.one(connection, ids[0], now=NOW, silent_after_s=60)
    enrolled = device_rows.enrolled(connection, ids[0])
    assert found is not None
    assert enrolled is not None
    seen["quarantined"] = found.health, found.quarantine_reason, enrolled.is_quarantined
    device_rows.end_quarantine(connection, ids[0])
    seen["needed"].append(presence.is_needed(connection))
    return seen | targeted(connection)


def targeted(connection: Connection) -> dict[str, Any]:
    """A roll-out to the devices of an action, under way and completed."""
    rollout_rows.add(connection, update_play.rollout(update_play.APPS))
    made = rollout_rows.uncounted(connection, update_play.APPS)
    assert made is not None
    rollout_rows.change(connection, made.rollout_id, {"action_id": ACTION})
    narrowed = rollout_rows.uncounted(connection, made.rollout_id)
    assert narrowed is not None
    seen: dict[str, Any] = {
        "reach": (reach.devices_in_reach(connection, made), reach.devices_in_reach(connection, narrowed))
    }
    seen["chosen"] = [kept.is_chosen(connection, ACTION, update_play.device_id(number)) for number in (1, 20)]
    seen["numbers"] = len(kept.numbers(connection, ACTION))
    rollout_rows.change(connection, made.rollout_id, {"state": "completed", "created_at": NOW + 100})
    seen["kept"] = {group: [each.rollout_id for each in found] for group, found in kept.by_group(connection).items()}
    seen["stands"] = kept.stands(connection, made.rollout_id)
    assert made.group_id is not None
    seen["of device"] = [kept.of_device(connection, update_play.device_id(number), made.group_id) for number in (1, 20)]
    rollout_rows.change(connection, made.rollout_id, {"created_at": 0})
    seen["no more"] = kept.stands(connection, made.rollout_id), kept.by_group(connection)
    seen["rows"] = connection.execute(select(schema.rollout.c.action_id)).scalars().all().count(ACTION)
    return seen


def answers(connection: Connection) -> dict[str, Any]:
    schema.metadata.create_all(connection)
    update_play.fill(connection)
    return played(connection)


def test_both_engines_say_the_same(server: postgresql.Server, tmp_path: Path) -> None:
    engine = dialect.open_writer(tmp_path / "records.db")
    with engine.begin() as connection:
        embedded = answers(connection)
    engine.dispose()
    assert embedded["needed"] == [False, True]
    assert (embedded["aims"]["ids"][0], embedded["aims"]["others"][0], embedded["aims"]["finding"][0]) == (4, 0, 2)
    assert embedded["lost"] == (4, 0)
    assert embedded["counted"] == [2, 0]
    assert embedded["counted with a roll-back"] == [5, 0]
    assert embedded["narrowed"] == [1, 0, 0, 0]
    assert embedded["run"] == [True, False]
    assert embedded["overdue"] == [0, 1]
    assert embedded["reach"][1] <= 4 < embedded["reach"][0]
    assert (embedded["stands"], embedded["no more"]) == (True, (False, {}))
    engine = create_engine(server.database("response").replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        seen = answers(connection)
    engine.dispose()
    assert {what for what, found in seen.items() if found != embedded[what]} == set()
