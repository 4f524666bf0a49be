# SPDX-License-Identifier: Apache-2.0
"""Whoever would turn actions against a fleet: forged reports, one person in two names, floods that hide a halt.

Each with its control: the check is taken out, and the attack works.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self
from uuid import UUID, uuid4

import pytest
from tests.api.running_service import RunningService
from tests.fixtures import images, reports
from tests.fixtures.looks import nobody_wakes

from armillary.errors import ConflictError, NotFoundError, WireError
from armillary.response import playbook as playbook_rules
from armillary.rollout.policy import RolloutPolicy
from armillary.service.assemble import SecurityService
from armillary.service.response import actions as service_actions
from armillary.service.response.aims import ActionRequest
from armillary.service.watch.watch import STEP
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.error_report import ErrorReport

PLAYBOOK = """\
title: Own
id: own
description: Sets apart whoever is found.
enabled: true
trigger: {finding: [%s]}
actions:
  - kind: quarantine
    mode: automatic
"""
SEEN = "attestation-failed, proof-replayed, proof-invalid, identity-forked, revoked-device-active"


def use(service: SecurityService, kinds: str) -> None:
    folder = service.context.folder.path / "playbooks"
    folder.mkdir(exist_ok=True)
    (folder / "own.yml").write_text(PLAYBOOK % kinds)


def look(service: SecurityService) -> None:
    service.watch.run_once()
    service.response.run_once()


def quarantined(service: SecurityService, *devices: WireDevice) -> list[bool]:
    return [service.registry.devices.get(each.device_id).quarantined_at is not None for each in devices]


def asked(kind: str, reason: str = "r", **target: object) -> ActionRequest:
    return ActionRequest(kind=kind, catalog="Contoso", target=target, reason=reason)


def told(device: WireDevice, sequence: int, event_type: str, description: str, **more: Any) -> ErrorReport:
    said = {"sequence": sequence, "event_type": event_type, "description": description, **more}
    return reports.crash(boot_count=device.prover.boot_count, start=1, end=2, **said)


# A device that would have others shut out ----------------------------------------------------------------------------


def forge(host: ServiceHost, attacker: WireDevice, victim: WireDevice) -> None:
    """Everything that a device with a genuine identity can say and send of another one."""
    proof = victim.request_body()
    attacker.exchange("POST", "/v1/check-in", proof)  # the victim's proof, on the attacker's connection
    attacker.challenge = b""
    image = host.service.updates.images.upload("Contoso", images.package(images.manifest()), actor="t")
    for number, kind in enumerate(("AppCrash", "BootFailure", "ConnectionBlocked", "SandboxWeakened"), 1):
        said = told(attacker, number, kind, f"device {victim.device_id} failed", image_id=image.image_id, count=50)
        attacker.check_in(error_reports=(said,))


def test_nothing_that_a_device_sends_shuts_out_another(host: ServiceHost) -> None:
    use(host.service, SEEN)
    with host.claimed(b"a" * 32) as attacker, host.claimed(b"v" * 32) as victim:
        for device in (attacker, victim):
            assert device.check_in().purpose == "client"
        forge(host, attacker, victim)
        look(host.service)
        assert quarantined(host.service, attacker, victim) == [True, False]  # it showed itself
        assert victim.check_in().purpose == "client"
        assert attacker.check_in().purpose == "update"


def test_a_playbook_that_would_act_on_reports_is_no_playbook(host: ServiceHost) -> None:
    for kind in ("device-silent", "application-crashed", "reports-missing", "behaviour-unusual"):
        with pytest.raises(WireError, match="rests on what devices say"):
            host.service.response.playbooks.check(PLAYBOOK % kind)


def test_without_that_check_who_jams_a_network_has_its_devices_shut_out(
    host: ServiceHost, clock: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: silence is brought about from outside; a playbook that trusted it would be the attacker's."""
    monkeypatch.setattr(playbook_rules, "SEEN_BY_SERVICE", frozenset({"device-silent"}))
    use(host.service, "device-silent")
    with host.claimed(b"v" * 32) as victim:
        victim.check_in()
        clock["offset"] += 400_000
        host.service.watch.open_since = 0
        look(host.service)
        assert quarantined(host.service, victim) == [True]


# One person in two names ---------------------------------------------------------------------------------------------


@pytest.fixture
def named(service: RunningService) -> Callable[..., str]:
    """Makes tokens of people; the secret."""

    def make(name: str, *, by: str = "first-start", catalog: str | None = None) -> str:
        return service.service.tokens.create(name, "Contributor", actor=by, catalog=catalog).secret

    return make


def waiting(service: RunningService, catalog: str, secret: str) -> str:
    """An action of somebody that waits for a second person; its id."""
    service.service.response.approvals.set(catalog, second_person_above=0, expires_after_s=3600, actor="t")
    device = service.claimed(catalog)
    body = {"kind": "re-attest", "target": {"devices": [device.device_id]}, "reason": "r"}
    made = service.call("POST", f"/api/v1/actions?catalog={catalog}", body, token=secret)
    assert (made.status, made.body["state"]) == (201, "waiting"), made.raw
    return str(made.body["action_id"])


def test_nobody_approves_himself_through_a_second_token(service: RunningService, named: Callable[..., str]) -> None:
    word = uuid4().hex[:8]
    catalog = service.make_catalog(f"two-{word}", product="Coffee")
    anna, ben = named(f"anna-{word}"), named(f"ben-{word}")
    own = named(f"other-{word}", by=f"anna-{word}")
    same = named(f"ANNA-{word}", catalog=service.make_catalog(f"three-{word}", product="Coffee"), by="x")
    action = waiting(service, catalog, anna)
    approve = f"/api/v1/actions/{action}/approve?catalog={catalog}"
    for secret in (anna, own):
        refused = service.call("POST", approve, token=secret)
        assert refused.status == 409, refused.raw
    assert service.call("POST", approve, token=same).status in (403, 404)  # of another catalog, whatever its name
    # Another owner has tokens of these names, one made by the other: here nothing follows from that.
    named(f"ben-{word}", by=f"anna-{word}", catalog=service.make_catalog(f"four-{word}", product="Coffee"))
    approved = service.call("POST", approve, token=ben)
    assert (approved.status, approved.body["state"], approved.body["approved_by"]) == (200, "done", f"ben-{word}")
    again = service.call("POST", approve, token=ben)
    assert (again.status, "takes no approve" in again.body["detail"]) == (409, True)


def test_without_that_check_one_person_is_two(
    service: RunningService, named: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_actions, "check_second_person", lambda *_: None)
    word = uuid4().hex[:8]
    catalog = service.make_catalog(f"one-{word}", product="Coffee")
    anna = named(f"anna-{word}")
    action = waiting(service, catalog, anna)
    approved = service.call("POST", f"/api/v1/actions/{action}/approve?catalog={catalog}", token=anna)
    assert approved.body["state"] == "done"


# Another catalog's devices -------------------------------------------------------------------------------------------


def test_an_action_of_one_catalog_touches_nothing_of_another(host: ServiceHost) -> None:
    host.catalog("Fabrikam", "Pump")
    actions = host.service.response.actions
    with host.claimed(b"m" * 32) as mine, host.claimed(b"t" * 32, catalog="Fabrikam", product="Pump") as theirs:
        with pytest.raises(NotFoundError) as refused:
            actions.run(asked("quarantine", devices=[mine.device_id, theirs.device_id]), actor="anna")
        with pytest.raises(NotFoundError) as unknown:
            actions.run(asked("quarantine", devices=[mine.device_id, "e" * 128]), actor="anna")
        assert str(refused.value).replace(theirs.device_id[:20], "") == str(unknown.value).replace("e" * 20, "")
        assert quarantined(host.service, mine, theirs) == [False, False]
        # Chosen while it was ours, and gone when the second person approves.
        host.service.response.approvals.set("Contoso", second_person_above=0, expires_after_s=3600, actor="t")
        made = actions.run(asked("quarantine", devices=[mine.device_id]), actor="anna")
        offer = host.service.registry.transfers.offer(
            "Contoso", mine.device_id, host.service.registry.catalogs.get("Fabrikam").catalog_id, actor="t"
        )
        host.service.registry.transfers.accept("Fabrikam", offer.transfer_id, actor="t")
        done = actions.approve(made.action_id, actor="ben")
        assert (done.state, done.done, done.skipped) == ("done", 0, 1)
        assert quarantined(host.service, mine) == [False]


# A halt is never blocked ---------------------------------------------------------------------------------------------


class Busy:
    """A service in which everything that can be held is held by somebody else, as in a flood."""

    def __init__(self, service: SecurityService) -> None:
        self._held, self._release = threading.Event(), threading.Event()
        self._service = service
        self._thread = threading.Thread(target=self._hold, daemon=True)

    def _hold(self) -> None:
        with (
            self._service.watch._looking,
            self._service.response._running,
            self._service.response._parts.asking.gathering,
        ):
            self._held.set()
            self._release.wait(60)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._held.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._release.set()
        self._thread.join(60)


def rollout(host: ServiceHost) -> UUID:
    image = host.service.updates.images.upload("Contoso", images.package(images.manifest()), actor="t")
    made = host.service.updates.rollouts.start(
        "Contoso", "Kettle", "Production", [image.image_id], policy=RolloutPolicy(), actor="t"
    )
    return made.rollout_id


def begun(work: Callable[[], object], wait_s: float) -> threading.Thread:
    """A thread that does it, after so long at most: what waits for one of the locks is alive then."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(wait_s)
    return thread


def test_a_halt_waits_for_no_watch_no_playbook_and_no_other_action(host: ServiceHost) -> None:
    actions = host.service.response.actions
    host.claimed(b"d" * 32)  # a rollout to nobody is over when the planner looks
    made = rollout(host)
    with Busy(host.service):
        assert not begun(lambda: actions.run(asked("halt", rollout=str(made)), actor="anna"), 30).is_alive()
        assert host.service.updates.rollouts.get(made).state == "held"


def test_what_gathers_devices_does_wait_there(host: ServiceHost) -> None:
    """The control: the locks are held, and whoever takes one of them waits."""
    actions = host.service.response.actions
    with host.claimed(b"d" * 32) as device:
        request = asked("quarantine", devices=[device.device_id])
        with Busy(host.service):
            thread = begun(lambda: actions.run(request, actor="anna"), 1)
            assert thread.is_alive()
        thread.join(30)
        assert quarantined(host.service, device) == [True]


def test_in_a_flood_of_reports_actions_have_their_turn_between_steps(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much comes in, one run of the watch reads a bounded part of it, and says that there is more."""
    steps: list[int] = []
    watch = host.service.watch
    nobody_wakes(host.service)
    with host.claimed(b"f" * 32) as device:
        for number in range(1, 4):
            device.check_in(error_reports=(told(device, number, "ConnectionBlocked", f"{number}"),))
    monkeypatch.setattr("armillary.service.watch.watch.STEP", 1)
    while True:
        seen = watch.run_once(1)
        steps.append(seen)
        if not watch.is_behind:
            break
        assert len(steps) < 20
    assert len(steps) > 3
    assert STEP == 500


def test_a_halt_is_done_before_other_actions_that_came_first(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("armillary.service.response.performing.STEPS_AT_ONCE", 0)  # recorded, and not done yet
    nobody_wakes(host.service)
    actions = host.service.response.actions
    with host.claimed(b"d" * 32) as device:
        made = rollout(host)
        slow = actions.run(asked("quarantine", devices=[device.device_id]), actor="anna")
        halt = actions.run(asked("halt", rollout=str(made)), actor="anna")
        assert (slow.state, halt.state) == ("running", "running")
        order: list[UUID] = []
        performer = host.service.response._parts.performer
        monkeypatch.setattr(performer, "perform", lambda action_id, _: bool(order.append(action_id)))
        performer.run_once()
        assert order == [halt.action_id, slow.action_id]


def test_an_approval_that_comes_too_late_does_nothing(host: ServiceHost, clock: dict[str, float]) -> None:
    actions = host.service.response.actions
    host.service.response.approvals.set("Contoso", second_person_above=0, expires_after_s=60, actor="t")
    with host.claimed(b"l" * 32) as device:
        made = actions.run(asked("quarantine", devices=[device.device_id]), actor="anna")
        clock["offset"] += 61
        with pytest.raises(ConflictError, match="expired"):
            actions.approve(made.action_id, actor="ben")
        assert quarantined(host.service, device) == [False]


def test_without_the_end_an_old_approval_acts(
    host: ServiceHost, clock: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    actions = host.service.response.actions
    monkeypatch.setattr(actions, "expire_due", lambda: 0)
    host.service.response.approvals.set("Contoso", second_person_above=0, expires_after_s=60, actor="t")
    with host.claimed(b"l" * 32) as device:
        made = actions.run(asked("quarantine", devices=[device.device_id]), actor="anna")
        clock["offset"] += 61
        assert replace(actions.approve(made.action_id, actor="ben"), said="").state == "done"
        assert quarantined(host.service, device) == [True]
