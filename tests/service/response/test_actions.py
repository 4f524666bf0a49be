# SPDX-License-Identifier: Apache-2.0
"""Actions on devices: what they are aimed at, a second person, expiry, undo, and steps that are cut."""

from __future__ import annotations

from uuid import uuid4

import pytest
from tests.fixtures.clocks import Clock
from tests.service.response.acted_on import ActedOn

from armillary.errors import ConflictError, DataFolderError, InvalidArgumentError, NotFoundError
from armillary.service.response import performing
from armillary.service.response.approvals import EXPIRES_AFTER_S, SECOND_PERSON_ABOVE


def test_a_preview_says_what_would_be_touched_and_changes_nothing(fleet: ActedOn) -> None:
    ids = fleet.many(12)
    before = len(fleet.service.audit.list(limit=500).items)
    found = fleet.actions.preview(fleet.request("quarantine", device_group="Kettle/Production"))
    assert (found.devices, found.fleet, found.automatic_limit, found.needs_second_person) == (12, 12, 1, False)
    assert found.first == tuple(ids[:10])
    assert found.words == ("all devices of Kettle/Production",)
    assert not found.undo
    assert "cannot" not in found.undo
    assert fleet.actions.preview(fleet.request("revoke", devices=ids[:1])).undo
    assert len(fleet.service.audit.list(limit=500).items) == before
    assert fleet.healths(ids) == ["never"] * 12
    assert not fleet.actions.list().items


def test_an_action_does_what_it_says_and_undoes_it(fleet: ActedOn) -> None:
    ids = fleet.many(5)
    told: list[str] = []
    fleet.service.notices.on_held.append(told.append)
    made = fleet.run("quarantine", devices=ids[:3], reason="odd traffic")
    assert (made.state, made.devices, made.done, made.skipped) == ("done", 3, 3, 0)
    assert fleet.healths(ids) == ["quarantined"] * 3 + ["never"] * 2
    assert told == ids[:3]
    lines = fleet.lines("device.quarantine")
    assert {line.target for line in lines} == set(ids[:3])
    assert {(line.actor, line.detail["action"]) for line in lines} == {("anna", str(made.action_id))}
    assert [line.detail["devices"] for line in fleet.lines("action.ask")] == [3]
    undone = fleet.actions.undo(made.action_id, actor="ben")
    assert (undone.state, undone.undone) == ("undone", 3)
    assert fleet.healths(ids) == ["never"] * 5
    assert {line.actor for line in fleet.lines("device.end-quarantine")} == {"ben"}
    with pytest.raises(ConflictError, match="takes no undo"):
        fleet.actions.undo(made.action_id, actor="ben")


def test_what_is_done_as_a_second_passes_is_undone(fleet: ActedOn, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = fleet.many(3)

    def passing(clock: Clock) -> float:
        clock.now += 1
        return clock.now

    monkeypatch.setattr(Clock, "__call__", passing)
    made = fleet.run("quarantine", devices=ids)
    assert fleet.quarantined(ids) == ids
    fleet.actions.undo(made.action_id, actor="anna")
    assert fleet.quarantined(ids) == []


def test_who_was_released_and_set_apart_again_by_somebody_else_stays_so(fleet: ActedOn, clock: Clock) -> None:
    ids = fleet.many(2)
    made = fleet.run("quarantine", devices=ids)
    fleet.service.registry.lifecycle.release(ids[0], actor="t")
    clock.now += 1
    fleet.service.registry.quarantine.put(ids[0], reason="another", actor="t")
    fleet.actions.undo(made.action_id, actor="anna")
    assert fleet.quarantined(ids) == [ids[0]]


def test_a_quarantine_can_end_by_itself(fleet: ActedOn, clock: Clock) -> None:
    ids = fleet.many(2)
    fleet.run("quarantine", devices=ids, ends_after_s=3600)
    clock.now += 3600
    assert fleet.service.registry.quarantine.end_due() == 2
    assert fleet.quarantined(ids) == []


def test_what_cannot_be_done_with_a_device_is_passed_over_and_said(fleet: ActedOn) -> None:
    ids = fleet.many(3)
    fleet.service.registry.lifecycle.revoke(ids[0], reason="r", actor="t")
    fleet.service.registry.quarantine.put(ids[1], reason="r", actor="t")
    made = fleet.run("quarantine", devices=ids)
    assert (made.done, made.skipped, made.said) == (1, 2, "1 devices, 2 passed over")
    said = {each.device_id: each.said for each in fleet.actions.devices(made.action_id, state="skipped").items}
    assert ("revoked" in said[ids[0]], "already" in said[ids[1]]) == (True, True)


def test_revoking_and_asking_are_done_and_cannot_be_undone(fleet: ActedOn) -> None:
    ids = fleet.many(2)
    asked = fleet.run("re-attest", devices=ids)
    assert asked.done == 2
    assert all(fleet.service.registry.devices.get(each).check_now_at for each in ids)
    made = fleet.run("revoke", devices=ids)
    assert fleet.healths(ids) == ["revoked"] * 2
    for each in (asked, made):
        with pytest.raises(ConflictError, match="cannot be undone"):
            fleet.actions.undo(each.action_id, actor="anna")


def test_beyond_the_limit_a_second_person_is_needed_and_who_asked_is_none(fleet: ActedOn) -> None:
    fleet.service.response.approvals.set("Contoso", second_person_above=3, expires_after_s=3600, actor="anna")
    ids = fleet.many(4)
    made = fleet.run("quarantine", device_group="Kettle/Production")
    assert made.state == "waiting"
    assert fleet.quarantined(ids) == []
    fleet.look()
    assert fleet.quarantined(ids) == []
    for name in ("anna", "ANNA", " anna "):
        with pytest.raises(ConflictError, match="cannot approve"):
            fleet.actions.approve(made.action_id, actor=name)
    later = fleet.many(1, first=1000)
    done = fleet.actions.approve(made.action_id, actor="ben")
    assert (done.state, done.approved_by, done.done) == ("done", "ben", 4)
    assert fleet.quarantined(later) == []  # what was approved is what was shown
    assert {line.actor for line in fleet.lines("device.quarantine")} == {"ben"}
    with pytest.raises(ConflictError, match="takes no approve"):  # sent again
        fleet.actions.approve(made.action_id, actor="ben")
    assert fleet.run("quarantine", devices=later).state == "done"


def test_a_hundred_devices_are_one_persons_and_one_more_is_not(fleet: ActedOn) -> None:
    assert SECOND_PERSON_ABOVE == 100
    ids = fleet.many(101)
    assert fleet.run("re-attest", devices=ids[:100]).state == "done"
    assert fleet.run("re-attest", devices=ids).state == "waiting"


def test_what_nobody_approves_expires_also_before_anything_looks(fleet: ActedOn, clock: Clock) -> None:
    fleet.service.response.approvals.set("Contoso", second_person_above=0, expires_after_s=60, actor="anna")
    ids = fleet.many(1)
    first, second = (fleet.run("quarantine", devices=ids) for _ in range(2))
    clock.now += 60
    with pytest.raises(ConflictError, match="expired takes no approve"):
        fleet.actions.approve(first.action_id, actor="ben")
    assert fleet.actions.get(second.action_id).state == "expired"
    assert fleet.quarantined(ids) == []
    assert EXPIRES_AFTER_S == 86_400


def test_an_action_that_is_cancelled_stops_where_it_is_and_can_be_undone(
    fleet: ActedOn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(performing, "STEP", 2)
    monkeypatch.setattr(performing, "STEPS_AT_ONCE", 1)
    monkeypatch.setattr(performing, "STEPS_A_RUN", 1)
    ids = fleet.many(5)
    made = fleet.run("quarantine", devices=ids)
    assert (made.state, made.done) == ("running", 2)
    stopped = fleet.actions.cancel(made.action_id, actor="ben")
    fleet.look()
    assert (stopped.state, fleet.quarantined(ids)) == ("cancelled", ids[:2])
    assert fleet.actions.undo(made.action_id, actor="anna").state == "undone"
    fleet.look()
    assert fleet.quarantined(ids) == []


def test_a_service_that_is_cut_between_two_steps_goes_on_and_does_nothing_twice(
    fleet: ActedOn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(performing, "STEP", 2)
    ids = fleet.many(7)
    write, left = fleet.service.context.records.write, [100]

    def cut(change: object) -> object:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return write(change)

    request, made = fleet.request("quarantine", devices=ids), None
    for commits in range(12):  # cut at every commit
        monkeypatch.setattr(fleet.service.context.records, "write", cut)
        left[0] = commits
        try:
            made = fleet.actions.run(request, actor="anna") if made is None else made
            fleet.look()
        except KeyboardInterrupt:
            pass
        monkeypatch.setattr(fleet.service.context.records, "write", write)
        living = fleet.actions.list(state="living").items
        made = living[0] if living else made
    fleet.look()
    everything = fleet.actions.list().items
    assert [each.state for each in everything] == ["done"]
    assert everything[0].done == 7
    lines = fleet.lines("device.quarantine")
    assert len(lines) == len({line.target for line in lines}) == 7
    fleet.service.response._is_needed = True
    fleet.service.response.prune()
    assert fleet.service.response._parts.asking.forget_lost() == 0


def test_an_action_that_the_disk_refuses_waits_and_is_done_later(
    fleet: ActedOn, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fleet.many(2)

    def refuse(*_: object) -> None:
        raise DataFolderError("the records: disk I/O error", remedy="Look at the disk.")

    with monkeypatch.context() as broken:
        broken.setattr(performing, "_described", refuse)
        asked = fleet.run("quarantine", devices=ids)
        assert (asked.state, asked.done, fleet.quarantined(ids)) == ("running", 0, [])
    fleet.look()
    assert (fleet.actions.get(asked.action_id).state, fleet.quarantined(ids)) == ("done", ids)


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"kind": "explode", "devices": ["a"]}, "kind"),
        ({"kind": "quarantine"}, "target"),
        ({"kind": "quarantine", "devices": ["a"], "device_group": "Kettle/Production"}, "target"),
        ({"kind": "quarantine", "rollout": str(uuid4())}, "target of quarantine"),
        ({"kind": "quarantine", "devices": []}, "devices"),
        ({"kind": "quarantine", "devices": ["a"] * 1, "ends_after_s": 1}, "ends_after_s"),
        ({"kind": "revoke", "device_group": "Kettle/Production", "ends_after_s": 600}, "ends_after_s"),
        ({"kind": "quarantine", "device_group": "Kettle"}, "device_group"),
        ({"kind": "quarantine", "image": "x"}, "image"),
        ({"kind": "quarantine", "device_group": "Kettle/Production", "reason": " "}, "reason"),
        ({"kind": "quarantine", "device_group": "Kettle/Production", "reason": "a\nb"}, "reason"),
        ({"kind": "quarantine", "device_group": "Kettle/Production", "catalog": None}, "catalog"),
        ({"kind": "raise-floor", "floor": {"chip": "mt3620", "image_type": 1, "minimum": 1}}, "catalog"),
    ],
)
def test_what_is_asked_wrongly_is_one_error(fleet: ActedOn, said: dict[str, object], wrong: str) -> None:
    with pytest.raises(InvalidArgumentError, match=wrong):
        fleet.run(**said)  # type: ignore[arg-type]
    assert not fleet.actions.list().items


def test_what_is_not_there_or_touches_nothing_is_said(fleet: ActedOn) -> None:
    for said in ({"devices": ["e" * 128]}, {"finding": str(uuid4())}, {"image": str(uuid4())}):
        with pytest.raises(NotFoundError):
            fleet.run("quarantine", **said)
    with pytest.raises(NotFoundError):
        fleet.run("halt", rollout=str(uuid4()))
    with pytest.raises(NotFoundError):
        fleet.run("quarantine", advisory="CVE-1")
    with pytest.raises(ConflictError, match="nothing"):
        fleet.run("quarantine", device_group="Kettle/Production")
    with pytest.raises(NotFoundError):
        fleet.actions.get(uuid4())


def test_a_floor_is_raised_for_all_and_never_lowered(fleet: ActedOn) -> None:
    release = next(each for each in fleet.service.releases.list(chip="mt3620") if each.feed == "Retail")
    part = release.components[0]
    floor = {"chip": "mt3620", "image_type": part.image_type, "minimum": part.security_version}
    made = fleet.run("raise-floor", catalog=None, floor=floor)
    assert made.state == "done"
    floors = fleet.service.attestation.floors.list(chip="mt3620")
    assert (part.image_type, part.security_version) in {(each.image_type, each.minimum) for each in floors}
    failed = fleet.run("raise-floor", catalog=None, floor={**floor, "minimum": part.security_version + 5})
    assert (failed.state, f"Retail gives {release.version} to mt3620" in failed.said) == ("failed", True)
    with pytest.raises(ConflictError, match="cannot be undone"):
        fleet.actions.undo(made.action_id, actor="anna")
