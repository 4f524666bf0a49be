# SPDX-License-Identifier: Apache-2.0
"""Releases leave as CoRIM and arrive at another service, whose devices are appraised with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.fixtures.clocks import Clock

from armillary.errors import ArmillaryError, ConflictError, InvalidArgumentError, NotFoundError, SignatureError
from armillary.service.updates.os_feeds import systems_of
from armillary.service.verifier.corim_release import MAX_NAMED, complete
from armillary.service.verifier.release_corim import ImportedRelease
from armillary.sim.device.prover import Prover
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice, components_of
from armillary.wire.attestation import corim, corim_fields

OPERATOR = "operator"
KEY = ec.generate_private_key(ec.SECP256R1())


def pem_of(key: ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


KEY_PEM = pem_of(KEY)


def value_of(host: ServiceHost, **changes: Any) -> corim.Corim:
    """The first release as somebody else's: another version."""
    release = host.service.releases.newest("mt3620")
    value = corim.parse_corim(host.service.attestation.corims.export(release.release_id, signed=False))
    return dataclasses.replace(value, **{"os_version": "99.1", "corim_id": uuid4(), **changes})


def take(host: ServiceHost, value: corim.Corim | bytes, **options: Any) -> ImportedRelease:
    """Import a CoRIM on the operator's word."""
    data = value if isinstance(value, bytes) else corim.encode_corim(value)
    return host.service.attestation.corims.take(data, **{"actor": OPERATOR, "allow_unsigned": True, **options})


def booting(device: WireDevice, packages: Mapping[str, bytes], os_version: str) -> Prover:
    """The same device with another OS."""
    name = device.prover.service_name
    return Prover(uds=device.prover.uds, components=components_of(packages), service_name=name, os_version=os_version)


def test_another_services_release_lets_its_devices_in_from_the_import_on(
    host: ServiceHost, clock: Clock, tmp_path: Path
) -> None:
    with ServiceHost(tmp_path / "publisher", clock=clock) as publisher:
        release = publisher.service.releases.publish("mt3620", "27.01", security_version=2, actor=OPERATOR)
        packages = publisher.service.releases.packages(release)
        signed = publisher.service.attestation.corims.export(release.release_id, signed=True)
        certificate = publisher.service.authority.os_signer.certificate.public_bytes(Encoding.PEM).decode()
    with host.claimed(b"a" * 32) as device:
        device.prover = booting(device, packages, "27.01")
        before = device.check_in()
        assert before.verdict == "update-only"
        assert [step.number for step in before.steps if step.result == "fail"] == [13]
        made = host.service.attestation.corims.take(signed, actor=OPERATOR, key_pem=certificate).release
        assert (made.version, made.imported_from) == ("27.01", f"CoRIM {release.release_id}")
        clock.now += 1
        assert device.check_in().verdict == "attested"
        clock.now += 1
        host.service.releases.withdraw(made.release_id, "It hangs.", actor=OPERATOR)
        assert device.check_in().verdict == "update-only"
    assert host.service.releases.newest("mt3620").version != "27.01"  # there are no packages to make devices with


def test_what_a_release_does_not_keep_is_in_the_audit_log(host: ServiceHost) -> None:
    vendors = tuple(dataclasses.replace(one, vendor="Contoso") for one in value_of(host).components)
    value = value_of(
        host, components=vendors, entities=(corim_fields.Entity(name="Contoso", roles=(1,), uri="https://c"),)
    )
    data = corim.sign_corim(value, KEY, "Contoso releases", key_id=b"2026")
    host.service.attestation.corims.take(data, actor="ann", key_pem=KEY_PEM)
    (line,) = host.service.audit.list(limit=1).items
    assert (line.actor, line.operation) == ("ann", "release.import-corim")
    assert line.detail["corim_id"] == str(value.corim_id)
    assert line.detail["entities"] == [{"name": "Contoso", "roles": [1], "uri": "https://c"}]
    assert line.detail["vendors"] == ["Contoso"] * len(vendors)
    assert (line.detail["signer"], line.detail["key_id"]) == ("Contoso releases", b"2026".hex())


def test_the_life_of_a_release_travels_with_it(host: ServiceHost, clock: Clock) -> None:
    release = host.service.releases.newest("mt3620")
    end = int(clock.now) + 100
    host.service.releases.set_expiry(release.release_id, end, actor=OPERATOR)
    value = value_of(host)
    assert (value.not_before, value.not_after) == (release.created_at, end)
    made = take(host, value).release
    assert (made.created_at, made.expires_at) == (release.created_at, end)
    host.service.releases.withdraw(release.release_id, "It hangs.", actor=OPERATOR)
    with pytest.raises(ConflictError, match="which a CoRIM cannot say"):
        host.service.attestation.corims.export(release.release_id, signed=False)


def test_an_imported_release_is_as_old_as_it_says(host: ServiceHost, clock: Clock) -> None:
    """One of years ago does not become the newest, of which all others are older ones, by being imported today."""
    first, end = host.service.releases.newest("mt3620"), int(clock.now) + 100
    corims, reference = host.service.attestation.corims, lambda: host.service.releases.reference
    for version, since, newer in (("25.1", first.created_at - 1000, ""), ("27.1", None, "27.1")):
        value = dataclasses.replace(value_of(host), not_before=since, not_after=None if since is None else end)
        data = corim.sign_corim(value, KEY, "Contoso")
        made = corims.take(data, actor=OPERATOR, key_pem=KEY_PEM, chip="mt3620", version=version).release
        assert made.version == version
        assert reference().newer("mt3620", first.version, int(clock.now)) == newer
        systems = host.service.context.records.read(lambda c: systems_of(c, now=int(clock.now)))
        stays = systems.everybody["Retail", "mt3620"].newer
        assert (version in stays) == bool(newer), "a device that runs it may stay with it"
    assert [one.version for one in host.service.releases.list(chip="mt3620")] == ["25.1", first.version, "27.1"]


def test_an_imported_release_is_exported_as_it_came(host: ServiceHost) -> None:
    value = value_of(host)
    made = take(host, value).release
    again = corim.parse_corim(host.service.attestation.corims.export(made.release_id, signed=False))
    assert (again.components, again.chip, again.os_version) == (value.components, value.chip, value.os_version)


def test_nobodys_word_is_not_taken(host: ServiceHost) -> None:
    value = value_of(host)
    unsigned, signed = corim.encode_corim(value), corim.sign_corim(value, KEY, "Contoso")
    count = len(host.service.releases.list())
    with pytest.raises(InvalidArgumentError, match="not signed"):
        take(host, unsigned, allow_unsigned=False)
    for allowed in (False, True):  # a signed one is never taken as unsigned
        with pytest.raises(InvalidArgumentError, match="whose key that is"):
            take(host, signed, allow_unsigned=allowed)
    other, wrong_curve = (pem_of(ec.generate_private_key(curve)) for curve in (ec.SECP256R1(), ec.SECP384R1()))
    with pytest.raises(SignatureError):
        take(host, signed, allow_unsigned=False, key_pem=other)
    for pem in ("no key", wrong_curve):
        with pytest.raises(InvalidArgumentError, match="key: expected"):
            take(host, signed, allow_unsigned=False, key_pem=pem)
    assert len(host.service.releases.list()) == count
    take(host, signed, allow_unsigned=False, key_pem=KEY_PEM)  # positive control
    assert len(host.service.releases.list()) == count + 1


@pytest.mark.parametrize(
    ("changes", "error", "named"),
    [
        ({"chip": "z80"}, NotFoundError, "z80"),
        ({"os_version": "26.11"}, ConflictError, "has a release 26.11"),
        ({"os_version": "26 11"}, InvalidArgumentError, "version"),
        ({"not_after": 5}, InvalidArgumentError, "is valid from"),
        ({"not_before": 2**35, "not_after": 2**35}, InvalidArgumentError, "is valid from"),
    ],
)
def test_what_is_no_release_here_is_refused(
    host: ServiceHost, changes: dict[str, Any], error: type[ArmillaryError], named: str
) -> None:
    with pytest.raises(error, match=named):
        take(host, value_of(host, **changes))


def test_a_release_names_the_whole_chain_of_its_chip(host: ServiceHost) -> None:
    value = value_of(host)
    for components, named in (
        (value.components[:-1], f"boots {len(value.components)} components"),
        (_renumbered(value.components[::-1]), "in this order"),
    ):
        with pytest.raises(InvalidArgumentError, match=named):
            take(host, dataclasses.replace(value, components=components))


def foreign(host: ServiceHost, **changes: Any) -> corim.Corim:
    """The first release as a maker who knows nothing of chip profiles would state it: digests, in boot order."""
    value = value_of(host)
    unsaid = {"component_id": None, "image_type": None, "layer": None, "image_id": None, "security_version": None}
    claims = tuple(
        dataclasses.replace(one, **unsaid, name=None, element=f"part {number}")
        for number, one in enumerate(value.components)
    )
    return dataclasses.replace(value, **{"chip": "RoadRunner", "os_version": None, "components": claims, **changes})


def test_a_file_that_says_only_digests_is_filled_in_from_the_chip_and_devices_that_boot_it_are_let_in(
    host: ServiceHost, clock: Clock, tmp_path: Path
) -> None:
    with ServiceHost(tmp_path / "publisher", clock=clock) as publisher:
        release = publisher.service.releases.publish("mt3620", "27.01", security_version=2, actor=OPERATOR)
        packages = publisher.service.releases.packages(release)
    pairs = zip(foreign(host).components, release.components, strict=True)
    value = foreign(host, components=tuple(dataclasses.replace(one, digest=other.digest) for one, other in pairs))
    count = len(value.components)
    for given, named in (({"chip": "mt3620"}, "has no version"), ({"version": "5"}, "no chip 'RoadRunner'")):
        with pytest.raises(ArmillaryError, match=named):
            take(host, value, **given)
    with host.claimed(b"b" * 32) as device:
        device.prover = booting(device, packages, "5")
        other = take(host, value, chip="mt3620", version="4")
        refused = device.check_in()  # the device's packages are of security version 2, not 0
        assert "another image type or security version" in " ".join(step.detail for step in refused.steps)
        host.service.releases.set_expiry(other.release.release_id, int(clock.now) + 1000, actor=OPERATOR)
        clock.now += 1
        made = take(host, value, actor="ann", chip="mt3620", version="5", security_version=2)
        (line,) = host.service.audit.list(limit=1).items
        clock.now += 1
        assert device.check_in().verdict == "attested"
    assert made.passed_over == ("model RoadRunner",)
    assert (line.detail["passed_over"], line.detail["derived"]) == (list(made.passed_over), list(made.derived))
    assert made.derived == (
        "the boot order: as the file has them",
        f"component id: the chip's at that place ({count} times)",
        f"image type: the chip's at that place ({count} times)",
        f"security version: 2 ({count} times)",
        f"image id: from component id and digest ({count} times)",
    )
    assert [(one.component_id, one.image_type, one.digest) for one in made.release.components] == [
        (one.component_id, one.image_type, one.digest) for one in release.components
    ]
    assert [one.name for one in made.release.components][:2] == ["part 0", "part 1"]
    assert len({one.image_id for one in made.release.components}) == count


def test_what_a_file_says_of_a_component_has_to_agree_with_the_chip(host: ServiceHost) -> None:
    claims = foreign(host).components
    ids = [one.component_id for one in value_of(host).components]
    turned = tuple(dataclasses.replace(one, component_id=each) for one, each in zip(claims, ids[::-1], strict=True))
    own = tuple(dataclasses.replace(one, component_id=uuid4()) for one in claims)

    for changes, named in (
        ({"components": turned}, r"of mt3620 where one-bl boots"),
        ({"chip": "imx8mp"}, "is for imx8mp, and mt3620 was asked for"),
        ({"components": claims[:1]}, r"boots \d+ components .* reference values of 1"),
    ):
        with pytest.raises(InvalidArgumentError, match=named):
            take(host, foreign(host, **changes), chip="mt3620", version="5")
    made = take(host, foreign(host, components=own), chip="mt3620", version="5")
    assert [one.component_id for one in made.release.components] == ids
    assert f"component {own[0].component_id}" in made.passed_over


def test_of_very_much_that_is_passed_over_the_first_is_named_and_the_rest_counted(host: ServiceHost) -> None:
    value = dataclasses.replace(value_of(host), passed_over=tuple(f"entity-map key {number}" for number in range(3000)))
    found = complete(value, host.service.chips, chip=None, version=None, security_version=0)
    assert found.passed_over[MAX_NAMED - 1 :] == (f"entity-map key {MAX_NAMED - 1}", f"and {3000 - MAX_NAMED} more")


def test_only_what_exists_is_exported(host: ServiceHost) -> None:
    with pytest.raises(NotFoundError):
        host.service.attestation.corims.export(UUID(int=0), signed=True)


def _renumbered(components: tuple[corim_fields.ReferenceClaim, ...]) -> tuple[corim_fields.ReferenceClaim, ...]:
    return tuple(dataclasses.replace(one, layer=layer) for layer, one in enumerate(components))
