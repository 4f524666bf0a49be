# SPDX-License-Identifier: Apache-2.0
"""The watch: facts become findings once, however often it looks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from tests.fixtures import reports

from armillary.engines.records.notifications import outbox
from armillary.engines.records.queries import reports as report_rows
from armillary.engines.records.schema.rows import Image, UnreadRefusal
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.verifier.device_rates import DeviceRates
from armillary.service.watch import detections, watch as watch_module
from armillary.service.watch.detections import Observation
from armillary.service.watch.watch import Watch
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.error_report import ErrorReport
from armillary.wire.device.update_status import OS, UpdateStatus

SEEN = Observation(
    kind="hub-anomaly", key=("a",), severity="low", title="Odd", cause="c", proposed_action="look", device_ids=("d",)
)


def report(device: WireDevice, sequence: int, event_type: str, description: str, **changes: Any) -> ErrorReport:
    told = {"sequence": sequence, "event_type": event_type, "description": description}
    return reports.crash(boot_count=device.prover.boot_count, start=1, end=2, **told, **changes)


def offered(host: ServiceHost, device: WireDevice, data: bytes) -> Image:
    """An image that the device was offered: only then is it believed about it."""
    image = host.service.updates.images.upload("Contoso", data, actor="t")
    host.service.updates.deployments.create("Contoso", "Kettle", "Production", [image.image_id], actor="t")
    assert device.check_in().offer is not None
    return image


def test_equal_observations_are_one_finding_until_it_is_closed(host: ServiceHost) -> None:
    watch = host.service.watch
    first = watch.observe(SEEN)
    again = watch.observe(replace(SEEN, device_ids=("e",), severity="high", count=3))
    assert again.finding_id == first.finding_id
    assert (again.count, again.device_count, again.severity, again.device_ids) == (4, 2, "high", ("d", "e"))
    assert watch.observe(SEEN).severity == "high"  # it never falls
    other = watch.observe(replace(SEEN, key=("b",)))
    assert other.finding_id != first.finding_id
    watch.acknowledge(first.finding_id, actor="t")
    assert watch.observe(SEEN).status == "acknowledged"
    watch.close(first.finding_id, actor="t")
    new = watch.observe(SEEN)
    assert new.finding_id != first.finding_id
    assert (new.status, new.count) == ("open", 1)
    with pytest.raises(ConflictError):
        watch.close(first.finding_id, actor="t")
    with pytest.raises(NotFoundError):
        watch.get(uuid4())
    with pytest.raises(InvalidArgumentError):
        watch.observe(replace(SEEN, kind="made-up"))
    assert {f.finding_id for f in watch.list(status="living").items} == {new.finding_id, other.finding_id}
    assert [f.finding_id for f in watch.list(device_id="e").items] == [first.finding_id]
    with pytest.raises(InvalidArgumentError):
        watch.list(severity="terrible")


def test_a_finding_is_told_once_when_it_opens_and_once_when_it_is_graver(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(outbox, "enqueue", lambda _, event, __: told.append((event.kind, event.severity)))
    for severity in ("low", "low", "high", "medium", "high"):
        host.service.watch.observe(replace(SEEN, severity=severity))
    assert told == [("finding.opened", "low"), ("finding.graver", "high")]


def test_reports_are_stored_and_counted_once_however_often_they_come(
    host: ServiceHost, package: Callable[[], bytes]
) -> None:
    with host.claimed(b"a" * 32) as device:
        image_id = offered(host, device, package()).image_id
        crash = report(device, 1, "AppCrash", "AppCrash (exit_status=11)", count=2, image_id=image_id)
        blocked = report(device, 2, "ConnectionBlocked", "evil.example:443", image_id=image_id)
        planned = report(device, 3, "AppUpdate", "installed", event_category="Planned")
        for _ in range(3):  # the reply was lost, so the device tells it again
            device.check_in(error_reports=(crash, blocked, planned))
            host.service.watch.run_once()
        stored = host.service.registry.history.error_reports(device_id=device.device_id).items
        assert sorted(row.sequence for row in stored) == [1, 2, 3]
        assert host.service.registry.history.error_reports(catalog="Contoso", event_type="AppCrash").items[0].count == 2
        findings = {f.kind: f for f in host.service.watch.list().items}
        assert set(findings) == {"application-crashed", "connection-blocked"}
        assert (findings["application-crashed"].count, findings["application-crashed"].severity) == (2, "low")
        assert findings["connection-blocked"].device_ids == (device.device_id,)
        more = replace(crash, sequence=4, count=1)
        device.check_in(error_reports=(more,))
        host.service.watch.run_once()
        assert host.service.watch.list(kind="application-crashed").items[0].severity == "high"


def test_a_port_that_is_not_declared_is_a_finding(host: ServiceHost, package: Callable[[], bytes]) -> None:
    """Of the image where it was offered to the device, and else of the device alone: nobody makes others look bad."""
    with host.claimed(b"a" * 32) as device:
        image_id = offered(host, device, package()).image_id
        device.check_in(
            error_reports=(
                report(device, 1, "ListenerBlocked", "tcp port 4444 at ::", count=7, image_id=image_id),
                report(device, 2, "ListenerBlocked", "tcp port 4444 at ::"),
            )
        )
        host.service.watch.run_once()
        forged, found = host.service.watch.list(kind="listener-blocked").items
        assert (found.count, found.severity, found.image_id) == (7, "medium", image_id)
        assert found.device_ids == (device.device_id,)
        assert (forged.severity, forged.image_id) == ("low", None)


def test_looks_at_the_same_time_count_nothing_twice(host: ServiceHost) -> None:
    watch, other = host.service.watch, Watch(host.service.context)  # one more in another thread, one in another process
    with host.claimed(b"l" * 32) as device:
        for sequence in range(1, 6):
            device.check_in(error_reports=(report(device, sequence, "ConnectionBlocked", "evil.example:443"),))
            with ThreadPoolExecutor(3) as threads:
                list(threads.map(Watch.run_once, (watch, watch, other)))
    assert sum(found.count for found in watch.list(kind="connection-blocked").items) == 5


def test_what_another_process_looked_at_meanwhile_is_left_to_it(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, other = host.service.watch, Watch(host.service.context)
    genuine = watch._of_report

    def interrupted(*arguments: Any) -> Any:
        other.run_once()
        return genuine(*arguments)

    with host.claimed(b"i" * 32) as device:
        device.check_in(error_reports=(report(device, 1, "ConnectionBlocked", "evil.example:443"),))
        monkeypatch.setattr(watch, "_of_report", interrupted)
        watch.run_once()
    assert [found.count for found in watch.list(kind="connection-blocked").items] == [1]


def test_what_is_counted_up_after_the_watch_has_looked_is_counted_once(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refusals of a minute are one row: those that come after a look, or in the middle of one, are in the finding."""
    watch, other, write = host.service.watch, Watch(host.service.context), host.service.context.records.write

    def refused(count: int) -> None:
        told = {"device_id": "d" * 128, "code": "wire.signature", "message": "m", "at": 90_000}
        write(lambda c: report_rows.refused(c, count=count, **told))

    def counted() -> list[int]:
        return [found.count for found in watch.list(kind="proof-invalid").items]

    for number, looks in enumerate((1, 2, 0, 1), start=1):
        refused(number)
        for _ in range(looks):
            watch.run_once()
    assert counted() == [10]
    genuine = watch._of_refusal

    def interrupted(*arguments: Any) -> Any:
        monkeypatch.undo()
        refused(100)
        return genuine(*arguments)

    refused(1)
    monkeypatch.setattr(watch, "_of_refusal", interrupted)
    watch.run_once()
    assert counted() == [11], "what came in the middle is the next look's"
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(Watch.run_once, (watch, other, other)))
    assert counted() == [111]
    assert watch.run_once() == 0


def test_a_reverted_update_is_a_finding_with_its_deployment(host: ServiceHost, package: Callable[[], bytes]) -> None:
    with host.claimed(b"b" * 32) as device:
        image = offered(host, device, package())
        deployment = host.service.updates.deployments.current("Contoso", "Kettle", "Production")
        assert deployment is not None
        outcome = reports.reverted(image, offer_id=deployment.deployment_id, at=5)
        for _ in range(2):
            device.check_in(outcomes=(outcome,))
            host.service.watch.run_once()
        (finding,) = host.service.watch.list(kind="install-reverted").items
        assert (finding.deployment_id, finding.count, finding.severity) == (outcome.offer_id, 1, "medium")
        assert "it crashed" in finding.cause
        assert finding.title.endswith(" was reverted by devices")
        assert not finding.title.startswith("Image "), "by its name, not by its id"
        assert len(host.service.registry.history.outcomes(deployment_id=outcome.offer_id).items) == 1


def test_a_reverted_operating_system_is_one_finding_with_its_version(host: ServiceHost) -> None:
    service = host.service
    with host.claimed(b"o" * 32) as device, host.claimed(b"p" * 32) as other:
        other.check_in()  # it is offered nothing
        device.update_status = UpdateStatus(abilities=(OS,))
        release = service.releases.publish("mt3620", "27.1", actor="t")
        offer = device.check_in().offer
        assert offer is not None
        parts = [
            reports.reverted(each, offer_id=offer.offer_id, reason="it did not start") for each in release.components
        ]
        for each in (device, other):
            each.check_in(outcomes=tuple(parts[:2]))
            service.watch.run_once()
        about_release, about_device = sorted(
            service.watch.list(kind="install-reverted").items, key=lambda each: each.title.startswith("Device")
        )
        assert about_release.title == "OS 27.1 was reverted by devices"
        assert (about_release.device_ids, about_release.severity) == ((device.device_id,), "medium")
        assert (about_release.deployment_id, about_release.image_id) == (None, None)
        assert "it did not start" in about_release.cause
        assert about_device.title.startswith(f"Device {other.device_id[:16]} reports on an update that it was not")


def test_what_was_updated_is_called_by_the_release_that_was_offered(
    host: ServiceHost, package: Callable[[], bytes]
) -> None:
    service = host.service
    history = service.registry.history
    with host.claimed(b"q" * 32) as device:
        image = offered(host, device, package())
        older = service.releases.publish("mt3620", "27.1", actor="t")
        unknown = reports.reverted()
        device.check_in(outcomes=(reports.reverted(image), reports.reverted(older.components[0]), unknown))
        found = history.outcomes(device_id=device.device_id).items
        named = dict(zip((each.image_id for each in found), history.names_of(found, catalog="Contoso"), strict=True))
        assert named == {image.image_id: "tap", older.components[0].image_id: "OS 27.1", unknown.image_id: ""}
        unseen = dict(zip(named, history.names_of(found, catalog=None), strict=True))
        assert unseen == {**named, image.image_id: ""}, "who sees no images is told none of their names"


def test_one_device_opens_so_many_findings_and_the_rest_is_counted(host: ServiceHost, clock: Any) -> None:
    """Also of findings that were closed meanwhile; another device, and what the service sees itself, count apart."""
    watch, most, told = host.service.watch, watch_module.MAX_FINDINGS_OF_DEVICE, 0

    def blocked(device: str, number: int) -> Observation:
        return replace(
            SEEN, kind="connection-blocked", key=(str(number),), device_ids=(device,), reported_by=device, at=0
        )

    for number in range(most + 9):
        watch.observe(blocked("loud", number))
        watch.observe(blocked("loud", number))
        told += 2
    found = {one.kind: one for one in watch.list(status="living", limit=100).items}
    assert len(watch.list(status="living", limit=100).items) == most + 1
    assert (found["reports-suppressed"].count, found["reports-suppressed"].device_ids) == (18, ("loud",))
    assert sum(one.count for one in watch.list(limit=100).items) == told, "nothing is lost uncounted"
    for one in watch.list(kind="connection-blocked", limit=100).items:
        watch.close(one.finding_id, actor="t")
    clock.now += watch_module.DAY_S - 1
    assert watch.observe(blocked("loud", 999)).kind == "reports-suppressed"
    assert watch.observe(blocked("quiet", 0)).kind == "connection-blocked"
    assert watch.observe(replace(SEEN, device_ids=("loud",))).kind == SEEN.kind
    clock.now += 2
    assert watch.observe(blocked("loud", 999)).kind == "connection-blocked"


def test_silence_is_noticed_once(host: ServiceHost, clock: Any) -> None:
    with host.claimed(b"c" * 32) as device:
        device.check_in()
        host.service.watch.run_once()
        assert host.service.watch.list().items == ()
        clock.now += host.service.context.silent_after_s + 1
        for _ in range(3):
            host.service.watch.run_once()
        (finding,) = host.service.watch.list(kind="device-silent").items
        assert (finding.count, finding.device_ids) == (1, (device.device_id,))
        assert host.service.registry.devices.get(device.device_id).health == "silent"
        device.challenge = b""
        device.check_in()
        assert host.service.registry.devices.get(device.device_id).health == "attested"


def test_without_the_look_for_silence_nobody_hears_of_dropped_requests(
    host: ServiceHost, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control of the row in docs/reference/attacks.md."""
    monkeypatch.setattr(watch_module.Watch, "_look_for_silence", lambda _: 0)
    with host.claimed(b"c" * 32) as device:
        device.check_in()
        clock.now += host.service.context.silent_after_s + 1
        host.service.watch.run_once()
    assert host.service.watch.list().items == ()


def test_where_the_watch_has_looked_survives_a_restart(host: ServiceHost) -> None:
    with host.claimed(b"d" * 32) as device:
        device.check_in(error_reports=(report(device, 1, "AppCrash", "x"),))
    host.service.watch.run_once()
    fresh = type(host.service.watch)(host.service.context)
    assert fresh.run_once() == 0
    assert host.service.watch.list().items[0].count == 1


def test_ordinary_refusals_are_no_findings() -> None:
    def kind_of(code: str) -> str | None:
        refusal = UnreadRefusal(number=1, device_id="d" * 128, code=code, message="m", at=1, count=2, total=2)
        found = detections.of_refusal(refusal, None)
        return None if found is None else found.kind

    assert kind_of("device.challenge") is None
    assert kind_of("device.unclaimed") is None
    assert [kind_of(code) for code in ("device.challenge.replayed", "device.unknown", "device.revoked", "wire.signature")] == [
        "proof-replayed", "device-unknown", "revoked-device-active", "proof-invalid",
    ]  # fmt: skip


def test_error_reports_that_never_arrived_are_a_finding(host: ServiceHost) -> None:
    with host.claimed(b"a" * 32) as device:
        device.check_in(error_reports=(report(device, 7, "AppUpdate", "x", event_category="Planned"),))
        host.service.watch.run_once()
        assert host.service.watch.list().items == (), "reports from before are not kept for ever"
        for sequence in (8, 11, 12):
            device.check_in(error_reports=(report(device, sequence, "AppUpdate", "x", event_category="Planned"),))
            host.service.watch.run_once()
        (found,) = host.service.watch.list().items
        assert (found.kind, found.count, found.device_ids) == ("reports-missing", 2, (device.device_id,))
        assert "reports 9 to 10 are missing" in found.cause


def test_reports_that_were_only_counted_are_not_missing(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    with host.claimed(b"a" * 32) as device:
        told = [report(device, number, "AppUpdate", "x", event_category="Planned") for number in range(1, 6)]
        device.check_in(error_reports=(told[0],))
        monkeypatch.setattr(DeviceRates, "reports_left", lambda *_: 0)
        device.check_in(error_reports=tuple(told[1:4]))
        monkeypatch.undo()
        device.check_in(error_reports=(told[4],))
        host.service.watch.run_once()
        assert [one.kind for one in host.service.watch.list().items] == ["reports-suppressed"]
