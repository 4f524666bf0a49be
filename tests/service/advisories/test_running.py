# SPDX-License-Identifier: Apache-2.0
"""Who runs what: kept true to what devices said, whoever wrote it; sums equal the devices that are there."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import delete, select, text
from tests.service.advisories.fleet import HOUR_S, AdvisoryFleet, osv

from armillary.engines.records.advisories import software as software_rows
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.software_tables import NO_GROUP, NO_SET
from armillary.service.advisories import running
from armillary.service.advisories.running import Running

kept, count, move = schema.device_software, schema.software_count, schema.software_move


def sums(fleet: AdvisoryFleet) -> tuple[dict[tuple[int, UUID], int], dict[tuple[int, UUID], int]]:
    """Devices by set and group: as they are, and as they are counted."""

    def read(connection: object) -> tuple[Counter[tuple[int, UUID]], dict[tuple[int, UUID], int]]:
        rows = connection.execute(select(kept.c.set_id, kept.c.group_id)).all()  # type: ignore[attr-defined]
        counted = connection.execute(select(count).where(count.c.devices != 0)).all()  # type: ignore[attr-defined]
        return Counter((row.set_id, row.group_id) for row in rows), {(r.set_id, r.group_id): r.devices for r in counted}

    there, counted = fleet.service.context.records.read(read)
    return dict(there), counted


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.booleans()), min_size=5, max_size=15))
def test_counts_and_moves_equal_the_devices(fleet: AdvisoryFleet, steps: list[tuple[int, int, bool]]) -> None:
    """Devices check in with other images, are attested or not, and change their group, in any order."""
    images, groups = [uuid4() for _ in range(3)], ("Production", "Field Test")
    devices = [fleet.device(images[0]) for _ in range(4)]
    for number, what, attested in steps:
        fleet.clock.now += 7
        if what < len(images):
            fleet.runs(devices[number], images[what], verdict="attested" if attested else "update-only")
        else:
            group = groups[what - len(images)]
            fleet.service.registry.devices.move("Contoso", devices[number], product="Kettle", group=group, actor="a")
            fleet.advisories.look()
    there, counted = sums(fleet)
    assert there == counted
    balance: Counter[tuple[int, UUID]] = Counter()
    for row in fleet.service.context.records.read(lambda c: c.execute(select(move)).all()):
        balance[row.to_set, row.group_id] += row.devices
        balance[row.from_set, row.group_id] -= row.devices
    assert {key: number for key, number in balance.items() if number and key[0] != NO_SET} == there


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=4, max_size=10))
def test_any_earlier_time_is_answered_as_it_was_then(fleet: AdvisoryFleet, steps: list[tuple[int, int]]) -> None:
    """What each device had, and how many had what, is asked for at the end for every time, and was noted then."""
    fleet.clock.now += -fleet.clock.now % software_rows.SPAN_S  # moves are summed in such steps
    images, noted = [uuid4() for _ in range(3)], []
    begun = int(fleet.clock.now) - 1
    devices = [fleet.device(images[0]) for _ in range(3)]
    read = fleet.service.context.records.read
    numbers = [read(lambda c, one=each: software_rows.number_of(c, one)) for each in devices]

    def held(at: int) -> list[tuple[int, UUID] | None]:
        found = [read(lambda c, one=number: software_rows.held_at(c, one, at)) for number in numbers]
        return [None if one is None else (one.set_id, one.group_id) for one in found]

    def counted(at: int) -> list[tuple[int, UUID, int]]:
        return [tuple(each) for each in read(lambda c: software_rows.pairs_at(c, at))]

    for number, what in steps:
        at = int(fleet.clock.now)
        noted.append((at, held(at), counted(at)))
        fleet.clock.now += software_rows.SPAN_S
        if what < len(images):
            fleet.runs(devices[number], images[what])
        else:
            group = "Field Test" if number else "Production"
            fleet.service.registry.devices.move("Contoso", devices[number], product="Kettle", group=group, actor="a")
            fleet.advisories.look()
    assert [(at, held(at), counted(at)) for at, *_ in noted] == noted
    assert held(begun) == [None, None, None]


def test_what_no_check_in_tells_is_found_by_the_walk(fleet: AdvisoryFleet) -> None:
    """A release that is published after a device booted it changes its status without a check-in."""
    device = fleet.device(uuid4())
    fleet.service.context.records.write(lambda c: c.execute(text("UPDATE device_status SET os_version = 'later'")))
    assert fleet.advisories.running.look() == 0
    fleet.clock.now += HOUR_S
    assert fleet.advisories.running.look() == 1
    assert fleet.advisories.running.look() == 0
    del device


def test_all_devices_of_before_are_taken_in_at_the_start(fleet: AdvisoryFleet, monkeypatch) -> None:
    monkeypatch.setattr(running, "WALK_STEP", 3)
    monkeypatch.setattr(running, "STEP", 2)
    for _ in range(7):
        fleet.device(uuid4())
    everything = "DELETE FROM device_software", "DELETE FROM software_count", "DELETE FROM software_move"
    for statement in everything:
        fleet.service.context.records.write(lambda c, one=statement: c.execute(text(one)))
    again = Running(fleet.service.context)
    assert again.look() == 7
    assert sum(sums(fleet)[1].values()) == 7


def of_before(fleet: AdvisoryFleet) -> None:
    """Forget what devices run, as a data folder has it that never kept it."""
    for table in (kept, count, move, schema.watch_position):
        fleet.service.context.records.write(lambda c, one=table: c.execute(delete(one)))


def test_a_folder_of_before_is_taken_in_a_step_a_look_and_every_answer_says_how_far(fleet, monkeypatch) -> None:
    """A look ends when its time is over, so that a halt waits for no walk; killed in between, it begins again."""
    for name, value in (("WALK_STEP", 3), ("STEP", 2), ("WALK_LOOK_S", 0.0)):
        monkeypatch.setattr(running, name, value)
    image = fleet.image("pkg:pypi/django@3.2.10")
    for _ in range(7):
        fleet.device(image)
    fleet.feed(osv("PYSEC-1"))
    of_before(fleet)
    fleet.advisories.running = again = Running(fleet.service.context)
    seen = []
    while not again.is_whole:
        again.look()
        told = fleet.show("PYSEC-1")["basis"]["taken_in"]
        seen.append((told["compared"], told["whole"], fleet.show("PYSEC-1")["devices"].get("affected", 0)))
        if len(seen) == 2:  # the service was killed
            fleet.advisories.running = again = Running(fleet.service.context)
    assert [whole for _, whole, _ in seen] == [False] * (len(seen) - 1) + [True]
    assert [devices for *_, devices in seen] == sorted(devices for *_, devices in seen)
    assert seen[-1] == (7, True, 7)
    assert seen[0][2] < 7, "nothing would have to be said"
    assert fleet.advisories.answers.devices("PYSEC-1")["basis"]["taken_in"]["whole"]
    assert Running(fleet.service.context).is_whole, "it is asked for once"


def test_a_device_without_an_owner_is_counted_with_none(fleet: AdvisoryFleet) -> None:
    device = fleet.device(uuid4())
    statement = text("UPDATE device SET group_id = NULL, catalog_id = NULL WHERE device_id = :id")
    fleet.service.context.records.write(lambda c: c.execute(statement, {"id": device}))
    fleet.advisories.running.device_changed(device)
    fleet.advisories.look()
    assert {group for _, group in sums(fleet)[1]} == {NO_GROUP}


def test_sets_that_nobody_has_and_moves_that_are_old_are_forgotten(fleet: AdvisoryFleet) -> None:
    device = fleet.device(uuid4())
    fleet.clock.now += running.KEEP_MOVES_S + HOUR_S
    fleet.runs(device, uuid4())
    fleet.advisories.prune()
    sets = fleet.service.context.records.read(lambda c: software_rows.sets_after(c, 0))
    assert len(sets) == 2, "the newest move names both"
    fleet.clock.now += running.KEEP_MOVES_S + HOUR_S
    fleet.advisories.prune()
    assert len(fleet.service.context.records.read(lambda c: software_rows.sets_after(c, 0))) == 1
    assert sums(fleet)[0] == sums(fleet)[1]


def test_closing_a_service_ends_what_is_under_way(fleet: AdvisoryFleet) -> None:
    upload = fleet.advisories.uploads.begin(1000)
    fleet.advisories.uploads.take(upload.upload_id, 0, b"x")
    assert upload.path.exists()
    asyncio.run(asyncio.to_thread(fleet.advisories.close))
    assert not upload.path.exists()
