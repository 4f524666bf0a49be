# SPDX-License-Identifier: Apache-2.0
"""Directives over the wire: signed by the role director, for one device, rising, and only when something is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from tests.fixtures.clocks import Clock
from tests.service.repository.ceremonies import new_key, pem, signatures
from tests.service.updates.test_deployments import HERE, installed

from armillary.engines.records.queries import devices as device_rows
from armillary.errors import ServiceUnreachableError, SignatureError
from armillary.service.endpoint import downloads
from armillary.service.repository.ceremony import KeyChange
from armillary.service.repository.director import Director
from armillary.service.repository.roles import DIRECTIVE_LIFE_S, DIRECTOR, os_path
from armillary.service.repository.status import role_statuses
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.update.directive import accepted
from armillary.wire.device.update_status import MAX_DIRECTIVE_VERSION, UpdateStatus
from armillary.wire.update.directive import Directive, parse_directive

TAKES = UpdateStatus(abilities=("directive",))


@pytest.fixture
def host(tmp_path: Path, clock: Clock) -> Iterator[ServiceHost]:
    with ServiceHost(tmp_path / "data", clock=clock, planner_interval_s=3600.0, check_in_jitter=0.0) as running:
        running.catalog()
        yield running


def director_keys(host: ServiceHost) -> dict[str, Any]:
    repository = host.service.repository
    role = next(one for one in role_statuses(repository.edition(), repository.keys()) if one.role == DIRECTOR)
    return {key.key_id: load_pem_public_key(key.public_key.encode()) for key in role.keys}


def taken(host: ServiceHost, device: WireDevice, data: bytes | None, last: int = 0, *, now: float) -> Directive:
    assert data is not None
    return accepted(
        parse_directive(data),
        director_keys(host),
        device_id=device.device_id,
        hardware="mt3620",
        last_version=last,
        now=int(now),
    )


@pytest.fixture
def offered(host: ServiceHost, package: Callable[..., bytes]) -> Any:
    """An image in force for the group HERE."""
    image = host.service.updates.images.upload("Contoso", package(), actor="t")
    host.service.updates.deployments.create(*HERE, [image.image_id], actor="t")
    return image


def test_a_device_that_takes_directives_is_sent_one_and_never_a_plain_offer(host, clock, offered) -> None:
    with host.claimed(b"d" * 32) as device:
        device.update_status = TAKES
        reply = device.check_in()
        assert (reply.protocol_version, reply.offer) == (2, None)
        directive = taken(host, device, reply.directive, now=clock())
        assert [one.image_id for one in directive.offer.images] == [offered.image_id]
        assert directive.version == 1
        assert device.check_in().directive == reply.directive  # nothing changed: the same one again
        device.update_status = UpdateStatus(abilities=("directive",), directive_version=1)
        device.installed = (installed(offered),)
        reply = device.check_in()
        assert (reply.directive, reply.offer) == (None, None)


def test_what_is_offered_to_a_device_is_in_the_repository_before(host, clock, offered) -> None:
    with host.claimed(b"d" * 32) as device:
        device.update_status = TAKES
        image = taken(host, device, device.check_in().directive, now=clock()).offer.images[0]
        catalog = host.service.registry.catalogs.get("Contoso").catalog_id
        path = f"targets/catalogs/{catalog}/{image.sha256.hex()}.{image.image_id}"
        answer = device.exchange("GET", f"/v1/repository/{path}")
        assert (answer.status, len(answer.body)) == (200, image.size)


def test_a_release_is_in_the_repository_before_any_device_hears_of_it(host, monkeypatch) -> None:
    service = host.service
    with host.claimed(b"d" * 32) as device:
        device.update_status = UpdateStatus(abilities=("directive", "os"))
        assert device.check_in().directive is None
        # The loops, which publish a moment later, do not run in this test: the call itself has published.
        release = service.releases.publish("mt3620", "27.1", actor="t")
        directive = device.check_in().directive
        assert directive is not None
        assert parse_directive(directive).claims.offer.os_version == "27.1"
        path = os_path("mt3620", "27.1", release.components[0].name)
        assert service.repository.files.artifact(path, release.components[0].digest.hex()).is_file()
        draft = service.attestation.drafts.create("mt3620", "27.2", feed="Retail", actor="t")
        # The control: where it cannot be published (a full disk) nobody is offered it, and devices are not told to.
        monkeypatch.setattr(service.repository, "follow", lambda: None)
        service.attestation.drafts.publish(draft.release_id, actor="t")
        assert device.check_in().directive is None
        assert service.updates.standings.of(device.device_id).code == "check-in-due"
        service.repository.publish()
        directive = device.check_in().directive
        assert directive is not None
        assert parse_directive(directive).claims.offer.os_version == "27.2"


def test_a_release_that_waits_for_an_offline_signature_is_offered_once_it_has_it(host) -> None:
    service, key = host.service, new_key()
    with host.claimed(b"d" * 32) as device:
        device.update_status = UpdateStatus(abilities=("directive", "os"))
        change = KeyChange(role="os", public_keys=(pem(key),), threshold=1)
        assert not service.ceremony.propose([change], actor="t")
        assert service.ceremony.submit(signatures(service.ceremony, [key]), actor="t")
        service.releases.publish("mt3620", "27.1", actor="t")
        assert device.check_in().directive is None
        assert service.ceremony.submit(signatures(service.ceremony, [key]), actor="t")
        assert device.check_in().directive is not None


def test_a_device_is_shown_nothing_of_another_catalogs_images(host, clock, offered, monkeypatch) -> None:
    host.catalog("Fabrikam")
    catalog = host.service.registry.catalogs.get("Contoso").catalog_id
    files = host.service.repository.files
    with host.claimed(b"d" * 32) as owner, host.claimed(b"e" * 32, catalog="Fabrikam") as other:
        owner.update_status = TAKES
        image = taken(host, owner, owner.check_in().directive, now=clock()).offer.images[0]
        paths = [
            f"targets/catalogs/{catalog}/{image.sha256.hex()}.{image.image_id}",
            f"metadata/{max(files.versions(f'catalog-{catalog}'))}.catalog-{catalog}.json",
        ]

        def statuses(device: WireDevice) -> list[int]:
            return [device.exchange("GET", f"/v1/repository/{path}").status for path in paths]

        assert (statuses(owner), statuses(other)) == ([200, 200], [404, 404])
        # The control: without the check it has all.
        monkeypatch.setattr(downloads, "is_for", lambda *_: True)
        assert statuses(other) == [200, 200]


def test_other_devices_are_answered_as_before(host, offered) -> None:
    with host.claimed(b"o" * 32) as device:
        reply = device.check_in()
        assert (reply.protocol_version, reply.directive) == (1, None)
        assert reply.offer is not None
        device.update_status = UpdateStatus(abilities=("os",))
        reply = device.check_in()
        assert (reply.protocol_version, reply.directive) == (2, None)
        assert reply.offer is not None


def test_a_device_that_takes_no_os_is_offered_none(host, offered) -> None:
    with host.claimed(b"o" * 32) as device:
        host.service.releases.publish("mt3620", "27.1", actor="t")
        offer = device.check_in().offer
        assert offer is not None
        assert (offer.os_version, len(offer.images)) == ("", 1)
        for abilities, version in ((("directive",), ""), (("directive", "os"), "27.1")):
            device.update_status = UpdateStatus(abilities=abilities)
            directive = device.check_in().directive
            assert directive is not None
            assert parse_directive(directive).claims.offer.os_version == version


def test_a_directive_of_another_device_is_no_directive_for_this_one(host, clock, offered) -> None:
    with host.claimed(b"1" * 32) as one, host.claimed(b"2" * 32) as two:
        one.update_status = two.update_status = TAKES
        data = one.check_in().directive
        assert taken(host, one, data, now=clock())
        with pytest.raises(Exception, match="expected device"):
            taken(host, two, data, now=clock())


def test_versions_rise_with_every_change_after_a_restart_and_after_a_restore(
    host: ServiceHost, clock: Clock, offered: Any, package: Callable[..., bytes]
) -> None:
    updates = host.service.updates
    with host.claimed(b"v" * 32) as device:
        device.update_status = TAKES
        first = taken(host, device, device.check_in().directive, now=clock())
        other = updates.images.upload("Contoso", package(), actor="t")
        updates.deployments.create(*HERE, [other.image_id], actor="t")
        second = taken(host, device, device.check_in().directive, first.version, now=clock())
        assert second.version == first.version + 1
        number = host.service.serving.server.states.admitted(device.device_id).number  # type: ignore[union-attr]
        assert host.service.context.records.read(lambda c: device_rows.directive_version(c, number)) == second.version
        # A verifier that has forgotten everything, as after a restart, and records that were set back.
        director = Director(host.service.context.records, host.service.authority.keys, host.service.repository.files)
        again = director.issue(
            None,
            second.offer,
            device_number=number,
            device_id=device.device_id,
            catalog_id=host.service.registry.catalogs.get("Contoso").catalog_id,
            hardware="mt3620",
            reported=40,
            now=int(clock()),
        )
        assert again is not None
        assert again.version == 41


def test_a_version_is_above_the_one_that_the_device_says_it_has_taken(host, clock, offered) -> None:
    """Of another worker, or of a service whose records were set back: what waits is made anew, too."""
    with host.claimed(b"v" * 32) as device:
        device.update_status = TAKES
        assert taken(host, device, device.check_in().directive, now=clock()).version == 1
        device.update_status = UpdateStatus(abilities=("directive",), directive_version=7)
        assert taken(host, device, device.check_in().directive, 7, now=clock()).version == 8


def test_what_waits_is_signed_anew_once_the_directors_key_was_replaced(host, clock, offered) -> None:
    with host.claimed(b"k" * 32) as device:
        device.update_status = TAKES
        first = device.check_in().directive
        assert taken(host, device, first, now=clock()).version == 1
        assert host.service.ceremony.propose([KeyChange(role=DIRECTOR, online=1)], actor="t")
        with pytest.raises(SignatureError):  # no device takes the one of before
            taken(host, device, first, now=clock())
        assert taken(host, device, device.check_in().directive, 1, now=clock()).version == 2


def test_a_directive_is_made_anew_before_it_ends(host, clock, offered) -> None:
    with host.claimed(b"e" * 32) as device:
        device.update_status = TAKES
        first = taken(host, device, device.check_in().directive, now=clock())
        assert first.expires_at - first.issued_at == DIRECTIVE_LIFE_S
        clock.now += 5 * 86_400
        host.service.repository.follow()
        device.challenge = b""
        second = taken(host, device, device.check_in().directive, first.version, now=clock())
        assert second.version == first.version + 1
        assert second.expires_at - clock() == DIRECTIVE_LIFE_S


def test_in_steady_state_nothing_is_signed_read_or_written(host, clock, offered, monkeypatch) -> None:
    with host.claimed(b"s" * 32) as device:
        device.update_status = UpdateStatus(abilities=("directive",), directive_version=1)
        device.installed = (installed(offered),)
        device.check_in()

        def fail(*_: object, **__: object) -> None:
            raise AssertionError("the director was asked")

        monkeypatch.setattr(Director, "issue", fail)
        for _ in range(3):
            assert device.check_in().directive is None
        device.installed = ()
        with pytest.raises(ServiceUnreachableError):  # positive control: it is asked when something is due
            device.check_in()


def test_a_version_that_no_service_gave_is_refused(host, offered) -> None:
    with host.claimed(b"w" * 32) as device:
        device.update_status = UpdateStatus(abilities=("directive",), directive_version=MAX_DIRECTIVE_VERSION)
        with pytest.raises(ServiceUnreachableError):
            device.check_in()


def test_files_of_the_repository_are_served_to_admitted_devices_with_ranges(host, offered) -> None:
    files = host.service.repository.files
    whole = (files.folder / "metadata" / "1.root.json").read_bytes()
    with host.claimed(b"r" * 32) as device:
        answer = device.exchange("GET", "/v1/repository/metadata/1.root.json")
        assert (answer.status, answer.body, answer.headers["accept-ranges"]) == (200, whole, "bytes")
        assert device.factory.repository_root == whole
        answer = device.exchange("GET", "/v1/repository/metadata/1.root.json", headers={"range": "bytes=10-"})
        assert (answer.status, answer.body) == (206, whole[10:])
        assert answer.headers["content-range"] == f"bytes 10-{len(whole) - 1}/{len(whole)}"
        for path in (
            "metadata/2.root.json",
            "../keys/root.pem",
            "pending/root.json",
            "",
            "metadata/",
            "%2e%2e/records.db",
        ):
            assert device.exchange("GET", f"/v1/repository/{path}").status == 404
        assert device.exchange("POST", "/v1/repository/metadata/1.root.json").status == 405
    with host.device(b"u" * 32) as unclaimed:
        assert unclaimed.exchange("GET", "/v1/repository/metadata/1.root.json").status == 403
