# SPDX-License-Identifier: Apache-2.0
"""Playbooks on findings: once for each, wherever the service is cut; within bounds; for whom they are enabled."""

from __future__ import annotations

import contextlib
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures.clocks import Clock
from tests.service.advisories.fleet import osv
from tests.service.response.acted_on import ActedOn

from armillary.engines.records.response import playbooks as playbook_rows
from armillary.errors import DataFolderError, NotFoundError
from armillary.response import budget
from armillary.service.response import playbooks as service_playbooks
from armillary.service.response.asking import Asked, Asking

AUTOMATIC = """\
title: Own
id: own
description: Sets apart whoever fails.
enabled: true
trigger: {finding: [attestation-failed, proof-replayed]}
actions:
  - kind: quarantine
    mode: automatic
    ends_after_s: 3600
"""


def own(fleet: ActedOn, text: str = AUTOMATIC) -> None:
    folder = fleet.service.context.folder.path / "playbooks"
    folder.mkdir(exist_ok=True)
    (folder / "own.yml").write_text(text)


def test_a_shipped_playbook_that_is_disabled_does_nothing_until_it_is_enabled(fleet: ActedOn) -> None:
    (one,) = fleet.many(1)
    found = fleet.finding("proof-replayed", one)
    fleet.look()
    assert fleet.of_finding(found.finding_id) == []
    fleet.service.response.playbooks.enable("proof-replayed", "Contoso", enabled=True, actor="anna")
    fleet.look()
    kinds = {each.kind: each for each in fleet.of_finding(found.finding_id)}
    assert {kind: each.state for kind, each in kinds.items()} == {
        "notify": "done", "re-attest": "done", "quarantine": "proposed",
    }  # fmt: skip
    assert {each.playbook for each in kinds.values()} == {"proof-replayed"}
    assert fleet.service.registry.devices.get(one).check_now_at is not None
    assert fleet.quarantined([one]) == []
    done = fleet.actions.approve(kinds["quarantine"].action_id, actor="anna")
    assert (done.state, fleet.quarantined([one])) == ("done", [one])
    until = fleet.service.registry.devices.get(one).quarantined_until
    assert until == int(fleet.clock()) + 604_800


def test_a_finding_is_acted_on_once_and_another_one_again(fleet: ActedOn) -> None:
    own(fleet)
    (one,) = fleet.many(1)
    first = fleet.finding("proof-replayed", one)
    for _ in range(3):
        fleet.look()
        fleet.finding("proof-replayed", one)  # seen again: the same finding
    assert len(fleet.of_finding(first.finding_id)) == 1
    fleet.service.registry.lifecycle.release(one, actor="t")
    fleet.look()
    assert fleet.quarantined([one]) == []
    fleet.service.watch.close(first.finding_id, actor="t")
    second = fleet.finding("proof-replayed", one)
    fleet.look()
    assert second.finding_id != first.finding_id
    assert len(fleet.actions.list().items) == 2


def test_wherever_the_service_is_cut_each_finding_has_its_actions_once(
    fleet: ActedOn, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(fleet, AUTOMATIC + "  - kind: re-attest\n    mode: propose\n")
    monkeypatch.setattr(budget, "FLEET_SHARE", 1)
    ids = fleet.many(3)
    findings = [fleet.finding("proof-replayed", each) for each in ids]
    records = fleet.service.context.records
    write = records.write
    for commits in range(20):
        left = [commits % 5]

        def cut(change: Any, left: list[int] = left) -> Any:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return write(change)

        monkeypatch.setattr(records, "write", cut)
        with contextlib.suppress(KeyboardInterrupt):
            fleet.look()
        monkeypatch.setattr(records, "write", write)
    fleet.look()
    for finding in findings:
        assert sorted((each.kind, each.state) for each in fleet.of_finding(finding.finding_id)) == [
            ("quarantine", "done"), ("re-attest", "proposed"),
        ]  # fmt: skip
    assert len(fleet.lines("device.quarantine")) == 3


def test_without_the_mark_in_the_same_commit_a_cut_acts_twice(fleet: ActedOn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a playbook whose run is not noted with its actions is applied again after a cut."""
    own(fleet)
    monkeypatch.setattr(playbook_rows, "note_run", lambda *_, **__: True)
    (one,) = fleet.many(1)
    found = fleet.finding("proof-replayed", one)
    fleet.look()
    fleet.look()
    assert len(fleet.of_finding(found.finding_id)) == 2


def test_automatic_actions_stop_at_their_share_of_the_fleet_and_wait_for_a_person(fleet: ActedOn, clock: Clock) -> None:
    own(fleet)
    ids = fleet.many(30)
    found = fleet.finding("attestation-failed", *ids[:4])
    fleet.look()
    (action,) = fleet.of_finding(found.finding_id)
    assert (action.state, action.done, fleet.quarantined(ids)) == ("paused", 1, ids[:1])
    assert "at most 1 of 30 devices a day" in action.said
    other = fleet.finding("proof-replayed", ids[9])  # nor by findings one by one
    fleet.look()
    assert [each.state for each in fleet.of_finding(other.finding_id)] == ["paused"]
    assert fleet.quarantined(ids) == ids[:1]
    done = fleet.actions.approve(action.action_id, actor="anna")
    assert (done.state, fleet.quarantined(ids)) == ("done", ids[:4])
    clock.now += budget.DAY_S - 1
    third = fleet.finding("proof-replayed", ids[10])
    fleet.look()
    assert [each.state for each in fleet.of_finding(third.finding_id)] == ["paused"]
    clock.now += 1
    fourth = fleet.finding("proof-replayed", ids[11])
    fleet.look()
    assert [each.state for each in fleet.of_finding(fourth.finding_id)] == ["done"]


def test_without_the_limit_one_finding_shuts_out_all_that_it_names(
    fleet: ActedOn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above."""
    monkeypatch.setattr(budget, "allowed", lambda *_: 10**6)
    own(fleet)
    ids = fleet.many(30)
    fleet.finding("attestation-failed", *ids)
    fleet.look()
    assert fleet.quarantined(ids) == ids


def test_a_paused_action_of_many_devices_needs_two_persons_and_expires(fleet: ActedOn, clock: Clock) -> None:
    fleet.service.response.approvals.set("Contoso", second_person_above=2, expires_after_s=3600, actor="t")
    own(fleet)
    ids = fleet.many(20)
    found = fleet.finding("attestation-failed", *ids[:10])
    fleet.look()
    (action,) = fleet.of_finding(found.finding_id)
    waiting = fleet.actions.approve(action.action_id, actor="anna")
    assert (waiting.state, waiting.asked_by, len(fleet.quarantined(ids))) == ("waiting", "anna", 1)
    clock.now += 3600
    fleet.look()
    ended = fleet.actions.get(action.action_id)
    assert (ended.state, len(fleet.quarantined(ids))) == ("expired", 1)
    assert fleet.actions.undo(action.action_id, actor="anna").undone == 1
    assert fleet.quarantined(ids) == []


def test_a_catalog_decides_for_itself_and_findings_of_others_touch_nothing_of_it(fleet: ActedOn) -> None:
    own(fleet)
    playbooks = fleet.service.response.playbooks
    playbooks.enable("own", "Fabrikam", enabled=False, actor="ben")
    mine, theirs = fleet.many(2), fleet.many(2, catalog="Fabrikam", first=500)
    fleet.finding("proof-replayed", mine[0])
    fleet.finding("proof-replayed", theirs[0], catalog="Fabrikam")
    # A finding of one catalog that names a device of another: nothing of the other is touched.
    fleet.finding("attestation-failed", theirs[1])
    fleet.finding("proof-replayed", mine[1], catalog=None)
    fleet.look()
    assert fleet.quarantined([*mine, *theirs]) == [mine[0]]
    assert {each.playbook.name: each.is_enabled for each in playbooks.list("Fabrikam")}["own"] is False
    assert {each.playbook.name: each.is_enabled for each in playbooks.list()}["own"] is True
    said = [line.detail for line in fleet.lines("playbook.disable")]
    assert said == [{"catalog": "Fabrikam", "enabled": False}]
    with pytest.raises(NotFoundError, match="playbook"):
        playbooks.enable("none", None, enabled=True, actor="t")


def test_a_file_that_is_wrong_is_said_and_the_others_are_used(fleet: ActedOn) -> None:
    own(fleet)
    folder = fleet.service.context.folder.path / "playbooks"
    (folder / "wrong.yml").write_text("title: x\n")
    playbooks = fleet.service.response.playbooks
    names = {each.playbook.name: each.source for each in playbooks.list()}
    assert (names["own"], names["exploited-vulnerability"]) == ("own.yml", "shipped")
    assert "wrong.yml line 1" in playbooks.fault
    (folder / "wrong.yml").unlink()
    playbooks.list()
    assert playbooks.fault == ""


def test_findings_that_a_playbook_is_not_about_hide_none_that_it_is(
    fleet: ActedOn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_playbooks, "FINDINGS_AT_ONCE", 2)
    monkeypatch.setattr(service_playbooks, "PAGES", 1)
    own(fleet, AUTOMATIC.replace("trigger:", "conditions: {devices: {at_least: 2, at_most: 3}}\ntrigger:"))
    ids = fleet.many(2)
    for number in range(5):
        fleet.finding("proof-replayed", f"{number:0128x}", severity="critical", key=("x", str(number)))
        many = [f"{number:064x}{each:064x}" for each in range(4)]
        fleet.finding("proof-replayed", *many, severity="critical", key=("y", str(number)))
    found = fleet.finding("proof-replayed", *ids, severity="low")
    fleet.look()
    assert len(fleet.of_finding(found.finding_id)) == 1


def test_findings_of_a_catalog_that_does_not_use_a_playbook_keep_nobody_waiting(
    fleet: ActedOn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_playbooks, "FINDINGS_AT_ONCE", 2)
    monkeypatch.setattr(service_playbooks, "PAGES", 1)
    own(fleet)
    fleet.service.response.playbooks.enable("own", "Fabrikam", enabled=False, actor="ben")
    theirs = fleet.many(5, catalog="Fabrikam", first=500)
    for each in theirs:
        fleet.finding("proof-replayed", each, catalog="Fabrikam", severity="critical")
    (mine,) = fleet.many(1)
    fleet.finding("proof-replayed", mine)
    fleet.look()
    assert fleet.quarantined([mine, *theirs]) == [mine]


def test_what_the_disk_refused_once_is_done_by_the_next_run(fleet: ActedOn, monkeypatch: pytest.MonkeyPatch) -> None:
    own(fleet)
    ids = fleet.many(2)
    first, second = (fleet.finding("proof-replayed", each, catalog="Contoso") for each in ids)
    gather, refused = Asking.gather, list[str]()

    def once(asking: Asking, asked: Asked) -> Any:
        if not refused:
            refused.append(asked.request.kind)
            raise DataFolderError("the records: disk I/O error", remedy="Look at the disk.")
        return gather(asking, asked)

    monkeypatch.setattr(Asking, "gather", once)
    fleet.look()
    assert [len(fleet.of_finding(each.finding_id)) for each in (first, second)] == [0, 1]
    fleet.look()
    assert [len(fleet.of_finding(each.finding_id)) for each in (first, second)] == [1, 1]


def test_an_exploited_vulnerability_halts_what_spreads_it_and_proposes_the_fix(fleet: ActedOn, clock: Clock) -> None:
    bad, good = fleet.image("pkg:pypi/django@3.2.10"), fleet.image("pkg:pypi/django@3.2.13")
    fleet.release_bill()
    where = ("Contoso", "Kettle", "Production")
    fleet.service.updates.deployments.create(*where, [bad], actor="t")
    spreads = fleet.service.updates.rollouts.start("Contoso", "Kettle", "Field Test", [bad], actor="t")
    harmless = fleet.service.updates.rollouts.start("Contoso", "Kettle", "Production OS Evaluation", [good], actor="t")
    ids = [fleet.device(bad) for _ in range(3)]
    others = [fleet.device(good) for _ in range(2)]
    fleet.feed(osv("PYSEC-1", aliases=["CVE-2026-0001"]))
    fleet.exploited("CVE-2026-0001")
    fleet.advisories.look()
    (finding,) = fleet.service.watch.list(kind="vulnerability-in-field").items
    assert finding.severity == "critical"
    fleet.look()
    states = {each.kind: each.state for each in fleet.of_finding(finding.finding_id)}
    assert states == {"halt": "done", "notify": "done", "deploy-fix": "proposed"}
    rollouts = fleet.service.updates.rollouts
    assert rollouts.get(spreads.rollout_id).state == "held"
    assert rollouts.get(harmless.rollout_id).state == "running"
    (fix,) = (each for each in fleet.of_finding(finding.finding_id) if each.kind == "deploy-fix")
    assert fix.devices == 3
    done = fleet.actions.approve(fix.action_id, actor="anna")
    assert done.state == "done", done.said
    (made,) = (rollouts.get(rollout_id) for rollout_id in map(UUID, done.effects["rollouts"]))
    assert (made.group, made.action_id, made.counts["waiting"]) == ("Production", fix.action_id, 3)
    offers = fleet.service.updates.offers
    fleet.service.updates.planner.run_once()
    clock.now += 1
    assert len(ids) + len(others) == 5
    assert offers.book.staging[made.group_id].only is not None
