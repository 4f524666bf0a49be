# SPDX-License-Identifier: Apache-2.0
"""Manufacture and OS releases."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection, select, update
from tests.fixtures.clocks import Clock

from armillary import content
from armillary.api.native.service.devices import factory_document
from armillary.engines.records.queries import releases as release_rows
from armillary.engines.records.schema import schema
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.context.blobs import Blobs
from armillary.service.verifier.releases import FIRST_VERSION
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import certificate_request
from armillary.wire.attestation import corim
from armillary.wire.certificates.certificate import parse_identity_certificate
from armillary.wire.device.update_status import OS, UpdateStatus
from armillary.wire.image import package as image_package

SECRET = b"s" * 32


def request(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, *, ca: bool = False) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "another device's name")])
    )
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_a_device_gets_all_it_trusts_and_a_signed_first_os(host: ServiceHost) -> None:
    reply = host.service.factory.enrol(certificate_request(SECRET), "mt3620", "t", trust_tier="simulated")
    leaf = parse_identity_certificate(reply.certificate_chain[0])
    assert leaf.device_id == reply.device_id
    silicon = [x509.load_der_x509_certificate(der) for der in host.service.authority.silicon.certificates()]
    (maker,) = [one for one in silicon if one.subject == leaf.certificate.issuer]
    leaf.certificate.verify_directly_issued_by(maker)
    signers = [x509.load_der_x509_certificate(der) for der in reply.trusted_os_certificates]
    profile = host.service.chips.get("mt3620")
    assert list(reply.boot_packages) == [component.name for component in profile.boot_components]
    for package in reply.boot_packages.values():
        image_package.verify(image_package.parse(package), signers)
    assert reply.os_version == FIRST_VERSION
    assert reply.endpoint == f"https://localhost:{host.service.device_address.port}"
    device = host.service.registry.devices.get(reply.device_id)
    assert (device.chip_sku, device.trust_tier) == ("MT3620AN", "simulated")
    assert (device.manufacturing_state, device.catalog_id) == ("DeviceComplete", None)


def test_a_chip_that_is_newer_than_the_services_data_needs_its_first_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(content, "chip_names", lambda: ("mt3620",))
        with ServiceHost(tmp_path) as host:
            host.service.token_announced()
    with ServiceHost(tmp_path) as host:
        with pytest.raises(NotFoundError, match="no OS release for chip 'gateway-x86-64'") as refused:
            host.service.factory.enrol(certificate_request(SECRET), "gateway-x86-64", "t")
        assert (
            refused.value.remedy == "Publish one: armillary release publish --chip gateway-x86-64 --os-version VERSION."
        )
        host.service.releases.publish("gateway-x86-64", "27.1", actor="t")
        made = host.service.factory.enrol(certificate_request(SECRET), "gateway-x86-64", "t")
        stages = [component.name for component in host.service.chips.get("gateway-x86-64").boot_components]
        assert (made.os_version, list(made.boot_packages)) == ("27.1", stages)
        with pytest.raises(NotFoundError, match="z80"):
            host.service.factory.enrol(certificate_request(SECRET), "z80", "t")


def test_a_device_that_has_its_os_is_made_without_a_look_at_the_payloads(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = host.service.factory.enrol(certificate_request(SECRET), "mt3620", "t")
    read, opened = Blobs.read, list[bytes]()
    monkeypatch.setattr(Blobs, "read", lambda self, digest: (opened.append(digest), read(self, digest))[1])
    for times in (1, 0):  # each package is read once, and for nobody after that
        opened.clear()
        made = host.service.factory.enrol(certificate_request(SECRET), "mt3620", "t", is_flashed=True)
        assert len(opened) == times * len(whole.boot_packages)
        assert (made.os_version, made.boot_packages) == (whole.os_version, {})
        assert list(made.boot_ends) == list(whole.boot_packages)
        for name, end in made.boot_ends.items():
            package = whole.boot_packages[name]
            assert (end.payload_bytes, end.tail) == (len(package) - len(end.tail), package[end.payload_bytes :])
            assert image_package.parse(package).payload_bytes == end.payload_bytes
    told = factory_document(made)["boot_components"]
    assert [set(each) for each in told] == [{"name", "package", "payload_bytes"}] * len(made.boot_ends)
    host.service.factory.enrol(certificate_request(SECRET), "mt3620", "t")
    assert len(opened) == len(whole.boot_packages), "the control: who has no OS gets it"


def test_one_key_is_one_device(host: ServiceHost) -> None:
    host.service.factory.enrol(certificate_request(SECRET), "mt3620", "t")
    with pytest.raises(ConflictError):
        host.service.factory.enrol(certificate_request(SECRET), "imx8mp", "t")


def test_names_and_extensions_of_a_request_are_ignored(host: ServiceHost) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    reply = host.service.factory.enrol(request(key, ca=True), "mt3620", "t")
    leaf = x509.load_der_x509_certificate(reply.certificate_chain[0])
    assert "another" not in leaf.subject.rfc4514_string()
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def damaged(text: str) -> str:
    middle = len(text) // 2
    return text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]


@pytest.mark.parametrize(
    "made",
    [
        "",
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        "x" * 10_000,
        request(ec.generate_private_key(ec.SECP384R1())),
        request(rsa.generate_private_key(65537, 2048)),
        damaged(request(ec.generate_private_key(ec.SECP256R1()))),
    ],
)
def test_requests_that_prove_nothing_are_refused(host: ServiceHost, made: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        host.service.factory.enrol(made, "mt3620", "t")
    assert refused.value.remedy


def test_unknown_chips_and_tiers_nobody_has_shown_are_refused(host: ServiceHost) -> None:
    with pytest.raises(NotFoundError, match="no chip"):
        host.service.factory.enrol(certificate_request(SECRET), "z80", "t")
    with pytest.raises(InvalidArgumentError, match="silicon"):
        host.service.factory.enrol(certificate_request(SECRET), "mt3620", "t", trust_tier="silicon")


def test_every_chip_has_a_first_release_whose_components_are_reference_values(host: ServiceHost) -> None:
    releases = host.service.releases
    assert {release.chip for release in releases.list()} == set(host.service.chips.names)
    for release in releases.list():
        assert releases.get(release.release_id) == release
        for component in release.components:
            (known,) = releases.reference.lookup(release.chip, component.component_id, component.digest)
            assert (known.os_version, known.security_version) == (release.version, component.security_version)


def test_releases_never_change_and_feeds_are_kept_apart(host: ServiceHost) -> None:
    releases = host.service.releases
    with pytest.raises(ConflictError):
        releases.publish("mt3620", FIRST_VERSION, actor="t")
    evaluation = releases.publish("mt3620", "26.12", feed="RetailEval", actor="t")
    assert releases.newest("mt3620").version == FIRST_VERSION
    assert releases.newest("mt3620", "RetailEval") == evaluation
    for wrong in ({"version": ""}, {"version": "a/b"}, {"security_version": 32}, {"feed": "Beta"}):
        with pytest.raises(InvalidArgumentError):
            releases.publish("mt3620", **{"version": "27.01", "actor": "t", **wrong})  # type: ignore[arg-type]


def test_a_floor_never_falls_and_never_shuts_everybody_out(host: ServiceHost) -> None:
    releases, floors = host.service.releases, host.service.attestation.floors
    assert floors.raise_to("mt3620", 4, 1, actor="t").minimum == 1
    with pytest.raises(
        InvalidArgumentError, match=r"expected 0 to 1, got 2: Retail gives 26\.11 to mt3620,"
    ) as refused:
        floors.raise_to("mt3620", 4, 2, actor="t")
    assert "to Retail first" in refused.value.remedy
    for wrong in (-1, 32):
        with pytest.raises(InvalidArgumentError, match=f"expected 0 to 1, got {wrong}"):
            floors.raise_to("mt3620", 4, wrong, actor="t")
    with pytest.raises(ConflictError):
        floors.raise_to("mt3620", 4, 0, actor="t")
    with pytest.raises(NotFoundError):
        floors.raise_to("mt3620", 10, 1, actor="t")
    assert [(floor.image_type, floor.minimum) for floor in floors.list(chip="mt3620")] == [(4, 1)]
    assert releases.reference.minimum_security_version("mt3620", 4) == 1


@pytest.mark.parametrize("how", ["withdrawn", "over"])
def test_a_floor_is_not_raised_to_a_release_that_is_in_force_no_more(host: ServiceHost, clock: Clock, how: str) -> None:
    releases, floors = host.service.releases, host.service.attestation.floors
    bad = releases.publish("mt3620", "26.12", security_version=2, actor="t")
    if how == "withdrawn":
        releases.withdraw(bad.release_id, "It hangs.", actor="t")
    else:
        releases.set_expiry(bad.release_id, clock.now, actor="t")
    with pytest.raises(InvalidArgumentError, match=r"expected 0 to 1, got 2: Retail gives 26\.11"):
        floors.raise_to("mt3620", 4, 2, actor="t")
    with pytest.raises(InvalidArgumentError, match=r"image type 4: expected 0 to 1, got 2; Retail gives 26\.11 to"):
        host.service.attestation.policies.revise("Contoso", {"minimum_security_versions": {"4": 2}}, actor="t")
    assert releases.reference.minimum_security_version("mt3620", 4) == 0, "nothing half-done stays"
    releases.publish("mt3620", "26.13", security_version=2, actor="t")
    assert floors.raise_to("mt3620", 4, 2, actor="t").minimum == 2


def test_two_floors_that_no_one_release_is_above_are_not_set(host: ServiceHost) -> None:
    """Each has a release that was above it; who installs either one is shut out by the other floor."""
    records, floors = host.service.context.records, host.service.attestation.floors
    kinds = [one.image_type for one in host.service.chips.get("mt3620").boot_components][:2]
    for version, raised in (("26.12", kinds[0]), ("26.13", kinds[1])):
        made = host.service.releases.publish("mt3620", version, security_version=2, actor="t")
        changed = tuple(replace(one, security_version=2 if one.image_type == raised else 1) for one in made.components)
        records.write(partial(release_rows.change, release=replace(made, components=changed), at=1))
        if raised == kinds[0]:
            assert floors.raise_to("mt3620", raised, 2, actor="t").minimum == 2
    with pytest.raises(InvalidArgumentError, match=r"expected 0 to 1, got 2: Retail gives 26\.12 .* other floors"):
        floors.raise_to("mt3620", kinds[1], 2, actor="t")


def test_a_floor_waits_for_the_feeds_that_devices_get(host: ServiceHost, clock: Clock) -> None:
    """A release that is evaluated, or without packages, brings no device of Retail above a floor."""
    releases, floors = host.service.releases, host.service.attestation.floors
    better = releases.publish("mt3620", "26.12", security_version=3, feed="RetailEval", actor="t")
    with_values_of(host, security_version=7)
    with host.claimed(b"r" * 32) as device:
        device.update_status = UpdateStatus(abilities=(OS,))
        with pytest.raises(
            InvalidArgumentError, match=r"expected 0 to 1, got 3: Retail gives 26\.11 to mt3620"
        ) as refused:
            floors.raise_to("mt3620", 4, 3, actor="t")
        assert refused.value.remedy.startswith("Promote a release with that security version to Retail first")
        clock.now += 1
        assert (device.check_in().verdict, floors.list(chip="mt3620")) == ("attested", ())
        host.service.attestation.drafts.promote(better.release_id, actor="t")
        floors.raise_to("mt3620", 4, 3, actor="t")
        clock.now += 1
        reply = device.check_in()
        assert (reply.verdict, reply.offer and reply.offer.os_version) == ("update-only", "26.12"), (
            "there is a way back"
        )
    assert releases.newest("mt3620") == releases.get(better.release_id), "new devices are made with what is above it"


def test_a_chip_that_no_feed_gives_a_system_to_gets_no_floor(host: ServiceHost) -> None:
    host.service.releases.withdraw(host.service.releases.newest("mt3620").release_id, "It hangs.", actor="t")
    floors = host.service.attestation.floors
    with pytest.raises(InvalidArgumentError, match="expected 0 while no feed gives mt3620 an operating system, got 1"):
        floors.raise_to("mt3620", 4, 1, actor="t")
    assert floors.raise_to("mt3620", 4, 0, actor="t").minimum == 0


def test_where_devices_run_imported_releases_alone_these_count(host: ServiceHost, clock: Clock) -> None:
    """Their packages come to them by another way; the stand-in of the first start is in force beside them."""
    service, floors = host.service, host.service.attestation.floors
    with_values_of(host, security_version=7)
    (imported,) = [one for one in service.releases.list(chip="mt3620") if one.imported_from is not None]
    with host.claimed(b"i" * 32) as device:
        assert device.check_in().verdict == "attested"
        with pytest.raises(InvalidArgumentError, match=r"expected 0 to 1, got 7: Retail gives 26\.11"):
            floors.raise_to("mt3620", 4, 7, actor="t")
        booted(host, device.device_id, imported.version)
        with pytest.raises(
            InvalidArgumentError, match="expected 0 to 7, got 8: mt3620 has devices with imp"
        ) as refused:
            floors.raise_to("mt3620", 4, 8, actor="t")
        assert "import-corim" in refused.value.remedy
        with pytest.raises(InvalidArgumentError, match="expected 0 to 7, got -1"):
            floors.raise_to("mt3620", 4, -1, actor="t")
        assert floors.list(chip="mt3620") == ()
        policies = service.attestation.policies
        with pytest.raises(InvalidArgumentError, match="expected 0 to 7, got 8; its devices of mt3620 run imported"):
            policies.revise("Contoso", {"minimum_security_versions": {"4": 8}}, actor="t")
        policies.revise("Contoso", {"minimum_security_versions": {"4": 7}}, actor="t")
        assert floors.raise_to("mt3620", 4, 7, actor="t").minimum == 7
        service.releases.withdraw(imported.release_id, "It hangs.", actor="t")
        assert floors.raise_to("mt3620", 4, 7, actor="t").minimum == 7, "it holds already: nothing is raised"


@pytest.mark.parametrize("other", ["never started", "claims 26.11", "claims nothing known"])
def test_no_device_bars_imported_releases_that_was_attested_with_no_other(host: ServiceHost, other: str) -> None:
    """An enrolment token makes a device of any chip; what it says of itself is its word alone."""
    service, floors = host.service, host.service.attestation.floors
    with_values_of(host, security_version=7)
    with host.claimed(b"i" * 32) as device, host.claimed(b"n" * 32) as further:
        device.check_in()
        booted(host, device.device_id, "99.1")
        if other != "never started":
            further.check_in()
            booted(host, further.device_id, "26.11" if other == "claims 26.11" else "x", verdict="update-only")
        running = service.context.records.read(lambda c: release_rows.running(c, "mt3620"))
        assert len(running) == (1 if other == "never started" else 2)
        service.attestation.policies.revise("Contoso", {"minimum_security_versions": {"4": 7}}, actor="t")
        assert floors.raise_to("mt3620", 4, 7, actor="t").minimum == 7
    with pytest.raises(NotFoundError, match="no OS release") as refused:
        service.factory.enrol(certificate_request(SECRET), "mt3620", "t")
    assert refused.value.remedy.endswith("--chip mt3620 --os-version VERSION --security-version 7.")
    service.releases.publish("mt3620", "26.12", security_version=7, actor="t")
    assert service.factory.enrol(certificate_request(SECRET), "mt3620", "t").os_version == "26.12"
    service.releases.withdraw(service.releases.newest("mt3620").release_id, "It hangs.", actor="t")
    with pytest.raises(NotFoundError, match="no OS release") as refused:
        service.releases.newest("mt3620")
    assert refused.value.remedy.endswith("--os-version VERSION."), "the next one has what the last one had"


def test_who_keeps_imported_releases_from_counting_is_named(host: ServiceHost) -> None:
    """The device that runs a feed's release is what to look for; nothing is promoted to devices that take no package."""
    service, floors = host.service, host.service.attestation.floors
    wanted = {"minimum_security_versions": {"4": 7}}
    with_values_of(host, security_version=7)
    with host.claimed(b"i" * 32) as device, host.claimed(b"v" * 32) as virtual:
        device.check_in()
        booted(host, device.device_id, "99.1")
        virtual.check_in()
        with pytest.raises(InvalidArgumentError, match=r"Retail gives 26\.11") as floor_refused:
            floors.raise_to("mt3620", 4, 7, actor="t")
        with pytest.raises(InvalidArgumentError, match=r"Retail gives 26\.11") as minimum_refused:
            service.attestation.policies.revise("Contoso", wanted, actor="t")
        for refused in (floor_refused, minimum_refused):
            assert f"as {virtual.device_id[:16]} is with 26.11: armillary device revoke" in refused.value.remedy
        service.registry.lifecycle.revoke(virtual.device_id, reason="It was a test.", actor="t")
        service.attestation.policies.revise("Contoso", wanted, actor="t")
        assert floors.raise_to("mt3620", 4, 7, actor="t").minimum == 7


def test_a_feed_without_a_system_names_who_keeps_imported_releases_from_counting(host: ServiceHost) -> None:
    service, first = host.service, host.service.releases.newest("mt3620")
    with_values_of(host, security_version=7)
    with host.claimed(b"i" * 32) as device, host.claimed(b"v" * 32) as virtual:
        for each in (device, virtual):
            each.check_in()
        booted(host, device.device_id, "99.1")
        service.releases.withdraw(first.release_id, "It hangs.", actor="t")
        with pytest.raises(InvalidArgumentError, match="Retail gives no operating system") as floor_refused:
            service.attestation.floors.raise_to("mt3620", 4, 7, actor="t")
        service.releases.publish("mt3620", "26.12", security_version=7, feed="RetailEval", actor="t")
        service.registry.groups.create("Contoso", "Kettle", "Bench", os_feed="RetailEval", actor="t")
        with pytest.raises(InvalidArgumentError, match="Retail gives no operating system") as minimum_refused:
            service.attestation.policies.revise("Contoso", {"minimum_security_versions": {"4": 7}}, actor="t")
        for refused in (floor_refused, minimum_refused):
            assert f"as {virtual.device_id[:16]} is with 26.11" in refused.value.remedy


def booted(host: ServiceHost, device_id: str, version: str, *, verdict: str = "attested") -> None:
    """Record that a device's last evidence was of a release, and what came of it."""

    def change(connection: Connection) -> None:
        number = select(schema.device.c.number).where(schema.device.c.device_id == device_id).scalar_subquery()
        here = schema.device_status.c.device_number == number
        connection.execute(update(schema.device_status).where(here).values(os_version=version, verdict=verdict))

    host.service.context.records.write(change)


def test_a_new_device_is_made_with_what_is_above_the_floors(host: ServiceHost) -> None:
    releases = host.service.releases
    releases.publish("mt3620", "26.12", security_version=2, actor="t")
    releases.publish("mt3620", "26.13", security_version=1, actor="t", allow_older=True)
    assert releases.newest("mt3620").version == "26.13"
    host.service.attestation.floors.raise_to("mt3620", 4, 2, actor="t")
    assert releases.newest("mt3620").version == "26.12"
    assert releases.newest("mt3620", version="26.13").version == "26.13", (
        "it is on the disk of a machine, and can leave it"
    )


def with_values_of(host: ServiceHost, *, security_version: int) -> None:
    """Import the reference values of a release without packages."""
    service = host.service
    known = corim.parse_corim(
        service.attestation.corims.export(service.releases.newest("mt3620").release_id, signed=False)
    )
    components = tuple(
        replace(one, security_version=security_version, digest=bytes([number + 1]) * 32)
        for number, one in enumerate(known.components)
    )
    made = replace(known, os_version="99.1", corim_id=uuid4(), tag_id=uuid4(), components=components)
    service.attestation.corims.take(corim.encode_corim(made), actor="t", allow_unsigned=True)
